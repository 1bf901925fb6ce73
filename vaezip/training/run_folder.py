"""The folder beside the model file in which a training run keeps its state, and who may use it.

Its lock file marks it as a run's: files in a folder without one are somebody else's, neither overwritten nor
removed. The lock belongs to the open file, so that a killed process leaves nothing locked.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from vaezip.errors import FileError

CHECKPOINT = "checkpoint.pt"
ORIGIN = "origin.pt"  # the network that every round begins with
BEST = "best.pt"  # ... the best one of this round
MEAN = "mean.pt"  # ... and of the rounds before
INIT = "init.vzm"  # the model of --init
TEACHER = "teacher.vzm"  # ... and of --teacher
_NAMES = (CHECKPOINT, MEAN, BEST, ORIGIN, INIT, TEACHER)
_LOCK = "vaezip.lock"
_MADE = b"folder made by vaezip train\n"


def temporary(path: Path) -> Path:
    """The path at which a file of the folder is written before it gets its name."""
    return path.with_suffix(".tmp")


class RunFolder:
    """The folder of the run that writes one model file."""

    def __init__(self, output: Path) -> None:
        """Touches nothing yet."""
        self.path = output.with_name(output.name + ".train")
        self._descriptor: int | None = None
        self._made = False

    @property
    def checkpoint(self) -> Path:
        """The path of the checkpoint, if there is one."""
        return self.path / CHECKPOINT

    @property
    def init(self) -> Path:
        """The path of the model that the run fine-tunes, if it does."""
        return self.path / INIT

    @property
    def teacher(self) -> Path:
        """The path of the teacher, if there is one."""
        return self.path / TEACHER

    def open(self) -> None:
        """Make the folder if need be, and lock it until `close`.

        Raises FileError if that cannot be done, if another run is at work there, or if the folder is no
        run's and holds a file of a name that runs use.
        """
        try:
            with suppress(FileExistsError):
                self.path.mkdir(0o700)
                self._made = True
            self._refuse_others()
            self._descriptor = self._locked()
        except BlockingIOError as error:
            raise FileError(f"{self.path}: another run is at work there") from error
        except OSError as error:
            raise FileError(f"{self.path}: cannot use this folder: {error.strerror}") from error

    def clear(self) -> None:
        """Remove what runs have left, the checkpoint first; all else stays."""
        for name in _NAMES:
            for path in (self.path / name, temporary(self.path / name)):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Unlock it; without a checkpoint nothing of the run is worth keeping, nor a folder that it made."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        with suppress(OSError):
            if not self.checkpoint.exists():
                self.clear()
                (self.path / _LOCK).unlink()
                if self._made:
                    self.path.rmdir()
        os.close(descriptor)

    def _locked(self) -> int:
        path = self.path / _LOCK
        while True:
            if not path.exists():
                self._refuse_foreign()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
            try:
                _lock(descriptor)
                if not _is_at(descriptor, path):  # the run that held it has just removed it
                    os.close(descriptor)
                    continue
                if self._made:
                    os.write(descriptor, _MADE)
                self._made = os.fstat(descriptor).st_size > 0
            except BaseException:
                os.close(descriptor)
                raise
            return descriptor

    def _refuse_others(self) -> None:
        """Raise FileError for a folder in which others may write: they could put links to our files there."""
        status = os.lstat(self.path)
        if stat.S_ISLNK(status.st_mode):
            raise FileError(f"{self.path}: is a symbolic link, choose another name with -o")
        if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & stat.S_IWOTH):
            raise FileError(f"{self.path}: others may write there, choose another name with -o")

    def _refuse_foreign(self) -> None:
        for name in _NAMES:
            if (self.path / name).exists():
                raise FileError(f"{self.path}: holds {name}, but no run's: choose another name with -o")


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from error

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        """Raises BlockingIOError if another process has it; a file system may know no locks."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
