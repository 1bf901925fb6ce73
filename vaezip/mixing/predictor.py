"""Network and mixer together: the intervals of a block's bytes, one after the other.

Twin: kernel/predictor.c, by way of kernel/predictor.py.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vaezip.ans import Decoded
from vaezip.ans_python import PythonCoder
from vaezip.meter import Ticker
from vaezip.mixing.mixer import Mixer
from vaezip.mixing.parameters import PRESETS, Learned, MixerParameters
from vaezip.network.contexts import ContextState
from vaezip.network.decoder import Decoder
from vaezip.network.ops import Int32

_CHUNK = 2048  # positions that the network runs at once


class SymbolDecoder(Protocol):
    """Coded symbols, which are taken off one by one."""

    def quantile(self) -> int:
        """The number below 2**24 that tells in which interval the next symbol lies."""

    def pop(self, below: int, width: int) -> None:
        """Take off the symbol with that interval, which holds the quantile."""


class RangeState(SymbolDecoder, Protocol):
    """A range decoder, and its state: see `vaezip.messages.range_coder`."""

    data: bytes
    at: int
    code: int
    range: int


class Predictor(Protocol):
    """The probabilities of one block's bytes, as intervals: for known bytes, or as they are decoded."""

    def intervals(self, text: NDArray[np.uint8], tick: Ticker | None = None) -> Int32:
        """Intervals of the block's bytes, uint8 (n,): int32 (n, 2), where each begins, and how wide it is.

        Those of all 256 values of a byte share out 1 ... 2**24 - 2. tick: called with numbers of bytes done.
        """
        ...

    def symbol(self, quantile: int) -> tuple[int, tuple[int, int]]:
        """The next byte, that whose interval holds `quantile` (or the nearest), and its interval.

        After the block's last byte, 0 and zeros.
        """
        ...

    def distribution(self) -> Int32:
        """The widths, int32 (256,), that the intervals of all values of the next byte would have.

        Nothing is learned from it. The byte itself is then to be had from `symbol`.
        """
        ...

    def decode_range(self, decoder: RangeState, count: int, end: int | None) -> bytes:
        """The next bytes from a range decoder: `count`, or up to and with the first that is `end`."""
        ...

    def copy(self, more: int) -> Predictor:
        """A copy, between two bytes, with room for `more` of them; raises ValueError inside a byte."""
        ...

    def mark(self, limit: int) -> None:
        """Remember the state, between two bytes, to come back to it; raises ValueError inside a byte.

        limit: memory for what changes from here on, in bytes; 64 KB may be taken in any case.
        """
        ...

    def rewind(self) -> bool:
        """Go back to the mark, which stays.

        False if there is none, if there was no memory for what has changed, or inside a byte.
        """
        ...

    def learned(self) -> Learned:
        """A copy of the arrays of the mixer as they are now."""
        ...


class Comparison(Protocol):
    """The bytes of one block by several presets of the mixer, all of which see the same."""

    def intervals_by_preset(self, text: NDArray[np.uint8], tick: Ticker | None = None) -> Int32:
        """As `Predictor.intervals`, but by every preset: int32 (n, presets, 2)."""
        ...

    def drop(self, index: int) -> None:
        """Drop one of the presets that are left, as they are counted now; one has to stay."""
        ...


def decode_symbols(predictor: Predictor, decoder: SymbolDecoder, count: int, end: int | None) -> bytes:
    """`count` bytes, or up to and with the first that is `end`; fewer, if a quantile is in no interval."""
    text = bytearray()
    while len(text) < count and (not text or text[-1] != end):
        quantile = decoder.quantile()
        byte, (below, width) = predictor.symbol(quantile)
        if not below <= quantile < below + width:
            break
        decoder.pop(below, width)
        text.append(byte)
    return bytes(text)


def decode_ans(predictor: Predictor, words: NDArray[np.uint32], count: int) -> Decoded:
    """The next bytes, coded on the ANS stack that `words` hold; fewer, if a quantile is in no interval."""
    coder, found, intervals = PythonCoder(words), bytearray(), np.zeros((count, 2), np.int32)
    for i in range(count):
        byte, intervals[i] = predictor.symbol(coder.quantile())
        if not coder.pop_intervals(intervals[i : i + 1]):
            break
        found.append(byte)
    return bytes(found), intervals


class Reference:
    """A model's decoder and mixer in numpy and Python: slow and clear."""

    def __init__(self, decoder: Decoder, parameters: MixerParameters) -> None:
        self.decoder, self.parameters = decoder, parameters

    def predictor(self, z: Int32, preset: int, size: int) -> ReferencePredictor:
        """See `vaezip.engine.Engine`."""
        return ReferencePredictor(self, z, [preset], size)

    def comparison(self, z: Int32, size: int) -> ReferencePredictor:
        """See `vaezip.engine.Engine`."""
        return ReferencePredictor(self, z, range(PRESETS), size)

    def decode_ans(
        self, predictors: Sequence[Predictor], words: Sequence[NDArray[np.uint32]], counts: Sequence[int]
    ) -> list[Decoded]:
        """See `vaezip.engine.Engine`."""
        return list(map(decode_ans, predictors, words, counts))


class ReferencePredictor:
    """A `Predictor`, by the first of its presets, and a `Comparison` of all."""

    def __init__(self, reference: Reference, z: Int32, presets: Sequence[int], size: int) -> None:
        self._decoder = reference.decoder
        self._modulation = self._decoder.modulation(z[None])
        self._state = self._modulation.initial_state
        self._mixers = [Mixer(reference.parameters, preset, size) for preset in presets]
        self._contexts = ContextState(self._decoder.architecture, 1)
        self._seen = np.zeros((1, 1), np.uint8)
        self._left = size  # bytes
        self._begun = False  # whether the network has predicted the next byte
        self._marked: ReferencePredictor | None = None

    def intervals(self, text: NDArray[np.uint8], tick: Ticker | None = None) -> Int32:
        """See `Predictor`."""
        return self.intervals_by_preset(text, tick)[:, 0]

    def intervals_by_preset(self, text: NDArray[np.uint8], tick: Ticker | None = None) -> Int32:
        """See `Comparison`."""
        if len(text) > (0 if self._begun else self._left):
            raise ValueError("the text is beyond the block's size, or its first byte has begun")
        intervals = np.empty((len(text), len(self._mixers), 2), np.int32)
        for at in range(0, len(text), _CHUNK):
            part = slice(at, at + _CHUNK)
            seen, slots = map(np.stack, zip(*map(self._push, text[part]), strict=True))
            logits, self._state = self._decoder(seen[None], slots[None], self._modulation, self._state)
            exponentials = self._decoder.exponentials(logits[0]).astype(np.int32)
            for rows, byte, now in zip(intervals[part], text[part].tolist(), exponentials, strict=True):
                for row, mixer in zip(rows, self._mixers, strict=True):
                    mixer.begin(now)
                    row[:] = mixer.interval(byte)
                if tick is not None:
                    tick(1)
        return intervals

    def drop(self, index: int) -> None:
        """See `Comparison`."""
        if not 0 <= index < len(self._mixers) or len(self._mixers) == 1:
            raise ValueError("there is no such preset, or no other")
        del self._mixers[index]

    def _push(self, byte: np.uint8) -> tuple[np.uint8, NDArray[np.int64]]:
        """Advance by a byte; returns the one before it, and its slots in the tables, int64 (contexts,)."""
        before = self._seen[0, 0], self._contexts.slots()[0]
        self._seen[0, 0] = byte
        self._contexts.push(self._seen[0])
        self._left -= 1
        return before

    def symbol(self, quantile: int) -> tuple[int, tuple[int, int]]:
        """See `Predictor`."""
        if not self._left:
            return 0, (0, 0)
        self._begin()
        byte, interval = self._mixers[0].symbol(quantile)
        self._begun = False
        self._push(np.uint8(byte))
        return byte, interval

    def decode_range(self, decoder: RangeState, count: int, end: int | None) -> bytes:
        """See `Predictor`."""
        return decode_symbols(self, decoder, count, end)

    def _begin(self) -> None:
        if not self._begun:
            slots = self._contexts.slots()[:, None]
            logits, self._state = self._decoder(self._seen, slots, self._modulation, self._state)
            self._mixers[0].begin(self._decoder.exponentials(logits[0, 0]).astype(np.int32))
            self._begun = True

    def distribution(self) -> Int32:
        """See `Predictor`."""
        if not self._left:
            return np.zeros(256, np.int32)
        self._begin()
        return self._mixers[0].distribution()

    def copy(self, more: int) -> ReferencePredictor:
        """See `Predictor`."""
        if self._begun or len(self._mixers) > 1:
            raise ValueError("a byte has begun, or several presets are compared")
        other = copy.copy(self)
        other._mixers = [self._mixers[0].copy()]
        other._state, other._seen = self._state.copy(), self._seen.copy()
        other._contexts = copy.deepcopy(self._contexts)
        other._left, other._marked = more, None
        return other

    def mark(self, limit: int) -> None:
        """See `Predictor`; there is no limit."""
        self._marked = self.copy(self._left)

    def rewind(self) -> bool:
        """See `Predictor`."""
        marked = self._marked
        if marked is None or self._begun:
            return False
        vars(self).update(vars(marked.copy(marked._left)), _marked=marked)
        return True

    def learned(self) -> Learned:
        """See `Predictor`."""
        return self._mixers[0].learned.copy()
