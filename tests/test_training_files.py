"""What a run of training reads and writes: nothing of the user's is lost, and every mistake is one line."""

from __future__ import annotations

import io
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, Run
from runs import FROM_TINY, OPTIONS, SIZES, contents, interrupted, training_run

from vaezip.errors import CheckpointError, CorpusError, FileError, ModelError
from vaezip.model import load_model
from vaezip.tensors import read_tensors, write_tensors
from vaezip.training import checkpoint as states
from vaezip.training.data import read_corpus
from vaezip.training.run import TrainingRun


class Harmful:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("harm",)


def test_a_damaged_checkpoint_is_one_line(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    interrupted(texts, tmp_path / "my.vzm")
    checkpoint = tmp_path / "my.vzm.train" / "checkpoint.pt"
    good = checkpoint.read_bytes()
    tensor = good.index(torch.load(checkpoint, weights_only=True)["vae"]["decoder.start"].numpy().tobytes())
    harmful = io.BytesIO()
    torch.save({"vae": Harmful()}, harmful)
    other = io.BytesIO()
    torch.save({**torch.load(checkpoint, weights_only=True), "settings": {"speed": 3}}, other)
    for damaged in (
        b"",
        b"text",
        good[:100],
        good[: len(good) // 2],
        good[:-1],
        good[:tensor] + bytes([good[tensor] ^ 1]) + good[tensor + 1 :],
        pickle.dumps(Harmful()),
        harmful.getvalue(),
        other.getvalue(),
    ):
        checkpoint.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"checkpoint\.pt: damaged") as caught:
            training_run(texts, tmp_path / "my.vzm", {}, resume=True)
        assert "\n" not in str(caught.value)
        assert checkpoint.read_bytes() == damaged
    assert not Path("harm").exists()
    checkpoint.unlink()
    checkpoint.mkdir()
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: cannot read: Is a directory"):
        training_run(texts, tmp_path / "my.vzm", {}, resume=True)
    checkpoint.rmdir()
    checkpoint.write_bytes(good)
    training_run(texts, tmp_path / "my.vzm", {}, resume=True).close()


def test_a_full_disk_leaves_the_old_checkpoint(texts: Path, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    states.save({"x": torch.zeros(10)}, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(FileError, match=r"state\.pt: cannot write: File too large"):
            states.save({"x": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert states.load(path)["x"].shape == (10,)
    assert sorted(tmp_path.iterdir()) == [path, texts]


@pytest.mark.parametrize(
    ("corpus", "output", "reason"),
    [
        ("my.train", "my", "is where the run keeps its state"),
        ("my.train/inner", "my", "is where the run keeps its state"),
        ("my.train/inner/a.txt", "my", "is where the run keeps its state"),
        ("my.train/inner/a.txt", "my.train/inner/a.txt", "is in the corpus"),
        ("my.train", "link.txt", "is in the corpus"),
        ("linked", "text.txt", "is in the corpus"),
    ],
)
def test_a_run_touches_nothing_that_it_reads(
    corpus: str, output: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inner = tmp_path / "my.train" / "inner"
    inner.mkdir(parents=True)
    (inner / "a.txt").write_bytes(b"some text " * 5000)
    (tmp_path / "text.txt").write_bytes(b"some text " * 5000)
    (tmp_path / "link.txt").symlink_to(inner / "a.txt")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "b.txt").symlink_to(tmp_path / "text.txt")
    before = contents(tmp_path)
    with pytest.raises(FileError, match=reason):
        training_run(Path(corpus), Path(output), overwrite=True)
    assert contents(tmp_path) == before


def test_the_model_to_begin_with_is_not_overwritten(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "my.vzm").write_bytes(TINY.read_bytes())
    with pytest.raises(FileError, match="is the model to begin with"):
        training_run(texts, tmp_path / "my.vzm", init=str(tmp_path / "my.vzm"), overwrite=True)


def test_what_is_not_the_runs_stays(texts: Path, tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "my.vzm.train"
    folder.mkdir()
    (folder / "notes.txt").write_bytes(b"notes")
    command = ("train", "texts", "-o", "my.vzm", *FROM_TINY, "--epochs", 0.01, "-q")
    assert run(*command).returncode == 0
    assert contents(folder) == {"notes.txt": b"notes"}
    (folder / "notes.txt").unlink()
    assert run(*command, "-f").returncode == 0
    assert list(folder.iterdir()) == []  # somebody made it
    for name in ("best.pt", "checkpoint.pt", "init.vzm"):
        (folder / name).write_bytes(b"somebody's")
        with pytest.raises(FileError, match=f"holds {name}, but no run's"):
            training_run(texts, tmp_path / "my.vzm", overwrite=True)
        with pytest.raises((FileError, CheckpointError)):
            training_run(texts, tmp_path / "my.vzm", resume=True, overwrite=True)
        assert contents(folder) == {name: b"somebody's"}
        (folder / name).unlink()


def test_a_model_file_that_appears_meanwhile_stays(texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "my.vzm"
    with training_run(texts, output, {**OPTIONS, "epochs": 0.01}, init=str(TINY)) as run:
        list(run.run())
        output.write_bytes(b"somebody's")
        with pytest.raises(FileError, match=r"already exists .*; the checkpoint is in .*my\.vzm\.train"):
            run.finish()
    assert output.read_bytes() == b"somebody's"
    with pytest.raises(FileError, match="already exists"):
        training_run(texts, output, {}, resume=True)
    with training_run(texts, output, {}, resume=True, overwrite=True) as run:
        list(run.run())
        run.finish()
    load_model(output)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my.vzm", "texts"]


def test_a_run_does_not_read_what_runs_write(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a model may lie beside the texts, and be made again."""
    monkeypatch.chdir(texts)
    expected = read_corpus([texts])
    Path("my.vzm").write_bytes(TINY.read_bytes())
    interrupted(Path(), Path("my.vzm"), overwrite=True)
    assert Path("my.vzm.train/checkpoint.pt").exists()
    with training_run(Path(), Path("my.vzm"), {}, resume=True, overwrite=True) as again:
        assert again.corpus.identity() == expected.identity()


@pytest.mark.parametrize("output", [".", "texts", "/dev/null", "no/such/my.vzm", "n" * 300])
def test_outputs_that_make_no_sense(
    output: str, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError):
        training_run(Path("texts"), Path(output), overwrite=True)
    assert sorted(tmp_path.iterdir()) == [texts]


def test_odd_names_are_one_line_each(texts: Path, tmp_path: Path, run: Run) -> None:
    for i, name in enumerate((b"two\nlines", b"\xff\xfe", b"\x1b[2J", "ü".encode())):
        (texts / os.fsdecode(name)).write_bytes(b"text %d" % i)
    (texts / os.fsdecode(b"empty\n\xff")).touch()
    weight = os.fsdecode(b"sub\n\xff")
    (texts / weight).mkdir()
    (texts / weight / "a.txt").write_bytes(b"some text " * 100)
    output = os.fsdecode(b"my\n\xff.vzm")
    command = ("train", "texts", "-o", output, *FROM_TINY, "--epochs", 0.01, "--weight", f"{weight}=2", "-q")
    result = run(*command)
    assert result.returncode == 0, result.stderr
    assert result.stderr == b"vaezip: empty\\n\\xff: skipped: empty\n"
    assert result.stdout.startswith(b"my\\n\\xff.vzm: ")
    with pytest.raises(CorpusError, match=r"^sub\\n\\xff: No such file or directory$"):
        read_corpus([Path(weight)])


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that even root cannot read")
def test_what_cannot_be_read_is_a_warning(texts: Path, tmp_path: Path, run: Run) -> None:
    (texts / "mem").symlink_to("/proc/self/mem")
    result = run("train", "texts", "-o", "my.vzm", *FROM_TINY, "--epochs", 0.01, "-q")
    assert result.returncode == 2, result.stderr
    assert result.stderr == b"vaezip: mem: skipped: cannot read: Input/output error\n"
    assert (tmp_path / "my.vzm").exists()
    with pytest.raises(CorpusError, match=r"mem \(1 files or folders cannot be read\): 0 bytes"):
        read_corpus([texts / "mem"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_listed_is_a_warning(texts: Path, tmp_path: Path) -> None:
    (texts / "closed").mkdir(mode=0)
    assert read_corpus([texts]).unreadable == [("closed", "cannot read: Permission denied")]
    with pytest.raises(CorpusError, match=r"1 files or folders cannot be read"):
        read_corpus([texts / "closed"])


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners here")
def test_a_folder_that_others_can_write_to_is_not_used(texts: Path, tmp_path: Path) -> None:
    """They could put links there, and have us write over any file of ours."""
    folder, victim = tmp_path / "my.vzm.train", tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(FileError, match="others may write there"):
        training_run(texts, tmp_path / "my.vzm")
    folder.chmod(0o755)
    (folder / "vaezip.lock").symlink_to(tmp_path / "made")
    with pytest.raises(FileError):
        training_run(texts, tmp_path / "my.vzm")
    (folder / "vaezip.lock").unlink()
    (folder / "best.tmp").symlink_to(victim)
    interrupted(texts, tmp_path / "my.vzm")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "made").exists()
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to("elsewhere")
    with pytest.raises(FileError, match="symbolic link"):
        training_run(texts, tmp_path / "my.vzm", {}, resume=True)


def test_networks_of_another_run_are_refused(texts: Path, tmp_path: Path) -> None:
    interrupted(texts, tmp_path / "a.vzm")
    with training_run(texts, tmp_path / "b.vzm") as other:
        next(other.run())
        other.save()
    larger = TrainingRun([texts], tmp_path / "c.vzm", {**SIZES, "width": 24}, OPTIONS)
    with larger:
        next(larger.run())
        larger.save()
    best = (tmp_path / "c.vzm.train" / "best.pt").read_bytes()
    (tmp_path / "a.vzm.train" / "best.pt").write_bytes(best)
    with pytest.raises(CheckpointError, match=r"best\.pt: is of another network"):
        training_run(texts, tmp_path / "a.vzm", {}, resume=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0, 1e38])
def test_a_model_that_cannot_be_trained_on_is_refused(value: float, texts: Path, tmp_path: Path) -> None:
    for name in ("norm_step", "table_step", "residual_unit", "latent_step", "up_step"):
        tensors, info = read_tensors(TINY.read_bytes())
        changed = {**tensors, f"training.{name}": np.full_like(tensors[f"training.{name}"], value)}
        (tmp_path / "odd.vzm").write_bytes(write_tensors(changed, info))
        if value == 1e38 and name in ("norm_step", "residual_unit"):
            continue  # which makes small weights: a network like any other
        with pytest.raises(ModelError, match="training"):
            training_run(texts, tmp_path / "my.vzm", {}, init=str(tmp_path / "odd.vzm"))


def test_a_model_without_what_training_needs_is_refused(texts: Path, tmp_path: Path) -> None:
    tensors, info = read_tensors(TINY.read_bytes())
    kept = {name: values for name, values in tensors.items() if not name.startswith("training.")}
    (tmp_path / "bare.vzm").write_bytes(write_tensors(kept, info))
    with pytest.raises(ModelError, match="what training needs to know is missing or damaged"):
        training_run(texts, tmp_path / "my.vzm", {}, init=str(tmp_path / "bare.vzm"))
