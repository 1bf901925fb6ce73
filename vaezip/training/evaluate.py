"""Bits/byte of a model on validation files: the float ELBO, and the exact model's bytes as coded."""

from __future__ import annotations

import gzip
import lzma
import math
from dataclasses import dataclass

import numpy as np
import torch

from vaezip.model import Model
from vaezip.network.encoder import encoder_view
from vaezip.network.features import context_rows
from vaezip.stream import DEFAULT_BLOCK_SIZE, compress
from vaezip.training.data import TextFile
from vaezip.training.vae import Vae, cross_entropy

_CHUNK = 4096


@dataclass(frozen=True)
class Evaluation:
    """Bits/byte over all files together, and what the latent does."""

    files: int
    bytes: int
    exact: float  # of the `.vz` files, headers counted
    negative_elbo: float  # of the float model: -E_q[log p(x|z)] + KL
    null_latent: float  # of the float model with the null latent
    kl_bits: float  # mean KL(q || p) per block
    gzip: float
    xz: float


def evaluate(vae: Vae, model: Model, files: list[TextFile], limit: int = 1_000_000) -> Evaluation:
    """Evaluate on the first `limit` bytes or so of `files`, block by block as they would be coded."""
    chosen: list[TextFile] = []
    for file in files:
        if sum(len(f.data) for f in chosen) >= limit:
            break
        chosen.append(TextFile(file.name, file.data[: 4 * DEFAULT_BLOCK_SIZE]))
    total = sum(len(f.data) for f in chosen)
    blocks = [
        f.data[at : at + DEFAULT_BLOCK_SIZE]
        for f in chosen
        for at in range(0, len(f.data), DEFAULT_BLOCK_SIZE)
    ]
    results = np.array([negative_elbo(vae, block) for block in blocks])
    texts = [f.data.tobytes() for f in chosen]
    x_bits, kl_bits, null_bits = results.sum(axis=0)
    return Evaluation(
        files=len(chosen),
        bytes=total,
        exact=8 * sum(len(compress(t, model=model)) for t in texts) / total,
        negative_elbo=(x_bits + kl_bits) / total,
        null_latent=null_bits / total,
        kl_bits=float(results[:, 1].mean()),
        gzip=8 * sum(len(gzip.compress(t, 9)) for t in texts) / total,
        xz=8 * sum(len(lzma.compress(t, preset=9 | lzma.PRESET_EXTREME)) for t in texts) / total,
    )


@torch.no_grad()
def negative_elbo(vae: Vae, block: np.ndarray) -> tuple[float, float, float]:
    """Bits of one block: x given a drawn z, KL(q || p), and x given the null latent."""
    a = vae.a
    view = encoder_view(block)
    padded = np.zeros(max(1, -(-len(view) // a.patch**2)) * a.patch**2, np.int64)
    padded[: len(view)] = view
    q = vae.encoder(torch.from_numpy(padded)[None], torch.tensor([len(view)]))
    generator = torch.Generator().manual_seed(0)
    # Two lanes: the drawn latent and the null latent.
    z = torch.cat([q.sample(torch.randn(q.mean.shape, generator=generator)), torch.zeros_like(q.mean)])
    seen = torch.from_numpy(np.concatenate([np.zeros(1, np.int64), block[:-1].astype(np.int64)]))
    rows = torch.from_numpy(context_rows(a, block[None])[0]) + (torch.arange(a.contexts) << a.table_bits)
    target = torch.from_numpy(block.astype(np.int64))
    state, nats = vae.decoder.initial_state(z), torch.zeros(2)
    for at in range(0, len(block), _CHUNK):
        part = slice(at, at + _CHUNK)
        both = seen[part, None].expand(-1, 2), rows[part, None].expand(-1, 2, -1)
        logits, state = vae.decoder(*both, z, state)
        nats += cross_entropy(logits, target[part, None].expand(-1, 2).contiguous()).sum(0)
    given, null = (nats / math.log(2)).tolist()
    return given, float(q.kl().sum()) / math.log(2), null
