"""Where the blocks of a seekable `.vz` file lie, so that reading anywhere costs one block."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from vaezip import container
from vaezip.byteio import ByteReader, Seekable
from vaezip.container import Block, Extents, Header, Index
from vaezip.errors import FormatError, TruncatedError

_LENGTH = 4  # bytes at the end of a frame that say how long its index is


class FrameExtent(NamedTuple):
    """A frame: its header, and how much lies in it; sizes are in bytes."""

    header: Header
    begin: int  # in the file
    compressed_size: int
    content_size: int
    blocks: int


class BlockIndex:
    """The blocks of all frames from `begin` to the end of a file.

    A frame of blocks is known by its index, which is found from its end, and so is the length of a skippable
    frame: so one frame takes three short reads, however long it is. Only frames before one in the short form
    are walked through, block by block.
    """

    def __init__(self, file: Seekable, begin: int = 0, end: int | None = None) -> None:
        """end: of the frames that are wanted, by default that of the file.

        Raises FormatError as `vaezip.decompress` does, and what `file` raises.
        """
        self._file, self._begin = file, begin
        self._frames = array("Q")  # where each frame begins in the file ...
        self._first_blocks = array("Q")  # ... and the number of its first block, over all frames
        self._contents = array("Q", [0])  # where the content of each block begins, and where all ends
        self._places = array("Q")  # where each block begins in the file ...
        self._encoded_sizes = array("I")  # ... and how many bytes it has there
        self._end = begin  # of the last frame
        self._file_size = file.seek(0, os.SEEK_END) if end is None else end
        if begin >= self._file_size:
            raise TruncatedError(container.EMPTY)
        self._add_frames(self._file_size)

    def extend(self) -> None:
        """Take note of the frames that were appended since; one that is not whole is not there yet.

        Raises as `BlockIndex`.
        """
        size = self._file.seek(0, os.SEEK_END)
        if size > self._file_size:
            with suppress(TruncatedError):
                self._add_frames(size)
            self._file_size = size

    @property
    def size(self) -> int:
        """Bytes of content."""
        return self._contents[-1]

    def __len__(self) -> int:
        return len(self._places)

    def frames(self) -> Iterator[FrameExtent]:
        """All frames in order."""
        begins = self._frames + array("Q", [self._end])
        firsts = self._first_blocks + array("Q", [len(self)])
        for (begin, first), (end, last) in pairwise(zip(begins, firsts, strict=True)):
            content_size = self._contents[last] - self._contents[first]
            yield FrameExtent(self._read_header(begin)[0], begin, end - begin, content_size, last - first)

    def find(self, offset: int) -> tuple[int, int]:
        """The block that holds the byte of content at `offset`, and where its content begins.

        Beyond the end, the number of blocks and the size of the content.
        """
        number = min(bisect_right(self._contents, offset) - 1, len(self))
        return number, self._contents[number]

    def read(self, number: int) -> tuple[Header, Block]:
        """A block, and its frame's header; raises FormatError if it is not what the index says."""
        header, _ = self._read_header(self._frames[bisect_right(self._first_blocks, number) - 1])
        self._file.seek(self._places[number])
        reader = ByteReader(self._file)
        block = container.read_block(reader, header, Index(0))
        size = self._contents[number + 1] - self._contents[number]
        if block is None or (block.size, reader.position) != (size, self._encoded_sizes[number]):
            raise FormatError("damaged index")
        return header, block

    def _read_header(self, begin: int) -> tuple[Header, _SeekingReader]:
        """The header of the frame that begins there, and where it was read; a file may have millions."""
        self._file.seek(begin)
        reader = _SeekingReader(self._file)
        reader.position = begin - self._begin  # so that it knows whether this is the first frame
        header = container.read_header(reader)
        if header is None:
            raise TruncatedError("the file ends too early: it is truncated")
        return header, reader

    def _add_frames(self, file_size: int) -> None:
        """Take note of the frames from the last one on."""
        indexed = self._indexed_frames(self._end, file_size)
        while self._end < file_size:
            self._end = self._add_frame(self._end, indexed.get(self._end))

    def _indexed_frames(self, begin: int, end: int) -> dict[int, tuple[Extents, int]]:
        """The last frames, as long as they have an index or are skippable: of each that has one, by where the
        frame begins, the index, and where the frame ends."""
        found: dict[int, tuple[Extents, int]] = {}
        while end - begin > _LENGTH:
            frame_end = end
            self._file.seek(end - _LENGTH)
            length = int.from_bytes(ByteReader(self._file).read(_LENGTH), "little")
            at = end - _LENGTH - length
            if at < begin:
                break
            self._file.seek(at)
            reader = ByteReader(self._file)
            first = reader.read(len(container.SKIPPABLE))
            if first == container.SKIPPABLE:
                end = at
                continue
            try:
                extents = container.read_index(first, reader, length, at - begin)
            except FormatError:
                break
            end = at - extents.header_size - sum(extents.encoded_sizes)
            found[end] = extents, frame_end
        return found

    def _add_frame(self, begin: int, indexed: tuple[Extents, int] | None) -> int:
        """Take note of a frame, whose index may be known, if it is whole; returns where it ends."""
        header, reader = self._read_header(begin)
        if indexed is not None and header.block_size is not None:
            extents, end = indexed
            _check(extents, header)
        else:
            extents = _walk(reader, header)
            end = self._begin + reader.position
        self._frames.append(begin)
        self._first_blocks.append(len(self))
        place = begin + header.encoded_size
        for size, encoded_size in zip(extents.sizes, extents.encoded_sizes, strict=True):
            self._places.append(place)
            self._encoded_sizes.append(encoded_size)
            self._contents.append(self._contents[-1] + size)
            place += encoded_size
        return end


class _SeekingReader(ByteReader):
    """Passes over what it need not read; a file may end before that, which whatever is read next tells."""

    def __init__(self, file: Seekable) -> None:
        super().__init__(file)
        self._file = file

    def skip(self, n: int) -> None:
        self._file.seek(n, os.SEEK_CUR)
        self.position += n


def _walk(reader: ByteReader, header: Header) -> Extents:
    """The sizes in a frame whose header has just been read, block by block."""
    extents, place = Extents(header.encoded_size, array("I"), array("I")), reader.position
    for block in container.read_blocks(reader, header):
        extents.sizes.append(block.size)
        extents.encoded_sizes.append(reader.position - place)
        place = reader.position
    return extents


def _check(extents: Extents, header: Header) -> None:
    """Raise FormatError if an index is not that of a frame with such a header."""
    largest, content_size = max(extents.sizes, default=0), sum(extents.sizes)
    if (
        extents.header_size != header.encoded_size
        or largest > (header.block_size or 0)
        or header.content_size not in (None, content_size)
    ):
        raise FormatError("damaged index")
