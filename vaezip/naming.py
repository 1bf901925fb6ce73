"""The names and folders of outputs, and what they must not replace."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType

from vaezip.errors import FileError, SkippedError
from vaezip.files import Identity, identity, narrowed, reason

SUFFIX = ".vz"
MESSAGE_SUFFIX = ".msg"
OWN_SUFFIXES = (SUFFIX, ".vzp", ".vzd", ".vzm")  # of what is no text any more

# What to do with files that decompressing takes for something else, by their suffixes.
_READERS = {
    SUFFIX: "-d alone reads a .vz",
    MESSAGE_SUFFIX: "-d --format message reads a message",
    ".vzp": "vaezip unpack reads a pack",
    ".vzd": "-D takes a dictionary",
    ".vzm": "-m takes a model",
}


def is_suffix(text: str) -> bool:
    """True for a text that can be told from the rest of a file's name, and be a part of one."""
    separators = {os.sep, os.altsep or os.sep, "\0"}
    return bool(text.strip(".")) and not separators.intersection(text)


def has_suffix(path: str, suffix: str) -> bool:
    """True if a name ends in the suffix, in whatever case, and is more than that."""
    name = os.path.basename(path)
    return len(name) > len(suffix) and name[-len(suffix) :].lower() == suffix.lower()


@dataclass(frozen=True, kw_only=True)
class Naming:
    """The rules by which outputs are named after their inputs."""

    suffix: str = SUFFIX
    folder: str | None = None  # where they go; None: beside their inputs
    mirror: bool = False  # whether they lie there under the whole paths that their inputs were given by

    def passes_over(self, source: str, *, compressing: bool) -> bool:
        """True for what `compressed` or `decompressed` refuses for its name."""
        return has_suffix(source, self.suffix) == compressing

    def compressed(self, source: str) -> str:
        """The path that `source` is compressed to; raises SkippedError if it bears the suffix already."""
        _refuse_nothing(source)
        if has_suffix(source, self.suffix):
            raise SkippedError(f"{source}: already has the suffix {self.suffix}, skipped")
        return self._placed(source + self.suffix)

    def decompressed(self, source: str) -> str:
        """The path that `source` is decompressed to; raises SkippedError if its name does not tell."""
        _refuse_nothing(source)
        if not has_suffix(source, self.suffix):
            what = "is nothing but" if source.lower().endswith(self.suffix.lower()) else "does not end in"
            hints = (hint for suffix, hint in _READERS.items() if has_suffix(source, suffix))
            raise SkippedError(
                f"{source}: {what} {self.suffix}, skipped ({next(hints, 'give a name with -o')})"
            )
        return self._placed(source[: -len(self.suffix)])

    def _placed(self, path: str) -> str:
        if self.folder is None:
            return path
        parts = parts_below(path) if self.mirror else [os.path.basename(path)]
        return os.path.join(self.folder, "", *parts)


def _refuse_nothing(source: str) -> None:
    """Raise FileError or SkippedError where there is no file: what is wrong with its name matters less."""
    try:
        mode = os.stat(source).st_mode
    except (OSError, ValueError) as error:
        raise FileError(f"{source or repr(source)}: {reason(error)}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SkippedError(f"{source}: is not a regular file, skipped (-c or -o reads it)")


def parts_below(file: str, path: ModuleType = os.path) -> list[str]:
    """The parts of a path that lead nowhere but down: like tar, without what begins it, be it `/` or `../`.

    path: `os.path`, of this machine or of another.
    """
    parts = path.splitdrive(path.normpath(file))[1].split(path.sep)
    return [part for part in parts if part not in ("", path.pardir)]


def make_folders(folder: str, like: str) -> None:
    """Make a folder and those above it, if there are none; raises FileError.

    like: the folder that it stands for. Of each, the permissions are those of its like, so that nobody can
    reach more than before: if the group is another, it gets only what everybody has.
    """
    missing = []
    while folder and not os.path.isdir(folder):
        missing.append((folder, like or os.curdir))
        folder, like = os.path.dirname(folder), os.path.dirname(like)
    for folder, like in reversed(missing):
        try:
            _make_folder(folder, like)
        except (OSError, ValueError) as error:
            if not os.path.isdir(folder):
                raise FileError(f"{folder}: cannot make the folder: {reason(error)}") from error


def _make_folder(folder: str, like: str) -> None:
    wanted = None
    with suppress(OSError, ValueError):
        wanted = os.stat(like)
    os.mkdir(folder, 0o777 if wanted is None else wanted.st_mode & 0o777 | 0o700)
    made = os.stat(folder)
    if wanted is not None and made.st_gid != wanted.st_gid:
        os.chmod(folder, narrowed(made.st_mode))


class Guard:
    """Keeps outputs from taking the place of inputs, and of each other."""

    def __init__(self, inputs: Iterable[str]) -> None:
        """inputs: paths of all files that are going to be read."""
        self._inputs: dict[Identity, str] = {}
        self._outputs: dict[Identity, str] = {}
        for path in inputs:
            self._note(path, path, self._inputs)

    def check(self, target: str) -> None:
        """Raise FileError if `target` is, under whatever name, an input or an earlier output."""
        with suppress(OSError, ValueError):
            found = identity(os.stat(target))
            if (source := self._outputs.get(found)) is not None:
                raise FileError(f"{target}: is also the output of {source}, refused")
            if (source := self._inputs.get(found)) is not None:
                raise FileError(f"{target}: is also an input ({source}), refused")

    def add(self, target: str, source: str) -> None:
        """Note that `target` is what came of `source`."""
        self._note(target, source, self._outputs)

    @staticmethod
    def _note(path: str, source: str, places: dict[Identity, str]) -> None:
        with suppress(OSError, ValueError):
            places[identity(os.stat(path))] = source
