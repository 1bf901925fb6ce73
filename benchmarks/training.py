"""Bytes per second that training reads, against what its matrix products alone would allow.

    python benchmarks/training.py CORPUS [--device cpu|cuda] [--width W] [--layers L] [--lanes N]

On a CPU with one worker, then with as many as there are cores; in turns with that, on as many threads, the
products of the decoder's linear maps, forwards and backwards, and nothing else. Medians of three rounds of
20 steps. Without --device, on a GPU too if there is one.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from vaezip.network.architecture import Architecture
from vaezip.training.data import Corpus, read_corpus
from vaezip.training.devices import CPU, CUDA, bfloat16_pays
from vaezip.training.loop import Trainer
from vaezip.training.ranks import Place
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae

STEPS, WARM_UP, ROUNDS = 20, 5, 3


@click.command()
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option("--device", "only", type=click.Choice([CPU, CUDA]))
@click.option("--width", type=int, default=Architecture().width, show_default=True)
@click.option("--layers", type=int, default=Architecture().layers, show_default=True)
@click.option("--lanes", type=int, help="Segments read side by side. [default: as `vaezip train` does]")
def main(corpus: Path, only: str | None, width: int, layers: int, lanes: int | None) -> None:
    """Print a table: threads or GPU, MB/s read, MB/s of the products alone, the share."""
    a = Architecture(width=width, layers=layers)
    torch.set_num_threads(1)
    files = read_corpus([corpus])
    devices = [only] if only else [CPU, *([CUDA] if torch.cuda.is_available() else [])]
    print(f"width {width}, {layers} layers, {a.multiplications} multiplications per byte")
    for name in devices:
        with Place.found(name) as place:
            measure(a, files, place, {"lanes": lanes} if lanes else {})


def measure(a: Architecture, files: Corpus, place: Place, given: dict[str, Any]) -> None:
    """Print the lines of one device."""
    bfloat16 = bfloat16_pays(place.device)
    on_cpu = place.device.type == CPU
    for workers in sorted({1, os.cpu_count() or 1}) if on_cpu else [1]:
        options = {
            **given,
            "epochs": 1e6,
            "workers": workers,
            "bfloat16": bfloat16,
            "checkpoint_seconds": 1e9,
        }
        settings = Settings.new(options, gpu_reads=None if on_cpu else files.train_bytes)
        read, product = rates(a, files, settings, place)
        where = f"{workers} threads" if on_cpu else torch.cuda.get_device_name(place.device)
        print(
            f"{where}, {settings.lanes} lanes, bfloat16: {bfloat16}: {read:.3f} MB/s, "
            f"the products alone {product:.3f} MB/s ({100 * read / product:.0f} %)"
        )


def rates(a: Architecture, files: Corpus, settings: Settings, place: Place) -> tuple[float, float]:
    """MB/s that training reads, and MB/s of its products alone."""
    with tempfile.TemporaryDirectory() as folder:
        steps = Trainer(Vae(a), files, settings, Path(folder), place).run()
        for _ in range(WARM_UP):
            next(steps)
        read, product = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            first, last = next(steps), None
            for _ in range(STEPS - 1):
                last = next(steps)
            finish(place.device)
            assert last is not None
            per_step = (last.bytes_read - first.bytes_read) / (STEPS - 1)
            read.append(STEPS * per_step / (time.perf_counter() - began) / 1e6)
            product.append(products(a, settings, place.device) / 1e6)
    return statistics.median(read), statistics.median(product)


def products(a: Architecture, settings: Settings, device: torch.device) -> float:
    """Bytes/s if a step were nothing but products: outputs, and the gradients of inputs and weights."""
    dtype, workers = torch.bfloat16 if settings.bfloat16 else torch.float32, settings.workers
    rows = settings.lanes // workers * settings.chunk
    shapes = [tuple(m.weight.shape) for m in Vae(a).decoder.modules() if isinstance(m, nn.Linear)]
    work = [
        [torch.randn(*s, dtype=dtype, device=device) for s in ((rows, i), (o, i), (rows, o))]
        for o, i in shapes
    ]

    def step(_: int) -> None:
        for x, weight, gradient in work:
            torch.mm(x, weight.T)
            torch.mm(gradient, weight)
            torch.mm(gradient.T, x)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(step, range(workers)))
        finish(device)
        began = time.perf_counter()
        list(pool.map(step, range(STEPS * workers)))
        finish(device)
    return STEPS * workers * rows / (time.perf_counter() - began)


def finish(device: torch.device) -> None:
    """Wait for what a GPU was given to do."""
    if device.type == CUDA:
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
