"""One step of training: the loss, the gradients, and what is done with those that are too large or no numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from conftest import PROSE
from test_training import SMALL
from torch import distributed

from vaezip.errors import VaezipError
from vaezip.training.backends import Backend, Gradients, ThreadBackend
from vaezip.training.data import Corpus, SegmentSource, TextFile
from vaezip.training.descent import Descent
from vaezip.training.lanes import Lanes
from vaezip.training.loop import Trainer
from vaezip.training.optimizer import flattened
from vaezip.training.ranks import Ranks
from vaezip.training.sampler import Sampler
from vaezip.training.settings import Settings
from vaezip.training.vae import Decoder, Vae

TEXT = TextFile("x", np.frombuffer(PROSE[:20_000], np.uint8))
SETTINGS = Settings(epochs=1, workers=1, lanes=4, chunk=64, bfloat16=False)


def test_a_segment_pays_for_its_latents_but_for_those_that_say_little() -> None:
    torch.manual_seed(0)
    vae = Vae(SMALL)
    used = torch.arange(SMALL.latents) % 2 == 0
    with torch.no_grad():
        vae.encoder.mean.bias[:] = torch.where(used, 1.5, 0.0)
    files = [TEXT, TextFile("short", TEXT.data[:40])]
    nobody = np.zeros(SMALL.table_offsets[-1], np.uint8)
    sampler = Sampler(SMALL, nobody, SegmentSource(files, {}), 12, 64, np.random.default_rng(0))
    settings = Settings(epochs=1, null_share=0.3, free_nats=0.4)
    chunk = sampler.next()
    losses, null = [], torch.empty(0)
    for weight in (0.0, 1.0, 0.25):
        lanes = Lanes(vae, 12, torch.Generator().manual_seed(0))
        losses.append(lanes.loss(chunk, settings, weight).total)
        null = lanes._null
    assert 0 < null.sum() < 12

    q = vae.encoder(chunk.view, chunk.view_bytes)
    mean, log_scale = (x.detach().double().numpy() for x in q)
    kl = (mean**2 + np.exp(2 * log_scale) - 1) / 2 - log_scale
    share = (chunk.mask.sum(0) / chunk.segment_bytes).double().numpy()[:, None] * ~null.numpy()
    of_latent = (kl * share).sum(0) / share.sum()
    assert ((of_latent > 0.4) == used.numpy()).all()
    expected = np.maximum(of_latent, 0.4).sum() * share.sum()
    assert (losses[1] - losses[0]).item() == pytest.approx(expected, rel=1e-4)
    assert (losses[2] - losses[0]).item() == pytest.approx(expected / 4, rel=1e-3)
    (gradient,) = torch.autograd.grad(losses[1] - losses[0], vae.encoder.mean.bias)
    of_mean = np.where(used, (mean * share).sum(0), 0)
    assert np.allclose(gradient.numpy(), of_mean, rtol=1e-3, atol=1e-3)


class Given:
    """A backend that gives these gradients."""

    map = staticmethod(map)

    def __init__(self, gradients: Callable[[], Gradients]) -> None:
        self._gradients = gradients

    def gradients(self, parameters: list[torch.Tensor], kl_weight: float) -> Gradients:
        return self._gradients()


def stepped(size: float, sparse: bool, broken: float | None = None) -> tuple[Vae, Vae, dict[str, Any]]:
    """A network before a step by random gradients of that norm per byte, and after; and the optimizers."""
    torch.manual_seed(0)
    before, vae = Vae(SMALL), Vae(SMALL)
    before.load_state_dict(vae.state_dict())
    tables = vae.decoder.tables
    dense = flattened(torch.randn(p.shape) for p in vae.parameters() if p is not tables)
    dense *= size * 10 / dense.norm()
    rows = torch.arange(SMALL.contexts) * 20
    of_tables = torch.sparse_coo_tensor(
        rows[None], torch.randn(SMALL.contexts, SMALL.table_dim), tables.shape, check_invariants=True
    )
    if broken is not None:
        dense[500] = broken
        of_tables = of_tables * broken
    found = Gradients(dense, of_tables if sparse else of_tables.to_dense(), 10, 3.0, 7.0)
    descent = Descent(vae, SETTINGS, Ranks())
    descent.step(cast(Backend, Given(lambda: found)), 1.0, 1.0)
    return before, vae, descent.state_dict()


def test_dense_gradients_are_clipped_and_others_are_not() -> None:
    for size, kept in ((1e6, 1.0), (3.0, 1.0), (0.25, 0.25)):
        _, _, state = stepped(size, sparse=True)
        mean = float(state["adam"]["mean"].norm())
        assert mean == pytest.approx(0.1 * kept, rel=1e-4)  # 1 - the decay of Adam's mean
        assert float(state["row_adam"]["mean"].norm()) > 0.01


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_gradients_that_are_no_numbers_are_passed_over(broken: float, sparse: bool) -> None:
    before, after, state = stepped(0.5, sparse, broken)
    assert torch.equal(before.decoder.tables, after.decoder.tables)
    for p, q in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-3)  # it decays
    assert state["adam"]["mean"].isfinite().all()
    assert not torch.equal(before.decoder.tables, stepped(0.5, sparse)[1].decoder.tables)


def test_a_network_that_has_come_to_nothing_is_an_error(tmp_path: Path) -> None:
    vae = Vae(SMALL)
    trainer = Trainer(vae, Corpus([TEXT], [TEXT], []), SETTINGS, tmp_path)
    steps = trainer.run()
    next(steps)
    trainer.save()
    good = (tmp_path / "checkpoint.pt").read_bytes()
    with torch.no_grad():
        vae.decoder.head.bias[0] = float("nan")
    with pytest.raises(VaezipError, match=r"--resume .*\(--lr\)") as caught:
        list(steps)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "checkpoint.pt").read_bytes() == good
    assert 0 < trainer._progress().bits_per_byte < 10  # what is no number is not in the means


def test_processes_report_the_means_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of x per byte, of KL per segment, of which all read as many: as one process would that read all."""
    ranks = Ranks()
    ranks.count = 2
    ours = Gradients(torch.ones(3), torch.ones(4, 2), 100, 3.0, 7.0)

    def add(x: torch.Tensor) -> None:  # another one's 300 bytes
        x += torch.tensor([300, 300 * 5.0, 9.0]) if x.dtype == torch.float64 else 2 * torch.ones_like(x)

    monkeypatch.setattr(distributed, "all_reduce", add)
    found = ranks.sum(ours)
    assert (found.bytes, found.bits_per_byte, found.kl_bits) == (400, 4.5, 8.0)
    assert found.dense.tolist() == [3, 3, 3]
    assert (found.tables == 3).all()
    ranks.count = 1
    assert ranks.sum(ours) is ours


def test_all_lanes_are_read_however_many_workers_share_them() -> None:
    vae = Vae(SMALL)
    parameters = [*(p for p in vae.parameters() if p is not vae.decoder.tables), vae.decoder.tables]
    for workers in (1, 2, 3, 5, 9):
        settings = Settings(epochs=1, workers=workers, lanes=5, chunk=64, bfloat16=False)
        backend = ThreadBackend(vae, SegmentSource([TEXT]), settings, (0,))
        assert backend.gradients(parameters, 1.0).bytes == 5 * 64
        backend.close()


def test_what_the_latent_scales_by_is_not_rounded_to_bfloat16() -> None:
    torch.manual_seed(0)
    decoder = Decoder(SMALL)
    with torch.no_grad():
        decoder.z_scale.normal_(std=1e-3)
    z = torch.randn(3, SMALL.latents)
    exact = decoder.modulation(z)
    with torch.autocast("cpu", torch.bfloat16):
        found = decoder.modulation(z)
    for x, y in zip(exact, found, strict=True):
        assert torch.equal(x, y)
