"""Model files: where they lie, and how one is read, whatever it turns out to be.

A model is known by name if it comes with the package or lies as NAME.vzm in one of the user's folders: those
of the environment variable VAEZIP_MODEL_PATH, or `~/.local/share/vaezip/models`.
"""

from __future__ import annotations

import importlib.resources
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from vaezip.errors import ModelError, printable
from vaezip.files import open_at_once, version

SUFFIX = ".vzm"
MAX_FILE = 128 << 20  # bytes
_USUAL_FOLDER = os.path.join("~", ".local", "share", "vaezip", "models")
_SHOWN = 240  # characters of either end of an error's text


@lru_cache(maxsize=1)
def shipped_files() -> dict[str, str]:
    """Paths of the models that come with the package, by name."""
    paths = (str(file) for file in importlib.resources.files("vaezip.models").iterdir())
    return {_name(path): path for path in sorted(paths) if path.endswith(SUFFIX)}


def user_files() -> dict[str, str]:
    """Absolute paths of the models in the user's folders, by name; of equal names, the first."""
    found: dict[str, str] = {}
    for folder in os.environ.get("VAEZIP_MODEL_PATH", _USUAL_FOLDER).split(os.pathsep):
        folder = os.path.abspath(os.path.expanduser(folder)) if folder else ""
        try:
            names = sorted(os.listdir(folder)) if folder else []
        except (OSError, ValueError):  # not there, or no folder
            continue
        for name in names:
            if name.endswith(SUFFIX):
                found.setdefault(_name(name), os.path.join(folder, name))
    return found


def _name(path: str) -> str:
    return os.path.basename(path).removesuffix(SUFFIX)


def _found(which: str) -> str:
    """The path of a model, given a path or a name."""
    if which in shipped_files() or os.path.dirname(which) or os.path.exists(which):
        return shipped_files().get(which, which)
    return user_files().get(which.removesuffix(SUFFIX), which)


class ModelFile:
    """An open model file; raises ModelError for whatever cannot be one."""

    def __init__(self, which: str | os.PathLike[str]) -> None:
        """which: a path, or the name of a model."""
        name = os.fspath(which)
        with _reported(name):
            path = _found(name)
            self._file = open(path, "rb", opener=open_at_once)  # noqa: SIM115 (see __exit__)
            self.source = name if name in shipped_files() else os.path.abspath(path)
            status = os.fstat(self._file.fileno())
        self.size = status.st_size
        self.identity = version(status)
        if not stat.S_ISREG(status.st_mode) or self.size > MAX_FILE:
            self._file.close()
            kind = "larger than any model" if stat.S_ISREG(status.st_mode) else "not a regular file"
            raise ModelError(one_line(f"{name}: cannot read the model: it is {kind}"))

    @property
    def name(self) -> str:
        """That of the file, without its suffix."""
        return os.path.splitext(os.path.basename(self.source))[0]

    def read(self) -> bytes:
        """As many bytes as the file had when it was opened."""
        with _reported(self.source):
            return self._file.read(self.size)

    def __enter__(self) -> ModelFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


@contextmanager
def _reported(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        if isinstance(error, FileNotFoundError) and not os.path.dirname(name):
            reason = "there is no such file, and no model of that name (vaezip models shows those at hand)"
        else:
            reason = str(error.strerror) if isinstance(error, OSError) else "no file has such a name"
        raise ModelError(one_line(f"{name or repr(name)}: cannot read the model: {reason}")) from error


def one_line(text: str) -> str:
    """What a file or its name says may be of any length and hold anything."""
    if len(text) > 2 * _SHOWN:
        text = f"{text[:_SHOWN]} … {text[-_SHOWN:]}"
    return printable(text)
