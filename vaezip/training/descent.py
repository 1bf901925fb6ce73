"""Gradient descent: the part of training that all processes of a run do alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from vaezip.training.autograd import autocast
from vaezip.training.backends import BACKENDS, Backend, Gradients
from vaezip.training.data import SegmentSource
from vaezip.training.devices import bfloat16_pays
from vaezip.training.importance import Misses
from vaezip.training.optimizer import AdamW, RowAdam
from vaezip.training.ranks import Ranks
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae

_LARGEST = 1.0  # norm of the dense weights' gradient per byte


class Descent:
    """A network, its optimizers, and how they make a step."""

    def __init__(
        self,
        vae: Vae,
        settings: Settings,
        ranks: Ranks,
        teacher: Vae | None = None,
        misses: Misses | None = None,
    ) -> None:
        """Train `vae` where its weights are, on what it reads and on what `teacher` predicts.

        misses: of the model that it is to complement.
        """
        torch.set_num_threads(1)
        if settings.bfloat16 is None:
            settings = replace(settings, bfloat16=bfloat16_pays(vae.device))
        self._vae, self._settings, self._ranks = vae, settings, ranks
        self._teacher, self._misses = teacher.to(vae.device) if teacher else None, misses
        self._tables = vae.decoder.tables
        self._dense = [p for p in vae.parameters() if p is not self._tables]
        self.begin()

    def begin(self) -> None:
        """Forget what the optimizers know of steps before."""
        settings = self._settings
        self._adam = AdamW(self._dense, settings.lr)
        self._row_adam = RowAdam(self._tables, settings.table_rate * settings.lr)

    def autocast(self) -> torch.autocast:
        """The context in which the network is run."""
        return autocast(self._vae.device, self._settings)

    @contextmanager
    def reading(self, source: SegmentSource, step: int) -> Iterator[Backend]:
        """The backend that reads segments of `source` for `step` and those after it.

        A resumed run reads other segments than the one before it did, and a process others than its fellows.
        """
        seed = self._settings.seed, step, self._ranks.rank
        options = self._vae, source, self._settings, seed, self._teacher, self._misses
        backend = BACKENDS[self._vae.device.type](*options)
        try:
            yield backend
        finally:
            backend.close()

    def step(self, backend: Backend, kl_weight: float, rate: float) -> Gradients:
        """Read the next chunks, and change the weights at `rate` times the learning rates."""
        found = self._ranks.sum(backend.gradients([*self._dense, self._tables], kl_weight))
        dense, tables = found.dense.div_(found.bytes), found.tables.div_(found.bytes)
        norm = dense.norm()
        broken = ~norm.isfinite()  # such gradients would make all weights NaN, so they count as 0
        dense.mul_((_LARGEST / norm).clamp(max=1.0)).masked_fill_(broken, 0.0)
        (tables._values() if tables.is_sparse else tables).masked_fill_(broken, 0.0)
        self._adam.step(dense, rate)
        self._row_adam.step(tables, rate, self._vae.a.contexts, backend.map)
        return found

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimizers, for a checkpoint."""
        return {"adam": self._adam.state_dict(), "row_adam": self._row_adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`; `state` may have more."""
        self._adam.load_state_dict(state["adam"])
        self._row_adam.load_state_dict(state["row_adam"])
