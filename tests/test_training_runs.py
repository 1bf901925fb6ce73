"""Training as a run that may be interrupted, resumed and repeated, with a budget that it keeps."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from conftest import DATA, TINY, Run
from runs import FROM_TINY, OPTIONS, contents, interrupted, started, training_run, wait_for

from vaezip.cli import cli, training_progress
from vaezip.cli.training_progress import TrainingProgress
from vaezip.errors import CheckpointError, CorpusError, FileError, ModelError, VaezipError
from vaezip.model import load_model, read_model_file
from vaezip.training import checkpoint as states
from vaezip.training.data import Corpus, TextFile, read_corpus
from vaezip.training.dequantise import dequantise
from vaezip.training.loop import Progress, Trainer
from vaezip.training.rehearsal import Rehearsal, Timetable
from vaezip.training.run import TrainingRun, how_to_resume
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae


def test_a_signal_ends_a_run_with_a_checkpoint_to_resume_from(texts: Path, tmp_path: Path, run: Run) -> None:
    command = ("texts", "-o", "my.vzm", *FROM_TINY, "--epochs", 10000, "--lr", 0.003)
    checkpoint = tmp_path / "my.vzm.train" / "checkpoint.pt"
    with started(tmp_path, *command) as process:
        wait_for(tmp_path / "my.vzm.train" / "best.pt", process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert process.returncode == -signal.SIGINT
    last = said.splitlines()[-1]
    assert last == "vaezip: interrupted; the checkpoint is in my.vzm.train, --resume goes on from it"
    state = checkpoint.read_bytes()
    repeated = run("train", *command)
    assert repeated.returncode == 1
    assert b"holds a checkpoint (--resume goes on from it, -f starts anew)" in repeated.stderr
    assert checkpoint.read_bytes() == state
    resumed = run("train", *command, "--epochs", 0.01, "--resume")  # the last option counts
    assert resumed.returncode == 0, resumed.stderr
    settings = json.loads(load_model(tmp_path / "my.vzm").info["settings"])
    assert (settings["lr"], settings["epochs"], settings["minutes"]) == (0.003, 0.01, None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my.vzm", "texts"]


def test_a_signal_after_training_leaves_the_checkpoint(texts: Path, tmp_path: Path, run: Run) -> None:
    command = ("texts", "-o", "my.vzm", *FROM_TINY, "--epochs", 0.1)
    with started(tmp_path, *command) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line == "practising the mixer\n":
                break
        state = (tmp_path / "my.vzm.train" / "checkpoint.pt").read_bytes()
        process.terminate()
        assert "--resume" in process.stderr.read()
        assert process.wait() == -signal.SIGTERM
    assert (tmp_path / "my.vzm.train" / "checkpoint.pt").read_bytes() == state
    assert not (tmp_path / "my.vzm").exists()
    result = run("train", *command, "--resume", "-q")
    assert result.returncode == 0, result.stderr
    assert result.stderr == b""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my.vzm", "texts"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_other_signals_do_so_too(name: str, texts: Path, tmp_path: Path) -> None:
    with started(tmp_path, "texts", "-o", "my.vzm", *FROM_TINY, "--epochs", 10000) as process:
        wait_for(tmp_path / "my.vzm.train" / "best.pt", process)
        process.send_signal(getattr(signal, name))
        process.communicate()
        assert process.returncode == -getattr(signal, name)
    assert states.load(tmp_path / "my.vzm.train" / "checkpoint.pt")["run"]["step"] > 0


def test_a_hangup_that_was_ignored_stays_ignored(texts: Path, tmp_path: Path) -> None:
    command = ("texts", "-o", "my.vzm", *FROM_TINY, "--epochs", 10000)
    with started(tmp_path, *command, ignored=signal.SIGHUP) as process:
        wait_for(tmp_path / "my.vzm.train" / "best.pt", process)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert process.returncode == -signal.SIGINT


def test_a_second_signal_ends_at_once_but_not_the_same_one_twice() -> None:
    code = (
        "import signal, time\n"
        "from vaezip.cli.interruption import interruption\n"
        "with interruption() as signals, signals.deferred():\n"
        "    print('ready', flush=True)\n"
        "    while not signals.requested: time.sleep(0.01)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print('still here', flush=True)\n"
        "    while True: time.sleep(0.01)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "still here\n"
        time.sleep(1.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143


def test_a_killed_run_resumes(texts: Path, tmp_path: Path, run: Run) -> None:
    """Killed while it writes checkpoint after checkpoint, so most likely in the midst of one."""
    code = (
        "import sys; from pathlib import Path; from vaezip.training.run import TrainingRun\n"
        f"training_run = TrainingRun([Path('texts')], Path('my.vzm'), {{}}, dict({OPTIONS}, checkpoint_seconds=0.0),"
        f" init={str(TINY)!r})\n"
        "for _ in training_run.run(): pass\n"
    )
    checkpoint = tmp_path / "my.vzm.train" / "checkpoint.pt"
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, text=True) as process:
        wait_for(checkpoint, process)
        process.kill()
    read = torch.load(checkpoint, weights_only=True)["run"]["bytes_read"]
    assert read > 0
    result = run("train", "texts", "-o", "my.vzm", "--resume", "--minutes", 0.01, "--init", TINY)
    assert result.returncode == 0, result.stderr
    assert b"0.01 minutes will not do" in result.stderr
    assert b"as coded by --init's model" in result.stdout
    assert int(load_model(tmp_path / "my.vzm").info["bytes_read"]) >= read
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my.vzm", "texts"]


def test_a_run_that_died_before_its_first_checkpoint_is_no_obstacle(
    texts: Path, tmp_path: Path, run: Run
) -> None:
    command = ("texts", "-o", "my.vzm", *FROM_TINY, "--epochs")
    with started(tmp_path, *command, 10000) as process:
        wait_for(tmp_path / "my.vzm.train" / "best.pt", process)
        process.kill()
    resumed = run("train", *command, 0.01, "--resume")
    assert resumed.returncode == 1
    assert resumed.stderr == b"vaezip: my.vzm.train: no checkpoint to resume from\n"
    assert run("train", *command, 0.01, "-q").returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my.vzm", "texts"]


def test_a_run_that_fails_before_it_began_leaves_nothing(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "my.vzm"
    with pytest.raises(ModelError):
        training_run(texts, output, init=str(texts / "0.txt"))
    with pytest.raises(CorpusError, match="x: no such folder"):
        training_run(texts, output, {**OPTIONS, "weights": {"x": 2.0}})
    assert sorted(tmp_path.iterdir()) == [texts]
    interrupted(texts, output)
    before = contents(tmp_path)
    with pytest.raises(CorpusError, match="x: no such folder"):
        training_run(texts, output, {**OPTIONS, "weights": {"x": 2.0}}, overwrite=True)
    with pytest.raises(ModelError):
        training_run(texts, output, init=str(texts / "0.txt"), overwrite=True)
    assert contents(tmp_path) == before


def test_a_second_run_at_the_same_time_is_refused(texts: Path, tmp_path: Path) -> None:
    assert how_to_resume(tmp_path / "my.vzm") == "there is no checkpoint to resume from"
    with training_run(texts, tmp_path / "my.vzm") as first:
        for more in ({}, {"overwrite": True}):
            with pytest.raises(FileError, match="another run is at work there"):
                training_run(texts, tmp_path / "my.vzm", **more)
        next(first.run())
        first.save()
        with pytest.raises(FileError, match="another run is at work there"):
            training_run(texts, tmp_path / "my.vzm", {}, resume=True)
    assert "--resume goes on from it" in how_to_resume(tmp_path / "my.vzm")
    with training_run(texts, tmp_path / "my.vzm", {}, resume=True) as second:
        next(second.run())
        second.close()
    second.close()


def test_a_resumed_run_keeps_settings_and_budget(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "my.vzm"
    share = interrupted(texts, output, {**OPTIONS, "epochs": 50.0}).share
    with training_run(texts, output, {"workers": 1}, resume=True) as resumed:
        assert share < next(resumed.run()).share < 2 * share
    with training_run(texts, output, {"workers": 1, "epochs": 25.0}, resume=True) as resumed:
        assert 2 * share < next(resumed.run()).share < 4 * share
    with training_run(texts, output, {"workers": 1, "epochs": 0.001}, resume=True) as resumed:
        assert list(resumed.run()) == []


@pytest.mark.parametrize(
    ("options", "sizes", "named"),
    [
        ({"lr": 0.01}, {}, r"lr 0\.004 \(not 0\.01\)$"),
        ({"seed": 7, "dropout": 0.5}, {}, r"seed 0 \(not 7\), dropout 0\.0 \(not 0\.5\)"),
        ({"weights": {"a": 2.0}}, {}, r"weights \{\} \(not \{'a': 2\.0\}\)"),
        ({}, {"width": 16}, r"width 8 \(not 16\)"),
    ],
)
def test_what_contradicts_the_run_to_resume_is_named(
    options: dict[str, Any], sizes: dict[str, Any], named: str, texts: Path, tmp_path: Path
) -> None:
    interrupted(texts, tmp_path / "my.vzm")
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match=named):
        TrainingRun([texts], tmp_path / "my.vzm", sizes, options, resume=True)
    same = {"lr": 0.004, "seed": 0, "workers": 1}
    TrainingRun([texts], tmp_path / "my.vzm", {"width": 8}, same, resume=True).close()
    assert contents(tmp_path) == before


def test_a_run_is_resumed_with_the_model_that_it_began_with(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "my.vzm"
    interrupted(texts, output, init=str(TINY))
    training_run(texts, output, {}, resume=True, init=str(TINY)).close()
    with pytest.raises(CheckpointError, match="did not begin with standard"):
        training_run(texts, output, {}, resume=True, init="standard")
    (tmp_path / "my.vzm.train" / "init.vzm").unlink()
    with pytest.raises(CheckpointError, match=r"init\.vzm is missing"):
        training_run(texts, output, {}, resume=True)


def test_another_corpus_than_the_run_began_with_is_a_warning(texts: Path, tmp_path: Path) -> None:
    interrupted(texts, tmp_path / "my.vzm")
    with training_run(texts, tmp_path / "my.vzm", {}, resume=True) as resumed:
        assert resumed.warnings == []
    (texts / "more.txt").write_bytes(b"some more text\n")
    with training_run(texts, tmp_path / "my.vzm", {}, resume=True) as resumed:
        (warning,) = resumed.warnings
    assert warning.startswith(
        "this is not the corpus that the run began with (8 files, 24000 bytes; now 9 files"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            (option, value)
            for option in ("--minutes", "--epochs", "--lr", "--dropout", "--rescript")
            for value in ("nan", "inf", "-inf", "1e308", "-1", "x")
        ),
        *(("--seed", value) for value in ("-1", str(2**32), "9" * 5000, "1.5")),
        *(("--weight", value) for value in ("texts", "=2", "x=", "x=0", "x=-1", "x=two", "x=inf", "x=nan")),
        ("--weight", "x=" + "9" * 400),
        ("--threads", "0"),
        ("--minutes", "1", "--epochs", "1"),
    ],
    ids=lambda arguments: " ".join(arguments)[:20],
)
def test_numbers_that_make_no_sense(arguments: tuple[str, ...]) -> None:
    from click.testing import CliRunner

    result = CliRunner().invoke(cli, ["train", ".", "-o", "m.vzm", *arguments])
    assert isinstance(result.exception, SystemExit)  # click's own report of a usage error
    assert "Error: " in result.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("reason", "raised", "said"),
    [
        ("DefaultCPUAllocator: not enough memory", VaezipError, "to train a network of this size"),
        ("DefaultCPUAllocator: can't allocate memory: you tried", VaezipError, "of this size"),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", VaezipError, "of this size"),
        ("CUDA error: an illegal memory access was encountered", RuntimeError, "illegal memory access"),
        ("anything else", RuntimeError, "anything else"),
    ],
)
def test_what_torch_says_of_memory_is_said_in_a_line(
    reason: str, raised: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> NoReturn:
        raise RuntimeError(reason)

    monkeypatch.setattr(TrainingRun, "__init__", fail)
    with pytest.raises(raised, match=said):
        cli.main(["train", str(tmp_path), "-o", str(tmp_path / "my.vzm")], standalone_mode=False)


def test_the_minutes_have_room_for_what_is_not_training(tmp_path: Path) -> None:
    text = TextFile("x", read_corpus([DATA / "prose.txt"]).train[0].data)
    trainer = Trainer(
        Vae(load_model(TINY).architecture), Corpus([text], [text], []), Settings(minutes=1), tmp_path
    )
    trainer.plan(20, 25)  # 15 seconds are left to train
    progress = next(trainer.run())
    assert progress.share == pytest.approx(progress.seconds / 15)
    assert progress.seconds_left == pytest.approx(15 - progress.seconds + 25)
    trainer.plan(20, 39)  # a tenth of them is spent on training all the same
    progress = next(trainer.run())
    assert progress.share == pytest.approx(progress.seconds / 6)


def test_what_ends_a_run_takes_the_time_that_is_left(tmp_path: Path) -> None:
    data = read_model_file(str(TINY))
    vae = dequantise(load_model(TINY), data)
    text = TextFile("x", np.frombuffer(b"It is late, and there is much to do. " * 60, np.uint8))
    corpus = Corpus([text], [text], [])
    trainer = Trainer(vae, corpus, Settings(minutes=60), tmp_path)
    rehearsal = Rehearsal(vae, corpus, 0, None)

    def end(late: float) -> tuple[float, int]:
        timetable = Timetable(rehearsal, trainer, time.monotonic() - late)
        assert timetable.plan() > 0
        return timetable.practice_seconds(), timetable.evaluation_bytes()

    seconds, measured = end(late=0)
    assert 0 < seconds < 3600
    assert measured == len(text.data)
    one = Corpus([text], [TextFile("y", text.data[:1])], [])
    late = Timetable(Rehearsal(vae, one, 0, None), trainer, time.monotonic() - 4000)
    assert late.evaluation_bytes() == 1  # of however little there is
    seconds, measured = end(late=4000)  # it ends all the same, by less practice and a smaller measurement
    assert seconds == 0
    assert 0 < measured < len(text.data)


def test_what_comes_after_training_is_told(texts: Path, run: Run) -> None:
    command = ("train", "texts", *FROM_TINY, "--epochs", 0.01, "-o")
    assert run(*command, "my.vzm").stderr.decode().splitlines() == [
        "7 files, 21000 bytes to train on; 1 files to validate",
        "choosing the network",
        "quantising the network",
        "practising the mixer",
        "measuring the model",
    ]


PROGRESS = Progress(8, 2_500_000, 50.0, 0.25, 247.0, 3.25, 12.5, 2.875, None, 0.004, 1)
TOLD = "4:07 left, 2.5 MB read, 50 KB/s, 3.250 bits/byte + KL 12.5 bits, best 2.875 on validation files"


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_a_bar_on_a_terminal_and_a_line_now_and_then_elsewhere(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(training_progress, "_FIRST", -1.0)
    with TrainingProgress(quiet=False) as progress:
        progress.show(PROGRESS)
        progress.show(PROGRESS)
    said = stderr.getvalue()
    if terminal:
        assert " 25%|" in said
        assert f"| {TOLD}" in said
    else:
        assert said == f"25%: {TOLD}\n"


def test_a_budget_of_next_to_nothing_is_spent_at_once(texts: Path, tmp_path: Path) -> None:
    with training_run(texts, tmp_path / "my.vzm", {"epochs": 1e-310, "lanes": 4, "chunk": 64}) as run:
        assert len(list(run.run())) == 1
