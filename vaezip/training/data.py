"""A corpus on disk, and the segments of it that training reads.

Training reads `lanes` segments side by side, `chunk` bytes of each per step; the recurrent state is
carried from chunk to chunk, so that the network learns long text as well as the first bytes of a file.
"""

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
from vaezip.network.architecture import Architecture
from vaezip.network.encoder import ENCODER_BYTES, encoder_view
from vaezip.network.features import context_slots, find_rows
from vaezip.training.rescript import rescript

MIN_CORPUS_BYTES = 20_000
_LONGEST_SEGMENT = 32  # in chunks
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
        """By names and sizes: what a resumed run should find as it was."""
        files = sorted((f.name, len(f.data)) for f in (*self.train, *self.validation))
        named = "".join(f"{name}\0{size}\0" for name, size in files)
        digest = hashlib.sha256(named.encode(errors="surrogateescape")).hexdigest()
        return CorpusIdentity(len(files), sum(size for _, size in files), digest)


def read_corpus(paths: list[Path], *, without: Iterable[Path] = (), validation_share: float = 0.02) -> Corpus:
    """Read every regular file below `paths` (folders or files), but for the files and folders `without`.

    A file goes to validation by a hash of its name, so the split stays when files are added. Where fewer
    than four would, those with the smallest hashes do: four, or of fewer than 32 files one in eight, since
    one file may be unlike all others. A lone file is cut at nine tenths.
    Raises CorpusError if there is nothing, or too little, to train on.
    """
    files: list[TextFile] = []
    skipped: list[tuple[str, str]] = []
    unreadable: list[tuple[str, str]] = []
    for root in paths:
        for path, error in walk(root, without):
            name = str(path.relative_to(root)) if path != root else path.name
            try:
                if error is not None:
                    raise error
                if not path.is_file():
                    skipped.append((name, "not a regular file"))
                    continue
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


def _name_hash(file: TextFile) -> int:
    return crc32(file.name.encode(errors="surrogateescape"))


def walk(root: Path, without: Iterable[Path] = ()) -> Iterator[tuple[Path, OSError | None]]:
    """All files below a folder, or a file itself; a folder that cannot be listed, with the error.

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


class Chunk(NamedTuple):
    """One training step's input: lanes of segments, time first."""

    seen: NDArray[np.int64]  # (T, B) the byte before each position, 0 at a segment's start
    rows: NDArray[np.int64]  # (T, B, contexts)
    target: NDArray[np.int64]  # (T, B)
    mask: NDArray[np.float32]  # (T, B): 0 where a segment has ended
    view: NDArray[np.int64]  # (B, n) the encoder's view of each whole segment
    view_bytes: NDArray[np.int64]  # (B,)
    segment_bytes: NDArray[np.float32]  # (B,) length of each whole segment
    fresh: NDArray[np.bool_]  # (B,) the lane starts a new segment


class _Segment:
    def __init__(self, data: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        self.data = data
        self.seen = np.concatenate([np.zeros(1, np.uint8), data[:-1]])
        self.rows = rows.astype(np.int32)
        self.view = encoder_view(data)
        self.at = 0


class SegmentSource:
    """Random segments of files; a folder's share goes by its bytes to the power of 0.7, times its weight."""

    def __init__(self, files: list[TextFile], weights: Mapping[str, float] | None = None) -> None:
        """weights: of folders, 1 where it says nothing; raises CorpusError if there is no such folder."""
        self._files = files
        size = np.array([len(f.data) for f in files], float)
        folder = np.array([f.name.split(os.sep)[0] if os.sep in f.name else "" for f in files])
        weight, given = np.empty_like(size), dict(weights or {})
        for name in np.unique(folder):
            inside = folder == name
            weight[inside] = size[inside] * size[inside].sum() ** (_FLATTEN - 1) * given.pop(str(name), 1)
        if given:
            raise CorpusError(f"{min(given)}: no such folder in the corpus")
        self._cumulative = np.cumsum(weight / weight.sum())

    def draw(self, rng: np.random.Generator, length: int, multiple: int = 1) -> NDArray[np.uint8]:
        """`length` bytes from somewhere in some file; less if it is shorter.

        What is longer than `multiple` is cut to a whole number of them.
        """
        index = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
        data = self._files[min(index, len(self._files) - 1)].data
        length = min(length, len(data))
        if length > multiple:
            length -= length % multiple
        start = int(rng.integers(0, len(data) - length + 1))
        return data[start : start + length]


class Sampler:
    """Endless chunks of random segments of the training files."""

    def __init__(
        self,
        a: Architecture,
        tags: NDArray[np.uint8],
        source: SegmentSource,
        lanes: int,
        chunk: int,
        rng: np.random.Generator,
        rescript_share: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        self._a = a
        self._tags = tags
        self._source = source
        self._chunk = chunk
        self._rng = rng
        self._rescript_share = rescript_share
        self._dropout = dropout
        lengths = 2 ** np.arange(int(np.log2(_LONGEST_SEGMENT)) + 1)
        self._lengths = lengths * chunk
        self._length_p = (1 / lengths) / (1 / lengths).sum()
        self._lanes = [self._draw() for _ in range(lanes)]

    def _draw(self) -> _Segment:
        length = int(self._rng.choice(self._lengths, p=self._length_p))
        segment = self._source.draw(self._rng, length, self._chunk)
        if self._rng.random() < self._rescript_share:
            segment = rescript(segment, self._rng)
        return _Segment(segment, self._rows(segment))

    def _rows(self, segment: NDArray[np.uint8]) -> NDArray[np.int64]:
        """A withheld context is read as a stranger is: so the network learns to do without any of them."""
        slots = context_slots(self._a, segment[None])[0]
        rows = find_rows(self._a, slots, self._tags)
        if self._dropout:
            strangers = find_rows(self._a, slots, np.zeros_like(self._tags))
            rows = np.where(self._rng.random(rows.shape) < self._dropout, strangers, rows)
        return rows

    def next(self) -> Chunk:
        """The next chunk of every lane; a lane whose segment has ended starts another."""
        lanes, size = len(self._lanes), self._chunk
        seen = np.zeros((lanes, size), np.int64)
        rows = np.zeros((lanes, size, self._a.contexts), np.int64)
        target = np.zeros((lanes, size), np.int64)
        mask = np.zeros((lanes, size), np.float32)
        view = np.zeros((lanes, ENCODER_BYTES), np.int64)
        fresh = np.zeros(lanes, bool)
        for i, segment in enumerate(self._lanes):
            if segment.at >= len(segment.data):
                segment = self._lanes[i] = self._draw()
            part = slice(segment.at, segment.at + size)
            n = len(segment.data[part])
            seen[i, :n], rows[i, :n], target[i, :n] = (
                segment.seen[part],
                segment.rows[part],
                segment.data[part],
            )
            mask[i, :n] = 1
            view[i, : len(segment.view)] = segment.view
            fresh[i] = segment.at == 0
            segment.at += size
        view_bytes = np.array([len(s.view) for s in self._lanes])
        width = -(-int(view_bytes.max()) // 64) * 64
        return Chunk(
            np.ascontiguousarray(seen.T),
            np.ascontiguousarray(rows.transpose(1, 0, 2)),
            np.ascontiguousarray(target.T),
            np.ascontiguousarray(mask.T),
            view[:, :width],
            view_bytes,
            np.array([len(s.data) for s in self._lanes], np.float32),
            fresh,
        )
