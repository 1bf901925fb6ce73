"""How much the bytes of a text matter to a network that a mixer corrects.

The mixer knows from the block itself what has come before: what a network learns of such bytes helps little.
Say that the network gives the right byte the probability p, network and mixer together q. As long as what
the mixer adds to the log odds of that byte stays the same, the gradient of -log q, which is what coding
costs, is (1 - q) / (1 - p) times that of -log p: so that is the byte's weight in the loss.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaezip.coder import TOTAL
from vaezip.information import network_costs
from vaezip.model import parse_model

_LEAST = 1 / 256  # is added to both misses, since the quotient of two very small ones says little
_MOST = 1.5


def importance(missed: Tensor, nats: Tensor) -> Tensor:
    """The weights of bytes in the loss, by what network and mixer miss, 1 - q, and -log p: float32 (...)."""
    return ((missed + _LEAST) / (1 - (-nats).exp() + _LEAST)).clamp(max=_MOST)


class Misses:
    """What a model, its mixer included, misses of the bytes of texts."""

    def __init__(self, data: bytes) -> None:
        """data: the model's file."""
        self._data = data
        self._model = parse_model(data, "init")
        self._null = self._model.latent.null()

    def packed(self) -> Tensor:
        """As a tensor, uint8 (bytes of the file,)."""
        return torch.frombuffer(bytearray(self._data), dtype=torch.uint8)

    @classmethod
    def unpacked(cls, data: Tensor) -> Misses:
        """Inverse of `packed`."""
        return cls(data.numpy().tobytes())

    def __call__(self, text: NDArray[np.uint8]) -> NDArray[np.float32]:
        """1 - q for every byte of a text, uint8 (n,), as of a block: float32 (n,)."""
        widths = self._model.predictor(self._null, 0, len(text)).intervals(text)[:, 1]
        missed: NDArray[np.float32] = (1 - widths / TOTAL).astype(np.float32)
        return missed

    def importance(self, text: NDArray[np.uint8]) -> Tensor:
        """The weights of a text's bytes, with the model's own network: float32 (n,)."""
        bits = network_costs(self._model, text, self._null)
        nats = torch.from_numpy(bits.astype(np.float32)) * np.log(2).astype(np.float32)
        return importance(torch.from_numpy(self(text)), nats)
