"""The log and the plot of a training run: they grow, outlive the process, go on with the run, and never stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import ROOT, TINY, Run
from runs import FROM_TINY, OPTIONS, contents, started, training_run, wait_for

from vaezip.cli import cli
from vaezip.errors import FileError
from vaezip.model import load_model
from vaezip.training.log import Row, TrainingLog, is_log, read_log
from vaezip.training.loop import Progress

pytest.importorskip("matplotlib")

from vaezip.plots import is_plot

COMMAND = ("texts", "-o", "my.vzm", *FROM_TINY)
RECORDS = ("--log", "run.csv", "--plot", "curve.svg")


def rows(path: Path) -> list[Row]:
    return read_log(path.read_bytes(), path.name)


def test_a_run_leaves_its_log_and_its_plot(texts: Path, tmp_path: Path, run: Run) -> None:
    result = run("train", *COMMAND, "--epochs", 5, "--log", "run.csv", "--plot", "-")
    assert result.returncode == 0, result.stderr
    found = rows(tmp_path / "run.csv")
    assert [row.step for row in found] == list(range(1, len(found) + 1))
    assert found[-1].share >= 1
    assert found[0].validation is not None  # of the network that it began with
    assert found[-1].validation is not None
    assert all(0 < row.learning_rate < 1e-3 and row.round == 1 for row in found)
    assert all(0 < row.bits_per_byte < 8 and row.kl_bits > 0 for row in found)
    assert b"learning rate" in result.stdout
    assert b"as coded" in result.stderr
    assert run("plot", "run.csv").stdout == result.stdout


def test_a_row_is_written_a_thousand_times_and_whenever_the_network_was_measured(tmp_path: Path) -> None:
    log = TrainingLog(str(tmp_path / "run.csv"))
    log.begin(0, resume=False, overwrite=False)
    count = 5000
    for step in range(1, count + 1):
        measured = 2.0 if step % 1001 == 0 else None
        log.add(Progress(step, 100 * step, step / 7, step / count, 1.0, 2 / 3, 4.0, 2.0, measured, 1e-3, 1))
    log.close()
    found = rows(tmp_path / "run.csv")
    assert found == log.rows
    assert 1000 <= len(found) <= 1006
    assert [row.step for row in found if row.validation is not None] == [1001, 2002, 3003, 4004]
    assert (found[0].step, found[-1].step) == (1, count)


def steps(count: int, texts: Path, output: Path, options: dict[str, Any] | None = None, **more: Any) -> None:
    """A run that saves a checkpoint after so many steps, makes two more, and dies."""
    with training_run(texts, output, options, log=str(output.with_name("run.csv")), **more) as run:
        made = run.run()
        for _ in range(count):
            next(made)
        run.save()
        next(made)
        next(made)


@pytest.mark.parametrize("torn", [b"", b"6", b"6,12,0.5,0.01,2.5,3,,0.004", b"step,"])
def test_a_killed_run_keeps_its_log_and_resuming_goes_on_with_it(
    torn: bytes, texts: Path, tmp_path: Path
) -> None:
    log = tmp_path / "run.csv"
    steps(3, texts, tmp_path / "my.vzm", {**OPTIONS, "epochs": 0.5})
    before = rows(log)
    assert [row.step for row in before] == [1, 2, 3, 4, 5]
    log.write_bytes(log.read_bytes() + torn)
    steps(1, texts, tmp_path / "my.vzm", {"workers": 1}, resume=True)
    after = rows(log)
    assert [row.step for row in after] == [1, 2, 3, 4, 5, 6]
    assert after[:3] == before[:3]
    assert after[3].bytes_read > after[2].bytes_read


@pytest.mark.parametrize("left", [None, b"", b"step,byt", ",".join(Row._fields).encode() + b"\n"])
def test_a_run_resumed_without_rows_begins_a_log(left: bytes | None, texts: Path, tmp_path: Path) -> None:
    steps(3, texts, tmp_path / "my.vzm", {**OPTIONS, "epochs": 0.5})
    (tmp_path / "run.csv").unlink()
    if left is not None:
        (tmp_path / "run.csv").write_bytes(left)
    steps(1, texts, tmp_path / "my.vzm", {"workers": 1}, resume=True)
    assert [row.step for row in rows(tmp_path / "run.csv")] == [4, 5, 6]


def test_a_signal_leaves_log_and_plot_and_the_same_command_goes_on(
    texts: Path, tmp_path: Path, run: Run
) -> None:
    with started(tmp_path, *COMMAND, *RECORDS, "--epochs", 10_000) as process:
        wait_for(tmp_path / "my.vzm.train" / "best.pt", process)
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert process.returncode == -signal.SIGINT
    assert is_plot(str(tmp_path / "curve.svg"))
    before = rows(tmp_path / "run.csv")
    repeated = run("train", *COMMAND, *RECORDS, "--epochs", 0.01)
    assert b"my.vzm.train: holds a checkpoint (--resume goes on from it" in repeated.stderr
    result = run("train", *COMMAND, *RECORDS, "--epochs", 0.01, "--resume", "-q")
    assert result.returncode == 0, result.stderr
    assert rows(tmp_path / "run.csv") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curve.svg", "my.vzm", "run.csv", "texts"]


def test_what_goes_wrong_with_log_or_plot_stops_no_run(texts: Path, tmp_path: Path) -> None:
    """Here a reader who goes, and a plot that appears meanwhile."""
    pipe, plot = tmp_path / "pipe", tmp_path / "curve.svg"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    options = {**OPTIONS, "epochs": 0.5}
    with training_run(
        texts, tmp_path / "my.vzm", options, init=str(TINY), log=str(pipe), plot=str(plot)
    ) as late:
        steps = late.run()
        next(steps)
        assert len(read_log(os.read(reader, 1000), "")) == 1
        os.close(reader)
        assert len(list(steps)) > 2
        plot.write_bytes(b"somebody's")
        late.draw()
        assert late.warnings == [
            "the log: Broken pipe; training goes on without a log",
            f"{plot}: already exists (-f overwrites it)",
        ]
        late.finish()
    assert load_model(tmp_path / "my.vzm").info
    assert plot.read_bytes() == b"somebody's"


def test_without_a_step_there_is_nothing_to_draw(texts: Path, tmp_path: Path) -> None:
    with training_run(texts, tmp_path / "my.vzm", plot=str(tmp_path / "curve.svg")) as idle:
        idle.draw()
        assert idle.warnings == [f"{tmp_path / 'curve.svg'}: not written, since no step was made"]
    assert list(tmp_path.iterdir()) == [texts]


def test_a_warning_is_told_and_is_the_exit_code(texts: Path, tmp_path: Path, run: Run) -> None:
    result = run("train", *COMMAND, "-q", "--epochs", 0.01, "--log", "-", "--plot", "/dev/full")
    assert result.returncode == 2
    warning, *figures = result.stderr.decode().splitlines()
    assert warning == "vaezip: /dev/full: cannot write: No space left on device"
    assert figures[1].split()[:2] == ["as", "coded"]
    assert [row.step for row in read_log(result.stdout, "")] == [1]
    assert (tmp_path / "my.vzm").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--log", "there.csv"), "there.csv: already exists (-f overwrites it)"),
        (("--plot", "there.svg"), "there.svg: already exists (-f overwrites it)"),
        (("--plot", "curve.png"), "a plot is an SVG"),
        (("--log", "no/such/run.csv"), "no/such/run.csv: cannot write in the folder no/such"),
        (("--log", "."), ".: is a directory"),
        (("--log", ""), "''"),
        (("--log", "-", "--plot", "-"), "standard output takes either --log or --plot"),
        (("-o", "-"), "the name of a file is needed"),
        (("-f", "--log", "my.vzm"), "my.vzm: is what something else is written to"),
        (("-f", "--log", "a", "--plot", "./a"), "a: is what something else is written to"),
        (("-f", "--log", "texts/0.txt"), "texts/0.txt: is in the corpus (texts)"),
        (("-f", "--plot", "texts/0.svg"), "texts/0.svg: is in the corpus (texts)"),
        (("-f", "--log", "tiny.vzm"), "tiny.vzm: is the model to begin with"),
        (("-f", "--log", "my.vzm.train/run.csv"), "my.vzm.train/run.csv: "),
        (("--resume", "--log", "there.csv"), "my.vzm.train: no checkpoint to resume from"),
        (("--resume", "--plot", "there.svg"), "there.svg: already exists (-f overwrites it)"),
    ],
)
def test_names_that_make_no_sense_are_refused_before_the_work(
    arguments: tuple[str, ...], reason: str, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("there.csv", "there.svg", "texts/0.svg"):
        Path(name).write_bytes(b"precious")
    Path("tiny.vzm").write_bytes(TINY.read_bytes())
    before = contents(tmp_path)
    result = CliRunner().invoke(cli, ["train", "texts", "-o", "my.vzm", "--init", "tiny.vzm", *arguments])
    assert reason in result.output + str(result.exception)
    assert contents(tmp_path) == before
    assert not Path("my.vzm.train").exists()


def test_what_is_no_log_is_not_gone_on_with(texts: Path, tmp_path: Path) -> None:
    steps(3, texts, tmp_path / "my.vzm", {**OPTIONS, "epochs": 0.5})
    (tmp_path / "run.csv").write_bytes(b"precious")
    before = contents(tmp_path)
    with pytest.raises(
        FileError,
        match=r"run\.csv: holds neither what vaezip bench --json writes nor rows of vaezip train --log",
    ):
        steps(1, texts, tmp_path / "my.vzm", {"workers": 1}, resume=True, overwrite=True)
    for name in ("run.csv", "deep/run.csv"):
        (tmp_path / "my.vzm.train" / "deep").mkdir(exist_ok=True)
        log = str(tmp_path / "my.vzm.train" / name)
        with pytest.raises(FileError, match="is where the run keeps its state"):
            training_run(texts, tmp_path / "my.vzm", {"workers": 1}, resume=True, log=log)
    assert contents(tmp_path) == before


def test_a_run_does_not_read_its_log_and_plot(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(texts)
    records = {"log": "run.csv", "plot": "curve.svg"}
    with training_run(Path(), tmp_path / "my.vzm", **records) as first:
        next(first.run())
        first.save()
        first.draw()
    assert is_log("run.csv")
    assert is_plot("curve.svg")
    with training_run(Path(), tmp_path / "my.vzm", {"workers": 1}, resume=True, **records) as second:
        assert second.warnings == []  # of a corpus that is not as it was
        assert second.corpus.identity() == first.corpus.identity()


def test_without_matplotlib_a_run_does_not_begin(texts: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None; from vaezip.__main__ import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "train", *map(str, COMMAND), "--plot", "curve.svg"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == b"vaezip: a plot needs Matplotlib: pip install 'vaezip-text[plot]'\n"
    assert list(tmp_path.iterdir()) == [texts]
