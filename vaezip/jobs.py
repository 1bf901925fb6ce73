"""One file compressed, decompressed or tested: `files` and `stream` put together."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from vaezip.container import Method
from vaezip.errors import VaezipError
from vaezip.files import open_source, open_target, remove_source
from vaezip.stream import (
    DEFAULT_BLOCK_SIZE,
    Sizes,
    Ticker,
    compress_stream,
    decompress_stream,
    list_frames,
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to do with every file."""

    model: str | None = None
    block_size: int = DEFAULT_BLOCK_SIZE
    threads: int = 1
    overwrite: bool = False
    remove: bool = False


def compress_file(
    source: Path | BinaryIO, target: Path | BinaryIO, job: Job, progress: Ticker | None = None
) -> Sizes:
    """Compress a file into another, or into an open stream; a VaezipError begins with the file's name."""

    def work(data: BinaryIO, sink: BinaryIO) -> Sizes:
        status = os.fstat(data.fileno())
        size = status.st_size if stat.S_ISREG(status.st_mode) and isinstance(source, Path) else None
        return compress_stream(
            data,
            sink,
            model=job.model,
            block_size=job.block_size,
            threads=job.threads,
            content_size=size,
            progress=progress,
        )

    return _transform(source, target, job, work)


def decompress_file(
    source: Path | BinaryIO, target: Path | BinaryIO, job: Job, progress: Ticker | None = None
) -> Sizes:
    """Decompress a file into another, or into an open stream; a VaezipError begins with the file's name."""

    def work(data: BinaryIO, sink: BinaryIO) -> Sizes:
        return decompress_stream(data, sink, model=job.model, threads=job.threads, progress=progress)

    return _transform(source, target, job, work)


def check_file(source: Path | BinaryIO, job: Job, progress: Ticker | None = None) -> Sizes:
    """Decompress a file and drop the result; a VaezipError begins with the file's name."""
    with _opened(source) as data:
        return decompress_stream(data, None, model=job.model, threads=job.threads, progress=progress)


class Summary(NamedTuple):
    """What `vaezip list` shows of a file; sizes in bytes."""

    name: str
    frames: int
    blocks: int
    stored_blocks: int
    compressed: int
    content: int
    model: str  # the fingerprints that the frames name, in hexadecimal


def summarise_file(source: Path) -> Summary:
    """Sizes and models of a file, without decoding it; a VaezipError begins with the file's name."""
    with _opened(source) as data:
        frames = list(list_frames(data))
    return Summary(
        str(source),
        len(frames),
        sum(sum(frame.blocks.values()) for frame in frames),
        sum(frame.blocks[Method.STORED] for frame in frames),
        sum(frame.compressed_size for frame in frames),
        sum(frame.content_size for frame in frames),
        ",".join(sorted({frame.header.fingerprint.hex() for frame in frames})),
    )


def _transform(
    source: Path | BinaryIO, target: Path | BinaryIO, job: Job, work: Callable[[BinaryIO, BinaryIO], Sizes]
) -> Sizes:
    with _opened(source) as data:
        if isinstance(target, Path):
            like = data if isinstance(source, Path) else None
            with open_target(target, overwrite=job.overwrite, like=like) as sink:
                sizes = work(data, sink)
        else:
            sizes = work(data, target)
            target.flush()
        if job.remove and isinstance(source, Path):
            remove_source(source)
        return sizes


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    """Open a path; put its name in front of errors that do not begin with one."""
    try:
        if isinstance(source, Path):
            with open_source(source) as data:
                yield data
        else:
            yield source
    except VaezipError as error:
        if not error.names_file:
            name = source if isinstance(source, Path) else "standard input"
            error.args = (f"{name}: {error}",)
            error.names_file = True
        raise
