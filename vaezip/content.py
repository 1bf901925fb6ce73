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
        self._has_stopped = False  # so that decoding has to begin again where we are
        self._file, self._threads = file, threads
        self._at_hand = at_hand
        self._can_seek = hasattr(file, "seekable") and file.seekable()
        self._begin = file.tell() if self._can_seek else 0
        self._block_index: BlockIndex | None = None
        self._reader = ByteReader(file)  # as long as there is no index
        self._end: int | None = None  # of the file below, once that reader has come there
        self._decoded = _decode(at_hand, _all_blocks(self._reader), threads)
        self._block = b""  # what is decoded ...
        self._at = self._before = 0  # ... where we are in it, and bytes before it

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
        return self._before + self._at

    def readinto(self, buffer: Any) -> int:
        """Bytes from one block; 0 only at the end, which is another one once something was appended."""
        while self._at >= len(self._block):
            if self._failure is not None:  # what is damaged does not end there
                raise self._failure
            if self._has_stopped:
                self._decode_from(self._before + len(self._block))
            with self._errors_named():
                block = next(self._decoded, None)
            if block is None:
                if not self._goes_on():
                    return 0
                self._decode_from(self._before + len(self._block))
                continue
            self._before += len(self._block)
            self._at -= len(self._block)
            self._block = block
        part = memoryview(self._block)[self._at : self._at + memoryview(buffer).nbytes]
        memoryview(buffer).cast("B")[: len(part)] = part
        self._at += len(part)
        return len(part)

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
        if not 0 <= offset - self._before <= len(self._block):
            self._before, self._block = self._decode_from(offset), b""
        self._at = offset - self._before
        return offset

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Put the file's name in front of errors. Damage stays; other errors may be over the next time."""
        try:
            yield
        except VaezipError as error:
            if self._name is not None:
                error.args = (f"{self._name}: {error}",)
            if isinstance(error, TruncatedError) and self._can_seek:  # more may come
                self._has_stopped = True
            else:
                self._failure = error
            raise
        except BaseException:
            self._has_stopped = self._can_seek
            self._block_index = None  # a frame may be half in it
            if not self._can_seek:
                self._failure = OSError(
                    "an earlier read failed or was interrupted: the file cannot be read on"
                )
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
            return self._block_index.size > self._before + len(self._block)

    def _blocks(self) -> BlockIndex:
        if self._block_index is None:
            with self._errors_named():
                self._block_index = BlockIndex(self._file, self._begin, self._end)
            self._decode_from(self._before + len(self._block))  # the file below is elsewhere now
        return self._block_index

    def _decode_from(self, offset: int) -> int:
        """Let the next block be that which holds a position; returns where it begins."""
        blocks = self._blocks()
        self._failure, self._has_stopped = None, False
        number, begin = blocks.find(offset)
        self._decoded.close()
        self._decoded = _decode(self._at_hand, map(blocks.read, range(number, len(blocks))), self._threads)
        return begin


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
