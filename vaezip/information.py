"""The information in a text by the exact model, in bits: what coding it must come close to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip import ans, bitsback
from vaezip.model import Model
from vaezip.network.ops import Int32
from vaezip.show.attribution import network_costs


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
