"""Network and mixer together: the intervals of a block's bytes, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vaezip.ans import TOTAL
from vaezip.mixing.mixer import Mixer
from vaezip.mixing.parameters import STARTS, Learned, MixerParameters
from vaezip.network.decoder import Decoder
from vaezip.network.features import ContextState, context_slots
from vaezip.network.ops import Int32

_CHUNK = 2048  # positions that the network runs at once


class Predictor(Protocol):
    """The bytes of one block; encodes the whole block, or decodes it step by step."""

    def encode(self, text: NDArray[np.uint8]) -> Int32:
        """Intervals of the block's bytes, uint8 (n,): int32 (n, 2), where each begins, and how wide it is.

        Those of all 256 values of a byte share out 1 ... 2**24 - 2.
        """
        ...

    def find(self, quantile: int) -> tuple[int, NDArray[np.float32]]:
        """The next byte, that whose interval holds `quantile` (or the nearest), and the row that pops it.

        The row, float32 (3,), has what lies below the interval, its width, and what lies above, each
        less 1. It may be used again by the next call.
        """
        ...

    def learned(self) -> Learned:
        """What the mixer has come to."""
        ...


class ReferencePredictor:
    """In numpy and Python: slow and clear."""

    def __init__(
        self, decoder: Decoder, parameters: MixerParameters, z: Int32, start: int, size: int
    ) -> None:
        """For a block's latent, int32 (latents,) in grid steps, the mixer's start, and bytes of the block."""
        self._decoder = decoder
        self._style = decoder.style(z[None])
        self._state = self._style.start
        self._mixer = Mixer(parameters, start, size)
        self._contexts = ContextState(decoder.architecture, 1)
        self._seen = np.zeros((1, 1), np.uint8)
        self._left = size  # bytes

    def encode(self, text: NDArray[np.uint8]) -> Int32:
        """See `Predictor`."""
        if len(text) != self._left:
            raise ValueError("the text is not of the block's size")
        return _encode([self], text)[:, 0]

    def find(self, quantile: int) -> tuple[int, NDArray[np.float32]]:
        """See `Predictor`."""
        if not self._left:
            return 0, np.zeros(3, np.float32)
        slots = self._contexts.slots()[:, None]
        logits, self._state = self._decoder(self._seen, slots, self._style, self._state)
        self._mixer.begin(self._decoder.exponentials(logits[0, 0]).astype(np.int32))
        byte, (below, width) = self._mixer.decode(quantile)
        self._seen[0, 0] = byte
        self._contexts.push(self._seen[0])
        self._left -= 1
        return byte, np.array([below - 1, width - 1, TOTAL - below - width - 1], np.float32)

    def learned(self) -> Learned:
        """See `Predictor`."""
        return self._mixer.learned

    def _outputs(self, text: NDArray[np.uint8]) -> Iterator[Int32]:
        """What the network says before each byte, for the mixer."""
        slots = context_slots(self._decoder.architecture, text[None])
        seen = np.zeros((1, len(text)), np.uint8)
        seen[0, 1:] = text[:-1]
        for at in range(0, len(text), _CHUNK):
            part = slice(at, at + _CHUNK)
            logits, self._state = self._decoder(seen[:, part], slots[:, part], self._style, self._state)
            yield from self._decoder.exponentials(logits[0]).astype(np.int32)


def compare(decoder: Decoder, parameters: MixerParameters, z: Int32, text: NDArray[np.uint8]) -> Int32:
    """See `vaezip.engine.Engine`."""
    return _encode(
        [ReferencePredictor(decoder, parameters, z, start, len(text)) for start in range(STARTS)], text
    )


def _encode(predictors: Sequence[ReferencePredictor], text: NDArray[np.uint8]) -> Int32:
    """Intervals by predictors that differ in their mixers alone, int32 (n, predictors, 2)."""
    intervals = np.empty((len(text), len(predictors), 2), np.int32)
    mixers = [predictor._mixer for predictor in predictors]
    for rows, byte, exponentials in zip(intervals, text.tolist(), predictors[0]._outputs(text), strict=True):
        for mixer, row in zip(mixers, rows, strict=True):
            mixer.begin(exponentials)
            row[:] = mixer.encode(byte)
    return intervals
