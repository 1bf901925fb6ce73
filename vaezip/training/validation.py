"""The choice of the network that a run ends with, by files kept apart: a small corpus is soon overfitted.

A new network is the best one of its run. Fine-tuning reads the corpus in rounds: when the network has learned
what makes other files larger, it begins anew as it was at first, the origin. The best networks of all
rounds are averaged (Wortsman et al. 2022, arXiv:2203.05482), and the mean goes part of the way back to the
origin (arXiv:2109.01903), as far as the files kept apart are the better for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaezip.errors import CheckpointError
from vaezip.training.checkpoint import load, reading, save
from vaezip.training.data import TextFile
from vaezip.training.evaluate import text_bits
from vaezip.training.importance import Misses
from vaezip.training.run_folder import BEST, MEAN, ORIGIN
from vaezip.training.vae import Vae

_PIECE = 4096
_PIECES = 16
_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # of the way from the origin to the mean


class Validation:
    """Measures networks, and keeps in a folder the origin, the round's best, and the mean of the rounds."""

    def __init__(self, files: list[TextFile], folder: Path, misses: Misses | None = None) -> None:
        """Validate on pieces evenly spaced over `files`; misses: by which their bytes have weights."""
        pieces = [f.data[at : at + _PIECE] for f in files for at in range(0, len(f.data), _PIECE)]
        chosen = np.linspace(0, len(pieces) - 1, min(_PIECES, len(pieces))).astype(int)
        self._pieces = [pieces[i] for i in chosen]
        self._weights = [misses.importance(p) if misses else torch.ones(len(p)) for p in self._pieces]
        self._origin = folder / ORIGIN
        self._best = folder / BEST  # of this round
        self._mean = folder / MEAN  # of the rounds before
        self.best = load(self._best)["bits_per_byte"] if self._best.exists() else math.inf
        self.rounds: int = load(self._mean)["rounds"] if self._mean.exists() else 0  # in the mean

    def check(self, vae: Vae) -> None:
        """Raise CheckpointError if the networks in the folder are not like this one."""
        ours = {name: x.shape for name, x in vae.state_dict().items()}
        for path in (self._origin, self._best, self._mean):
            if path.exists():
                with reading(path):
                    theirs = {name: x.shape for name, x in load(path)["vae"].items()}
                if theirs != ours:
                    raise CheckpointError(f"{path}: is of another network")

    def set_origin(self, vae: Vae) -> None:
        """Have every round begin with this network."""
        save({"vae": vae.state_dict()}, self._origin)

    @property
    def has_origin(self) -> bool:
        """True if there can be another round."""
        return self._origin.exists()

    def offer(self, vae: Vae) -> float:
        """Keep this network if it is the best of the round; returns its bits/byte, null latent."""
        bits_per_byte = self._measure(vae)
        if bits_per_byte < self.best:
            self.best = bits_per_byte
            save({"vae": vae.state_dict(), "bits_per_byte": bits_per_byte}, self._best)
        return bits_per_byte

    def next_round(self, vae: Vae, ended: int) -> None:
        """Make `vae` the origin, once the best network of the round that has `ended` is in the mean."""
        if self.rounds < ended:
            mean, rounds = self._with_best()
            save({"vae": mean, "rounds": rounds}, self._mean)
            self.rounds = rounds
        self._best.unlink(missing_ok=True)
        self.best = math.inf
        vae.load_state_dict(load(self._origin)["vae"])

    def finish(self, vae: Vae) -> None:
        """Make `vae` the network that the run ends with."""
        least, chosen = math.inf, vae.state_dict()
        for candidate in self._candidates():
            vae.load_state_dict(candidate)
            bits_per_byte = self._measure(vae)
            if bits_per_byte < least:
                least, chosen = bits_per_byte, candidate
        vae.load_state_dict(chosen)

    def seconds_to_finish(self, vae: Vae) -> float:
        """The seconds that `finish` will take on this machine."""
        null = torch.zeros(1, vae.a.latents)
        text_bits(vae, self._pieces[0], null)  # so that whatever is done but once is done
        began = time.perf_counter()
        self._measure(vae)
        return (time.perf_counter() - began) * (2 * len(_SHARES) if self.has_origin else 1)

    def _candidates(self) -> Iterator[dict[str, Tensor]]:
        """The candidates, one at a time, since each is as large as the network."""
        means = [load(self._mean)["vae"]] if self._mean.exists() else []
        if self._best.exists():
            means.append(self._with_best()[0])
        if not self.has_origin:
            yield from means
            return
        origin = load(self._origin)["vae"]
        for mean in means:
            for share in _SHARES:
                yield _between(origin, mean, share)

    def _measure(self, vae: Vae) -> float:
        null = torch.zeros(1, vae.a.latents)
        weighted = zip(self._pieces, self._weights, strict=True)
        bits = sum(text_bits(vae, piece, null, weights)[0] for piece, weights in weighted)
        return bits / float(sum(weights.sum() for weights in self._weights))

    def _with_best(self) -> tuple[dict[str, Tensor], int]:
        """The mean of the rounds with this one, and their number."""
        best: dict[str, Tensor] = load(self._best)["vae"]
        if not self._mean.exists():
            return best, 1
        before = load(self._mean)
        rounds = before["rounds"] + 1
        return _between(before["vae"], best, 1 / rounds), rounds


def _between(a: dict[str, Tensor], b: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """`share` of the way from the weights `a` to `b`; both have the same tags."""
    return {name: x.lerp(b[name], share) if x.is_floating_point() else x for name, x in a.items()}
