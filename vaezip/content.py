"""The content of a `.vz` file as a raw stream, which decodes no more blocks than are read."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from vaezip import container
from vaezip.at_hand import AtHand
from vaezip.block import decode_block
from vaezip.block_index import BlockIndex
from vaezip.byteio import ByteReader
from vaezip.container import Block, Header
from vaezip.errors import TruncatedError, VaezipError
from vaezip.workers import in_order


class Content(io.RawIOBase):
    """The content of a file: block after block, or from the block that holds a position."""

    def __init__(self, file: IO[bytes], at_hand: AtHand, threads: int, name: str | None) -> None:
        """name: of the file, for errors."""
        self._name = name
        self._failure: Exception | None = None  # until we go elsewhere
        self._has_stopped = False  # or is elsewhere: decoding has to begin again where we are
        self._file, self._threads = file, threads
        self._at_hand = at_hand
        self._can_seek = hasattr(file, "seekable") and file.seekable()
        self._begin = file.tell() if self._can_seek else 0
        self._block_index: BlockIndex | None = None
        self._reader = ByteReader(file)  # as long as there is no index
        self._end: int | None = None  # of the file below, once that reader has come there
        self._decoded = _decode(at_hand, _all_blocks(self._reader), threads)
        self._position = 0  # where we are in the content
        self._block = 0, b""  # what is decoded, and where it begins; the decoder goes on behind it

    def close(self) -> None:
        """Let go of the threads; the file below is left open."""
        self._decoded.close()
        super().close()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True if the file below can seek."""
        return self._can_seek

    def tell(self) -> int:
        """The position in the content."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Bytes from one block; 0 only at the end, which is another one once something was appended."""
        while not self._has_decoded(self._position):
            if not self._advance():
                return 0
        begin, content = self._block
        part = memoryview(content)[self._position - begin :][: memoryview(buffer).nbytes]
        count = len(part)
        memoryview(buffer).cast("B")[:count] = part
        self._position += count  # last, so that no interruption comes between this and the caller
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position in the content; its block is not decoded yet."""
        if whence == io.SEEK_CUR:
            offset += self.tell()
        elif whence == io.SEEK_END:
            blocks = self._blocks()
            with self._errors_named():
                blocks.extend()
            offset += blocks.size
        elif whence != io.SEEK_SET:
            raise ValueError(f"invalid whence: {whence}")
        if offset < 0:
            raise ValueError(f"negative seek position {offset}")
        begin, content = self._block
        if not begin <= offset <= begin + len(content):
            self._has_stopped = True
            self._failure = None
        self._position = offset
        return offset

    def _has_decoded(self, position: int) -> bool:
        begin, content = self._block
        return begin <= position < begin + len(content)

    def _advance(self) -> bool:
        """Decode the next block, or find that there may be one now; False if not."""
        if self._failure is not None:  # what is damaged does not end there
            raise self._failure.with_traceback(None)  # to which each time would add
        if self._has_stopped:
            self._begin_again()
        self._has_stopped = True  # until we have the block, whatever comes between
        try:
            with self._errors_named():
                block = next(self._decoded, None)
        except TruncatedError:
            if self._block_index is not None or not self._can_seek:
                raise
            return True  # threads read ahead: the index says whether it still ends there
        if block is None:
            self._has_stopped = self._goes_on()
            return self._has_stopped
        begin, content = self._block
        self._block = begin + len(content), block
        self._has_stopped = False
        return True

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Put the file's name in front of errors. Damage stays; other errors may be over the next time."""
        try:
            yield
        except VaezipError as error:
            if self._name is not None:
                error.args = (f"{self._name}: {error}",)
            if not (isinstance(error, TruncatedError) and self._can_seek):  # else more may come
                self._failure = error
            raise
        except BaseException:
            self._has_stopped = True
            self._block_index = None  # a frame may be half in it
            raise

    def _goes_on(self) -> bool:
        """Whether whole frames were appended to those of which all blocks have been decoded."""
        if not self._can_seek:
            return False
        with self._errors_named():
            if self._block_index is None:
                self._end = self._begin + self._reader.position
                self._file.seek(self._end)
                if not self._file.read(1):
                    return False
                self._block_index = BlockIndex(self._file, self._begin, self._end)
            self._block_index.extend()
            return self._block_index.size > self._position

    def _blocks(self) -> BlockIndex:
        if self._block_index is None:
            self._has_stopped = True  # since the file below will be elsewhere
            with self._errors_named():
                self._block_index = BlockIndex(self._file, self._begin, self._end)
        return self._block_index

    def _begin_again(self) -> None:
        """Let the next block be that which holds our position."""
        if not self._can_seek:
            raise OSError("an earlier read failed or was interrupted: the file cannot be read on")
        blocks = self._blocks()
        number, begin = blocks.find(self._position)
        self._decoded.close()
        self._decoded = _decode(self._at_hand, map(blocks.read, range(number, len(blocks))), self._threads)
        self._block = begin, b""


def _decode(at_hand: AtHand, blocks: Iterable[tuple[Header, Block]], threads: int) -> Generator[bytes]:
    """Blocks one after the other, the first one alone: a reader who then seeks has paid for no more."""
    waiting = iter(blocks)
    decode = functools.partial(_decode_block, at_hand)
    yield from map(decode, itertools.islice(waiting, 1))
    yield from in_order(decode, waiting, threads)


def _decode_block(at_hand: AtHand, block: tuple[Header, Block]) -> bytes:
    return decode_block(at_hand, *block)


def _all_blocks(reader: ByteReader) -> Iterator[tuple[Header, Block]]:
    for header in container.read_frames(reader):
        for block in container.read_blocks(reader, header):
            yield header, block
