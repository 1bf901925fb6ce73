"""A process that trains along with the one that leads: it reads its share, and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaezip.errors import CorpusError
from vaezip.training.data import CorpusIdentity, SegmentSource, read_corpus
from vaezip.training.descent import Descent
from vaezip.training.importance import Misses
from vaezip.training.ranks import Command, Place
from vaezip.training.run_folder import RunFolder
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae, unpacked


def follow(
    corpus: list[Path], output: Path, options: Mapping[str, Any], place: Place, *, without: list[Path]
) -> Vae:
    """Train with `TrainingRun` in another process until that has done, and return the network.

    corpus, output, options: as given to that; without: more files that the run writes, and does not read.
    Raises CorpusError for a corpus that is unusable, or not the one that it reads; DeviceError if another
    process is gone.
    """
    texts = read_corpus(corpus, without=(output, RunFolder(output).path, *without))
    state = place.ranks.take()
    theirs, ours = CorpusIdentity(*state["corpus"]), texts.identity()
    if theirs != ours:
        raise CorpusError(
            f"this is not the corpus that the first process reads ({theirs.files} files, {theirs.bytes} "
            f"bytes; here {ours.files} files, {ours.bytes} bytes)"
        )
    vae = unpacked(state).to(place.device)
    teacher = unpacked(state["teacher"]) if state["teacher"] else None
    misses = None if state["misses"] is None else Misses.unpacked(state["misses"])
    settings = Settings(**state["settings"]).resumed(options)
    descent = Descent(vae, settings, place.ranks, teacher, misses)
    descent.load_state_dict(state)
    source = SegmentSource(texts.train, settings.weights)
    with descent.reading(source, state["run"]["step"]) as backend:
        while (order := place.ranks.next_order()).command != Command.STOP:
            if order.command == Command.BEGIN_AGAIN:
                vae.load_state_dict(place.ranks.take()["vae"])
                descent.begin()
            else:
                descent.step(backend, order.kl_weight, order.rate)
    return vae
