"""A rehearsal of a run's end on a little text, to learn how long it takes, so that the minutes are kept."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

from vaezip.engine import REFERENCE
from vaezip.mixing.parameters import MixerParameters
from vaezip.model import Model, parse_model
from vaezip.training.data import Corpus, TextFile
from vaezip.training.devices import CPU
from vaezip.training.evaluate import evaluate, evaluated
from vaezip.training.loop import Trainer
from vaezip.training.mixer_practice import PASSES, PASSES_PRACTISED, texts_in_time
from vaezip.training.mixer_tables import unpractised
from vaezip.training.quantise import calibration_texts, quantise
from vaezip.training.vae import Vae

_FILE_BYTES, _BYTES = 4096, 16384
_SLOW_BYTES = 128  # for the reference, which takes a thousand times as long
_SHORT = 1.05  # so much longer than a rehearsal says it takes: longer texts fit the caches less well
_PRACTICE = 0.4  # of a run's time, the most that is planned for the mixer's practice
_LEAST_EVALUATION = 0.05  # of the bytes that are evaluated, however little time is left


@dataclass(frozen=True)
class Closing:
    """The seconds that the parts of a run's end take, at the machine's speed now."""

    quantising: float  # without the mixer's practice
    practising: float  # on all its texts
    evaluating: float  # all that is evaluated

    @property
    def others(self) -> float:
        """The seconds of all but the practice."""
        return self.quantising + self.evaluating


class Rehearsal:
    """A run's end, played through on next to nothing."""

    def __init__(self, vae: Vae, corpus: Corpus, seed: int, before: Model | None) -> None:
        """Rehearse with the network as it is now: its speed does not depend on what it has learned."""
        if vae.device.type != CPU:  # a run ends there
            vae = copy.deepcopy(vae).cpu()
        self._vae, self._corpus, self._before = vae, corpus, before
        few = Corpus(corpus.train, evaluated(corpus.validation, 1, _SLOW_BYTES), [])
        began = time.perf_counter()
        # A mixer that has practised practises on validation text only: here, on next to nothing.
        data = quantise(vae, few, {}, seed, MixerParameters(unpractised()))
        self._quantising = time.perf_counter() - began
        self._model = parse_model(data, "rehearsal")
        practised = before is not None
        texts = calibration_texts(corpus, seed, practised=practised)[1]
        self._texts = texts_in_time(texts, self._model.engine)
        self._passes = PASSES_PRACTISED if practised else PASSES
        self.evaluated_bytes = _size(evaluated(corpus.validation))
        self._slow = self._model.engine.name == REFERENCE

    def closing(self) -> Closing:
        """Measure the seconds now."""
        practising = self._passes * sum(map(len, self._texts)) * self._seconds_per_byte()
        return Closing(_SHORT * self._quantising, _SHORT * practising, _SHORT * self._evaluating())

    def _seconds_per_byte(self) -> float:
        """The seconds per byte of a mixer that reads the last of the texts."""
        last = self._texts[-1 if self._slow else -8 :]
        pieces = [text[: _SLOW_BYTES if self._slow else _FILE_BYTES] for text in last]
        began = time.perf_counter()
        for piece in pieces:
            self._model.predictor(self._model.latent.null(), 0, len(piece)).intervals(piece)
        return (time.perf_counter() - began) / sum(map(len, pieces))

    def _evaluating(self) -> float:
        limit, per_file = (_SLOW_BYTES, _SLOW_BYTES) if self._slow else (_BYTES, _FILE_BYTES)
        sample = evaluated(self._corpus.validation, limit, per_file)
        began = time.perf_counter()
        evaluate(self._vae, self._model, sample, before=self._before)
        seconds = time.perf_counter() - began
        return seconds * self.evaluated_bytes / _size(sample)


def _size(files: list[TextFile]) -> int:
    return sum(len(f.data) for f in files)


class Timetable:
    """Keeps a run's seconds, though the machine may become faster or slower on the way."""

    def __init__(self, rehearsal: Rehearsal, trainer: Trainer, began: float) -> None:
        """began: when this run, or what resumes it, began, by `time.monotonic`."""
        self._rehearsal, self._trainer, self._began = rehearsal, trainer, began
        self._budget = 60 * (trainer.settings.minutes or 0.0)
        self._end = began + self._budget - trainer.seconds
        self._before: float | None = None  # seconds until the first plan

    def plan(self) -> float:
        """Tell the trainer how long it may train; returns the seconds of what is not training."""
        finishing, closing = self._trainer.seconds_to_finish(), self._rehearsal.closing()
        if self._before is None:
            self._before = time.monotonic() - self._began
        after = finishing + closing.others + min(closing.practising, _PRACTICE * self._budget)
        self._trainer.plan(self._before, after)
        return self._before + after

    def practice_seconds(self) -> float:
        """The seconds for the mixer's practice, once training is over."""
        return max(0.0, self._left() - self._rehearsal.closing().others)

    def evaluation_bytes(self) -> int:
        """The bytes of the validation files that there is time for at the end."""
        share = self._left() / self._rehearsal.closing().evaluating
        return max(1, int(min(1.0, max(_LEAST_EVALUATION, share)) * self._rehearsal.evaluated_bytes))

    def _left(self) -> float:
        return self._end - time.monotonic()
