"""Runs of training for tests: small ones, interrupted ones, and in a process of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import TINY

from vaezip.training.loop import Progress
from vaezip.training.run import TrainingRun

SIZES: dict[str, Any] = {"width": 8, "layers": 1, "table_bits": (9, 9, 10, 10, 10, 9, 10), "encoder_width": 8}
OPTIONS: dict[str, Any] = {"epochs": 100.0, "workers": 1, "lanes": 2, "chunk": 64, "bfloat16": False}
FROM_TINY = ("--init", TINY)  # such a run is quickly done


def training_run(
    texts: Path, output: Path, options: dict[str, Any] | None = None, **more: Any
) -> TrainingRun:
    sizes = {} if more.get("init") or more.get("resume") else SIZES
    return TrainingRun([texts], output, sizes, OPTIONS if options is None else options, **more)


def interrupted(texts: Path, output: Path, options: dict[str, Any] | None = None, **more: Any) -> Progress:
    """A run that leaves a checkpoint after three steps; where it stood."""
    with training_run(texts, output, options, **more) as run:
        steps = run.run()
        for _ in range(3):
            progress = next(steps)
        run.save()
    return progress


@contextmanager
def started(folder: Path, *arguments: object, ignored: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """`vaezip train` in the background."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vaezip", "train", *map(str, arguments)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=(lambda: signal.signal(ignored, signal.SIG_IGN)) if ignored else None,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
