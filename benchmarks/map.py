"""The share of files whose nearest neighbour lies in their own folder, by several measures of distance.

    python benchmarks/map.py FOLDER [--source REGEX] [--model MODEL]

FOLDER's folders are kinds of text. `z`: the distance between posterior means of the latents. `preset`: 0 if
the mixer's is the same, else 1. `distance`: that of `vaezip map`; `map`: on its map; `scaled`: on one by
classical scaling. `zlib`: as `distance`, but by zlib, with the text that was read as dictionary.
Where several are equally near, each counts in part. With --source, there is a second table: files in whose
names the first group of REGEX matches the same are from one source, and no neighbours.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from vaezip.bitsback import can_carry_latent
from vaezip.block import DEFAULT_BLOCK_SIZE
from vaezip.map.atlas import Entry
from vaezip.map.distances import SAMPLE_SIZE
from vaezip.map.fileio import MapOptions, find_files, map_files, read_excerpt
from vaezip.map.layout import scale
from vaezip.model import Model, load_model
from vaezip.network.ops import Int32

Floats = NDArray[np.float64]


@click.command()
@click.argument("folder")
@click.option("--source")
@click.option("--model", default="standard", show_default=True)
def main(folder: str, source: str | None, model: str) -> None:
    """Print a table, in Markdown."""
    options = MapOptions(load_model(model), SAMPLE_SIZE, threads=0)
    files = [read_excerpt(found, options) for found in find_files([folder], print)]
    began = time.process_time()
    atlas = map_files(files, options)
    seconds = time.process_time() - began
    presets = np.array([entry.preset for entry in atlas.entries])
    other_preset = (presets[:, None] != presets).astype(np.float64)
    latents = _apart(np.array([_latent(options.model, entry) for entry in atlas.entries]))
    measures = {
        "z": latents,
        "preset": other_preset,
        "z and preset": latents + 1e6 * other_preset,
        "distance": atlas.distances,
        "map": _apart(atlas.places),
        "scaled": _apart(scale(atlas.distances)),
        "zlib": _by_zlib([file.text[: options.sample_size] for file in files]),
    }
    folders = np.array([entry.folder for entry in atlas.entries])
    names = [Path(entry.name).name for entry in atlas.entries]
    print(f"{len(files)} files, {seconds:.0f} s of processor time for the distances")
    _table(measures, folders, ~np.eye(len(names), dtype=bool))
    if source is not None:
        _table(measures, folders, _other_sources(names, source))


def _table(measures: Mapping[str, Floats], folders: NDArray[np.str_], near: NDArray[np.bool_]) -> None:
    """Print the table of all measures; near: pairs that may be neighbours, bool (n, n)."""
    columns = {name: _shares(distances, folders, near) for name, distances in measures.items()}
    columns["chance"] = _shares(np.zeros(near.shape), folders, near)
    print(f"\n| folder | files | {' | '.join(columns)} |\n| --- |{' --: |' * (len(columns) + 1)}")
    for name, chosen in [*((name, folders == name) for name in np.unique(folders)), ("all", folders != "")]:
        cells = (f"{100 * np.nanmean(column[chosen]):.0f} %" for column in columns.values())
        print(f"| {name} | {chosen.sum()} | {' | '.join(cells)} |")


def _latent(model: Model, entry: Entry) -> Int32:
    """The posterior mean of a file's first block, in eighths of a step; of a very short one, the prior's."""
    block = np.fromfile(entry.name, np.uint8, DEFAULT_BLOCK_SIZE)
    return model.encoder(block)[0] if can_carry_latent(model, len(block)) else model.latent.null()


def _apart(places: NDArray[np.number]) -> Floats:
    """Distances between places (n, d)."""
    distances: Floats = np.sqrt(((places[:, None] - places[None]).astype(np.float64) ** 2).sum(axis=2))
    return distances


def _by_zlib(texts: Sequence[bytes]) -> Floats:
    """Distances as of `vaezip map`, but by what zlib makes of a text, whole, after another."""

    def size(text: bytes, read: bytes) -> int:
        compressor = zlib.compressobj(9, zdict=read) if read else zlib.compressobj(9)
        return len(compressor.compress(text) + compressor.flush())

    alone = np.array([size(text, b"") for text in texts])
    shares = np.array([[size(text, read) for text in texts] for read in texts]) / alone
    both: Floats = (shares + shares.T) / 2
    return both


def _other_sources(names: Sequence[str], source: str) -> NDArray[np.bool_]:
    """Pairs that are not of one source: bool (n, n)."""
    found = [re.search(source, name) for name in names]
    sources = np.array([match[1] if match else name for match, name in zip(found, names, strict=True)])
    different: NDArray[np.bool_] = sources[:, None] != sources
    return different


def _shares(distances: Floats, folders: NDArray[np.str_], near: NDArray[np.bool_]) -> Floats:
    """The share of each file's nearest ones that are of its folder: float64 (n,)."""
    allowed = np.where(near, distances, np.inf)
    nearest = near & (allowed == allowed.min(axis=1, keepdims=True))
    shares: Floats = (nearest & (folders[:, None] == folders)).sum(axis=1) / nearest.sum(axis=1)
    return shares


if __name__ == "__main__":
    main()
