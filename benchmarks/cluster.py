"""Compress and read a folder of texts on a Dask cluster of this machine, with one worker and with several.

    python benchmarks/cluster.py FOLDER --workers 2 --rounds 7

All files of FOLDER and its folders are copied first. One worker and several take turns, so that whatever else
the machine does slows both; shown are medians of the seconds, and of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dask.bag
import fsspec
from distributed import Client, LocalCluster

import vaezip


def compress(path: str) -> None:
    """Compress a file into another beside it."""
    with fsspec.open(path, "rb") as source:
        packed = vaezip.compress(source.read())
    with fsspec.open(f"{path}.vz", "wb") as target:
        target.write(packed)


def compress_all(client: Client, folder: Path) -> None:
    """Compress all files of a folder; the largest first, so that no worker is left with one at the end."""
    paths = sorted(folder.glob("*.txt"), key=os.path.getsize, reverse=True)
    client.gather(client.map(compress, list(map(str, paths)), pure=False))


def count_words(client: Client, folder: Path) -> int:
    """Count words in all the compressed files of a folder: the reading."""
    words = dask.bag.read_text(f"vz://{folder}/*.txt.vz", encoding="latin-1").map(
        lambda line: len(line.split())
    )
    return int(client.compute(words.sum()).result())


@contextmanager
def local_cluster(workers: int) -> Iterator[Client]:
    """Processes that have loaded the model."""
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        if hasattr(
            os, "setsid"
        ):  # Linux may share a busy processor among sessions: let each worker have its own
            client.run(os.setsid)
        client.run(vaezip.decompress, vaezip.compress(b"loads the model"))
        yield client


def timed(work: Callable[[Client, Path], object], client: Client, folder: Path) -> float:
    """Seconds."""
    began = time.perf_counter()
    work(client, folder)
    return time.perf_counter() - began


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        files = sorted(path for path in options.folder.rglob("*") if path.is_file())
        for number, path in enumerate(files):
            shutil.copyfile(path, folder / f"{number}.txt")
        print(f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.2f} MB")
        clients = [stack.enter_context(local_cluster(workers)) for workers in (1, options.workers)]
        for work in (compress_all, count_words):
            pairs = []
            for _ in range(options.rounds):
                pairs.append([timed(work, client, folder) for client in clients])
                one, many = pairs[-1]
                print(f"{work.__name__}: {one:.1f} s with 1 worker, {many:.1f} s with {options.workers}")
            one, many = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
            ratio = statistics.median(first / second for first, second in pairs)
            print(f"{work.__name__}, medians: {one:.1f} s, {many:.1f} s, {ratio:.2f} to 1")


if __name__ == "__main__":
    main()
