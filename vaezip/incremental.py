"""Compressing and decompressing what comes in pieces, as the standard library does it (PEP 784)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vaezip import container
from vaezip.arguments import Buffer, buffer, whole_number
from vaezip.at_hand import AtHand
from vaezip.block import DEFAULT_BLOCK_SIZE, decode_block
from vaezip.byteio import ByteReader
from vaezip.container import Header, Index
from vaezip.copying import NotCopied
from vaezip.dictionaries.dictionary import DictionaryLike, loaded_dictionary
from vaezip.errors import TruncatedError, VaezipError
from vaezip.frame_encoder import FrameEncoder
from vaezip.known_models import ModelLike, loaded


class VaezipCompressor(NotCopied):
    """Makes one frame of what it is given.

    Example:
        >>> compressor = VaezipCompressor()
        >>> frame = compressor.compress(b"It was the best of times, ") + compressor.flush()
    """

    FLUSH_BLOCK: Final = 1
    """For `flush`: all that was given comes out, and the frame goes on."""
    FLUSH_FRAME: Final = 2
    """For `flush`: the frame ends."""

    def __init__(
        self,
        *,
        model: ModelLike = None,
        dictionary: DictionaryLike = None,
        block_size: int = DEFAULT_BLOCK_SIZE,
        threads: int = 1,
    ) -> None:
        """As in `vaezip.compress`.

        At most two blocks more than there are threads are held at once, and what a call returns.
        """
        dictionary = None if dictionary is None else loaded_dictionary(dictionary)
        self._encoder = FrameEncoder(loaded(model), block_size, threads, dictionary=dictionary)
        self._finished = self._broken = False

    def compress(self, data: Buffer) -> bytes:
        """Take more of the text; returns what is ready of the frame, often nothing.

        After an error or an interruption, something may be missing: the frame can only be thrown away.
        """
        return self._whole(self._encoder.feed(buffer(data)))

    def flush(self, mode: int = FLUSH_FRAME) -> bytes:
        """The rest of the frame, to which nothing can be added then.

        With FLUSH_BLOCK, what a decompressor needs for all that was given so far, and the frame goes on: what
        follows begins a new block, so that many short ones take more bytes. Raises ValueError for others.
        """
        if mode == self.FLUSH_BLOCK:
            return self._whole(self._encoder.flush())
        if mode != self.FLUSH_FRAME:
            raise ValueError("mode must be FLUSH_BLOCK or FLUSH_FRAME")
        rest = self._whole(self._encoder.finish())
        self._finished = True
        return rest

    def _whole(self, parts: Iterator[bytes]) -> bytes:
        if self._finished:
            raise ValueError("the frame has been finished")
        if self._broken:
            raise ValueError("the frame cannot be finished: compressing it failed or was interrupted")
        self._broken = True
        data = b"".join(parts)
        self._broken = False
        return data


class VaezipDecompressor(NotCopied):
    """Decompresses one frame, as its bytes come; a skippable one has no content."""

    def __init__(self, *, model: ModelLike = None, dictionary: DictionaryLike = None) -> None:
        """model, dictionary: as in `vaezip.decompress`; the model is loaded when the first block needs it."""
        self._at_hand = AtHand.of(model, dictionary)
        self._input = _Feed()
        self._header: Header | None = None
        self._index = Index(0)
        self._output = b""  # of the last block, and where what was returned of it ends
        self._returned = 0
        self._at_end = False
        self._failure: Exception | None = None  # which stays; during a call, that it was interrupted

    @property
    def eof(self) -> bool:
        """True once the frame has ended, and all of its content has been returned."""
        return self._failure is None and self._has_ended()

    @property
    def needs_input(self) -> bool:
        """True if `decompress` cannot return anything more before it is given more."""
        return not self._at_end and self._returned == len(self._output) and not self._input.suffices

    @property
    def unused_data(self) -> bytes:
        """Bytes that were given beyond the end of the frame; empty before that is reached."""
        return self._input.rest() if self.eof else b""

    def decompress(self, data: Buffer, max_length: int = -1) -> bytes:
        """Take more of the frame; returns at most `max_length` bytes of its content, or (-1) what there is.

        Raises EOFError after the end of the frame, and as `vaezip.decompress`.
        """
        more, max_length = buffer(data), whole_number(max_length, "max_length")
        if self._failure is not None:
            raise self._failure.with_traceback(None)  # to which each time would add
        if self._has_ended():
            raise EOFError("the frame has ended")
        self._failure = VaezipError("decompressing was interrupted: some of the content may be lost")
        try:
            self._input.feed(more)
            content = b"".join(self._parts(max_length))
        except Exception as error:
            self._failure = error
            raise
        self._failure = None
        return content

    def _has_ended(self) -> bool:
        return self._at_end and self._returned == len(self._output)

    def _parts(self, max_length: int) -> Iterator[bytes]:
        """As much of the content as there is, or as is wanted."""
        while max_length and (self._returned < len(self._output) or self._advance()):
            end = len(self._output) if max_length < 0 else self._returned + max_length
            part = self._output[self._returned : end]
            self._returned += len(part)
            max_length -= len(part) if max_length > 0 else 0
            yield part

    def _advance(self) -> bool:
        """Decode the next block, or reach the end; False if that needs more input."""
        if self._at_end or not self._input.suffices:
            return False
        try:
            if self._header is None:
                self._header = container.read_header(self._input)
                assert self._header is not None  # since something has come
                self._index = Index(self._header.encoded_size)
                self._input.drop()
            block = container.read_block(self._input, self._header, self._index)
        except TruncatedError:
            self._input.back()
            return False
        self._input.drop()
        self._output, self._returned = b"", 0
        if block is not None:
            self._output = decode_block(self._at_hand, self._header, block)
        self._at_end = block is None or self._header.is_short
        return True


class _Feed(ByteReader):
    """Reads what has come so far; a TruncatedError means that more has to come first."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._skipped = 0  # bytes, of those that are to be passed over
        self._needed = 1  # bytes, before it makes sense to read again
        self.position = 0

    @property
    def suffices(self) -> bool:
        """True if enough has come to try again."""
        return len(self._data) >= self._needed

    def feed(self, data: memoryview) -> None:
        """Append the bytes that come next."""
        self._data += data

    def read_some(self, n: int) -> bytes:
        """As of any ByteReader; notes how much would have been needed."""
        self._needed = max(self._needed, self.position + n)
        part = bytes(self._data[self.position : self.position + n])
        self.position += len(part)
        return part

    def skip(self, n: int) -> None:
        """As of any ByteReader, where nothing has been read before; what is passed over is not kept."""
        self._skipped += (count := min(n - self._skipped, len(self._data)))
        del self._data[:count]
        if self._skipped < n:
            raise TruncatedError("the frame goes on")

    def back(self) -> None:
        """Go back, to read the same bytes again next time."""
        self.position = 0

    def drop(self) -> None:
        """Forget the bytes that have been read."""
        del self._data[: self.position]
        self.position, self._needed = 0, 1

    def rest(self) -> bytes:
        """The bytes that have come and were not read."""
        return bytes(self._data)
