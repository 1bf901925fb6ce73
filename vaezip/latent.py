"""Latents as integers: the grid of z, its prior and posterior tables, and their way onto the ANS stack.

A latent is an integer number of grid steps. The encoder gives its posterior as a mean, in eighths of a
step, and the index of a scale; the model file holds, for every scale and every eighth (the phase), the
frequencies of the offsets from the rounded mean. They are ordered from the mode outwards: a stack that
has run dry pops symbol 0, and that must be the most likely latent, not a freak one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip.ans import AnsStack
from vaezip.coder import TOTAL
from vaezip.network.architecture import Architecture
from vaezip.network.ops import Int32, require, tensor
from vaezip.tensors import Tensors

PHASES = 8  # resolution of a posterior mean, per grid step
_MOST = 255  # frequencies of a row, and scales


def offsets(reach: int) -> NDArray[np.int32]:
    """Offsets -reach..reach from the rounded mean, nearest to the true mean first, for every phase.

    int32 (PHASES, 2 * reach + 1); phase p means that the true mean lies (p - PHASES // 2) / PHASES above
    the rounded one. Of two equally near, the lower comes first.
    """
    every = np.arange(-reach, reach + 1)
    phase = np.arange(PHASES)[:, None] - PHASES // 2
    order = np.argsort(np.abs(every * PHASES - phase), axis=1, kind="stable")
    return every[order].astype(np.int32)


class Posterior(NamedTuple):
    """q(z|x) on the grid: per latent, the candidates from the mode outwards and their frequencies."""

    candidates: Int32  # (latents, n), grid steps
    frequencies: Int32  # (latents, n), each row summing to 2**24


class Latent:
    """Prior and posterior tables, a model file's tensors `latent.*`; raises ModelError if damaged."""

    def __init__(self, a: Architecture, tensors: Tensors) -> None:
        prior, posterior = tensors.get("latent.prior"), tensors.get("latent.posterior")
        require(prior is not None and posterior is not None, "latent tables are missing")
        assert prior is not None
        assert posterior is not None
        require(prior.ndim == 2 and _is_odd(prior.shape[1]), "latent.prior has a wrong shape")
        require(
            posterior.ndim == 3 and _is_odd(posterior.shape[2]) and posterior.shape[0] <= _MOST,
            "latent.posterior has a wrong shape",
        )
        steps, (scales, _, n) = prior.shape[1], posterior.shape
        self._prior = tensor(tensors, "latent.prior", np.int32, a.latents, steps).astype(np.int32)
        self._posterior = tensor(tensors, "latent.posterior", np.int32, scales, PHASES, n).astype(np.int32)
        for name, table in (("prior", self._prior), ("posterior", self._posterior)):
            sums = table.sum(axis=-1, dtype=np.int64)
            require(bool((table > 0).all() and (sums == TOTAL).all()), f"latent.{name} is not normalised")
        self.furthest = steps // 2  # z lies in [-furthest, furthest]
        self._reach = n // 2
        require(self._reach < self.furthest, "latent.posterior reaches beyond the prior")
        self._offsets = offsets(self._reach)

    def posterior(self, mean: Int32, scale: Int32) -> Posterior:
        """The posterior that the encoder's output stands for: mean in eighths of a step, scale an index."""
        limit = self.furthest - self._reach
        mean = np.clip(mean, -limit * PHASES, limit * PHASES)
        scale = np.clip(scale, 0, len(self._posterior) - 1)
        rounded = (mean + PHASES // 2) // PHASES
        phase = mean - rounded * PHASES + PHASES // 2
        return Posterior(rounded[:, None] + self._offsets[phase], self._posterior[scale, phase])

    def null(self) -> Int32:
        """The null latent: the prior's centre, int32 (latents,)."""
        return np.zeros(len(self._prior), np.int32)

    def pop_posterior(self, stack: AnsStack, q: Posterior) -> Int32:
        """Draw z from q with the bits of the stack: int32 (latents,)."""
        ranks = stack.pop(q.frequencies)
        return np.take_along_axis(q.candidates, ranks[:, None], 1)[:, 0]

    def push_posterior(self, stack: AnsStack, z: Int32, q: Posterior) -> bool:
        """Undo `pop_posterior`; False if z is impossible under q, as in a damaged block."""
        match = q.candidates == z[:, None]
        if not match.any(axis=1).all():
            return False
        stack.push(match.argmax(axis=1).astype(np.int32), q.frequencies)
        return True

    def push_prior(self, stack: AnsStack, z: Int32) -> None:
        """Encode z with p(z)."""
        stack.push(z + self.furthest, self._prior)

    def pop_prior(self, stack: AnsStack) -> Int32:
        """Decode z with p(z): int32 (latents,)."""
        return stack.pop(self._prior) - np.int32(self.furthest)

    def frequencies(self, z: Int32) -> Int32:
        """Those of z in the prior's rows: int32 (latents,)."""
        frequencies: Int32 = self._prior[np.arange(len(z)), z + self.furthest]
        return frequencies


def _is_odd(count: int) -> bool:
    return count % 2 == 1 and 1 < count <= _MOST  # rows of one cannot be coded
