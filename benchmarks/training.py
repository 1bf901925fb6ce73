"""Bytes per second that training reads, against what its matrix products alone would allow.

    python benchmarks/training.py CORPUS [--width W] [--layers L]

One worker, then as many as there are cores; in turns with that, on as many threads, the products of the
decoder's linear maps, forwards and backwards, and nothing else. Medians of three rounds of 20 steps.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import torch
from torch import nn

from vaezip.network.architecture import Architecture
from vaezip.training.data import read_corpus
from vaezip.training.loop import Trainer, bfloat16_pays
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae

STEPS, WARM_UP, ROUNDS = 20, 5, 3


@click.command()
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option("--width", type=int, default=Architecture().width, show_default=True)
@click.option("--layers", type=int, default=Architecture().layers, show_default=True)
def main(corpus: Path, width: int, layers: int) -> None:
    """Print a table: threads, KB/s read, KB/s of the products alone, the share."""
    a = Architecture(width=width, layers=layers)
    bfloat16 = bfloat16_pays()
    torch.set_num_threads(1)
    cores = os.cpu_count() or 1
    files = read_corpus([corpus])
    print(
        f"width {width}, {layers} layers, {a.multiplications} multiplications per byte, bfloat16: {bfloat16}"
    )
    for workers in sorted({1, cores}):
        settings = Settings(epochs=1000, workers=workers, bfloat16=bfloat16, checkpoint_seconds=1e9)
        with tempfile.TemporaryDirectory() as folder:
            steps = Trainer(Vae(a), files, settings, Path(folder)).run()
            for _ in range(WARM_UP):
                next(steps)
            read, product = [], []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                first, last = next(steps), None
                for _ in range(STEPS - 1):
                    last = next(steps)
                assert last is not None
                per_step = (last.bytes_read - first.bytes_read) / (STEPS - 1)
                read.append(STEPS * per_step / (time.perf_counter() - started) / 1e3)
                product.append(products(a, settings, workers, bfloat16) / 1e3)
        r, p = statistics.median(read), statistics.median(product)
        print(f"{workers} threads: {r:.0f} KB/s, the products alone {p:.0f} KB/s ({100 * r / p:.0f} %)")


def products(a: Architecture, settings: Settings, workers: int, bfloat16: bool) -> float:
    """Bytes/s if a step were nothing but products: outputs, and the gradients of inputs and weights."""
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    rows = settings.lanes // workers * settings.chunk
    shapes = [tuple(m.weight.shape) for m in Vae(a).decoder.modules() if isinstance(m, nn.Linear)]
    work = [[torch.randn(*s, dtype=dtype) for s in ((rows, i), (o, i), (rows, o))] for o, i in shapes]

    def step(_: int) -> None:
        for x, weight, gradient in work:
            torch.mm(x, weight.T)
            torch.mm(gradient, weight)
            torch.mm(gradient.T, x)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(step, range(workers)))
        started = time.perf_counter()
        list(pool.map(step, range(STEPS * workers)))
    return STEPS * workers * rows / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
