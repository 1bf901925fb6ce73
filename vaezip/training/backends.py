"""Backends of training, for CPUs and GPUs, which differ in who reads the segments and sums the gradients.

On a CPU, each worker thread computes the gradients of its own lanes (torch releases the GIL in its
operations, and one thread per operation scales better than two on products this small). On a GPU, all lanes
are one batch, and the corpus lies in its memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from vaezip.training.autograd import autocast
from vaezip.training.data import SegmentSource
from vaezip.training.importance import Misses
from vaezip.training.lanes import Lanes, Loss
from vaezip.training.optimizer import flattened
from vaezip.training.sampler import DeviceSampler, Sampler
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae

LN2 = math.log(2)


class Gradients(NamedTuple):
    """Gradients of the loss of the chunks just read, summed over their bytes."""

    dense: Tensor  # of all parameters but the tables, `flattened`
    tables: Tensor  # sparse, not coalesced, in the order of `RowAdam.step`; or dense
    bytes: int
    bits_per_byte: float  # of x given z
    kl_bits: float  # mean over the segments


class Backend(Protocol):
    """A backend: reads chunk after chunk, and gives gradients."""

    def gradients(self, parameters: list[Tensor], kl_weight: float) -> Gradients:
        """The gradients for the next chunk of every lane; the last of `parameters` are the tables."""

    def map(self, function: Callable[[int], None], numbers: Iterable[int]) -> Iterable[None]:
        """Call a function for all of these numbers, side by side if that is faster."""

    def close(self) -> None:
        """End all threads."""


class ThreadBackend:
    """The backend for a CPU: threads with some of the lanes each."""

    def __init__(
        self,
        vae: Vae,
        source: SegmentSource,
        settings: Settings,
        seed: tuple[int, ...],
        teacher: Vae | None = None,
        misses: Misses | None = None,
    ) -> None:
        """seed: of all that is drawn; numbers that no other process or resumed run begins with.

        teacher: a network from whose predictions `vae` learns, too, on the same device. misses: of the model
        that `vae` is to complement.
        """
        count = min(settings.workers, settings.lanes)
        tags = vae.decoder.tags.numpy()
        options = settings.rescript_share, settings.dropout, teacher.decoder if teacher else None, misses
        self._settings = settings
        self._device = vae.device
        self._workers = []
        self._lanes = [settings.lanes // count + (i < settings.lanes % count) for i in range(count)]
        for i, lanes in enumerate(self._lanes):
            rng, generator = _generators((*seed, i), vae.device)
            sampler = Sampler(vae.a, tags, source, lanes, settings.chunk, rng, *options)
            self._workers.append((sampler, Lanes(vae, lanes, generator, teacher)))
        self._pool = ThreadPoolExecutor(count)

    def gradients(self, parameters: list[Tensor], kl_weight: float) -> Gradients:
        """See `Backend`."""

        def of_one(worker: tuple[Sampler, Lanes]) -> tuple[tuple[Tensor, ...], Loss, int]:
            sampler, lanes = worker
            chunk = sampler.next()
            with autocast(self._device, self._settings):
                loss = lanes.loss(chunk, self._settings, kl_weight)
                return torch.autograd.grad(loss.total, parameters), loss, chunk.bytes

        found, losses, sizes = zip(*self._pool.map(of_one, self._workers), strict=True)
        tables = [gradients[-1] for gradients in found]
        dense, *others = (flattened(gradients[:-1]) for gradients in found)
        for other in others:
            dense += other
        rows = torch.cat([g._indices() for g in tables], 1)
        values = torch.cat([g._values() for g in tables])
        return Gradients(
            dense,
            torch.sparse_coo_tensor(
                rows, values, tables[0].shape, is_coalesced=False, check_invariants=False
            ),
            sum(sizes),
            sum(float(loss.nats) for loss in losses) / sum(sizes) / LN2,
            sum(float(loss.kl) * n for loss, n in zip(losses, self._lanes, strict=True))
            / sum(self._lanes)
            / LN2,
        )

    def map(self, function: Callable[[int], None], numbers: Iterable[int]) -> Iterable[None]:
        """See `Backend`."""
        return self._pool.map(function, numbers)

    def close(self) -> None:
        """See `Backend`."""
        self._pool.shutdown()


class DeviceBackend:
    """The backend for a GPU. Its measures of a step are those of the step before, so that nobody waits."""

    def __init__(
        self,
        vae: Vae,
        source: SegmentSource,
        settings: Settings,
        seed: tuple[int, ...],
        teacher: Vae | None = None,
        misses: Misses | None = None,
    ) -> None:
        """See `ThreadBackend`."""
        rng, generator = _generators((*seed, 0), vae.device)
        lanes, chunk = settings.lanes, settings.chunk
        decoder = teacher.decoder if teacher else None
        options = settings.rescript_share, settings.dropout, generator, decoder, misses
        self._settings = settings
        self._device = vae.device
        self._sampler = DeviceSampler(vae.a, vae.decoder.tags, source, lanes, chunk, rng, *options)
        self._lanes = Lanes(vae, lanes, generator, teacher)
        self._before: _Measured | None = None

    def gradients(self, parameters: list[Tensor], kl_weight: float) -> Gradients:
        """See `Backend`."""
        chunk = self._sampler.next()
        with autocast(self._device, self._settings):
            loss = self._lanes.loss(chunk, self._settings, kl_weight)
        *dense, tables = torch.autograd.grad(loss.total, parameters)
        measured = _Measured(torch.stack([loss.nats / chunk.bytes, loss.kl]) / LN2)
        before, self._before = self._before or measured, measured
        return Gradients(
            flattened(dense), tables.to_dense() if tables.is_sparse else tables, chunk.bytes, *before.values()
        )

    def map(self, function: Callable[[int], None], numbers: Iterable[int]) -> Iterable[None]:
        """See `Backend`."""
        return map(function, numbers)

    def close(self) -> None:
        """See `Backend`."""


class _Measured:
    """Two numbers on their way from a device to the host."""

    def __init__(self, numbers: Tensor) -> None:
        on_gpu = numbers.device.type == "cuda"
        self._numbers = torch.empty(2, dtype=numbers.dtype, pin_memory=on_gpu)
        self._numbers.copy_(numbers, non_blocking=True)
        self._arrived = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]
        if self._arrived is not None:
            self._arrived.record()

    def values(self) -> tuple[float, float]:
        """The two numbers, once they have arrived."""
        if self._arrived is not None:
            self._arrived.synchronize()
        first, second = self._numbers.tolist()
        return first, second


_New = Callable[[Vae, SegmentSource, Settings, tuple[int, ...], "Vae | None", "Misses | None"], Backend]
BACKENDS: dict[str, _New] = {
    "cpu": ThreadBackend,
    "cuda": DeviceBackend,
}


def _generators(seed: tuple[int, ...], device: torch.device) -> tuple[np.random.Generator, torch.Generator]:
    # The hash of integers is the same in every process.
    return np.random.default_rng(seed), torch.Generator(device).manual_seed(hash(seed) & (2**63 - 1))
