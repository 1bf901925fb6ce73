"""`vaezip train` from end to end: corpus, trainer, checkpoint, quantisation, evaluation."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from vaezip.byteio import ByteWriter
from vaezip.errors import CheckpointError, FileError, ModelError
from vaezip.files import reason
from vaezip.inputs import STDIO
from vaezip.model import Model, parse_model, read_model_file
from vaezip.network.architecture import Architecture
from vaezip.outputs import open_target, refuse_existing
from vaezip.tensors import read_tensors
from vaezip.training.checkpoint import replacing
from vaezip.training.data import SegmentSource, read_corpus, walk
from vaezip.training.dequantise import dequantise
from vaezip.training.devices import CPU
from vaezip.training.evaluate import EVALUATION_BYTES, Evaluation, evaluate
from vaezip.training.grow import grow
from vaezip.training.log import TrainingLog, is_log, refuse_unwritable
from vaezip.training.loop import LEAST_TRAINING, Progress, Trainer
from vaezip.training.owners import settle_owners
from vaezip.training.quantise import quantise
from vaezip.training.ranks import Place
from vaezip.training.rehearsal import Rehearsal, Timetable
from vaezip.training.run_folder import ORIGIN, RunFolder
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae

_PLANNED_AGAIN = (0.5, 0.9)  # shares of training after which the rest is planned anew


class TrainingRun:
    """A run; its state lives in a folder beside the model file until `finish`, locked until `close`."""

    def __init__(
        self,
        corpus: list[Path],
        output: Path,
        sizes: Mapping[str, Any],
        options: Mapping[str, Any],
        *,
        init: str | None = None,
        teacher: str | None = None,
        resume: bool = False,
        overwrite: bool = False,
        began: float | None = None,
        log: str | None = None,
        plot: str | None = None,
        place: Place | None = None,
    ) -> None:
        """Read the corpus and set up the trainer.

        sizes, options: those fields of `Architecture` and of `Settings` that are given; a run that is resumed
        keeps its own, and the others are as by default or as suits the model `init`. teacher: a model from
        whose predictions the network learns, too. overwrite: all that the run writes, and without `resume` a
        checkpoint, too. began: when the minutes began, by `time.monotonic`. log, plot: files for the curves,
        `-` being standard output; `resume` continues what the run has left there.

        Raises CorpusError for an unusable corpus; FileError if a file or checkpoint is there and may not be
        overwritten, or if something that is read would be written over; CheckpointError if there is none to
        resume, or of a run with other settings than those given; ModelError for a bad `init` or `teacher`;
        MissingExtraError if nothing here can plot.
        """
        began = time.monotonic() if began is None else began
        self._output, self._overwrite = output, overwrite
        self._place = place or Place()
        self._timetable: Timetable | None = None  # where minutes are to be kept
        self.warnings: list[str] = []
        self.notices: list[str] = []
        refuse_existing(str(output), overwrite)
        self._folder = RunFolder(output)
        self._log, self._plot = TrainingLog(log), plot
        written = self._written(log, plot, resume)
        self._refuse_overlap(corpus, {"begin with": init, "learn from": teacher}, written)
        if resume and not self._folder.checkpoint.exists():
            raise CheckpointError(f"{self._folder.path}: no checkpoint to resume from")
        self.corpus = read_corpus(corpus, without=(*written, self._folder.path))
        self._folder.open()
        try:
            if resume:
                self._resume(sizes, options, init, teacher)
            else:
                self._begin(sizes, options, init, teacher)
            self._before = _model(self._folder.init) if self._folder.init.exists() else None
            self._plan(began)
            self._log.begin(self._trainer.step, resume=resume, overwrite=overwrite)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> TrainingRun:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the folder, so that the run can be resumed; without a checkpoint, nothing of it is left."""
        self._log.close()
        self._folder.close()

    def run(self) -> Iterator[Progress]:
        """Train until the budget is spent; yields after every step."""
        shares = list(_PLANNED_AGAIN)
        for progress in self._trainer.run():
            try:
                self._log.add(progress)
            except (FileError, OSError) as error:  # the latter of a pipe that nobody reads any more
                what = error if isinstance(error, FileError) else f"the log: {reason(error)}"
                self.warnings.append(f"{what}; training goes on without a log")
            yield progress
            if self._timetable and shares and progress.share >= shares[0]:
                self._timetable.plan()
                shares.pop(0)

    def draw(self) -> None:
        """Draw the curves, if they are wanted; a warning says what prevented it."""
        if self._plot is None:
            return
        from vaezip.plots import plot_target, training_plot

        try:
            if not self._log.rows:
                raise FileError(f"{self._plot}: not written, since no step was made")
            with plot_target(self._plot, inputs=(), overwrite=self._overwrite_plot) as sink:
                ByteWriter(sink).write(training_plot(self._log.rows))
        except (FileError, OSError) as error:
            self.warnings.append(str(error))

    def save(self) -> None:
        """Write the checkpoint now; between two steps."""
        self._trainer.save()

    def finish(self, stage: Callable[[str], object] = lambda _: None) -> Evaluation:
        """Measure the model on the validation files, write it, and tidy up.

        stage: called with what is done next. Raises FileError, and keeps the checkpoint, if the model file
        cannot be written or has come to be there meanwhile.
        """
        settings, before = self._trainer.settings, self._before
        stage("choosing the network")
        self._trainer.finish()
        vae = self._trainer.vae.cpu()  # what writes and measures a model does so there
        timetable = self._timetable
        info = {
            "bytes_read": str(self._trainer.bytes_read),
            "seconds": f"{self._trainer.seconds:.0f}",
            "settings": json.dumps(dataclasses.asdict(settings)),
        }
        data = quantise(
            vae,
            self.corpus,
            info,
            settings.seed,
            before.mixer if before else None,
            practice_seconds=timetable.practice_seconds() if timetable else math.inf,
            stage=stage,
        )
        model = parse_model(data, self._output.stem)
        stage("measuring the model")
        limit = timetable.evaluation_bytes() if timetable else EVALUATION_BYTES
        result = evaluate(vae, model, self.corpus.validation, before=before, limit=limit)
        try:
            with open_target(self._output, overwrite=self._overwrite) as file:
                ByteWriter(file).write(data)
        except FileError as error:
            raise FileError(f"{error}; {how_to_resume(self._output)}") from error
        self._folder.clear()
        return result

    def _begin(
        self, sizes: Mapping[str, Any], options: Mapping[str, Any], init: str | None, teacher: str | None
    ) -> None:
        """Begin a run; all that may fail comes before an earlier run's state is removed."""
        gpu_reads = self.corpus.train_bytes if self._place.device.type != CPU else None
        settings = Settings.new(options, fine_tuning=init is not None, gpu_reads=gpu_reads)
        SegmentSource(self.corpus.train, settings.weights)
        if self._folder.checkpoint.exists() and not self._overwrite:
            raise FileError(
                f"{self._folder.path}: holds a checkpoint (--resume goes on from it, -f starts anew)"
            )
        torch.manual_seed(settings.seed)
        kept: dict[Path, bytes] = {}
        taught = None
        if init is None:
            vae = Vae(Architecture(**sizes))
        else:
            kept[self._folder.init] = data = read_model_file(init)
            vae = dequantise(parse_model(data, Path(init).stem, init), data)
            vae = grow(vae, dataclasses.replace(vae.a, **sizes))
        if teacher is not None:
            kept[self._folder.teacher] = data = read_model_file(teacher)
            taught, named = _teacher(data, teacher)
            settings = dataclasses.replace(settings, teacher=named)
        settle_owners(vae.decoder, self.corpus.train, settings.seed)
        self._folder.clear()
        for path, data in kept.items():
            with replacing(path) as file:
                file.write(data)
        origin = kept.get(self._folder.init)
        self._trainer = Trainer(vae, self.corpus, settings, self._folder.path, self._place, taught, origin)
        if init is not None:
            self._trainer.fine_tune()

    def _resume(
        self, sizes: Mapping[str, Any], options: Mapping[str, Any], init: str | None, teacher: str | None
    ) -> None:
        folder = self._folder
        if folder.init.exists() != (folder.path / ORIGIN).exists():
            raise CheckpointError(f"{folder.path}: incomplete, {ORIGIN} or {folder.init.name} is missing")
        for given, path, did, option in (
            (init, folder.init, "begin with", "--init"),
            (teacher, folder.teacher, "learn from", "--teacher"),
        ):
            if given is not None and not (path.exists() and path.read_bytes() == read_model_file(given)):
                raise CheckpointError(f"{folder.path}: the run to resume did not {did} {given} ({option})")
        taught, named = None, ""
        if folder.teacher.exists():
            taught, named = _teacher(folder.teacher.read_bytes(), str(folder.teacher))
        origin = folder.init.read_bytes() if folder.init.exists() else None
        others = self._place, taught, origin
        self._trainer = Trainer.resumed(self.corpus, folder.path, options, sizes, *others)
        if (self._trainer.settings.teacher or "").split()[-1:] != named.split()[-1:]:
            raise CheckpointError(f"{folder.path}: {folder.teacher.name} is missing, or another model")
        then, now = self._trainer.corpus_then, self.corpus.identity()
        if then is not None and then != now:
            self.warnings.append(
                f"this is not the corpus that the run began with ({then.files} files, {then.bytes} bytes; "
                f"now {now.files} files, {now.bytes} bytes); going on, though what is now kept for "
                "validation may have been read"
            )

    def _plan(self, began: float) -> None:
        """Plan the minutes, of which a part is for what is not training."""
        trainer = self._trainer
        if trainer.settings.minutes is None or trainer.done:
            return
        rehearsal = Rehearsal(trainer.vae, self.corpus, trainer.settings.seed, self._before)
        self._timetable = Timetable(rehearsal, trainer, began)
        others = self._timetable.plan()
        if others > (1 - LEAST_TRAINING) * 60 * trainer.settings.minutes:
            self.notices.append(
                f"{trainer.settings.minutes:g} minutes will not do: what is not training takes about "
                f"{others:.0f} seconds (reading, writing and measuring)"
            )

    def _written(self, log: str | None, plot: str | None, resume: bool) -> dict[Path, Callable[[str], bool]]:
        """The files that the run writes, and what tells of each if it is one that a run has written.

        Raises FileError if log or plot cannot be written, or are in the way of anything else.
        """
        written: dict[Path, Callable[[str], bool]] = {self._output: _is_model}
        found: list[tuple[str, Callable[[str], bool], bool]] = []
        if log is not None:
            found.append((log, is_log, resume))
        if plot is not None:
            from vaezip.plots import is_plot

            self._overwrite_plot = self._overwrite or (resume and is_plot(plot))
            found.append((plot, is_plot, self._overwrite_plot))
        refused_later = not resume and self._folder.checkpoint.exists()  # and told about --resume
        for path, is_ours, may_overwrite in found:
            if path == STDIO:
                continue
            refuse_unwritable(path, self._overwrite or may_overwrite or refused_later)
            if any(_same(Path(path), other) for other in written):
                raise FileError(f"{path}: is what something else is written to, choose another name")
            if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._folder.path)):
                raise FileError(f"{path}: is where the run keeps its state, choose another name")
            written[Path(path)] = is_ours
        return written

    def _refuse_overlap(
        self,
        corpus: list[Path],
        models: Mapping[str, str | None],
        written: Mapping[Path, Callable[[str], bool]],
    ) -> None:
        """Raise FileError if the run would write over what it reads; it does not read what it writes."""
        folder = Path(os.path.realpath(self._folder.path))
        for root in corpus:
            if Path(os.path.realpath(root)).is_relative_to(folder):
                raise FileError(f"{root}: is where the run keeps its state, choose another name with -o")
            for path, is_ours in written.items():
                read = path.exists() and any(_same(file, path) for file, _ in walk(root))
                if read and (_same(root, path) or not is_ours(str(path))):
                    raise FileError(f"{path}: is in the corpus ({root}), choose another name")
        for path in written:
            for purpose, model in models.items():
                if model is not None and _same(Path(model), path):
                    raise FileError(f"{path}: is the model to {purpose}, choose another name")


def how_to_resume(output: Path) -> str:
    """A line for the user on a run that has ended early."""
    folder = RunFolder(output)
    if not folder.checkpoint.exists():
        return "there is no checkpoint to resume from"
    return f"the checkpoint is in {folder.path}, --resume goes on from it"


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # one of them is not there
        return os.path.realpath(path) == os.path.realpath(other)


def _is_model(path: str) -> bool:
    try:
        read_tensors(read_model_file(path))
    except ModelError:
        return False
    return True


def _teacher(data: bytes, source: str) -> tuple[Vae, str]:
    """The network of a model to learn from, and what the settings call it: its name and its fingerprint."""
    model = parse_model(data, Path(source).stem, source)
    return dequantise(model, data), f"{model.name} {model.fingerprint.hex()}"


def _model(path: Path) -> Model:
    return parse_model(read_model_file(str(path)), path.name)
