"""`vaezip map` from files to their map, and to a list of those that are nearest to one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from vaezip.bitsback import PROBE_BYTES, can_carry_latent
from vaezip.block import DEFAULT_BLOCK_SIZE
from vaezip.byteio import ByteReader
from vaezip.errors import FileError, SkippedError
from vaezip.fileio import opened
from vaezip.inputs import STDIO, find_inputs
from vaezip.map.atlas import Atlas, Entry
from vaezip.map.distances import Floats, Sample, compare, measure, symmetric
from vaezip.meter import Meter, Ticker
from vaezip.model import Model
from vaezip.naming import OWN_SUFFIXES

MOST_FILES = 1000  # that are compared at once: a million pairs take hours


class MapOptions(NamedTuple):
    """Options of the comparison; see `distances`."""

    model: Model
    sample_size: int
    threads: int


class Found(NamedTuple):
    """A file that is meant; path None is standard input."""

    path: str | None
    folder: str  # decides the colour

    @property
    def name(self) -> str:
        """The name that it is shown by."""
        return self.path or "standard input"


class Excerpt(NamedTuple):
    """The beginning of a file, as much as is compared, and the latent of its first block."""

    file: Found
    z: tuple[int, ...] | None
    text: bytes


class Neighbour(NamedTuple):
    """A file, and how far it is from another."""

    distance: float
    entry: Entry


def find_files(names: Sequence[str], complain: Callable[[FileError], object]) -> list[Found]:
    """The files that are named or lie in named folders, each once; in folders, none that vaezip has written.

    A file's folder is the one below the folder that was named, or if there is none, that in which it lies.
    complain: called for each folder that cannot be read. Raises FileError if there are none or too many.
    """
    found: dict[str | None, Found] = {}
    for name in names:
        for path in find_inputs(
            [name], compressed=False, recursive=True, suffixes=OWN_SUFFIXES, complain=complain
        ):
            real = None if path is None else os.path.realpath(path)  # the same by several paths is one
            found.setdefault(real, Found(path, _folder(name, path)))
    if not found:
        raise FileError(f"{names[0]}: has no files to compare")
    if len(found) > MOST_FILES:
        raise FileError(f"{names[0]}: {len(found)} files are too many to compare, {MOST_FILES} are the most")
    return [*found.values()]


def _folder(name: str, path: str | None) -> str:
    if path is None:
        return STDIO
    first, *below = os.path.relpath(path, name).split(os.sep) if path != name else ("",)
    return first if below else os.path.basename(os.path.dirname(os.path.abspath(path))) or os.sep


def named_file(name: str) -> Found:
    """A file, or standard input for `-`; raises FileError for a folder."""
    if name == STDIO:
        return Found(None, STDIO)
    if os.path.isdir(name):
        raise FileError(f"{name}: is a directory")
    return Found(name, _folder(name, name))


def other_files(name: str, found: Sequence[Found]) -> list[Found]:
    """The files but for the one of that name; raises FileError if there are none."""
    own = None if name == STDIO else os.path.realpath(name)
    others = [file for file in found if file.path is None or os.path.realpath(file.path) != own]
    if not others:
        raise FileError(f"{name}: there is no other file to compare it with")
    return others


def read_excerpt(file: Found, options: MapOptions) -> Excerpt:
    """The excerpt of a file; raises FileError, SkippedError if it is empty."""
    with opened(file.path, any_kind=True) as source:
        block = ByteReader(source).read_some(max(options.sample_size, DEFAULT_BLOCK_SIZE))
    if not block:
        raise SkippedError(f"{file.name}: is empty, skipped")
    z, model = None, options.model
    if can_carry_latent(model, len(block)):
        mean, scale = model.encoder(np.frombuffer(block[:DEFAULT_BLOCK_SIZE], np.uint8))
        z = tuple(model.latent.posterior(mean, scale).candidates[:, 0].tolist())
    return Excerpt(file, z, block[: max(options.sample_size, PROBE_BYTES)])


def map_files(files: Sequence[Excerpt], options: MapOptions, progress: Ticker | None = None) -> Atlas:
    """The atlas of n files, in n * (n + 1) steps."""
    meter = Meter(progress)
    samples = measure(
        options.model, [file.text for file in files], options.sample_size, options.threads, meter
    )
    shares = compare(options.model, samples, samples, options.sample_size, options.threads, meter)
    return Atlas(options.model.name, options.sample_size, _entries(files, samples), symmetric(shares))


def nearest_files(
    one: Excerpt, files: Sequence[Excerpt], options: MapOptions, progress: Ticker | None = None
) -> list[Neighbour]:
    """The n files, the nearest to one first, in 3 * n + 1 steps."""
    meter, (model, size, threads) = Meter(progress), options
    first, *samples = measure(model, [file.text for file in (one, *files)], size, threads, meter)
    there = compare(model, [first], samples, size, threads, meter)[0]
    back = compare(model, samples, [first], size, threads, meter)[:, 0]
    distances: Floats = (there + back) / 2
    entries = _entries(files, samples)
    return [Neighbour(float(distances[i]), entries[i]) for i in np.argsort(distances, kind="stable").tolist()]


def _entries(files: Sequence[Excerpt], samples: Sequence[Sample]) -> tuple[Entry, ...]:
    return tuple(
        Entry(file.file.name, file.file.folder, sample.preset, file.z)
        for file, sample in zip(files, samples, strict=True)
    )
