"""The information in a text by the exact model, in bits: what coding it must come close to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip import bitsback
from vaezip.ans import quantise
from vaezip.coder import TOTAL
from vaezip.container import Method
from vaezip.latent import Latent
from vaezip.meter import Ticker
from vaezip.model import Model
from vaezip.network.contexts import context_slots
from vaezip.network.ops import Int32

METHODS = {Method.VAE: "latent", Method.VAE_NULL: "null", Method.STORED: "stored"}  # as people are told
_CHUNK = 4096  # positions that the network runs at once


def bits_of(frequencies: NDArray[np.integer]) -> NDArray[np.float64]:
    """The information in symbols by their frequencies, or their intervals' widths, of 2**24 in all."""
    bits: NDArray[np.float64] = -np.log2(frequencies / TOTAL)
    return bits


def latent_bits(latent: Latent, z: Int32) -> float:
    """Bits of z under the prior."""
    return float(bits_of(latent.frequencies(z)).sum())


class Account(NamedTuple):
    """The bits of a coded block by what they are spent on: information contents by the exact model."""

    x_bits: float  # -log2 p(x|z)
    z_bits: float  # -log2 p(z), of which bits-back returns some


def account(model: Model, content: bytes, encoded: bitsback.Encoded) -> Account:
    """The account of a block, of its content and what `bitsback.encode` has made of it."""
    x = np.frombuffer(content, np.uint8)
    intervals = model.predictor(encoded.z, encoded.block.preset, len(x)).intervals(x)
    x_bits = float(bits_of(intervals[:, 1]).sum())
    return Account(x_bits, 0.0 if encoded.posterior is None else latent_bits(model.latent, encoded.z))


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
        frequencies = quantise(model.decoder.exponentials(logits[0]))
        found = np.take_along_axis(frequencies, x[part, None].astype(np.int64), 1)[:, 0]
        bits[part] = bits_of(found)
        if tick is not None:
            tick(len(found))
    return bits
