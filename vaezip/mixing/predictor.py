"""Network and mixer together: the frequencies of a block's nibbles, one after the other."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vaezip.mixing.mixer import Mixer
from vaezip.mixing.parameters import Learned, MixerParameters
from vaezip.network.decoder import Decoder
from vaezip.network.features import ContextState, context_slots
from vaezip.network.ops import Int32

_CHUNK = 2048  # positions that the network runs at once


class Predictor(Protocol):
    """The nibbles of one block, upper ones first; encodes the whole block, or decodes it step by step."""

    def encode(self, text: NDArray[np.uint8]) -> Int32:
        """Intervals of all nibbles of the block's text, uint8 (n,): int32 (2 * n, 2).

        Of each, the sum of the frequencies of lesser nibbles and its own, of 2**24 in all.
        """
        ...

    def next(self, nibble: int) -> NDArray[np.float32]:
        """Frequencies, each less 1, of the nibble after `nibble`, or of the first if that is -1.

        float32 (1, 16), summing to 2**24 - 16. The array may be used again by the next call.
        """
        ...

    def learned(self) -> Learned:
        """What the mixer has come to."""
        ...


class ReferencePredictor:
    """In numpy and Python: slow and clear."""

    def __init__(self, decoder: Decoder, parameters: MixerParameters, z: Int32, size: int) -> None:
        """z: the block's latent, int32 (latents,) in grid steps; size: bytes of the block."""
        self._decoder = decoder
        self._style = decoder.style(z[None])
        self._state = self._style.start
        self._mixer = Mixer(parameters, z, size)
        self._contexts = ContextState(decoder.architecture, 1)
        self._seen = np.zeros((1, 1), np.uint8)
        self._left = 2 * size  # nibbles
        self._first = 0

    def encode(self, text: NDArray[np.uint8]) -> Int32:
        """See `Predictor`."""
        if 2 * len(text) != self._left:
            raise ValueError("the text is not of the block's size")
        slots = context_slots(self._decoder.architecture, text[None])
        seen = np.zeros((1, len(text)), np.uint8)
        seen[0, 1:] = text[:-1]
        intervals = np.empty((len(text), 2, 2), np.int32)
        for at in range(0, len(text), _CHUNK):
            part = slice(at, at + _CHUNK)
            logits, self._state = self._decoder(seen[:, part], slots[:, part], self._style, self._state)
            exponentials = self._decoder.exponentials(logits[0]).astype(np.int32)
            for both, byte, now in zip(intervals[part], text[part].tolist(), exponentials, strict=True):
                self._mixer.begin(now)
                both[0] = self._mixer.encode(byte >> 4)
                both[1] = self._mixer.encode(byte & 15)
        return intervals.reshape(-1, 2)

    def next(self, nibble: int) -> NDArray[np.float32]:
        """See `Predictor`."""
        if not self._left:
            return np.zeros((1, 16), np.float32)
        if nibble >= 0:
            self._mixer.push(nibble)
            self._left -= 1
            if self._left % 2:
                self._first = nibble
            else:
                self._seen[0, 0] = self._first << 4 | nibble
                self._contexts.push(self._seen[0])
        if self._left and self._left % 2 == 0:
            slots = self._contexts.slots()[:, None]
            logits, self._state = self._decoder(self._seen, slots, self._style, self._state)
            self._mixer.begin(self._decoder.exponentials(logits[0, 0]).astype(np.int32))
        if not self._left:
            return np.zeros((1, 16), np.float32)
        return (self._mixer.frequencies() - 1).astype(np.float32)[None]

    def learned(self) -> Learned:
        """See `Predictor`."""
        return self._mixer.learned
