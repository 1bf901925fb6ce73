"""Compress and read a folder of texts on a Dask cluster of this machine, with one worker and with several.

    python benchmarks/cluster.py FOLDER --workers 2 --rounds 3

All files of FOLDER and its folders are copied first. Worker counts take turns; shown are medians and their
ratio.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dask.bag
import fsspec
from distributed import Client, LocalCluster

import vaezip


def compress(path: str) -> None:
    """One file, into another beside it."""
    with fsspec.open(path, "rb") as source:
        packed = vaezip.compress(source.read())
    with fsspec.open(f"{path}.vz", "wb") as target:
        target.write(packed)


def compress_all(client: Client, folder: Path) -> None:
    """All files of a folder; the largest first, so that no worker is left with one at the end."""
    paths = sorted(folder.glob("*.txt"), key=os.path.getsize, reverse=True)
    client.gather(client.map(compress, list(map(str, paths)), pure=False))


def count_words(client: Client, folder: Path) -> int:
    """Of all the compressed files of a folder: the reading."""
    words = dask.bag.read_text(f"vz://{folder}/*.txt.vz", encoding="latin-1").map(
        lambda line: len(line.split())
    )
    return int(client.compute(words.sum()).result())


def timed(work: Callable[[Client, Path], object], client: Client, folder: Path) -> float:
    """Seconds."""
    start = time.perf_counter()
    work(client, folder)
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    seconds: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = sorted(path for path in options.folder.rglob("*") if path.is_file())
        for number, path in enumerate(files):
            shutil.copyfile(path, folder / f"{number}.txt")
        size = sum(path.stat().st_size for path in files)
        print(f"{len(files)} files, {size / 1e6:.1f} MB")
        for _ in range(options.rounds):
            for workers in (1, options.workers):
                with (
                    LocalCluster(workers, threads_per_worker=1, dashboard_address=None) as cluster,
                    Client(cluster) as client,
                ):
                    client.run(vaezip.decompress, vaezip.compress(b"loads the model"))
                    for work in (compress_all, count_words):
                        seconds.setdefault((work.__name__, workers), []).append(timed(work, client, folder))
                load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
                print({key: [round(s, 1) for s in each] for key, each in seconds.items()}, f"load {load:.1f}")
    for task in ("compress_all", "count_words"):
        one, many = (statistics.median(seconds[task, workers]) for workers in (1, options.workers))
        print(
            f"{task}: {one:.1f} s with one worker, {many:.1f} s with {options.workers}, {one / many:.2f} to 1"
        )


if __name__ == "__main__":
    main()
