"""Lanes of segments that are read side by side, and the loss of what they read next.

With a teacher, half of the decoder's loss is the cross entropy with what that network predicts (Hinton et al.
2015, arXiv:1503.02531), which says more about a text's next byte than which one it was. Bytes count for less
where a mixer foretells them (`importance`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vaezip.training.functions import cross_entropy, cross_entropy_of
from vaezip.training.importance import importance
from vaezip.training.sampler import Chunk
from vaezip.training.settings import Settings
from vaezip.training.vae import Posterior, Vae


class Loss(NamedTuple):
    """The loss of a chunk, in nats; scalars on the device of the network."""

    total: Tensor  # to be minimised, summed over the bytes
    nats: Tensor  # of x given z, summed over the bytes
    kl: Tensor  # mean over the segments


class _Reading:
    """One network's reading of the lanes: its recurrent states, and each segment's noise."""

    def __init__(self, vae: Vae, lanes: int, generator: torch.Generator) -> None:
        a, device = vae.a, vae.device
        self._vae = vae
        self._generator = generator
        self._state = torch.zeros((a.layers, lanes, a.width), device=device)
        self._noise = torch.zeros((lanes, a.latents), device=device)

    def draw(self, fresh: Tensor) -> None:
        """Draw noise for segments that begin."""
        noise = torch.randn(self._noise.shape, generator=self._generator, device=self._noise.device)
        self._noise = torch.where(fresh, noise, self._noise)

    def read(
        self, chunk: Chunk, rows: Tensor, null: Tensor, kept: Tensor | None = None
    ) -> tuple[Tensor, Posterior]:
        """Logits for the next chunk, given z, and q(z|x); rows: of this network's tables."""
        posterior: Posterior = self._vae.encoder(chunk.view, chunk.view_bytes)
        z = torch.where(null, 0.0, posterior.sample(self._noise))
        decoder = self._vae.decoder
        state = torch.where(chunk.fresh[:, None], decoder.initial_state(z), self._state)
        logits, last = decoder(chunk.seen, rows, z, state, kept)
        self._state = last.detach()
        return logits, posterior


class Lanes:
    """The state that is carried from chunk to chunk: of the networks, and each segment's choice of latent."""

    def __init__(self, vae: Vae, lanes: int, generator: torch.Generator, teacher: Vae | None = None) -> None:
        """generator: of the device that `vae` is on, and `teacher`, from whose predictions it learns."""
        self._generator = generator
        self._ours = _Reading(vae, lanes, generator)
        self._theirs = _Reading(teacher, lanes, generator) if teacher else None
        self._sites = (vae.decoder.scale.shape[0], lanes, vae.a.width)
        self._null = torch.zeros((lanes, 1), dtype=torch.bool, device=vae.device)

    def loss(self, chunk: Chunk, settings: Settings, kl_weight: float) -> Loss:
        """The loss of the next chunk."""
        fresh = chunk.fresh[:, None]
        self._ours.draw(fresh)
        null = torch.rand(self._null.shape, generator=self._generator, device=self._null.device)
        self._null = torch.where(fresh, null < settings.null_share, self._null)
        kept = self._kept(settings.dropout / 4)
        logits, posterior = self._ours.read(chunk, chunk.rows, self._null, kept)
        nats, weights = cross_entropy(logits, chunk.target), chunk.mask
        if chunk.missed is not None:
            weights = weights * importance(chunk.missed, nats.detach())
        decoding = (nats * weights).sum()
        if self._theirs is not None:
            taught = cross_entropy_of(logits, self._taught(self._theirs, chunk))
            decoding = (decoding + (taught * weights).sum()) / 2
        # A segment pays for its z once, each chunk for its share; the floor holds for the batch's mean.
        share = (chunk.mask.sum(0) / chunk.segment_bytes)[:, None] * ~self._null
        kl = posterior.kl()
        mean_kl = (kl * share).sum(0) / share.sum().clamp(min=1e-6)
        total = decoding + kl_weight * mean_kl.clamp(min=settings.free_nats).sum() * share.sum()
        return Loss(total, (nats.detach() * chunk.mask).sum(), kl.detach().sum(1).mean())

    @torch.no_grad()
    def _taught(self, teacher: _Reading, chunk: Chunk) -> Tensor:
        """p(x|z) by the teacher, which has a latent of its own where we have one, (T, B, 256)."""
        assert chunk.teacher_rows is not None
        teacher.draw(chunk.fresh[:, None])
        logits, _ = teacher.read(chunk, chunk.teacher_rows, self._null)
        return logits.float().softmax(-1)

    def _kept(self, dropout: float) -> Tensor | None:
        if not dropout:
            return None
        kept = torch.empty(self._sites, device=self._null.device)
        return kept.bernoulli_(1 - dropout, generator=self._generator) / (1 - dropout)
