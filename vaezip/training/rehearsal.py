"""How long it takes to end a run: measured beforehand on a little text, so that the minutes are kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaezip.engine import REFERENCE
from vaezip.mixing.parameters import MixerParameters
from vaezip.model import Model, parse_model
from vaezip.training.data import Corpus, TextFile
from vaezip.training.evaluate import evaluate, evaluated
from vaezip.training.export import export, texts_for_export
from vaezip.training.mixing import texts_in_time, unpractised
from vaezip.training.vae import Vae

_FILE_BYTES, _BYTES = 4096, 16384
_SLOW_BYTES = 128  # for the reference, which takes a thousand times as long
# How often the mixer reads a text to practise: all of it, drifts, one start; or less, and choices.
_PASSES, _PASSES_PRACTISED = 3.0, 4.0
_SHORT = 1.1  # so much longer than a rehearsal says it takes: longer texts fit the caches less well
_PRACTICE = 0.4  # of a run's time, the most that the mixer's practice may take


@dataclass(frozen=True)
class Closing:
    """What it takes to end a run: exporting the network and evaluating the model."""

    seconds: float
    practice_share: float  # of the texts for the mixer's practice, those that there is time for


def rehearse(vae: Vae, corpus: Corpus, seed: int, before: Model | None, seconds: float) -> Closing:
    """How a run of so many `seconds` in all will end."""
    few = Corpus(corpus.train, evaluated(corpus.validation, 1, _SLOW_BYTES), [])
    started = time.perf_counter()
    # A mixer that has practised practises on validation text only: here, on next to nothing.
    model = parse_model(export(vae, few, {}, seed, MixerParameters(unpractised())), "rehearsal")
    exported = time.perf_counter() - started
    practised = before is not None
    practice = texts_in_time(texts_for_export(corpus, seed, practised=practised)[1], model.engine)
    passes = _PASSES_PRACTISED if practised else _PASSES
    slow = model.engine.name == REFERENCE
    practising = _SHORT * passes * sum(map(len, practice)) * _seconds_per_byte(model, practice, slow)
    share = min(1.0, _PRACTICE * seconds / practising)
    others = exported + _evaluation_seconds(vae, model, corpus, before, slow)
    return Closing(_SHORT * others + share * practising, share)


def _seconds_per_byte(model: Model, texts: Sequence[NDArray[np.uint8]], slow: bool) -> float:
    """Of a mixer that reads the last of `texts`."""
    pieces = [text[: _SLOW_BYTES if slow else _FILE_BYTES] for text in texts[-1 if slow else -8 :]]
    started = time.perf_counter()
    for piece in pieces:
        model.predictor(model.latent.null(), 0, len(piece)).encode(piece)
    return (time.perf_counter() - started) / sum(map(len, pieces))


def _evaluation_seconds(vae: Vae, model: Model, corpus: Corpus, before: Model | None, slow: bool) -> float:
    limit, per_file = (_SLOW_BYTES, _SLOW_BYTES) if slow else (_BYTES, _FILE_BYTES)
    sample = evaluated(corpus.validation, limit, per_file)
    started = time.perf_counter()
    evaluate(vae, model, sample, before=before)
    seconds = time.perf_counter() - started
    return seconds * _size(evaluated(corpus.validation)) / _size(sample)


def _size(files: list[TextFile]) -> int:
    return sum(len(f.data) for f in files)
