"""A network that learns what the mixer of the model that it begins with does not foretell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import PROSE, TINY, Run
from runs import OPTIONS, interrupted, training_run
from test_training_gpu import SMALL
from test_training_teacher import network, predicted

from vaezip.errors import CheckpointError
from vaezip.model import load_model
from vaezip.training.data import SegmentSource, TextFile
from vaezip.training.importance import Misses, importance
from vaezip.training.lanes import Lanes
from vaezip.training.sampler import Chunk, DeviceSampler, Sampler
from vaezip.training.settings import Settings
from vaezip.training.validation import Validation

TWICE = 2 * PROSE[:3000]  # of which the mixer knows the second half
FILES = [
    TextFile("x", np.frombuffer(PROSE[:20_000], np.uint8)),
    TextFile("y", np.frombuffer(TWICE, np.uint8)),
]
MISSES = Misses(TINY.read_bytes())


def sampler_of(device: bool, lanes: int = 3, rescript: float = 0.3) -> Sampler | DeviceSampler:
    options: Any = SegmentSource(FILES), lanes, 64, np.random.default_rng(1), rescript
    tags = network(SMALL, 0).decoder.tags
    if device:
        return DeviceSampler(SMALL, tags, *options, misses=MISSES)
    return Sampler(SMALL, tags.numpy(), *options, misses=MISSES)


@pytest.mark.parametrize("added", [-0.3, 0.0, 2.0])
def test_the_weighted_gradient_is_that_of_what_coding_costs(added: float) -> None:
    """Where the mixer adds as much to the log odds of the right byte, whatever the network says of it."""
    torch.manual_seed(0)
    logits = torch.randn(50, 256, dtype=torch.float64).mul(1.5).requires_grad_()
    target = torch.arange(50)
    log_p = logits.log_softmax(-1).gather(1, target[:, None])[:, 0]
    log_q = torch.nn.functional.logsigmoid(log_p - torch.log1p(-log_p.exp()) + added)
    (of_coding,) = torch.autograd.grad(log_q.sum(), logits, retain_graph=True)
    weights = importance(1 - log_q.detach().exp(), -log_p.detach())
    (of_network,) = torch.autograd.grad((weights * log_p).sum(), logits)
    assert torch.allclose(of_coding, of_network, rtol=0.01, atol=1e-4)


def test_misses_are_what_the_intervals_leave() -> None:
    text = np.frombuffer(TWICE, np.uint8)
    model = load_model(TINY)
    widths = model.predictor(model.latent.null(), 0, len(text)).intervals(text)[:, 1]
    assert np.allclose(MISSES(text), 1 - widths / 2**24)
    first, second = np.split(MISSES.importance(text).numpy(), 2)
    assert second.mean() < first.mean() / 3
    assert np.array_equal(Misses.unpacked(MISSES.packed())(text), MISSES(text))


@pytest.mark.parametrize("device", [False, True])
def test_chunks_say_what_is_missed_of_their_segments(device: bool) -> None:
    """Of many chunks or one, in another script or not."""
    sampler, texts, missed, seen = sampler_of(device), [[] for _ in range(3)], [[] for _ in range(3)], 0
    for _ in range(60):
        chunk: Chunk = sampler.next()
        assert chunk.missed is not None
        for lane in range(3):
            if chunk.fresh[lane] and texts[lane]:
                text = np.concatenate(texts[lane]).astype(np.uint8)
                assert np.allclose(MISSES(text), np.concatenate(missed[lane]))
                texts[lane], missed[lane], seen = [], [], seen + 1
            real = chunk.mask[:, lane] == 1
            texts[lane].append(chunk.target[real, lane].numpy())
            missed[lane].append(chunk.missed[real, lane].numpy())
    assert seen > 20


@pytest.mark.parametrize("device", [False, True])
def test_bytes_count_by_their_importance(device: bool) -> None:
    vae, sampler = network(SMALL, 0), sampler_of(device, 1, 0.0)
    for parameter in (vae.decoder.z_scale, vae.decoder.z_shift, vae.decoder.z_start):
        parameter.data.zero_()
    lanes, settings = Lanes(vae, 1, torch.Generator().manual_seed(0)), Settings(epochs=1)
    for _ in range(10):
        chunk = sampler.next()
        loss = lanes.loss(chunk, settings, kl_weight=0.0)
        if not chunk.fresh[0]:
            continue
        real = chunk.mask[:, 0] == 1
        text = chunk.target[real, 0].numpy().astype(np.uint8)
        nats = -predicted(vae, text, 0.0).gather(1, torch.from_numpy(text.astype(np.int64))[:, None])[:, 0]
        assert chunk.missed is not None
        weights = importance(chunk.missed[real, 0], nats)
        assert float(loss.total.detach()) == pytest.approx(float((weights * nats).sum()), rel=1e-3)
        assert float(loss.nats) == pytest.approx(float(nats.sum()), rel=1e-3)


def test_validation_counts_bytes_likewise(tmp_path: Path) -> None:
    vae, text = network(SMALL, 0), FILES[1].data[:4096]
    bits = -predicted(vae, text, 0.0).gather(1, torch.from_numpy(text.astype(np.int64))[:, None])[
        :, 0
    ] / np.log(2)
    weights = MISSES.importance(text)
    for misses, expected in ((None, bits.mean()), (MISSES, (bits * weights).sum() / weights.sum())):
        found = Validation([TextFile("y", text)], tmp_path, misses).offer(vae)
        assert found == pytest.approx(float(expected), rel=1e-3)


def test_a_run_goes_on_as_it_began(texts: Path, tmp_path: Path) -> None:
    output, options = tmp_path / "my.vzm", {**OPTIONS, "epochs": 0.05, "complement": True}
    interrupted(texts, output, options, init=str(TINY))
    with training_run(texts, output, {}, resume=True) as resumed:
        assert len(list(resumed.run())) > 1
        resumed.finish()
    assert json.loads(load_model(output).info["settings"])["complement"] is True
    other = tmp_path / "other.vzm"
    interrupted(texts, other, {**options, "complement": False}, init=str(TINY))
    with pytest.raises(CheckpointError, match=r"other settings: complement False \(not True\)$"):
        training_run(texts, other, {"complement": True}, resume=True)


def test_there_must_be_a_model_to_complement(texts: Path, run: Run) -> None:
    result = run("train", "texts", "-o", "my.vzm", "--complement")
    assert result.returncode == 1
    assert b"--complement needs --init" in result.stderr
