"""The information in a text by the exact model, in bits: what coding it must come close to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip import ans, bitsback
from vaezip.container import Method
from vaezip.meter import Ticker
from vaezip.model import Model
from vaezip.network.contexts import context_slots
from vaezip.network.ops import Int32

METHODS = {Method.VAE: "latent", Method.VAE_NULL: "null", Method.STORED: "stored"}  # as people are told
_CHUNK = 4096  # positions that the network runs at once


class Account(NamedTuple):
    """The bits of a coded block by what they are spent on: information contents by the exact model."""

    x_bits: float  # -log2 p(x|z)
    z_bits: float  # -log2 p(z)
    posterior_bits: float  # -log2 q(z|x): what bits-back would return on a full stack


def account(model: Model, content: bytes, encoded: bitsback.Encoded) -> Account:
    """The account of a block, of its content and what `bitsback.encode` has made of it."""
    x = np.frombuffer(content, np.uint8)
    intervals = model.predictor(encoded.z, encoded.block.preset, len(x)).intervals(x)
    x_bits = -float(np.log2(intervals[:, 1] / ans.TOTAL).sum())
    if encoded.posterior is None:
        return Account(x_bits, 0.0, 0.0)
    return Account(x_bits, *model.latent.information(encoded.z, encoded.posterior))


def network_bits(model: Model, x: NDArray[np.uint8], z: Int32) -> float:
    """-log2 p(x|z) of a block, uint8 (n,), by the decoder network alone; z: int32 (latents,), grid steps."""
    return float(network_costs(model, x, z).sum())


def network_costs(
    model: Model, x: NDArray[np.uint8], z: Int32, tick: Ticker | None = None
) -> NDArray[np.float64]:
    """-log2 p(byte | those before it, z), by the decoder network alone: float64 (n,).

    x: a block, uint8 (n,). z: int32 (latents,), grid steps. tick: called with numbers of bytes done.
    """
    modulation = model.decoder.modulation(z[None])
    slots = context_slots(model.architecture, x[None])
    seen = np.concatenate([np.zeros(1, np.uint8), x[:-1]])[None]
    state, bits = modulation.initial_state, np.zeros(len(x))
    for at in range(0, len(x), _CHUNK):
        part = slice(at, at + _CHUNK)
        logits, state = model.decoder(seen[:, part], slots[:, part], modulation, state)
        frequencies = ans.quantise(model.decoder.exponentials(logits[0]))
        found = np.take_along_axis(frequencies, x[part, None].astype(np.int64), 1)[:, 0]
        bits[part] = -np.log2(found / ans.TOTAL)
        if tick is not None:
            tick(len(found))
    return bits
