"""A worker thread of training: some of the lanes, and the gradients of what they read next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vaezip.training.data import Sampler
from vaezip.training.functions import cross_entropy
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae


class Gradients(NamedTuple):
    """What a worker found in its next chunk."""

    of: tuple[Tensor, ...]  # the summed loss, per parameter
    bytes: int
    nats: float  # of x given z
    kl: float  # nats, mean over the segments


class Worker:
    """Some of the lanes, with what is carried from chunk to chunk: state, noise and choice of latent."""

    def __init__(self, vae: Vae, sampler: Sampler, lanes: int, generator: torch.Generator) -> None:
        a = vae.a
        self._vae = vae
        self._sampler = sampler
        self._generator = generator
        self._state = torch.zeros(a.layers, lanes, a.width)
        self._noise = torch.zeros(lanes, a.latents)
        self._null = torch.zeros(lanes, 1, dtype=torch.bool)

    def gradients(self, parameters: Sequence[Tensor], settings: Settings, kl_weight: float) -> Gradients:
        """Read the next chunk."""
        chunk, g = self._sampler.next(), self._generator
        t = torch.from_numpy
        fresh, mask = t(chunk.fresh)[:, None], t(chunk.mask)
        self._noise = torch.where(fresh, torch.randn(self._noise.shape, generator=g), self._noise)
        null = torch.rand(self._null.shape, generator=g) < settings.null_share
        self._null = torch.where(fresh, null, self._null)
        posterior = self._vae.encoder(t(chunk.view), t(chunk.view_bytes))
        z = torch.where(self._null, 0.0, posterior.sample(self._noise))
        decoder = self._vae.decoder
        state = torch.where(fresh, decoder.initial_state(z), self._state)
        logits, last = decoder(t(chunk.seen), t(chunk.rows), z, state, self._kept(settings.dropout / 4))
        self._state = last.detach()
        nats = (cross_entropy(logits, t(chunk.target)) * mask).sum()
        # A segment pays for its z once, each chunk for its share; the floor holds for the batch's mean.
        share = (mask.sum(0) / t(chunk.segment_bytes))[:, None] * ~self._null
        kl = posterior.kl()
        mean_kl = (kl * share).sum(0) / share.sum().clamp(min=1e-6)
        loss = nats + kl_weight * mean_kl.clamp(min=settings.free_nats).sum() * share.sum()
        return Gradients(
            torch.autograd.grad(loss, parameters),
            int(mask.sum()),
            float(nats.detach()),
            float(kl.detach().sum(1).mean()),
        )

    def _kept(self, dropout: float) -> Tensor | None:
        if not dropout:
            return None
        sites, width = self._vae.decoder.scale.shape
        kept = torch.empty(sites, len(self._noise), width)
        return kept.bernoulli_(1 - dropout, generator=self._generator) / (1 - dropout)
