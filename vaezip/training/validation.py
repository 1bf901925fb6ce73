"""The best network of a run: that with the fewest bits/byte on files kept apart.

A small corpus is soon known by heart, and what a network learns from then on makes other files larger.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from vaezip.training.checkpoint import load, save
from vaezip.training.data import TextFile
from vaezip.training.evaluate import text_bits
from vaezip.training.vae import Vae

_PIECE = 4096
_PIECES = 16


class Validation:
    """Measures a network now and then, and keeps the best in a file."""

    def __init__(self, files: list[TextFile], path: Path) -> None:
        """Validate on pieces evenly spaced over `files`; keep the best network in `path`."""
        pieces = [f.data[at : at + _PIECE] for f in files for at in range(0, len(f.data), _PIECE)]
        chosen = np.linspace(0, len(pieces) - 1, min(_PIECES, len(pieces))).astype(int)
        self._pieces = [pieces[i] for i in chosen]
        self._path = path
        self.best = math.inf  # bits/byte, null latent
        if path.exists():
            self.best = load(path)["bits_per_byte"]

    def consider(self, vae: Vae, bytes_read: int) -> float:
        """Keep this network if it is the best so far; returns its bits/byte."""
        null = torch.zeros(1, vae.a.latents)
        bits = sum(text_bits(vae, piece, null)[0] for piece in self._pieces)
        bits_per_byte = bits / sum(map(len, self._pieces))
        if bits_per_byte < self.best:
            self.best = bits_per_byte
            state = {"vae": vae.state_dict(), "bytes_read": bytes_read, "bits_per_byte": bits_per_byte}
            save(state, self._path)
        return bits_per_byte

    def restore(self, vae: Vae) -> int:
        """Make `vae` the best network; returns how many bytes it had read."""
        state = load(self._path)
        vae.load_state_dict(state["vae"])
        bytes_read: int = state["bytes_read"]
        return bytes_read
