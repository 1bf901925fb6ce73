"""The inputs of a command: files that were named, that lists name, and that lie in folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from vaezip.byteio import ByteReader
from vaezip.errors import FileError, SkippedError
from vaezip.files import open_input, reason
from vaezip.naming import SUFFIX, has_suffix

STDIO = "-"


def find_inputs(
    names: Sequence[str],
    *,
    compressed: bool,
    lists: Sequence[str] = (),
    null: bool = False,
    recursive: bool = False,
    suffixes: Sequence[str] = (SUFFIX,),
    complain: Callable[[FileError], object],
) -> list[str | None]:
    """Paths of all inputs, None for standard input, which is the only one if nothing was named.

    names: as they were typed, `-` being standard input. lists: files of further names, one a line, or with
    `null` each ended by a NUL byte; `-` is standard input. compressed, suffixes: which files of a folder are
    taken if `recursive`: those that bear one of these, or those that do not. complain: called for each folder
    that cannot be read or, unless `recursive`, is passed over. Raises FileError if a list cannot be read.
    """
    if not names and not lists:
        return [None]
    paths: list[str | None] = []
    listed = [name for path in lists for name in _read_list(path, b"\0" if null else b"\n")]
    for name in [*names, *listed]:
        if name == STDIO:
            paths.append(None)
        elif not os.path.isdir(name):
            paths.append(name)
        elif recursive:
            paths += (
                path
                for path in _walk(name, complain)
                if compressed == any(has_suffix(path, suffix) for suffix in suffixes)
            )
        else:
            complain(SkippedError(f"{name}: is a directory, skipped (-r takes the files in it)"))
    return paths


def _read_list(path: str, end: bytes) -> list[str]:
    """The names in a list; none of them means standard input."""
    if os.path.isdir(path):
        raise FileError(f"{path}: is a directory, and no list of files")
    with open_input(None if path == STDIO else path) as source:
        content = ByteReader(source).read_all()
    if end != b"\0" and b"\0" in content:
        raise FileError(f"{source.name}: has NUL bytes, and no name has (with -0, names end in one)")
    names = [os.fsdecode(name) for name in content.split(end) if name]
    return [os.path.join(os.curdir, name) if name == STDIO else name for name in names]


def _walk(folder: str, complain: Callable[[FileError], object]) -> Iterator[str]:
    """All regular files below a folder, in order of their names; links are passed over."""
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
            folders = [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
            files = [entry.path for entry in found if entry.is_file(follow_symlinks=False)]
        except OSError as error:
            complain(FileError(f"{folder}: {reason(error)}"))
            continue
        yield from files
        waiting += reversed(folders)
