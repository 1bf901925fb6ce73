"""The training loop: minutes or epochs of ELBO, checkpoints that survive anything."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from vaezip.errors import CheckpointError, DeviceError, VaezipError
from vaezip.training.backends import Backend
from vaezip.training.checkpoint import load, reading, save
from vaezip.training.data import Corpus, CorpusIdentity, SegmentSource
from vaezip.training.descent import Descent
from vaezip.training.importance import Misses
from vaezip.training.ranks import Command, Order, Place
from vaezip.training.run_folder import CHECKPOINT
from vaezip.training.settings import Settings, differences
from vaezip.training.vae import Vae, packed, unpacked
from vaezip.training.validation import Validation

_FIRST_CHECKPOINT = 15  # seconds; a run that is killed early can be resumed, too
LEAST_TRAINING = 0.1  # of the minutes, however long it takes what is not training
_VALIDATIONS = 40  # per run, and more if a small corpus is read often:
_VALIDATION_SECONDS = 7.5  # one after every pass, but no sooner than this
_WARM_UP = 100  # steps
_KNOWN = 2  # passes after which a corpus can be overfitted
_LOST = 1.01  # of the best bits/byte: from here on it is no noise
_PATIENCE = 1.5  # times the bytes of the best network may be read before it is taken for the best
_ANNEALED = 1.4  # times the bytes that were best at the full learning rate suit a round with a schedule


class Progress(NamedTuple):
    """The state of training; rates are running means."""

    step: int
    bytes_read: int
    seconds: float
    share: float  # of the budget
    seconds_left: float  # until the run is done, as far as can be told
    bits_per_byte: float  # of x given z
    kl_bits: float  # per segment
    validation: float  # bits/byte of the best network yet on the validation files, null latent
    measured: float | None  # ... and of the network as it is, if it has just been measured
    learning_rate: float  # of the dense weights
    round: int  # from 1


@dataclass
class _Tally:
    """How far a run has come; a part of its checkpoint."""

    step: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    bits_per_byte: float = 8.0
    kl_bits: float = 0.0
    best: float = math.inf  # bits/byte on the validation files
    last_validation: tuple[int, float] = (0, 0.0)  # bytes read and seconds at that time
    rounds: int = 1  # begun
    round: tuple[int, int] = (0, 0)  # step and bytes read when this round began
    round_bytes: int = 0  # to read in this round; 0: the first one, which has the whole budget
    enough: int = 0  # bytes that the first round had read when its network was best
    curve: list[tuple[int, float, float, float]] = field(default_factory=list)

    def note(self) -> None:
        """Add a point to the curve."""
        self.curve.append((self.bytes_read, self.seconds, self.bits_per_byte, self.kl_bits))


class Trainer:
    """Trains a VAE on a corpus; `run` yields progress until the budget is spent."""

    def __init__(
        self,
        vae: Vae,
        corpus: Corpus,
        settings: Settings,
        folder: Path,
        place: Place | None = None,
        teacher: Vae | None = None,
        init: bytes | None = None,
    ) -> None:
        """Train `vae` on `corpus`, leaving checkpoint and best networks in `folder`.

        place: where, and with which other processes; on this machine's CPU if it is not given. teacher: a
        network from whose predictions it learns, too. init: the file of the model that it begins with. Raises
        CorpusError if a folder that `settings` give a weight is not there.
        """
        place = place or Place()
        self.settings = settings
        self.corpus_then: CorpusIdentity | None = None  # what a resumed run had read until now
        self.corpus = corpus
        self.vae = vae.to(place.device)
        self._ranks = place.ranks
        if settings.complement and init is None:
            raise ValueError("there is no model to complement")
        self._misses = Misses(init) if settings.complement and init is not None else None
        self._descent = Descent(self.vae, settings, place.ranks, teacher, self._misses)
        self._teacher = teacher
        self._checkpoint = folder / CHECKPOINT
        self._validation = Validation(corpus.validation, folder, self._misses)
        self._source = SegmentSource(corpus.train, settings.weights)
        self._tally = _Tally()
        self._seconds = 60 * (settings.minutes or 0.0)  # of training, in all
        self._closing_seconds = 0.0
        self._measured: float | None = None  # since `run` yielded last
        self._stepped = (0.0, 1)  # learning rate and round of the last step

    @property
    def curve(self) -> list[tuple[int, float, float, float]]:
        """Rows of (bytes read, seconds, bits/byte of x given z, KL in bits), a few per checkpoint."""
        return self._tally.curve

    @property
    def done(self) -> bool:
        """True once the budget is spent."""
        return self._share() >= 1

    def plan(self, before: float, after: float) -> None:
        """Make room in the minutes for what is not training: so many seconds before and after it.

        However many these are, a tenth of the minutes is spent on training.
        """
        minutes = self.settings.minutes
        if minutes is not None:
            self._closing_seconds = after
            self._seconds = max(60 * minutes - before - after, LEAST_TRAINING * 60 * minutes)

    def save(self) -> None:
        """Write the checkpoint; raises FileError, and leaves the old one, if that fails."""
        save(self._state(), self._checkpoint)

    def _state(self) -> dict[str, Any]:
        return {
            "corpus": tuple(self.corpus.identity()),
            "settings": asdict(self.settings),
            **packed(self.vae),
            **self._descent.state_dict(),
            "run": asdict(self._tally),
        }

    @classmethod
    def resumed(
        cls,
        corpus: Corpus,
        folder: Path,
        options: Mapping[str, Any],
        sizes: Mapping[str, Any],
        place: Place | None = None,
        teacher: Vae | None = None,
        init: bytes | None = None,
    ) -> Trainer:
        """The trainer of an interrupted run.

        options and sizes: see `Settings.resumed`; place: as for a new run, whatever it was before; teacher,
        init: the run's. Raises CheckpointError if there is no good checkpoint, or if options or sizes are not
        the run's.
        """
        path = folder / CHECKPOINT
        state = load(path)
        with reading(path):
            vae = unpacked(state)
            settings = Settings(**state["settings"])
            others = [*settings.differences(options), *differences(vars(vae.a), sizes)]
            if others:
                raise CheckpointError(f"{folder}: the run to resume has other settings: {', '.join(others)}")
            trainer = cls(vae, corpus, settings.resumed(options), folder, place, teacher, init)
            trainer._descent.load_state_dict(state)
            trainer._tally = _Tally(**state["run"])
            trainer.corpus_then = CorpusIdentity(*state["corpus"])
            trainer._validation.check(vae)
        return trainer

    @property
    def step(self) -> int:
        """Steps so far."""
        return self._tally.step

    @property
    def bytes_read(self) -> int:
        """Bytes read so far, over all rounds."""
        return self._tally.bytes_read

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self._tally.seconds

    def fine_tune(self) -> None:
        """Train in rounds, each of which begins with what `vae` is now; before `run`."""
        self._validation.set_origin(self.vae)

    def finish(self) -> None:
        """Make `vae` the network that the run ends with."""
        self._validation.finish(self.vae)

    def seconds_to_finish(self) -> float:
        """The seconds that `finish` will take on this machine."""
        return self._validation.seconds_to_finish(self.vae)

    def run(self) -> Iterator[Progress]:
        """Train until the budget is spent; yields after every step."""
        s, tally = self.settings, self._tally
        others: dict[str, Any] = {
            "teacher": packed(self._teacher) if self._teacher else None,
            "misses": self._misses.packed() if self._misses else None,
        }
        if self._validation.rounds >= tally.rounds:  # it was interrupted between two rounds
            self._begin_round(*self._rounds_left())
        self._ranks.give({**self._state(), **others})
        began = time.monotonic() - tally.seconds
        due = time.monotonic() + min(_FIRST_CHECKPOINT, s.checkpoint_seconds)
        if not tally.step:
            self._validate()
        try:
            with self._descent.reading(self._source, tally.step) as backend:
                while (share := self._share()) < 1:
                    self._step(backend, share)
                    tally.seconds = time.monotonic() - began
                    if int(_VALIDATIONS * self._share()) > int(_VALIDATIONS * share) or self._passed():
                        self._validate()
                    yield self._progress()
                    if time.monotonic() > due:
                        tally.note()
                        self.save()
                        due = time.monotonic() + s.checkpoint_seconds
        except DeviceError:  # of a process that is gone; it comes before the weights change
            tally.note()
            self.save()
            raise
        finally:
            self._ranks.stop()
        tally.note()
        self.save()

    def _progress(self) -> Progress:
        tally, share = self._tally, self._share()
        left = max(0.0, (1 / share - 1) * tally.seconds) + self._closing_seconds
        measured, self._measured = self._measured, None
        means = tally.bits_per_byte, tally.kl_bits
        return Progress(
            tally.step,
            tally.bytes_read,
            tally.seconds,
            share,
            left,
            *means,
            tally.best,
            measured,
            *self._stepped,
        )

    def _passed(self) -> bool:
        """True if the corpus has been read once since the last validation."""
        tally = self._tally
        bytes_read, seconds = tally.last_validation
        passed = tally.bytes_read - bytes_read >= self.corpus.train_bytes
        return passed and tally.seconds - seconds >= _VALIDATION_SECONDS

    def _validate(self) -> None:
        """Measure on the validation files, and begin another round if this one is over."""
        tally = self._tally
        with self._descent.autocast():
            bits_per_byte = self._validation.offer(self.vae)
        if math.isnan(bits_per_byte):
            raise VaezipError(
                "the network has come to predict nothing at all: --resume goes on from the checkpoint; "
                "or begin anew (-f) with a smaller learning rate (--lr)"
            )
        self._measured = bits_per_byte
        tally.best = min(tally.best, bits_per_byte)
        tally.last_validation = (tally.bytes_read, tally.seconds)
        if not self._validation.has_origin:
            return
        if tally.round_bytes:
            over = self._round_share() >= 1
        else:
            if bits_per_byte == self._validation.best:
                tally.enough = tally.bytes_read
            known = tally.step > 2 * _WARM_UP and tally.bytes_read > _KNOWN * self.corpus.train_bytes
            lost = bits_per_byte > _LOST * self._validation.best
            over = known and (lost or tally.bytes_read > _PATIENCE * tally.enough)
        if over:
            self._next_round()

    def _next_round(self) -> None:
        """Begin another round if what is left of the budget is enough for any."""
        rounds, left = self._rounds_left()
        if rounds:
            self._begin_round(rounds, left)
            self._ranks.order(Order(Command.BEGIN_AGAIN))
            self._ranks.give({"vae": self.vae.state_dict()})

    def _rounds_left(self) -> tuple[int, float]:
        """The rounds that what is left of the budget is enough for, and the bytes that it lasts for."""
        tally = self._tally
        left = tally.bytes_read * (1 / self._share() - 1)
        return round(left / (_ANNEALED * max(tally.enough, self.corpus.train_bytes))), left

    def _begin_round(self, rounds: int, left: float) -> None:
        """Begin the first of so many rounds, and save that, before other processes can fail to follow.

        If this is interrupted, the mean has a round more than the checkpoint knows to be over.
        """
        tally = self._tally
        self._validation.next_round(self.vae, tally.rounds)
        self._descent.begin()
        tally.rounds += 1
        tally.round = (tally.step, tally.bytes_read)
        tally.round_bytes = max(1, int(left / max(1, rounds)))
        self.save()

    def _share(self) -> float:
        s, tally = self.settings, self._tally
        if s.minutes is not None:
            share = tally.seconds / self._seconds
        else:
            share = tally.bytes_read / ((s.epochs or 1.0) * self.corpus.train_bytes)
        return min(share, 2.0)  # of a budget that is next to nothing, it could be without bounds

    def _round_share(self) -> float:
        tally = self._tally
        return (tally.bytes_read - tally.round[1]) / tally.round_bytes if tally.round_bytes else self._share()

    def _rate(self) -> float:
        """The learning rate, as a share of the full one: a short rise, a plateau, a cosine."""
        tally, hold, share = self._tally, self.settings.hold, min(1.0, self._round_share())
        rate = min(1.0, (tally.step - tally.round[0] + 1) / _WARM_UP)
        if share > hold:
            rate *= max(0.02, 0.5 + 0.5 * math.cos((share - hold) / (1 - hold) * math.pi))
        return rate

    def _step(self, backend: Backend, share: float) -> None:
        s, tally = self.settings, self._tally
        rate, kl_weight = self._rate(), min(1.0, share / s.kl_warm_up)
        self._stepped = (s.lr * rate, tally.rounds)
        self._ranks.order(Order(Command.STEP, kl_weight, rate))
        found = self._descent.step(backend, kl_weight, rate)
        tally.step += 1
        tally.bytes_read += found.bytes
        if not math.isfinite(found.bits_per_byte + found.kl_bits):
            return
        keep = min(0.99, 1 - 1 / tally.step)
        tally.bits_per_byte = keep * tally.bits_per_byte + (1 - keep) * found.bits_per_byte
        tally.kl_bits = keep * tally.kl_bits + (1 - keep) * found.kl_bits
