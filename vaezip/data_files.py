"""Files of models and dictionaries: where they lie, and how one is read, whatever it turns out to be.

One is known by name if it comes with the package or lies, with its suffix, in one of the user's folders:
those of the environment variable VAEZIP_MODEL_PATH, or `~/.local/share/vaezip/models`.
"""

from __future__ import annotations

import importlib.resources
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

from vaezip.errors import DictionaryError, ModelError, VaezipError, one_line
from vaezip.files import open_at_once, version

_USUAL_FOLDER = os.path.join("~", ".local", "share", "vaezip", "models")


class Kind(NamedTuple):
    """A kind of file."""

    noun: str
    suffix: str
    largest: int  # bytes
    error: type[VaezipError]


MODELS = Kind("model", ".vzm", 128 << 20, ModelError)
DICTIONARIES = Kind("dictionary", ".vzd", 1 << 20, DictionaryError)


@lru_cache(maxsize=2)
def shipped_files(kind: Kind) -> dict[str, str]:
    """Paths of the files that come with the package, by name."""
    paths = (str(file) for file in importlib.resources.files("vaezip.models").iterdir())
    return {_name(path, kind): path for path in sorted(paths) if path.endswith(kind.suffix)}


def user_files(kind: Kind) -> dict[str, str]:
    """Absolute paths of those in the user's folders, by name; of equal names, the first."""
    found: dict[str, str] = {}
    for folder in os.environ.get("VAEZIP_MODEL_PATH", _USUAL_FOLDER).split(os.pathsep):
        folder = os.path.abspath(os.path.expanduser(folder)) if folder else ""
        try:
            names = sorted(os.listdir(folder)) if folder else []
        except (OSError, ValueError):  # not there, or no folder
            continue
        for name in names:
            if name.endswith(kind.suffix):
                found.setdefault(_name(name, kind), os.path.join(folder, name))
    return found


def _name(path: str, kind: Kind) -> str:
    return os.path.basename(path).removesuffix(kind.suffix)


def _found(which: str, kind: Kind) -> tuple[str, str]:
    """Source and path of a file, given a path or a name, which may have the suffix; no folder hides a name.

    The source is a shipped file's name, or else the absolute path.
    """
    name, shipped = which.removesuffix(kind.suffix), shipped_files(kind)
    is_path = os.path.dirname(which) or (os.path.exists(which) and not os.path.isdir(which))
    if name in shipped and (name == which or not is_path):
        return name, shipped[name]
    path = which if is_path else user_files(kind).get(name, which)
    return os.path.abspath(path), path


def readable_files(which: str | None, kind: Kind) -> list[str]:
    """Paths of the file that a path or a name means; with None, of all those at hand: any may be needed."""
    if which is not None:
        return [_found(which, kind)[1]]
    return [*shipped_files(kind).values(), *user_files(kind).values()]


class DataFile:
    """An open file of some kind; raises the kind's error for whatever cannot be one."""

    def __init__(self, which: str | os.PathLike[str], kind: Kind) -> None:
        """which: a path, or a name."""
        name = os.fspath(which)
        if not isinstance(name, str):
            raise TypeError(f"neither a {kind.noun} nor the name or path of one: {name[:40]!r}")
        self._kind = kind
        with _reported(name, kind):
            self.source, path = _found(name, kind)
            self._file = open(path, "rb", opener=open_at_once)  # noqa: SIM115 (see __exit__)
            status = os.fstat(self._file.fileno())
        self.size = status.st_size
        self.version = version(status)
        if not stat.S_ISREG(status.st_mode) or self.size > kind.largest:
            self._file.close()
            reason = f"larger than any {kind.noun}" if stat.S_ISREG(status.st_mode) else "not a regular file"
            raise kind.error(one_line(f"{name}: cannot read the {kind.noun}: it is {reason}"))

    @property
    def name(self) -> str:
        """The name of the file, without its suffix."""
        return _name(self.source, self._kind)

    def read(self) -> bytes:
        """The bytes of the file, as many as it had when it was opened."""
        with _reported(self.source, self._kind):
            return self._file.read(self.size)

    def __enter__(self) -> DataFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


@contextmanager
def _reported(name: str, kind: Kind) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        if isinstance(error, FileNotFoundError) and not os.path.dirname(name):
            reason = (
                f"there is no such file, and no {kind.noun} of that name (vaezip models shows those at hand)"
            )
        else:
            reason = str(error.strerror) if isinstance(error, OSError) else "no file has such a name"
        raise kind.error(one_line(f"{name or repr(name)}: cannot read the {kind.noun}: {reason}")) from error
