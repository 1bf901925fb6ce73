"""The mixer's tables, and what can be learned of its weights and maps beforehand, by mixing training text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaezip.engine import REFERENCE, load_engine
from vaezip.latent import Latent
from vaezip.mixing.parameters import (
    FINAL_INPUTS,
    FINAL_ROWS,
    HISTORIES,
    INPUTS,
    MATCH_LENGTHS,
    SET_STARTS,
    SETS,
    STATES,
    WEIGHT_ROWS,
    Learned,
    MixerParameters,
)
from vaezip.network.architecture import Architecture
from vaezip.network.decoder import Decoder
from vaezip.network.encoder import Encoder
from vaezip.network.ops import Int32

Array = NDArray[Any]

_LEARNING = (400, 1000, 2000, 120)  # in use: base, extra, half-life in bytes, final mixer
_PRACTICE = (100, 200, 2000, 60)  # beforehand: slower, since it averages over all kinds of text
_CONFIDENCE = 30  # counts of the maps are cut to this, so that they still adapt
_RIDGE = 100.0  # grid steps squared, over all segments
_LONGEST = (40, 24, 12, 7, 6, 5)  # the greater of two counts, by the smaller one
_EXACT = 3  # up to so many bits, a history is the bits themselves


def learned_parameters(
    a: Architecture,
    tensors: dict[str, Array],
    segments: Sequence[NDArray[np.uint8]],
    before: MixerParameters | None = None,
) -> dict[str, Array]:
    """The tensors `mixer.*` for an encoder and a decoder, with what can be learned on segments of text.

    before: what another model's mixer has learned, to go on from.
    """
    parameters = {**tables(), **_untrained(a.latents)}
    parameters["mixer.learning"] = np.array(_PRACTICE, np.int32)
    decoder, encoder, latent = Decoder(a, tensors), Encoder(a, tensors), Latent(a, tensors)
    mixer = MixerParameters(parameters, a.latents)
    if before is not None:
        for name in ("weights", "final_weights", "history_map", "match_map"):
            getattr(mixer, name)[:] = getattr(before, name)
    engine = load_engine(decoder, mixer)
    if engine.name == REFERENCE:  # a thousand times as slow: better a little practice than none
        segments = [segment[:500] for segment in segments[:40]]

    def mix(segment: NDArray[np.uint8], z: Int32) -> Learned:
        predictor = engine.predictor(z, len(segment))
        predictor.encode(segment)
        return predictor.learned()

    for segment in segments:
        learned = mix(segment, latent.null())
        mixer.weights[:], mixer.final_weights[:] = learned.weights, learned.final_weights
        mixer.history_map[:], mixer.match_map[:] = learned.history_map, learned.match_map
    for entries in (mixer.history_map, mixer.match_map):
        entries[:] = entries >> 10 << 10 | np.minimum(entries & 1023, _CONFIDENCE)
    mixer.learning[:] = _LEARNING
    coded = [segment for segment in segments if len(segment) >= encoder.least_bytes]
    if coded:  # not so if all files are tiny
        z = np.array([latent.posterior(*encoder(segment)).candidates[:, 0] for segment in coded])
        drift = np.array([_drift(mixer.weights, mix(s, latent.null()).weights) for s in coded])
        mixer.z_weights[:] = _regression(z, drift)
    names = ("learning", "z_weights", "final_weights", "history_map", "match_map")
    learned_tensors = {f"mixer.{name}": getattr(mixer, name) for name in names}
    return {
        **parameters,
        **learned_tensors,
        "mixer.weights": np.clip(mixer.weights >> 3, -32767, 32767).astype(np.int16),
    }


def _drift(before: Int32, after: Int32) -> Array:
    """How far a text has moved the weights of each set, over the rows that it used: (SETS, INPUTS)."""
    moved = np.abs(after - before).sum(axis=1) > 0
    sets = itertools.pairwise(SET_STARTS)
    change = (after - before).astype(np.float64)
    return np.array([change[i:j].sum(axis=0) / max(1, moved[i:j].sum()) for i, j in sets])


def _regression(z: Array, drift: Array) -> Int32:
    """Slopes of the drift, (n, SETS, INPUTS), in z, (n, latents), by least squares with a penalty."""
    centred = z - z.mean(axis=0)
    gram = centred.T @ centred + _RIDGE * np.eye(z.shape[1])
    slopes = np.linalg.solve(gram, centred.T @ drift.reshape(len(drift), -1))
    return np.clip(np.rint(slopes), -(1 << 14), 1 << 14).astype(np.int32).reshape(-1, SETS, INPUTS)


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


def _untrained(latents: int) -> dict[str, Array]:
    """Trust the network, and the histories a little; no history knows anything yet."""
    weights = np.full((WEIGHT_ROWS, INPUTS), 312, np.int16)
    weights[:, 0] = 7250
    weights[:, 1] = 0
    final = np.zeros((FINAL_ROWS, FINAL_INPUTS), np.int32)
    final[:, :SETS] = 65536 // SETS
    goes_on = np.rint((0.7 + 0.006 * np.arange(MATCH_LENGTHS)) * 2**22).astype(np.uint32)
    return {
        "mixer.weights": weights,
        "mixer.z_weights": np.zeros((latents, SETS, INPUTS), np.int32),
        "mixer.final_weights": final,
        "mixer.history_map": np.full((HISTORIES, STATES), 1 << 31, np.uint32),
        "mixer.match_map": goes_on << 10,
    }
