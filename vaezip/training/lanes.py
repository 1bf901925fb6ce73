"""Lanes of segments that are read side by side, and the loss of what they read next."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vaezip.training.functions import cross_entropy
from vaezip.training.sampler import Chunk
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae


class Loss(NamedTuple):
    """Of a chunk, in nats; scalars on the device of the network."""

    total: Tensor  # what is to be less, summed over the bytes
    nats: Tensor  # of x given z, summed over the bytes
    kl: Tensor  # mean over the segments


class Lanes:
    """What is carried from chunk to chunk: recurrent states, each segment's noise and choice of latent."""

    def __init__(self, vae: Vae, lanes: int, generator: torch.Generator) -> None:
        """generator: of the device that `vae` is on."""
        a, device = vae.a, vae.device
        self._vae = vae
        self._generator = generator
        self._state = torch.zeros((a.layers, lanes, a.width), device=device)
        self._noise = torch.zeros((lanes, a.latents), device=device)
        self._null = torch.zeros((lanes, 1), dtype=torch.bool, device=device)

    def loss(self, chunk: Chunk, settings: Settings, kl_weight: float) -> Loss:
        """Of the next chunk."""
        g, device, fresh = self._generator, self._noise.device, chunk.fresh[:, None]
        noise = torch.randn(self._noise.shape, generator=g, device=device)
        self._noise = torch.where(fresh, noise, self._noise)
        null = torch.rand(self._null.shape, generator=g, device=device) < settings.null_share
        self._null = torch.where(fresh, null, self._null)
        posterior = self._vae.encoder(chunk.view, chunk.view_bytes)
        z = torch.where(self._null, 0.0, posterior.sample(self._noise))
        decoder = self._vae.decoder
        state = torch.where(fresh, decoder.initial_state(z), self._state)
        logits, last = decoder(chunk.seen, chunk.rows, z, state, self._kept(settings.dropout / 4))
        self._state = last.detach()
        nats = (cross_entropy(logits, chunk.target) * chunk.mask).sum()
        # A segment pays for its z once, each chunk for its share; the floor holds for the batch's mean.
        share = (chunk.mask.sum(0) / chunk.segment_bytes)[:, None] * ~self._null
        kl = posterior.kl()
        mean_kl = (kl * share).sum(0) / share.sum().clamp(min=1e-6)
        total = nats + kl_weight * mean_kl.clamp(min=settings.free_nats).sum() * share.sum()
        return Loss(total, nats.detach(), kl.detach().sum(1).mean())

    def _kept(self, dropout: float) -> Tensor | None:
        if not dropout:
            return None
        sites, width = self._vae.decoder.scale.shape
        kept = torch.empty((sites, len(self._noise), width), device=self._noise.device)
        return kept.bernoulli_(1 - dropout, generator=self._generator) / (1 - dropout)
