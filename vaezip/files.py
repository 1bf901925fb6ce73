"""Inputs: files and standard input, how they are read, and removed once they have been dealt with."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, cast

from vaezip.arguments import FilePath
from vaezip.byteio import ByteReader
from vaezip.errors import FileError, SkippedError, VaezipError

Identity = tuple[int, int]  # device and inode
_SHOWN = 80  # bytes of what cannot be a name


def identity(status: os.stat_result) -> Identity:
    """The numbers that tell a file from all others, under whatever name."""
    return status.st_dev, status.st_ino


class Source:
    """An open input, whose errors bear its name."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        """name: its path, or what messages call it; file: buffered, with a descriptor."""
        self.name = name
        self._file = file
        self.status = os.fstat(file.fileno())  # before anything was read

    @property
    def is_regular(self) -> bool:
        """True for a file on a disk, with a size, mode and times of its own."""
        return stat.S_ISREG(self.status.st_mode)

    def read(self, n: int = -1) -> bytes | None:
        """As of any binary stream; raises FileError."""
        try:
            return self._file.read(n)
        except BlockingIOError:
            return None
        except OSError as error:
            raise FileError(f"{self.name}: cannot read: {error.strerror}") from error

    def fileno(self) -> int:
        """Its descriptor."""
        return self._file.fileno()

    def seekable(self) -> bool:
        """True if it can be read from anywhere; not if it does not say how large it is, as in /proc."""
        return self.is_regular and self.status.st_size > 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any binary stream."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of any binary stream."""
        return self._file.tell()

    def remove(self, bytes_read: int) -> None:
        """Delete the file, closed by now, if its name still leads to what was read, unchanged and in full.

        Raises SkippedError, and removes nothing, if it does not, or is no file but a link or pipe; FileError
        if the file cannot be removed.
        """
        try:
            now = os.lstat(self.name)
            if stat.S_ISLNK(now.st_mode):
                raise SkippedError(f"{self.name}: is a symbolic link, not removed")
            if not self.is_regular:
                raise SkippedError(f"{self.name}: is not a regular file, not removed")
            if bytes_read != self.status.st_size or version(now) != version(self.status):
                raise SkippedError(f"{self.name}: was changed or replaced meanwhile, not removed")
            os.unlink(self.name)
        except FileNotFoundError as error:
            raise SkippedError(f"{self.name}: is gone already, not removed") from error
        except OSError as error:
            raise FileError(f"{self.name}: cannot remove: {error.strerror}") from error


def version(status: os.stat_result) -> tuple[int, ...]:
    """The numbers that change when somebody writes to a file, or puts another in its place."""
    return *identity(status), status.st_size, status.st_mtime_ns, status.st_ctime_ns


def narrowed(mode: int) -> int:
    """Permissions where the group becomes another: it and others get only what both had."""
    both = mode & mode >> 3 & 0o007
    return mode & 0o700 | both << 3 | both


def open_named(path: FilePath, mode: str) -> BinaryIO:
    """As the built-in `open`; of bytes that name no file, the error says that they were taken for a name."""
    try:
        return cast(BinaryIO, open(path, mode))
    except (OSError, ValueError) as error:
        if not isinstance(path, bytes) or os.path.exists(path):
            raise
        hint = f"{reason(error)} (bytes are taken for a file's name: content goes into io.BytesIO)"
        if isinstance(error, OSError):
            raise OSError(error.errno, hint, path[:_SHOWN]) from None
        raise ValueError(hint) from None


@contextmanager
def open_source(path: str, *, any_kind: bool = False) -> Iterator[Source]:
    """Open a file for reading; raises FileError, or SkippedError for what is passed over.

    any_kind: read pipes and devices as well, not only regular files; never directories.
    """
    try:
        file = open(path, "rb", opener=None if any_kind else open_at_once)  # noqa: SIM115 (a body's errors are not of opening)
    except (OSError, ValueError) as error:
        if os.path.isdir(path):
            raise SkippedError(f"{path}: is a directory, skipped") from error
        if not any_kind and os.path.exists(path) and not os.path.isfile(path):  # a socket
            raise SkippedError(f"{path}: is not a regular file, skipped") from error
        raise FileError(f"{path or repr(path)}: {reason(error)}") from error
    with file:
        source = Source(path, file)
        if not (any_kind or source.is_regular):
            raise SkippedError(f"{path}: is not a regular file, skipped")
        yield source


def open_input(path: str | None, *, any_kind: bool = True) -> AbstractContextManager[Source]:
    """Open a file as `open_source` does, or for None standard input, which stays open."""
    return _standard_input() if path is None else open_source(path, any_kind=any_kind)


def open_at_once(path: str, flags: int) -> int:
    """An opener, as `open` wants it, that does not wait for somebody to write to a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


@contextmanager
def _standard_input() -> Iterator[Source]:
    try:
        file = open(0, "rb", closefd=False)  # noqa: SIM115
    except OSError as error:
        raise FileError(f"standard input: {error.strerror}") from error
    with file:
        yield Source("standard input", file)


def read_text(path: str | None) -> bytes:
    """The bytes of a file, None for standard input; raises FileError, or if there are none."""
    with open_input(path) as source:
        data = ByteReader(source).read_all()
    if not data:
        raise FileError(f"{source.name}: is empty")
    return data


@contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Put the name of what is read in front of errors that do not begin with one, the system's among them.

    But not of one that is no fault of it: that a reader of the output has gone.
    """
    try:
        yield
    except VaezipError as error:
        if not error.names_file:
            error.args = (f"{name}: {error}",)
            error.names_file = True
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FileError(f"{error.filename or name}: {reason(error)}") from error


def reason(error: OSError | ValueError) -> str:
    """Why the system refused, in its words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
