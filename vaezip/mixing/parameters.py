"""The mixer's part of a model file: its tables, and presets of its weights and maps.

A preset is what weights and maps are before a block's first byte, learned beforehand on texts of some kind
(`vaezip.training.mixer_practice`), so that the first bytes of a file profit; a block says which of them is
its own.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip.network.ops import Int32, require_range, tensor
from vaezip.tensors import Tensors

HISTORIES = 20  # contexts with bit histories
MATCHES = 2  # of a few bytes and more, and of many
INPUTS = 2 + MATCHES + HISTORIES  # network, bias, matches, histories

# How many values that has by which a row of weights is chosen; kernel/mixer.h has the same.
NODES = BYTES = 256
DEPTHS = 8  # bits of a byte that come before one of them: 0 to 7
EXPECTED = 3  # the bit that the first match expects: none, zero, one
MATCH_CLASSES = 13  # of the first match's length: 0 if it expects nothing, else 2 to 12
ORDERS = 6  # how many of the contexts of orders 1, 2, 3, 4 and 6 have come before
NODE_MARGINS = BYTE_SHARES = 8
FIELDS = 12  # separators in the line so far, the last value for all beyond
WORD_LENGTHS = 8  # letters of the word so far, likewise
BYTE_KINDS = 64
SET_ROWS = (
    NODES,
    MATCH_CLASSES * DEPTHS,
    BYTES * DEPTHS,  # the last byte
    ORDERS * NODE_MARGINS * DEPTHS,
    EXPECTED * ORDERS * BYTE_SHARES * NODE_MARGINS,
    FIELDS * WORD_LENGTHS * DEPTHS,
    BYTE_KINDS * DEPTHS,  # the byte before the last
)
"""Rows of each set of weights; all sets see every bit."""
SETS = len(SET_ROWS)
SET_OFFSETS = tuple(itertools.accumulate(SET_ROWS, initial=0))
"""The first row of each set, and the number of all rows."""
WEIGHT_ROWS = SET_OFFSETS[-1]
FINAL_SET_ROWS = (MATCH_CLASSES * BYTE_SHARES, BYTES, NODES, BYTE_KINDS * DEPTHS)
"""Rows of each final set; the mean of the sets weighs the outputs of those above."""
FINAL_SETS = len(FINAL_SET_ROWS)
FINAL_OFFSETS = tuple(itertools.accumulate(FINAL_SET_ROWS, initial=0))
FINAL_ROWS = FINAL_OFFSETS[-1]
MATCH_LENGTHS = 32  # classes of match length
STATES = 256  # bit histories
PRESETS = 4  # as many as two bits of a header can name
WEIGHT_LIMIT = (1 << 18) - 1
WEIGHT_SHIFT = 3  # a model file has the first preset's weights in units of 2**-13 ...
CHANGE_SHIFT = 7  # ... and how those of the others differ from them in units of 2**-9


class Learned(NamedTuple):
    """The arrays of a mixer that change while it codes."""

    weights: Int32  # (WEIGHT_ROWS, INPUTS), unit 2**-16
    final_weights: Int32  # (FINAL_ROWS, SETS), unit 2**-16
    # (HISTORIES, STATES): the probability of a one, 22 bits, and a count, 10 bits
    history_map: NDArray[np.uint32]
    match_map: NDArray[np.uint32]  # (MATCHES, MATCH_LENGTHS): the probability that a match is right, likewise

    def copy(self) -> Learned:
        """A deep copy."""
        weights, final_weights, history_map, match_map = self
        return Learned(weights.copy(), final_weights.copy(), history_map.copy(), match_map.copy())

    def set(self, other: Learned) -> None:
        """Copy the values of another into these arrays."""
        for part, values in zip(self, other, strict=True):
            part[:] = values


class MixerParameters:
    """A model file's tensors `mixer.*`; raises ModelError if one is missing or out of range."""

    def __init__(self, tensors: Tensors) -> None:
        def load(name: str, dtype: type[np.generic], *shape: int) -> NDArray[np.generic]:
            return np.ascontiguousarray(tensor(tensors, f"mixer.{name}", dtype, *shape))

        # ln(p / (1 - p)), unit 1/256, for p in units of 1/4096
        self.stretch: NDArray[np.int16] = load("stretch", np.int16, 4096).astype(np.int16)
        # Its inverse: probabilities of 16 bits, for -8 to 8 in steps of 1/256
        self.squash: Int32 = load("squash", np.int32, 4097).astype(np.int32)
        self.log: Int32 = load("log", np.int32, 1025).astype(np.int32)  # ln(1 + i / 1024), unit 2**-16
        # Rate of adaptation of a map after n bits, unit 2**-16
        self.rate: Int32 = load("rate", np.int32, 1024).astype(np.int32)
        # The bit history after one more bit
        self.next: NDArray[np.uint8] = load("next", np.uint8, STATES, 2).astype(np.uint8)
        # Learning rates: base, extra at first, bytes until half of the extra is gone; the final mixer's
        self.learning: Int32 = load("learning", np.int32, 4).astype(np.int32)

        def load_weights(name: str, *shape: int) -> Int32:
            first = load(name, np.int16, *shape).astype(np.int32) << WEIGHT_SHIFT
            changes = load(f"{name}_changes", np.int8, PRESETS - 1, *shape).astype(np.int32)
            others = (first + (changes << CHANGE_SHIFT)).clip(-WEIGHT_LIMIT, WEIGHT_LIMIT)
            return np.concatenate([first[None], others])

        weights = load_weights("weights", WEIGHT_ROWS, INPUTS)
        final_weights = load_weights("final_weights", FINAL_ROWS, SETS)
        history_map = load("history_map", np.uint32, PRESETS, HISTORIES, STATES).astype(np.uint32)
        match_map = load("match_map", np.uint32, PRESETS, MATCHES, MATCH_LENGTHS).astype(np.uint32)
        # The presets, of which the first is for text of any kind
        self.presets = list(map(Learned, weights, final_weights, history_map, match_map))
        for name, values, low, high in (
            ("stretch", self.stretch, -2047, 2047),
            ("squash", self.squash, 1, 65535),
            ("log", self.log, 0, 1 << 16),
            ("rate", self.rate, 0, (1 << 16) - 1),
            ("learning", np.delete(self.learning, 2), 0, 1023),
            ("learning", self.learning[2:3], 1, 1 << 20),
            ("weights", weights, -WEIGHT_LIMIT, WEIGHT_LIMIT),
            ("final_weights", final_weights, -WEIGHT_LIMIT, WEIGHT_LIMIT),
        ):
            require_range(f"mixer.{name}", values, low, high)
