"""`vaezip train`, start to end: corpus, trainer, checkpoint, export, evaluation."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from vaezip.byteio import ByteWriter
from vaezip.errors import FileError, ModelError
from vaezip.model import load_model, parse_model, read_model_file
from vaezip.network.architecture import Architecture
from vaezip.publish import open_target
from vaezip.training.data import read_corpus
from vaezip.training.evaluate import Evaluation, evaluate
from vaezip.training.export import export
from vaezip.training.grow import grow
from vaezip.training.loop import CHECKPOINT, Progress, Trainer
from vaezip.training.owners import settle_owners
from vaezip.training.restore import restore
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae


class TrainingJob:
    """One run; its state lives in a folder beside the model file until `finish`."""

    def __init__(
        self,
        corpus: list[Path],
        output: Path,
        sizes: dict[str, Any],
        settings: Settings,
        *,
        init: str | None = None,
        resume: bool = False,
        restart: bool = False,
    ) -> None:
        """Read the corpus and set up the trainer.

        sizes: those fields of `Architecture` that are not to be as by default, or as in the model `init`.
        Raises CorpusError for an unusable corpus, FileError if there is a checkpoint but neither `resume`
        nor `restart` is set, or none to resume from; ModelError for a bad `init`, or if the run to resume has
        other sizes.
        """
        self.corpus = read_corpus(corpus)
        self._output = output
        self._folder = output.with_name(output.name + ".train")
        found = (self._folder / CHECKPOINT).exists()
        if resume and not found:
            raise FileError(f"{self._folder}: no checkpoint to resume from")
        if found and not (resume or restart):
            raise FileError(f"{self._folder}: holds a checkpoint (--resume goes on from it, -f starts anew)")
        try:
            if not resume:  # a run that died before its first checkpoint has left a best network
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"{self._folder}: cannot create: {error.strerror}") from error
        self._init = self._folder / "init.vzm"
        if resume:
            self._trainer = Trainer.resumed(self.corpus, settings, self._folder)
            a = self._trainer.vae.a
            if dataclasses.replace(a, **sizes) != a:
                raise ModelError(f"{self._folder}: the checkpoint is of another architecture")
            return
        torch.manual_seed(settings.seed)
        if init is None:
            vae = Vae(Architecture(**sizes))
        else:
            data = read_model_file(init)
            with open_target(self._init, overwrite=True) as file:  # `finish` wants it, maybe after --resume
                ByteWriter(file).write(data)
            vae = restore(load_model(init), data)
            vae = grow(vae, dataclasses.replace(vae.a, **sizes))
        settle_owners(vae.decoder, self.corpus.train, settings.seed)
        self._trainer = Trainer(vae, self.corpus, settings, self._folder)
        if init is not None:
            self._trainer.go_on()

    def run(self) -> Iterator[Progress]:
        """Train until the budget is spent; yields after every step."""
        return self._trainer.run()

    def finish(self) -> Evaluation:
        """Write the model file, measure it on the validation files, and tidy up."""
        vae, settings = self._trainer.vae, self._trainer.settings
        self._trainer.conclude()
        info = {
            "bytes_read": str(self._trainer.bytes_read),
            "seconds": f"{self._trainer.curve[-1][1]:.0f}",
            "settings": json.dumps(dataclasses.asdict(settings)),
        }
        before = load_model(self._init) if self._init.exists() else None
        data = export(vae, self.corpus, info, settings.seed, before.mixer if before else None)
        with open_target(self._output, overwrite=True) as file:
            ByteWriter(file).write(data)
        model = parse_model(data, self._output.stem)
        result = evaluate(vae, model, self.corpus.validation, before=before)
        shutil.rmtree(self._folder)
        return result
