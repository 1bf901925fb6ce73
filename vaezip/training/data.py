"""A corpus on disk, and random segments of it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from vaezip.errors import CorpusError

MIN_CORPUS_BYTES = 20_000
_FLATTEN = 0.7
_LEAST_VALIDATION = 4  # files


class TextFile(NamedTuple):
    """A file of the corpus: its path below the corpus folder, and its bytes."""

    name: str
    data: NDArray[np.uint8]


class CorpusIdentity(NamedTuple):
    """Tells one corpus from another."""

    files: int
    bytes: int
    digest: str  # SHA-256 of the files' names and sizes


@dataclass(frozen=True)
class Corpus:
    """Training and validation files of a folder, and what was left out with the reason."""

    train: list[TextFile]
    validation: list[TextFile]
    skipped: list[tuple[str, str]]  # not text, such as a pipe
    unreadable: list[tuple[str, str]] = field(default_factory=list)  # files and folders

    @property
    def train_bytes(self) -> int:
        """Bytes to train on."""
        return sum(len(f.data) for f in self.train)

    def identity(self) -> CorpusIdentity:
        """The identity by names and sizes, which a resumed run should find as it was."""
        files = sorted((f.name, len(f.data)) for f in (*self.train, *self.validation))
        named = "".join(f"{name}\0{size}\0" for name, size in files)
        digest = hashlib.sha256(named.encode(errors="surrogateescape")).hexdigest()
        return CorpusIdentity(len(files), sum(size for _, size in files), digest)


def read_corpus(paths: list[Path], *, without: Iterable[Path] = (), validation_share: float = 0.02) -> Corpus:
    """Read every regular file below `paths` (folders or files), but for the files and folders `without`.

    What has several names, or lies below several of `paths`, is read once.

    A file goes to validation by a hash of its name, so the split stays when files are added. Where fewer
    than four would, those with the smallest hashes do: four, or of fewer than 32 files one in eight, since
    one file may be unlike all others. A lone file is cut at nine tenths.
    Raises CorpusError if there is nothing, or too little, to train on.
    """
    files: list[TextFile] = []
    skipped: list[tuple[str, str]] = []
    unreadable: list[tuple[str, str]] = []
    read: set[tuple[int, int] | str] = set()
    for root in paths:
        for path, error in walk(root, without):
            name = str(path.relative_to(root)) if path != root else path.name
            try:
                if error is not None:
                    raise error
                if not path.is_file():
                    skipped.append((name, "not a regular file"))
                    continue
                if (identity := _file_identity(path)) in read:  # it could be trained on and validate
                    skipped.append((name, "read already"))
                    continue
                read.add(identity)
                data = np.frombuffer(path.read_bytes(), np.uint8)  # np.fromfile passes errors over
            except OSError as error:
                unreadable.append((name, f"cannot read: {error.strerror or error}"))
                continue
            if len(data):
                files.append(TextFile(name, data))
            else:
                skipped.append((name, "empty"))
    total = sum(len(f.data) for f in files)
    if total < MIN_CORPUS_BYTES:
        where = ", ".join(map(str, paths))
        if unreadable:
            where += f" ({len(unreadable)} files or folders cannot be read)"
        raise CorpusError(f"{where}: {total} bytes of text; training needs at least {MIN_CORPUS_BYTES}")
    if len(files) == 1:
        name, data = files[0]
        cut = len(data) * 9 // 10
        return Corpus([TextFile(name, data[:cut])], [TextFile(name, data[cut:])], skipped, unreadable)
    files.sort(key=_name_hash)
    count = sum(_name_hash(f) < validation_share * 2**32 for f in files)
    count = max(count, min(_LEAST_VALIDATION, -(-len(files) // 8)))
    return Corpus(files[count:], files[:count], skipped, unreadable)


def _file_identity(path: Path) -> tuple[int, int] | str:
    """Tells a file from others, whatever it is called; raises OSError."""
    status = path.stat()
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def _name_hash(file: TextFile) -> int:
    return crc32(file.name.encode(errors="surrogateescape"))


def walk(root: Path, without: Iterable[Path] = ()) -> Iterator[tuple[Path, OSError | None]]:
    """The files below a folder, or a file itself; a folder that cannot be listed comes with the error.

    Raises CorpusError if there is nothing of that name.
    """
    left_out = {os.path.realpath(path) for path in without}
    names_left_out = {path.name for path in without}

    def is_left_out(path: Path) -> bool:
        return path.name in names_left_out and os.path.realpath(path) in left_out

    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
    except OSError as error:
        raise CorpusError(f"{root}: {error.strerror}") from error
    if not is_folder:
        yield root, None
        return
    errors: list[OSError] = []
    for folder, subfolders, names in os.walk(root, onerror=errors.append):
        subfolders[:] = sorted(name for name in subfolders if not is_left_out(Path(folder) / name))
        for path in (Path(folder) / name for name in sorted(names)):
            if not is_left_out(path):
                yield path, None
    yield from ((Path(error.filename), error) for error in errors)


class Segments(NamedTuple):
    """The places of segments in the files."""

    file: NDArray[np.int64]  # (n,) its number
    offset: NDArray[np.int64]  # (n,) in that file
    length: NDArray[np.int64]  # (n,)


class SegmentSource:
    """Random segments of files; a folder's share goes by its bytes to the power of 0.7, times its weight."""

    def __init__(self, files: list[TextFile], weights: Mapping[str, float] | None = None) -> None:
        """weights: of folders, 1 where it says nothing; raises CorpusError if no file is of such a folder."""
        self.files = files
        self._sizes = np.array([len(f.data) for f in files])
        size = self._sizes.astype(float)
        folder = np.array([f.name.split(os.sep)[0] if os.sep in f.name else "" for f in files])
        weight, given = np.empty_like(size), dict(weights or {})
        for name in np.unique(folder):
            inside = folder == name
            weight[inside] = size[inside] * size[inside].sum() ** (_FLATTEN - 1) * given.pop(str(name), 1)
        if given:
            raise CorpusError(f"{min(given)}: no such folder in the corpus, or no file in it to train on")
        self._cumulative = np.cumsum(weight / weight.sum())

    def places(self, rng: np.random.Generator, length: NDArray[np.int64], multiple: int = 1) -> Segments:
        """Segments of these lengths, (n,), from somewhere in some file; shorter if that is.

        What is longer than `multiple` is cut to a whole number of them.
        """
        found = np.searchsorted(self._cumulative, rng.random(len(length)), side="right")
        file = np.minimum(found, len(self.files) - 1)
        length = np.minimum(length, self._sizes[file])
        length = np.where(length > multiple, length - length % multiple, length)
        return Segments(file, rng.integers(0, self._sizes[file] - length + 1), length)

    def draw(self, rng: np.random.Generator, length: int) -> NDArray[np.uint8]:
        """`length` bytes from somewhere in some file; less if it is shorter."""
        (file,), (offset,), (size,) = self.places(rng, np.array([length]))
        return self.text(int(file), int(offset), int(size))

    def text(self, file: int, offset: int, length: int) -> NDArray[np.uint8]:
        """The bytes of a segment."""
        found: NDArray[np.uint8] = self.files[file].data[offset : offset + length]
        return found
