"""How to train; the sizes of the network are in `Architecture`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Budget, batch, learning rates and the terms of the loss."""

    minutes: float | None = None  # either this ...
    epochs: float | None = None  # ... or that many times the corpus' bytes
    seed: int = 0
    workers: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))  # threads
    lanes: int = 32  # segments read side by side, over all workers
    chunk: int = 512  # bytes of each per step; gradients do not reach further back
    lr: float = 4e-3  # of the dense weights; the context tables learn at twice that
    dropout: float = 0.0  # share of context rows withheld, and a quarter as many channels
    hold: float = 0.4  # share of the budget (of a round) at full learning rate; then a cosine down to 2 %
    kl_warm_up: float = 0.1  # share of the budget over which the KL's weight rises to 1
    free_nats: float = 0.4  # floor of the KL per latent dimension and segment
    null_share: float = 0.15  # share of segments trained with the null latent
    rescript_share: float = 0.0  # share of segments read in another script (`rescript`)
    weights: dict[str, float] = field(default_factory=dict)  # of the corpus' folders, 1 if not given
    bfloat16: bool | None = None  # of matrix products; None: if it makes this machine faster
    checkpoint_seconds: float = 180

    def going_on(self, other: Settings) -> Settings:
        """These settings with the budget of another run, and what suits the machine that it is on."""
        return replace(
            self,
            minutes=other.minutes,
            epochs=other.epochs,
            workers=other.workers,
            bfloat16=other.bfloat16,
            checkpoint_seconds=other.checkpoint_seconds,
        )


# What suits a network that can read already, and a corpus small enough to be learned by heart.
CONTINUED: dict[str, Any] = {"lr": 1e-3, "dropout": 0.15, "kl_warm_up": 0.01}
