"""Training in several processes, as torchrun starts them: two on a CPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import PROSE, ROOT, TINY, Run

import vaezip
from vaezip.training.checkpoint import load
from vaezip.training.data import read_corpus
from vaezip.training.follow import follow
from vaezip.training.ranks import Place, Ranks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="gloo is tried on Linux only")


LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}


def torchrun(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LAUNCHER, *map(str, command)],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_two_processes_write_one_model(texts: Path, tmp_path: Path) -> None:
    options = ("--init", TINY, "--epochs", 6, "--threads", 1, "--device", "cpu", "--log", "run.csv")
    result = torchrun(tmp_path, "-m", "--", "vaezip", "train", texts, "-o", "my.vzm", *options)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("files to validate") == 1
    assert result.stdout.count("gzip -9") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my.vzm", "run.csv", "texts"]
    first, *_, last = (tmp_path / "run.csv").read_text().splitlines()[1:]
    assert int(first.split(",")[1]) > 20_000  # what two processes read in a step: one reads 16,384 at most
    assert float(last.split(",")[4]) < 4
    text = PROSE[:1000]
    blob = vaezip.compress(text, model=tmp_path / "my.vzm")
    assert vaezip.decompress(blob, model=tmp_path / "my.vzm") == text


def test_processes_that_cannot_meet_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(vaezip.errors.DeviceError, match=r"^the processes of the run cannot meet: .*RANK"):
        Ranks.join(torch.device("cpu"))


def test_a_process_that_reads_another_corpus_is_refused(texts: Path, tmp_path: Path) -> None:
    class Theirs(Ranks):
        def take(self) -> dict[str, Any]:
            return {"corpus": tuple(read_corpus([texts]).identity())}

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "0.txt").write_bytes(PROSE[:25000])
    place = Place(ranks=Theirs())
    with pytest.raises(
        vaezip.errors.CorpusError, match=r"\(8 files, 24000 bytes; here 2 files, 25000 bytes\)"
    ):
        follow([tmp_path / "other"], tmp_path / "my.vzm", {}, place, without=[])


_RUN = """
import sys
from pathlib import Path
import torch
from torch import distributed
from vaezip.training import lanes, loop
from vaezip.training.backends import BACKENDS, DeviceBackend
from vaezip.training.follow import follow
from vaezip.training.run import TrainingRun
from vaezip.training.ranks import Place, Ranks

texts, output = Path(sys.argv[1]), Path("my.vzm")
loop._WARM_UP, loop._PATIENCE, loop._VALIDATION_SECONDS = 5, 0.0, 0.0  # so that rounds are short

sums = []
def watched(self, gradients, sum=Ranks.sum):
    if len(sums) < 3:
        mine = gradients.dense.clone(), gradients.tables.to_dense().clone()
        found = sum(self, gradients)
        for x, total in zip(mine, (found.dense, found.tables)):
            all = [torch.empty_like(x) for _ in range(2)]
            distributed.all_gather(all, x)
            assert not torch.equal(*all)  # they read different text
            assert torch.allclose(all[0] + all[1], total)
        sums.append(found.bytes)
        return found
    return sum(self, gradients)
Ranks.sum = watched

taught = []
def learned(logits, p, cross_entropy_of=lanes.cross_entropy_of):
    taught.append(p.shape)
    return cross_entropy_of(logits, p)
lanes.cross_entropy_of = learned

weighed = []
def important(missed, nats, importance=lanes.importance):
    weighed.append(missed.shape)
    return importance(missed, nats)
lanes.importance = important

with Place.found("cpu") as place:
    options = {"epochs": 5, "workers": 1, "lanes": 4, "chunk": 128, "bfloat16": False, "lr": 3e-3}
    if place.ranks.leads:
        options["complement"] = True
        with TrainingRun([texts], output, {}, options, init=sys.argv[2], teacher=sys.argv[2], place=place) as training_run:
            for progress in training_run.run():
                pass
            assert progress.round > 1, progress
            vae = training_run._trainer.vae
            torch.save(vae.state_dict(), "0.pt")
    else:
        BACKENDS["cpu"] = DeviceBackend  # they need not be alike
        vae = follow([texts], output, options, place, without=[])
        torch.save(vae.state_dict(), "1.pt")
    assert len(sums) == 3
    assert len(taught) > 3  # by a model that only the first process was told of
    assert len(weighed) > 3  # likewise
    assert "torch._dynamo" not in sys.modules  # a compiler, whose import takes seconds
"""


def test_all_processes_hold_the_same_weights_through_all_rounds(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(_RUN)
    result = torchrun(tmp_path, "run.py", texts, TINY)
    assert result.returncode == 0, result.stderr
    first, second = (torch.load(tmp_path / f"{i}.pt", weights_only=True) for i in range(2))
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


_LOST = """
import os, signal, sys
from vaezip.__main__ import main
from vaezip.training.descent import Descent

steps = []
def step(self, *arguments, step=Descent.step):
    steps.append(arguments)
    if len(steps) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *arguments)

if os.environ["RANK"] == "1":
    Descent.step = step
sys.exit(main())
"""


def test_what_was_learned_is_kept_when_another_process_is_gone(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "lost.py").write_text(_LOST)
    options = ("--init", TINY, "--epochs", 500, "--threads", 1, "--device", "cpu", "--log", "run.csv")
    result = torchrun(tmp_path, "--", "lost.py", "train", texts, "-o", "my.vzm", *options)
    assert result.returncode != 0
    assert "another process of the run is gone, --resume goes on without it (" in result.stderr
    last = (tmp_path / "run.csv").read_text().splitlines()[-1]
    run = load(tmp_path / "my.vzm.train" / "checkpoint.pt")["run"]
    assert (run["step"], run["bytes_read"]) == (5, int(last.split(",")[1]))
    assert last.startswith("5,")


def test_a_failure_of_the_first_process_ends_all(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "my.vzm").write_bytes(b"mine")
    result = torchrun(tmp_path, "-m", "vaezip", "train", texts, "-o", "my.vzm", "--device", "cpu")
    assert result.returncode == 1
    assert "vaezip: my.vzm: already exists" in result.stderr
    assert (tmp_path / "my.vzm").read_bytes() == b"mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my.vzm", "texts"]


def test_a_signal_ends_all_and_one_process_goes_on(texts: Path, tmp_path: Path, run: Run) -> None:
    command = ["texts", "-o", "my.vzm", "--init", str(TINY), "--epochs", "5000", "--threads", "1"]
    started = subprocess.Popen(
        [*LAUNCHER, "-m", "vaezip", "train", *command, "--device", "cpu"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with started as process:
        while not (tmp_path / "my.vzm.train" / "best.pt").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=600)
    assert process.returncode != 0
    assert said.count("vaezip: interrupted; the checkpoint is in my.vzm.train") == 1
    resumed = run("train", *command[:3], "--resume", "--epochs", 1)
    assert resumed.returncode == 0, resumed.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my.vzm", "texts"]
