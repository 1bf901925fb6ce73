"""The exact encoder: q(z|x) as an integer program (docs/network.md).

Strided convolutions (kernel = stride), so each is a matrix product over patches; pooled over the block.
With bits-back coding the decompressor runs the encoder too, so it must be as exact as the decoder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaezip.network.architecture import Architecture
from vaezip.network.ops import (
    ACTIVATION_MAX,
    Int32,
    Linear,
    RmsNorm,
    relu_activation,
    require_range,
    tensor,
)
from vaezip.tensors import Tensors

ENCODER_BYTES = 4096  # the most that the encoder reads of a block
WINDOW = 64  # bytes that it reads in one place of a longer block
CONV2_MAX = (1 << 14) - 1  # largest output of conv2; its mean, in units of 1/256, stays below 2**22
POOL_SHIFT = 19
_POOL_BOUND = (1 << 20) - 1


def encoder_view(block: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bytes that the encoder reads: all of a short block, evenly spaced windows of a long one.

    uint8 (n,) -> uint8 (min(n, 4096),).
    """
    if len(block) <= ENCODER_BYTES:
        return block
    count = ENCODER_BYTES // WINDOW
    offsets = np.arange(count) * (len(block) - WINDOW) // (count - 1)
    windows: NDArray[np.uint8] = block[offsets[:, None] + np.arange(WINDOW)]
    return windows.reshape(-1)


class Encoder:
    """The encoder of a model file's tensors `encoder.*`; raises ModelError if a bound is broken."""

    def __init__(self, a: Architecture, tensors: Tensors) -> None:
        width, embedding = a.encoder_width, a.encoder_width // 4
        self._patch = a.patch
        self._byte = tensor(tensors, "encoder.byte", np.int8, 256, embedding)
        require_range("encoder.byte", self._byte, -ACTIVATION_MAX, ACTIVATION_MAX)
        self._conv1 = Linear(tensors, "encoder.conv1", width, a.patch * embedding)
        self._conv2 = Linear(tensors, "encoder.conv2", width, a.patch * width)
        self._pool = tensor(tensors, "encoder.pool", np.int32, width).astype(np.int64)
        require_range("encoder.pool", self._pool, -_POOL_BOUND, _POOL_BOUND)
        self._norm = RmsNorm(tensors, "encoder.norm")
        self._hidden = Linear(tensors, "encoder.hidden", width, width)
        self._mean = Linear(tensors, "encoder.mean", a.latents, width)
        self._scale = Linear(tensors, "encoder.log_scale", a.latents, width)
        self.least_bytes = a.patch**2  # a shorter block has no posterior

    def __call__(self, block: NDArray[np.uint8]) -> tuple[Int32, Int32]:
        """Posterior of a block of at least `least_bytes` bytes, uint8 (n,).

        Returns the means, int32 (latents,) in eighths of a grid step, and the indices of the scales,
        int32 (latents,); `latent` clips both to its tables.
        """
        view = encoder_view(block)
        patches = len(view) // self.least_bytes
        x = self._byte[view[: patches * self.least_bytes]]
        x = relu_activation(self._conv1(x.reshape(patches * self._patch, -1)))
        # Only summed, not multiplied: so these may be finer than int8, and have to be, being sparse.
        found = np.clip(self._conv2(x.reshape(patches, -1)), 0, CONV2_MAX)
        mean = (found.sum(axis=0, dtype=np.int64) * ((1 << 20) // patches)) >> 12
        normalised = self._norm(mean.astype(np.int32)).astype(np.int64)
        pooled = relu_activation((normalised * self._pool + (1 << (POOL_SHIFT - 1))) >> POOL_SHIFT)
        hidden = relu_activation(self._hidden(pooled[None]))
        return self._mean(hidden)[0], self._scale(hidden)[0]
