"""A network that learns from the predictions of another one, too."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import PROSE, ROOT, TINY, Run
from runs import OPTIONS, contents, interrupted, training_run
from test_training_gpu import SIZES, SMALL, owners

from vaezip.errors import CheckpointError, FileError, ModelError
from vaezip.model import load_model
from vaezip.network.architecture import Architecture
from vaezip.network.contexts import context_slots, find_rows
from vaezip.training import backends
from vaezip.training.backends import DeviceBackend, ThreadBackend
from vaezip.training.data import Corpus, SegmentSource, TextFile
from vaezip.training.lanes import Lanes
from vaezip.training.loop import Trainer
from vaezip.training.sampler import DeviceSampler, Sampler
from vaezip.training.settings import Settings
from vaezip.training.vae import Vae

OTHER = Architecture(**{**SIZES, "width": 24, "layers": 2, "orders": (1, 4), "table_bits": (9, 10, 9, 11)})
TEXT = PROSE[:20_000].replace(b"!", b".")
FILES = [TextFile("x", np.frombuffer(TEXT, np.uint8))]


def network(a: Architecture, seed: int) -> Vae:
    torch.manual_seed(seed)
    vae = Vae(a)
    vae.decoder.tags.copy_(torch.from_numpy(owners(a, FILES)))
    vae.decoder.tables.data.mul_(20)  # so that a wrong row shows
    vae.decoder.z_shift.data.mul_(60)
    vae.decoder.head.weight.data.mul_(4)
    return vae


@torch.no_grad()
def predicted(vae: Vae, text: np.ndarray, z: float) -> torch.Tensor:
    """log p of all bytes in float64, (length, 256): the whole text at once, as the reference reads it."""
    rows = torch.from_numpy(find_rows(vae.a, context_slots(vae.a, text[None])[0], vae.decoder.tags.numpy()))
    seen = torch.from_numpy(np.concatenate([[0], text[:-1].astype(np.int64)]))
    latent = torch.full((1, vae.a.latents), z)
    logits, _ = vae.decoder(seen[:, None], rows[:, None], latent, vae.decoder.initial_state(latent))
    return logits[:, 0].double().log_softmax(-1)


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.parametrize("device", [False, True])
def test_half_of_the_loss_is_the_cross_entropy_with_the_teacher(device: bool, null: bool) -> None:
    """Which has sizes, contexts, owners of rows and a latent of its own, and reads segments of many chunks."""
    student, teacher = network(SMALL, 0), network(OTHER, 1)
    for parameter in (student.decoder.z_scale, student.decoder.z_shift, student.decoder.z_start):
        parameter.data.zero_()  # its own latent is not what this is about
    teacher.encoder.mean.weight.data.zero_()
    teacher.encoder.mean.bias.data.fill_(2)
    teacher.encoder.log_scale.bias.data.fill_(-100)  # so its z is about 2
    options = SegmentSource(FILES), 1, 48, np.random.default_rng(0)
    tags = student.decoder.tags
    sampler = (
        DeviceSampler(SMALL, tags, *options, teacher=teacher.decoder)
        if device
        else Sampler(SMALL, tags.numpy(), *options, teacher=teacher.decoder)
    )
    lanes = Lanes(student, 1, torch.Generator().manual_seed(0), teacher)
    settings = Settings(epochs=1, null_share=float(null))
    longest = 0
    chunk = sampler.next()
    for _ in range(3):
        found, told, text = 0.0, 0.0, []
        while True:
            loss = lanes.loss(chunk, settings, kl_weight=0.0)
            found, told = found + float(loss.total.detach()), told + float(loss.nats)
            text.append(chunk.target[chunk.mask[:, 0] == 1, 0].numpy())
            chunk = sampler.next()
            if chunk.fresh[0]:
                break
        longest = max(longest, len(text))
        whole = np.concatenate(text).astype(np.uint8)
        ours = predicted(student, whole, 0.0)
        nats = -float(ours.gather(1, torch.from_numpy(whole.astype(np.int64))[:, None]).sum())

        def expected(
            z: float, ours: torch.Tensor = ours, whole: np.ndarray = whole, nats: float = nats
        ) -> float:
            return (nats - float((predicted(teacher, whole, z).exp() * ours).sum())) / 2

        assert told == pytest.approx(nats, rel=1e-4)
        assert found == pytest.approx(expected(0.0 if null else 2.0), rel=1e-4 if null else 5e-3)
        assert found != pytest.approx(expected(2.0 if null else 0.0), rel=3e-2)
    assert longest >= 4


@pytest.mark.parametrize("backend", [ThreadBackend, DeviceBackend])
def test_a_student_learns_what_only_its_teacher_says(
    backend: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That all is exclamation marks, of which the text has none: the student comes to believe half of it."""
    monkeypatch.setitem(backends.BACKENDS, "cpu", backend)
    teacher = network(OTHER, 1)
    teacher.decoder.head.weight.data.zero_()
    teacher.decoder.head.bias.data[ord("!")] = 20

    before = {name: x.clone() for name, x in teacher.state_dict().items()}
    student = network(SMALL, 0)
    settings = Settings(epochs=100, workers=2, lanes=4, chunk=64, lr=0.03, bfloat16=False)
    trainer = Trainer(student, Corpus(FILES, FILES[:1], []), settings, tmp_path, teacher=teacher)
    for _ in itertools.islice(trainer.run(), 60):
        pass
    marks = predicted(student, FILES[0].data[:500], 0.0)[:, ord("!")].exp().mean()
    assert float(marks) == pytest.approx(0.5, abs=0.15)
    assert all(torch.equal(x, before[name]) for name, x in teacher.state_dict().items())


def test_a_run_keeps_its_teacher_and_tells_who_it_was(texts: Path, tmp_path: Path) -> None:
    output, folder = tmp_path / "my.vzm", tmp_path / "my.vzm.train"
    options: dict[str, Any] = {**OPTIONS, "epochs": 0.05}
    interrupted(texts, output, options, init=str(TINY), teacher=str(TINY))
    with pytest.raises(CheckpointError, match=r"did not learn from standard \(--teacher\)$"):
        training_run(texts, output, {}, resume=True, teacher="standard")
    training_run(texts, output, {}, resume=True, teacher=str(TINY)).close()
    state = contents(folder)
    for other in (None, (ROOT / "models" / "standard.vzm").read_bytes()):
        (folder / "teacher.vzm").unlink()
        if other is not None:
            (folder / "teacher.vzm").write_bytes(other)
        with pytest.raises(CheckpointError, match=r"teacher\.vzm is missing, or another model$"):
            training_run(texts, output, {}, resume=True)
        (folder / "teacher.vzm").write_bytes(TINY.read_bytes())
    assert contents(folder) == state
    with training_run(texts, output, {}, resume=True) as resumed:
        assert len(list(resumed.run())) > 1
        resumed.finish()
    assert sorted(tmp_path.iterdir()) == [output, texts]
    fingerprint = load_model(TINY).fingerprint.hex()
    assert json.loads(load_model(output).info["settings"])["teacher"] == f"tiny {fingerprint}"


def test_a_run_without_a_teacher_does_not_get_one_later(texts: Path, tmp_path: Path) -> None:
    interrupted(texts, tmp_path / "my.vzm")
    with pytest.raises(CheckpointError, match="did not learn from"):
        training_run(texts, tmp_path / "my.vzm", {}, resume=True, teacher=str(TINY))
    (tmp_path / "my.vzm.train" / "teacher.vzm").write_bytes(TINY.read_bytes())
    with pytest.raises(CheckpointError, match=r"teacher\.vzm is missing, or another model$"):
        training_run(texts, tmp_path / "my.vzm", {}, resume=True)


def test_a_teacher_that_is_none_is_one_line(texts: Path, tmp_path: Path, run: Run) -> None:
    before = contents(tmp_path)
    result = run("train", "texts", "-o", "my.vzm", "--teacher", "texts/0.txt")
    assert result.returncode == 1
    assert result.stderr == b"vaezip: texts/0.txt: not a vaezip model\n"
    for name in ("nobody", str(tmp_path / "no" / "such.vzm"), str(texts)):
        with pytest.raises(ModelError, match=f"^{name}: ") as caught:
            training_run(texts, tmp_path / "my.vzm", teacher=name)
        assert "\n" not in str(caught.value)
    damaged = TINY.read_bytes()
    (tmp_path / "damaged.vzm").write_bytes(damaged[:-1])
    with pytest.raises(ModelError):
        training_run(texts, tmp_path / "my.vzm", teacher=str(tmp_path / "damaged.vzm"))
    (tmp_path / "damaged.vzm").unlink()
    assert contents(tmp_path) == before
    (tmp_path / "my.vzm").write_bytes(damaged)
    with pytest.raises(FileError, match="is the model to learn from"):
        training_run(texts, tmp_path / "my.vzm", teacher=str(tmp_path / "my.vzm"), overwrite=True)
