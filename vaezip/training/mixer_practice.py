"""The mixer's practice: its presets of weights and maps, learned beforehand by mixing training text."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaezip.bitsback import PROBE_BYTES
from vaezip.engine import REFERENCE, Engine, load_engine
from vaezip.mixing.parameters import PRESETS, SET_OFFSETS, Learned, MixerParameters
from vaezip.network.architecture import Architecture
from vaezip.network.decoder import Decoder
from vaezip.training.data import SegmentSource, TextFile
from vaezip.training.mixer_tables import unpractised, weight_tensors

Array = NDArray[Any]
Text = NDArray[np.uint8]

# How often texts are read: all of them, their drifts, and one preset's; or less, and their choices.
PASSES, PASSES_PRACTISED, CHOICES = 3.0, 4.0, 2.0
# Bytes of the pieces that are practised on, and how many of each for one of 4 KB: a block begins with short
# histories and goes on with long ones, and the mixer should begin well for both.
_LENGTHS = ((1 << 16, 0.025), (1 << 14, 0.1), (1 << 12, 1.0), (1 << 10, 4.0))
_MOST = 1600  # pieces of 4 KB
_BEGINNINGS = 0.2  # share of pieces that begin where a file does
_RATES = (400, 200, 2000, 150)  # of learning: slower than in use, since it is about all kinds of text
_LATE = 3  # how much more the last texts count in the mean
_COUNT_LIMIT = 30  # counts of the maps are cut to this, so that they still adapt
_FURTHEST = 3  # standard deviations; so that no odd text has a cluster of its own


def practice_texts(files: Sequence[TextFile], rng: np.random.Generator, most: int = _MOST) -> list[Text]:
    """Pieces of files to practise on, of all lengths, in random order; `most` of 4 KB, fewer of few bytes."""
    source, pieces = SegmentSource(list(files)), []
    count = min(most, 1 + sum(len(f.data) for f in files) // (1 << 12))
    for length, times in _LENGTHS:
        for _ in range(int(count * times)):
            if rng.random() < _BEGINNINGS:  # of any file, since most files are short
                pieces.append(files[int(rng.integers(len(files)))].data[:length])
            else:
                pieces.append(source.draw(rng, length))
    return [pieces[i] for i in rng.permutation(len(pieces))]


def learned_parameters(
    a: Architecture,
    tensors: dict[str, Array],
    texts: Sequence[Text],
    seed: int,
    before: MixerParameters | None = None,
    seconds: float = math.inf,
) -> dict[str, Array]:
    """The tensors `mixer.*` for a decoder, with what can be learned on texts, of which the last count most.

    The first preset is learned on all of them. The others are fine-tuned from it, each on a cluster of texts,
    those that move the first preset's weights to the same side.
    before: another model's mixer, to be fine-tuned instead. seconds: what there is time for; texts are left
    out, one here and one there, if that is not enough.
    """
    parameters = unpractised()
    mixer = MixerParameters(parameters)
    practice = _Practice(Decoder(a, tensors), mixer)
    texts = texts_in_time(texts, practice.engine)
    if before is None:
        practice.begin(texts, np.random.default_rng(seed), seconds)
    else:
        practice.fine_tune(texts, before, seconds)
    return {
        **parameters,
        **weight_tensors("weights", [preset.weights for preset in mixer.presets]),
        **weight_tensors("final_weights", [preset.final_weights for preset in mixer.presets]),
        **{
            f"mixer.{name}": np.stack([getattr(preset, name) for preset in mixer.presets])
            for name in ("history_map", "match_map")
        },
    }


def texts_in_time(texts: Sequence[Text], engine: Engine) -> Sequence[Text]:
    """The texts that there is time for: with the reference, a little of them."""
    return [text[:500] for text in texts[:40]] if engine.name == REFERENCE else texts


class _Practice:
    """A mixer that codes texts with the null latent, to learn from them."""

    def __init__(self, decoder: Decoder, mixer: MixerParameters) -> None:
        self._mixer, self._z = mixer, np.zeros(decoder.architecture.latents, np.int32)
        self.engine = load_engine(decoder, mixer)

    def begin(self, texts: Sequence[Text], rng: np.random.Generator, seconds: float) -> None:
        """Learn the first preset, and fine-tune all others from it."""
        end = time.monotonic() + seconds
        texts = self._learn(0, _paced(texts, seconds / PASSES))
        first, *others = self._mixer.presets
        for preset in others:
            preset.set(first)
        texts, drifts = self._drifts(_paced(texts, (end - time.monotonic()) / (PASSES - 1)))
        self._specialise(texts, 1 + _clusters(drifts, len(others), rng), end)

    def fine_tune(self, texts: Sequence[Text], before: MixerParameters, seconds: float) -> None:
        """Fine-tune all presets, each from what it was."""
        end = time.monotonic() + seconds
        for preset, learned in zip(self._mixer.presets, before.presets, strict=True):
            preset.set(learned)
        texts, choices = self._choices(_paced(texts, seconds * CHOICES / PASSES_PRACTISED))
        self._learn(0, _paced(texts, (end - time.monotonic()) / (PASSES_PRACTISED - CHOICES)))
        self._specialise(texts, choices, end)

    def _specialise(self, texts: Sequence[Text], choices: Array, end: float) -> None:
        """Learn every preset but the first on the texts that are its own; be done at the time `end`."""
        own = [[t for t, choice in zip(texts, choices, strict=True) if choice == s] for s in range(PRESETS)]
        left = sum(len(text) for texts in own[1:] for text in texts)
        for preset in range(1, PRESETS):
            size = sum(map(len, own[preset]))
            self._learn(preset, _paced(own[preset], (end - time.monotonic()) * size / max(1, left)))
            left -= size

    def _learn(self, preset: int, texts: Iterable[Text]) -> list[Text]:
        """Let a preset learn from texts, one after the other, at a lower rate; returns these texts.

        The preset becomes the mean of what it was after each of them, so that no single one matters much.
        """
        own, rates = self._mixer.presets[preset], self._mixer.learning.copy()
        self._mixer.learning[:] = _RATES
        read, mean = [], _Mean()
        for text in texts:
            own.set(self._learned(preset, text))
            mean.add(own)
            read.append(text)
        self._mixer.learning[:] = rates
        if read:
            own.set(mean.learned(own))
        return read

    def _choices(self, texts: Iterable[Text]) -> tuple[list[Text], Array]:
        """The texts there is time for, and for each the preset that suits its beginning best, int64 (n,)."""
        read, chosen = [], []
        for text in texts:
            widths = self.engine.comparison(self._z, PROBE_BYTES).intervals_by_preset(text[:PROBE_BYTES])[
                ..., 1
            ]
            chosen.append(np.log2(widths).sum(axis=0).argmax())
            read.append(text)
        return read, np.array(chosen, np.int64)

    def _drifts(self, texts: Iterable[Text]) -> tuple[list[Text], Array]:
        """The texts there is time for, and the drift of weights by each: float64 (n, SETS * INPUTS).

        A drift is the change of the first preset's weights: for each set, the mean over those of its rows
        that the text uses, in standard deviations.
        """
        before = self._mixer.presets[0].weights
        sets = [slice(*pair) for pair in itertools.pairwise(SET_OFFSETS)]
        read, drifts = [], []
        for text in texts:
            read.append(text)
            change = (self._learned(0, text).weights - before).astype(np.float64)
            moved = np.abs(change).sum(axis=1) > 0
            drifts.append([change[rows].sum(axis=0) / max(1, moved[rows].sum()) for rows in sets])
        points = np.array(drifts).reshape(len(read), -1)
        scale = np.maximum(points.std(axis=0), 1e-9)
        clipped: Array = np.clip((points - points.mean(axis=0)) / scale, -_FURTHEST, _FURTHEST)
        return read, clipped

    def _learned(self, preset: int, text: Text) -> Learned:
        """The arrays of the mixer after a text."""
        predictor = self.engine.predictor(self._z, preset, len(text))
        predictor.intervals(text)
        return predictor.learned()


class _Mean:
    """Means of a mixer's arrays at several times, the later ones counting more.

    Polynomial-decay averaging (Shamir & Zhang 2013, arXiv:1212.1824).
    """

    def __init__(self) -> None:
        self._count = 0
        self._means: list[Array] = []

    def add(self, learned: Learned) -> None:
        """Take in the arrays as they are now."""
        values = [learned.weights, learned.final_weights, learned.history_map >> 10, learned.match_map >> 10]
        self._count += 1
        share = (1 + _LATE) / (self._count + _LATE)
        before = self._means or values
        self._means = [mean + (value - mean) * share for mean, value in zip(before, values, strict=True)]

    def learned(self, last: Learned) -> Learned:
        """The means; counts are those of the last time, but cut so that the maps still adapt."""
        weights, final_weights, *maps = (np.rint(mean).astype(np.int64) for mean in self._means)
        history_map, match_map = (
            (mean << 10 | np.minimum(entries & 1023, _COUNT_LIMIT)).astype(np.uint32)
            for mean, entries in zip(maps, (last.history_map, last.match_map), strict=True)
        )
        return Learned(weights.astype(np.int32), final_weights.astype(np.int32), history_map, match_map)


def _paced(texts: Sequence[Text], seconds: float) -> Iterator[Text]:
    """The texts there is time for, all or some of every part: what comes too late is left out."""
    total, before, began = sum(map(len, texts)), 0, time.monotonic()
    for text in texts:
        if not before or time.monotonic() - began <= seconds * (before / total):
            yield text
        before += len(text)


def _clusters(points: Array, count: int, rng: np.random.Generator) -> Array:
    """The cluster of each point of (n, d), int64 (n,): k-means, begun as k-means++ (Arthur 2007)."""
    centres = points[rng.integers(len(points), size=1)]
    while len(centres) < count:
        distance = _distances(points, centres).min(axis=1) + 1e-9
        centres = np.concatenate([centres, points[rng.choice(len(points), 1, p=distance / distance.sum())]])
    for _ in range(30):
        nearest: Array = _distances(points, centres).argmin(axis=1)
        for i in set(nearest.tolist()):
            centres[i] = points[nearest == i].mean(axis=0)
    return nearest


def _distances(points: Array, centres: Array) -> Array:
    """Squared Euclidean distances, (n, k)."""
    squared: Array = ((points[:, None] - centres) ** 2).sum(axis=2)
    return squared
