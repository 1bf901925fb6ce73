"""Outputs: a file appears under its name when it is whole and on the disk, or not at all.

Until then it is a temporary file beside it, which any error removes. It is published by a hard link or, over
what may be overwritten, by a rename: so never over something that was not there when the work began. What
is set of a file (mode, owner, times) is set through its descriptor: nobody can put another one in its place.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from vaezip.errors import FileError
from vaezip.files import Identity, Source, identity, narrowed, reason
from vaezip.naming import Guard

Warn = Callable[[str], object]

# What a failed fsync means if it is one of these: not that it cannot be done here, but that data are lost.
_LOSSES = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
_NOT_FOR_FOLDERS = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)  # which some systems never sync
_ACCESS_LIST = "system.posix_acl_access"
_temporaries: dict[str, Identity | None] = {}  # all that exist, by path; None until they are known to exist


def discard_temporaries() -> None:
    """Remove all temporary files, for a process that is about to end at once."""
    for path in list(_temporaries):
        _discard(path)


class Sink:
    """An open output, whose errors bear its name."""

    def __init__(self, name: str, descriptor: int) -> None:
        """name: its path, or what messages call it."""
        self.name = name
        self.is_safe = False  # whether all of it has come to the disk
        self._descriptor = descriptor

    def write(self, data: bytes | memoryview) -> int:
        """Write some of `data`, and say how much; raises FileError, BrokenPipeError, BlockingIOError."""
        try:
            return os.write(self._descriptor, data)
        except (BrokenPipeError, BlockingIOError):
            raise
        except OSError as error:
            raise FileError(f"{self.name}: cannot write: {error.strerror}") from error

    def fileno(self) -> int:
        """Its descriptor."""
        return self._descriptor


def standard_output() -> Sink:
    """Standard output."""
    return Sink("standard output", 1)


@contextmanager
def open_output(
    path: str | None,
    *,
    inputs: Iterable[str | None] = (),
    overwrite: bool,
    warn: Warn = lambda message: None,
) -> Iterator[Sink]:
    """Standard output for None; else a file as by `open_target`, which none of the `inputs` may be."""
    if path is None:
        yield standard_output()
        return
    Guard(source for source in inputs if source is not None).check(path)
    with open_target(path, overwrite=overwrite, warn=warn) as sink:
        yield sink


@contextmanager
def open_target(
    path: str | os.PathLike[str],
    *,
    overwrite: bool,
    named: bool = True,
    like: Source | None = None,
    times: bool = True,
    warn: Warn = lambda message: None,
) -> Iterator[Sink]:
    """Write a file that appears whole or not at all, with the mode, owner and, if `times`, times of `like`.

    named: by the user, and not derived from another name: then a link is followed, and a device, a pipe or
    what standard output is (/dev/stdout, say) is written to directly. warn: called with a line on whatever
    could not be kept. Raises FileError if the file exists and may not be overwritten, or cannot be written.
    """
    path = os.fspath(path)
    with _errors_of(path):
        if named and (descriptor := _open_special(path)) is not None:
            target: _Special | _Temporary = _Special(descriptor)
        else:
            kept = like if like is not None and like.is_regular else None
            target = _Temporary(path, overwrite, named, kept, times, warn)
    sink = Sink(path, target.descriptor)
    try:
        yield sink
        with _errors_of(path):
            sink.is_safe = target.publish()
    finally:
        target.close()


@contextmanager
def _errors_of(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise FileError(f"{path or repr(path)}: cannot write: {reason(error)}") from error


def _open_special(path: str) -> int | None:
    """A descriptor of what is neither a file nor a folder, or is where standard output goes; else None."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(status.st_mode):
        with suppress(OSError):
            return os.dup(1) if identity(status) == identity(os.fstat(1)) else None
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        return None
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileError(f"{path}: has become a file meanwhile")
    return descriptor


class _Special:
    """A target that is no regular file, such as a device: it takes all that it is given at once."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def publish(self) -> bool:
        """Nothing is left to do: it has been written, though nobody knows where to."""
        return False

    def close(self) -> None:
        os.close(self.descriptor)


class _Temporary:
    """A file that is to appear at a path."""

    def __init__(
        self, path: str, overwrite: bool, named: bool, like: Source | None, times: bool, warn: Warn
    ) -> None:
        refuse_existing(path, overwrite)
        self._path = os.path.realpath(path) if named and os.path.islink(path) else path
        self._overwrite, self._like, self._times = overwrite, like, times
        self._warn: Warn = lambda what: warn(f"{path}: {what}")
        # Not after the file's own name, which may be as long as names can be.
        self._name = os.path.join(os.path.dirname(self._path), f".vaezip-{secrets.token_hex(6)}.tmp")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        _temporaries[self._name] = None
        try:
            self.descriptor = os.open(self._name, flags, 0o666 if like is None else 0o600)
        except OSError:
            del _temporaries[self._name]
            raise
        self._identity = _temporaries[self._name] = identity(os.fstat(self.descriptor))

    def publish(self) -> bool:
        """Let the file appear, and say if it is on the disk; raises OSError, FileError if it may not."""
        if self._like is not None:
            _copy_status(self._like.fileno(), self.descriptor, self._times, self._warn)
        is_safe = self._sync()
        self._close()
        if identity(os.lstat(self._name)) != self._identity:
            raise FileError(f"{self._path}: somebody has replaced its temporary file {self._name}")
        if self._overwrite:
            os.replace(self._name, self._path)
            del _temporaries[self._name]
        else:
            try:
                _link(self._name, self._path)
            except FileExistsError as error:
                raise FileError(f"{self._path}: has appeared meanwhile (-f overwrites it)") from error
        return self._sync_folder() and is_safe

    def close(self) -> None:
        """Remove the temporary file."""
        with suppress(OSError):
            self._close()
        _discard(self._name)

    def _close(self) -> None:
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            os.close(descriptor)

    def _sync(self) -> bool:
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            if error.errno in _LOSSES:
                raise
            self._warn(f"cannot make sure that it is on the disk: {error.strerror}")
            return False
        return True

    def _sync_folder(self) -> bool:
        """Sync the folder, so that the file's name lasts."""
        if os.name == "nt":  # which opens no folders
            return True
        try:
            descriptor = os.open(os.path.dirname(self._path) or ".", os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in _NOT_FOR_FOLDERS:
                self._warn(f"cannot make sure that its name is on the disk: {error.strerror}")
                return False
        return True


def refuse_existing(path: str, overwrite: bool) -> None:
    """Raise FileError if no file may be written there, as `open_target` does before and after the work."""
    with _errors_of(path):
        if os.path.isdir(path):
            raise FileError(f"{path}: is a directory")
        if not os.path.basename(path):
            raise FileError(f"{path or repr(path)}: is not the name of a file")
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return
        if not overwrite:
            raise FileError(f"{path}: already exists (-f overwrites it)")
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise FileError(f"{path}: is not a regular file")


def _link(source: str, target: str) -> None:
    """Give a file another name; raises FileExistsError if there is such a file.

    Where a file can have only one name (FAT, some network and FUSE file systems), an empty file keeps the
    name until the file is renamed over it: what others write to that in between is lost.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        _temporaries[target] = identity(os.fstat(descriptor))  # for the moment
        try:
            os.close(descriptor)
            os.replace(source, target)
        except BaseException:
            _discard(target)
            raise
        # It is the output now, though it may have the number that it had, where numbers belong to names.
        _temporaries.pop(target, None)


def _discard(path: str) -> None:
    """Remove a temporary file, if there still is one of that name and it is ours."""
    with suppress(OSError):
        if path in _temporaries and _temporaries[path] in (None, identity(os.lstat(path))):
            os.unlink(path)
    _temporaries.pop(path, None)


def _copy_status(source: int, target: int, times: bool, warn: Warn) -> None:
    """Owner, group, permissions and, if wanted, times from descriptor to descriptor, as far as may be.

    If the group cannot be kept, group and others get only what both had, so that nobody may do more than
    before; if a list of access rights cannot, only the owner has any. Only root can give files away, so only
    root hears that an owner could not be kept.
    """
    status = os.fstat(source)
    mode, access = stat.S_IMODE(status.st_mode) & 0o777, _access_list(source)

    def attempt(what: str, action: Callable[..., object], *arguments: object, say: bool = True) -> bool:
        try:
            action(target, *arguments)
        except OSError as error:
            if say:
                warn(f"cannot set the {what}: {error.strerror}")
            return False
        return True

    if hasattr(os, "fchown"):
        own, root = os.fstat(target), os.geteuid() == 0
        if own.st_uid != status.st_uid:
            attempt("owner", os.fchown, status.st_uid, -1, say=root)
        if own.st_gid != status.st_gid:
            least = narrowed(mode)
            if not attempt("group", os.fchown, -1, status.st_gid, say=root or least != mode):
                mode = least
    if access is not None:
        if not attempt("access control list", os.setxattr, _ACCESS_LIST, access):
            mode &= 0o700
    elif hasattr(os, "removexattr"):  # that of the folder, which new files get
        with suppress(OSError):
            os.removexattr(target, _ACCESS_LIST)
    if hasattr(os, "fchmod"):
        attempt("permissions", os.fchmod, mode)
    if times and os.utime in os.supports_fd:
        attempt("times", lambda opened: os.utime(opened, ns=(status.st_atime_ns, status.st_mtime_ns)))


def _access_list(descriptor: int) -> bytes | None:
    """A list of further users and groups (acl(5)), whose limit the group's permissions are then."""
    with suppress(OSError, AttributeError):  # there is none, or the system knows of none
        return os.getxattr(descriptor, _ACCESS_LIST)
    return None
