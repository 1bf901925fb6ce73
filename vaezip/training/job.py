"""`vaezip train`, start to end: corpus, trainer, checkpoint, export, evaluation."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from vaezip.errors import FileError
from vaezip.files import open_target
from vaezip.model import load_model, parse_model, read_model_file
from vaezip.network.architecture import Architecture
from vaezip.training.data import read_corpus
from vaezip.training.evaluate import Evaluation, evaluate
from vaezip.training.export import export
from vaezip.training.grow import grow
from vaezip.training.loop import Progress, Trainer
from vaezip.training.owners import settle_owners
from vaezip.training.restore import restore
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae


class TrainingJob:
    """One run; its checkpoint lives in a folder beside the model file until `finish`."""

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
        nor `restart` is set, or none to resume from; ModelError for a bad `init`.
        """
        self.corpus = read_corpus(corpus)
        self._output = output
        self._folder = output.with_name(output.name + ".train")
        checkpoint = self._folder / "checkpoint.pt"
        if resume and not checkpoint.exists():
            raise FileError(f"{self._folder}: no checkpoint to resume from")
        if checkpoint.exists() and not (resume or restart):
            raise FileError(f"{self._folder}: holds a checkpoint (--resume goes on from it, -f starts anew)")
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"{self._folder}: cannot create: {error.strerror}") from error
        self._settings = settings
        torch.manual_seed(settings.seed)
        if init is None:
            vae = Vae(Architecture(**sizes))
        else:
            vae = restore(load_model(init), read_model_file(init))
            vae = grow(vae, dataclasses.replace(vae.a, **sizes))
        self._trainer = Trainer(vae, self.corpus, settings, checkpoint)
        if resume:
            self._trainer.resume()
        else:
            settle_owners(vae.decoder, self.corpus.train, settings.seed)

    def run(self) -> Iterator[Progress]:
        """Train until the budget is spent; yields after every step."""
        return self._trainer.run()

    def finish(self) -> Evaluation:
        """Write the model file, measure it on the validation files, and drop the checkpoint."""
        vae = self._trainer.vae
        info = {
            "bytes_read": str(self._trainer.curve[-1][0]),
            "seconds": f"{self._trainer.curve[-1][1]:.0f}",
            "settings": json.dumps(dataclasses.asdict(self._settings)),
        }
        data = export(vae, self.corpus.train, info, self._settings.seed)
        with open_target(self._output, overwrite=True) as file:
            file.write(data)
        result = evaluate(vae, parse_model(data, self._output.stem), self.corpus.validation)
        shutil.rmtree(self._folder)
        return result
