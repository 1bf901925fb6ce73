"""Bits/byte of a model on validation files: the float ELBO, and the exact model's bytes as coded."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vaezip.block import DEFAULT_BLOCK_SIZE
from vaezip.information import network_bits
from vaezip.model import Model
from vaezip.network.contexts import context_slots, find_rows
from vaezip.network.encoder import encoder_view
from vaezip.stream import compress
from vaezip.training.data import TextFile
from vaezip.training.functions import cross_entropy
from vaezip.training.vae import Posterior, Vae

try:
    import lzma
except ImportError:
    lzma = None  # type: ignore[assignment]

EVALUATION_BYTES = 1_000_000
_CHUNK = 4096


@dataclass(frozen=True)
class Evaluation:
    """Bits/byte over all files together, and what the latent does."""

    files: int
    bytes: int
    coded: float  # of the `.vz` files, headers counted ...
    coded_before: float | None  # ... and of those that the model before training makes
    exact_null: float  # of the exact network alone, with the null latent ...
    float_null: float  # ... and of the float one
    negative_elbo: float  # of the float network: -E_q[log p(x|z)] + KL
    kl_bits: float  # mean KL(q || p) per block
    gzip: float
    xz: float | None  # None where Python was built without it


def evaluate(
    vae: Vae,
    model: Model,
    files: list[TextFile],
    *,
    before: Model | None = None,
    limit: int = EVALUATION_BYTES,
) -> Evaluation:
    """Evaluate on the first `limit` bytes of `files`, block by block as they would be coded."""
    chosen = evaluated(files, limit)
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
        coded=_coded(texts, model),
        coded_before=_coded(texts, before) if before else None,
        exact_null=sum(network_bits(model, block, model.latent.null()) for block in blocks) / total,
        negative_elbo=(x_bits + kl_bits) / total,
        float_null=null_bits / total,
        kl_bits=float(results[:, 1].mean()),
        gzip=8 * sum(len(gzip.compress(t, 9)) for t in texts) / total,
        xz=8 * sum(len(lzma.compress(t, preset=9 | lzma.PRESET_EXTREME)) for t in texts) / total
        if lzma
        else None,
    )


def evaluated(
    files: list[TextFile], limit: int = EVALUATION_BYTES, per_file: int = 4 * DEFAULT_BLOCK_SIZE
) -> list[TextFile]:
    """The beginnings of the first files, up to `limit` bytes."""
    chosen, left = [], limit
    for file in files:
        if left <= 0:
            break
        chosen.append(TextFile(file.name, file.data[: min(per_file, left)]))
        left -= len(chosen[-1].data)
    return chosen


def _coded(texts: list[bytes], model: Model) -> float:
    return 8 * sum(len(compress(t, model=model)) for t in texts) / sum(map(len, texts))


@torch.no_grad()
def negative_elbo(vae: Vae, block: np.ndarray) -> tuple[float, float, float]:
    """Bits of one block: x given a drawn z, KL(q || p), and x given the null latent."""
    q = posterior(vae, block)
    generator = torch.Generator().manual_seed(0)
    drawn = q.sample(torch.randn(q.mean.shape, generator=generator))
    given, null = text_bits(vae, block, torch.cat([drawn, torch.zeros_like(drawn)]))
    return given, float(q.kl().sum()) / math.log(2), null


@torch.no_grad()
def posterior(vae: Vae, block: np.ndarray) -> Posterior:
    """q(z|x) of one block."""
    view = encoder_view(block)
    padded = np.zeros(max(1, -(-len(view) // vae.a.patch**2)) * vae.a.patch**2, np.int64)
    padded[: len(view)] = view
    q: Posterior = vae.encoder(torch.from_numpy(padded)[None], torch.tensor([len(view)]))
    return q


def inputs_of(vae: Vae, block: np.ndarray) -> tuple[Tensor, Tensor]:
    """What the decoder reads of a block: the byte before each, (n,), rows of the tables, (n, contexts)."""
    before = np.concatenate([np.zeros(1, np.int64), block[:-1].astype(np.int64)])
    found = find_rows(vae.a, context_slots(vae.a, block[None])[0], vae.decoder.tags.cpu().numpy())
    return torch.from_numpy(before).to(vae.device), torch.from_numpy(found).to(vae.device)


@torch.no_grad()
def text_bits(vae: Vae, block: np.ndarray, z: Tensor, weights: Tensor | None = None) -> list[float]:
    """-log2 p(x|z) of one block for each of several z, (n, latents); weights: of its bytes, 1 by default."""
    n, z = len(z), z.to(vae.device)
    weights = (torch.ones(len(block)) if weights is None else weights).to(vae.device)
    seen, rows = inputs_of(vae, block)
    target = torch.from_numpy(block.astype(np.int64)).to(vae.device)
    state, nats = vae.decoder.initial_state(z), torch.zeros(n, device=vae.device)
    for at in range(0, len(block), _CHUNK):
        part = slice(at, at + _CHUNK)
        inputs = seen[part, None].expand(-1, n), rows[part, None].expand(-1, n, -1)
        logits, state = vae.decoder(*inputs, z, state)
        found = cross_entropy(logits, target[part, None].expand(-1, n).contiguous())
        nats += (found * weights[part, None]).sum(0)
    bits: list[float] = (nats / math.log(2)).tolist()
    return bits
