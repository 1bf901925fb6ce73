"""The frames of a `.vz`, listed without decoding them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from vaezip import container
from vaezip.arguments import FilePath
from vaezip.block_index import BlockIndex
from vaezip.byteio import ByteReader, Readable, check_binary
from vaezip.files import open_named


class FrameInfo(NamedTuple):
    """One frame; sizes are in bytes."""

    compressed_size: int
    """Of the whole frame, header and index included."""
    content_size: int
    """Of what it decodes to."""
    blocks: int
    """How many there are."""
    block_size: int | None
    """Of content, at most; None in the short form, which is one block, and of a skippable frame."""
    fingerprint: bytes
    """The first bytes of that of its model: 8, or 1 of one block of up to 16 KB; none if it is skippable."""
    dictionary: bytes | None
    """Likewise of its dictionary; None if it has none."""


def list_frames(file: FilePath | Readable) -> Iterator[FrameInfo]:
    """The frames of a `.vz`, given its path or a binary stream, from where that is to its end.

    Skippable ones are among them, and have no blocks. If it can seek, only headers and indexes are read.
    Raises FormatError as `vaezip.decompress` does, OSError if the file cannot be opened, and whatever a
    stream raises.
    """
    if isinstance(file, (str, bytes, os.PathLike)):
        with open_named(file, "rb") as opened:
            yield from list_frames(opened)
        return
    check_binary(file, "read")
    if hasattr(file, "seekable") and cast(Any, file).seekable():
        seekable = cast(Any, file)
        for frame in BlockIndex(seekable, seekable.tell()).frames():
            header = frame.header
            yield FrameInfo(
                frame.compressed_size,
                frame.content_size,
                frame.blocks,
                header.block_size,
                header.fingerprint,
                header.dictionary,
            )
    else:
        yield from _frames_read(ByteReader(file))


def _frames_read(reader: ByteReader) -> Iterator[FrameInfo]:
    offset = 0
    for header in container.read_frames(reader):
        count = size = 0
        for block in container.read_blocks(reader, header):
            count += 1
            size += block.size
        yield FrameInfo(
            reader.position - offset, size, count, header.block_size, header.fingerprint, header.dictionary
        )
        offset = reader.position
