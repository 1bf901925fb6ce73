"""The tables that a model file has for the mixer, and its weights and maps before any practice."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaezip.mixing.parameters import (
    CHANGE_SHIFT,
    FINAL_ROWS,
    HISTORIES,
    INPUTS,
    MATCH_LENGTHS,
    MATCHES,
    PRESETS,
    SETS,
    STATES,
    WEIGHT_ROWS,
    WEIGHT_SHIFT,
)

Array = NDArray[Any]

_RATES = (500, 500, 4000, 90)  # of learning in use: base, extra, half-life in bytes, final mixer
_LONGEST = (40, 24, 12, 7, 6, 5)  # the greater of two counts, by the smaller one
_EXACT = 3  # up to so many bits, a history is the bits themselves


def unpractised() -> dict[str, Array]:
    """The tensors `mixer.*` of a mixer that has learned nothing yet."""
    return {**tables(), **_untrained()}


def tables() -> dict[str, Array]:
    """The mixer's functions, as `MixerParameters` describes them."""
    p = (np.arange(4096) + 0.5) / 4096
    x = (np.arange(4097) - 2048) / 256
    return {
        "mixer.stretch": np.clip(np.rint(np.log(p / (1 - p)) * 256), -2047, 2047).astype(np.int16),
        "mixer.squash": np.clip(np.rint(65536 / (1 + np.exp(-x))), 16, 65520).astype(np.int32),
        "mixer.log": np.rint(np.log1p(np.arange(1025) / 1024) * 65536).astype(np.int32),
        "mixer.rate": np.floor(65536 / (np.arange(1024) + 1.6)).astype(np.int32),
        "mixer.next": _transitions(),
        "mixer.learning": np.array(_RATES, np.int32),
    }


def _transitions() -> NDArray[np.uint8]:
    """uint8 (256, 2): the bit history after a history and a bit.

    A history of up to three bits is told apart from all others; a longer one is the counts of zeros and
    ones, and the last bit. A bit that contradicts many makes their count forget.
    """
    states: dict[tuple[int, ...], int] = {}
    for n in range(_EXACT + 1):
        for bits in itertools.product((0, 1), repeat=n):
            states[bits] = len(states)
    counted: dict[tuple[int, int, int], int] = {}
    for zeros, ones, last in itertools.product(range(41), range(41), (0, 1)):
        if zeros + ones > _EXACT and _fits(zeros, ones) and (zeros, ones)[last]:
            counted[zeros, ones, last] = len(states) + len(counted)
    following = np.zeros((STATES, 2), np.uint8)
    for history, state in states.items():
        for bit in (0, 1):
            longer = (*history, bit)
            if len(longer) <= _EXACT:
                following[state, bit] = states[longer]
            else:
                following[state, bit] = counted[longer.count(0), longer.count(1), bit]
    for (zeros, ones, _), state in counted.items():
        for bit in (0, 1):
            counts = [zeros, ones]
            counts[bit] += 1
            if counts[1 - bit] > 2:
                counts[1 - bit] = counts[1 - bit].bit_length()
            while not _fits(*counts):
                counts[counts.index(max(counts))] -= 1
            counts[bit] = max(counts[bit], _EXACT + 1 - counts[1 - bit])
            following[state, bit] = counted[counts[0], counts[1], bit]
    return following


def _fits(zeros: int, ones: int) -> bool:
    fewer, more = sorted((zeros, ones))
    return fewer < len(_LONGEST) and more <= _LONGEST[fewer]


def _untrained() -> dict[str, Array]:
    """Weights that trust the network, and the histories a little; maps that have learned nothing."""
    weights = np.full((WEIGHT_ROWS, INPUTS), 2496, np.int32)
    weights[:, 0] = 58000
    weights[:, 1] = 0
    final = np.full((FINAL_ROWS, SETS), 65536 // SETS, np.int32)
    trust = np.rint((0.7 + 0.006 * np.arange(MATCH_LENGTHS)) * 2**22).astype(np.uint32)
    maps = {
        "mixer.history_map": np.full((HISTORIES, STATES), 1 << 31, np.uint32),
        "mixer.match_map": np.stack([trust << 10] * MATCHES),
    }
    return {
        **weight_tensors("weights", [weights] * PRESETS),
        **weight_tensors("final_weights", [final] * PRESETS),
        **{name: np.stack([values] * PRESETS) for name, values in maps.items()},
    }


def weight_tensors(name: str, presets: Sequence[Array]) -> dict[str, Array]:
    """Weights of all presets, unit 2**-16, as a model file has them."""
    first = np.clip(presets[0] >> WEIGHT_SHIFT, -32767, 32767).astype(np.int16)
    changes = np.stack(presets[1:]) - (first.astype(np.int32) << WEIGHT_SHIFT)
    changes = np.clip(np.rint(changes / (1 << CHANGE_SHIFT)), -127, 127).astype(np.int8)
    return {f"mixer.{name}": first, f"mixer.{name}_changes": changes}
