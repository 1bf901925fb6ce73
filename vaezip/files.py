"""Files in, files out: nothing half-written, nothing lost.

An output appears under its name only when it is whole and on the disk; until then it is a temporary file
beside it, readable by its owner alone, which any error removes.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vaezip.errors import FileError, SkippedError

SUFFIX = ".vz"


def compressed_name(source: Path) -> Path:
    """Where `source` is compressed to; raises SkippedError if it bears the suffix already."""
    if source.suffix == SUFFIX:
        raise SkippedError(f"{source}: already has the suffix {SUFFIX}, skipped")
    return source.with_name(source.name + SUFFIX)


def decompressed_name(source: Path) -> Path:
    """Where `source` is decompressed to; raises SkippedError if its name does not tell."""
    if source.suffix != SUFFIX or source.name == SUFFIX:
        raise SkippedError(f"{source}: does not end in {SUFFIX}, skipped (give a name with -o)")
    return source.with_suffix("")


def refuse_clobbering(sources: Sequence[Path], targets: Sequence[Path]) -> None:
    """Raise FileError if any target is, under whatever name, one of the sources."""
    identities = {_identity(s): s for s in sources if s.exists()}
    for target in targets:
        if target.exists() and (source := identities.get(_identity(target))) is not None:
            raise FileError(f"{target}: is also an input ({source}), refused")


@contextmanager
def open_source(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; raises FileError, or SkippedError for anything but a file."""
    try:
        if path.is_dir():
            raise SkippedError(f"{path}: is a directory, skipped")
        if path.exists() and not path.is_file():
            raise SkippedError(f"{path}: is not a regular file, skipped")
        source = open(path, "rb")  # noqa: SIM115 (errors of the body are not errors of opening)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error
    with source:
        yield source


def read_text(path: Path) -> bytes:
    """The bytes of a file; raises FileError as `open_source` does, or if it is empty."""
    with open_source(path) as file:
        data = file.read()
    if not data:
        raise FileError(f"{path}: is empty")
    return data


@contextmanager
def open_target(path: Path, *, overwrite: bool, like: BinaryIO | None = None) -> Iterator[BinaryIO]:
    """Write a file that appears whole or not at all, with the mode and times of `like`.

    A device or pipe is written to directly. Raises FileError if the file exists and may not be
    overwritten, or cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            if path.is_dir():
                raise FileError(f"{path}: is a directory")
            with open(path, "wb") as device:
                yield device
            return
        if path.exists() and not overwrite:
            raise FileError(f"{path}: already exists (-f overwrites it)")
        with _temporary(path, like) as file:
            yield file
    except OSError as error:
        raise FileError(f"{path}: cannot write: {error.strerror}") from error


@contextmanager
def _temporary(path: Path, like: BinaryIO | None) -> Iterator[BinaryIO]:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:64]}.", suffix=".tmp", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
            _copy_status(like, name)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    _sync_folder(path.parent)


def remove_source(path: Path) -> None:
    """Delete an input that has been dealt with; raises SkippedError for a link, which stays."""
    if path.is_symlink():
        raise SkippedError(f"{path}: is a symbolic link, not removed")
    try:
        path.unlink()
    except OSError as error:
        raise FileError(f"{path}: cannot remove: {error.strerror}") from error


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _copy_status(like: BinaryIO | None, name: str) -> None:
    """Mode and modification time; without a model for them, the mode that a plain open() gives."""
    if like is None:
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        return
    status = os.fstat(like.fileno())
    os.chmod(name, stat.S_IMODE(status.st_mode) & 0o777)
    os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns))


def _sync_folder(folder: Path) -> None:
    """Make the rename last; not every system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
