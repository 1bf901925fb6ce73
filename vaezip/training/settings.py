"""Settings of training; the sizes of the network are in `Architecture`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vaezip.network.architecture import Architecture


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Budget, batch, learning rates and the terms of the loss."""

    minutes: float | None = None  # either this ...
    epochs: float | None = None  # ... or that many times the corpus' bytes
    seed: int = 0
    workers: int = field(default_factory=lambda: _cores())  # threads of each process, on a CPU
    lanes: int = 32  # segments read side by side by each process, over all workers
    chunk: int = 512  # bytes of each per step; gradients do not reach further back
    lr: float = 4e-3  # of the dense weights
    table_rate: float = 2.0  # the context tables learn at that times the rate of the dense weights
    dropout: float = 0.0  # share of context rows withheld, and a quarter as many channels
    hold: float = 0.4  # share of the budget (of a round) at full learning rate; then a cosine down to 2 %
    kl_warm_up: float = 0.1  # share of the budget over which the KL's weight rises to 1
    free_nats: float = 0.4  # floor of the KL per latent dimension and segment
    null_share: float = 0.15  # share of segments trained with the null latent
    rescript_share: float = 0.0  # share of segments read in another script (`rescript`)
    teacher: str | None = None  # name and fingerprint of the model from whose predictions it learns, too
    complement: bool = False  # bytes count by what the mixer of the model that it begins with leaves of them
    weights: dict[str, float] = field(default_factory=dict)  # of the corpus' folders, 1 if not given
    bfloat16: bool | None = None  # of matrix products; None: if it makes this machine faster
    checkpoint_seconds: float = 180

    @classmethod
    def new(
        cls, options: Mapping[str, Any], *, fine_tuning: bool = False, gpu_reads: int | None = None
    ) -> Settings:
        """The settings of a new run: `options`, and what suits it where they say nothing.

        gpu_reads: bytes of the corpus, if it is a GPU that reads it.
        """
        budget = {} if "epochs" in options else {"minutes": DEFAULT_MINUTES}
        usual = {} if gpu_reads is None else {**ON_GPU, "lanes": _lanes_of_gpu(gpu_reads)}
        return cls(**{**budget, **usual, **(FINE_TUNING if fine_tuning else {}), **options})

    def resumed(self, options: Mapping[str, Any]) -> Settings:
        """These, but what is of the machine, and the budget of `options` if they have one.

        The new budget is for the whole run, what is spent of the old one included.
        """
        changes = {name: options.get(name, getattr(Settings(), name)) for name in _OF_MACHINE}
        if any(name in options for name in _BUDGET):
            changes |= {name: options.get(name) for name in _BUDGET}
        return replace(self, **changes)

    def differences(self, options: Mapping[str, Any]) -> list[str]:
        """The options that a run with these settings cannot be resumed with."""
        fixed = {k: v for k, v in options.items() if k not in _OF_MACHINE + _BUDGET}
        return differences(vars(self), fixed)


def differences(ours: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """The values of `given` that are not as in `ours`, in words."""
    return [f"{k} {ours[k]} (not {v})" for k, v in given.items() if ours[k] != v]


def sizes(width: int | None, layers: int | None, table_bits: int | None) -> dict[str, Any]:
    """The fields of `Architecture` that are given; `table_bits` is of the largest tables."""
    given: dict[str, Any] = {"width": width, "layers": layers}
    if table_bits is not None:
        usual = Architecture().table_bits
        given["table_bits"] = tuple(bits + table_bits - max(usual) for bits in usual)
    return {name: size for name, size in given.items() if size is not None}


def _cores() -> int:
    """The cores for each process that `torchrun` has started on this machine."""
    return max(1, min(8, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def _lanes_of_gpu(corpus_bytes: int) -> int:
    """The number of lanes that keep a GPU busy, if the corpus still takes some dozen steps."""
    lanes = corpus_bytes // (Settings.chunk * _LEAST_STEPS)
    return min(_MOST_LANES, max(Settings.lanes, lanes))


DEFAULT_MINUTES = 20.0
_MOST_LANES = 512
_LEAST_STEPS = 64  # per pass over the corpus
_BUDGET = ("minutes", "epochs")
_OF_MACHINE = ("workers", "bfloat16", "checkpoint_seconds")
# What suits a network that can read already, and a corpus small enough to be learned by heart.
FINE_TUNING: dict[str, Any] = {"lr": 1e-3, "dropout": 0.15, "kl_warm_up": 0.01}
# What suits batches as large as a GPU's.
ON_GPU: dict[str, Any] = {"lr": 3e-3, "table_rate": 2.7, "hold": 0.3, "dropout": 0.08}
