"""Training through its public interface: what a run learns, and the exact model that it gives."""

from __future__ import annotations

import dataclasses
import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from conftest import DATA, PROSE, TINY, Run

import vaezip
from vaezip import bitsback
from vaezip.coder import TOTAL
from vaezip.information import network_bits
from vaezip.mixing.parameters import PRESETS, MixerParameters
from vaezip.model import parse_model, read_model_file
from vaezip.network.architecture import Architecture
from vaezip.tensors import read_tensors
from vaezip.training import checkpoint as states
from vaezip.training import functions, functions_torch, loop
from vaezip.training.data import Corpus, TextFile
from vaezip.training.dequantise import dequantise
from vaezip.training.evaluate import evaluate, negative_elbo, posterior, text_bits
from vaezip.training.grow import grow
from vaezip.training.loop import Trainer
from vaezip.training.optimizer import AdamW
from vaezip.training.owners import settle_owners
from vaezip.training.quantise import quantise
from vaezip.training.ranks import Command
from vaezip.training.run import TrainingRun
from vaezip.training.settings import Settings
from vaezip.training.vae import Decoder, Vae
from vaezip.training.validation import Validation

SIZES = {"width": 16, "layers": 1, "table_bits": (9, 9, 10, 10, 10, 9, 10), "encoder_width": 16}
SMALL = Architecture(**SIZES)  # type: ignore[arg-type]
OPTIONS = {"epochs": 0.3, "workers": 2, "lanes": 4, "chunk": 128, "bfloat16": False}


def pieces(name: str, text: bytes, size: int) -> list[TextFile]:
    """As files of their own: what they are practised on is drawn from them, dozens of files' beginnings."""
    found = (text[at : at + size] for at in range(0, len(text), size))
    return [TextFile(name, np.frombuffer(piece, np.uint8)) for piece in found]


def test_a_run_gives_a_model_that_compresses(corpus: Path, tmp_path: Path, run: Run) -> None:
    arguments = ("train", "corpus", "--epochs", 3, "--width", 16, "--layers", 1, "--table-bits", 12, "-q")
    result = run(*arguments, "-o", "my.vzm")
    assert result.returncode == 0, result.stderr
    assert b"empty: skipped: empty" in result.stderr
    assert b"dangling: skipped: not a regular file" in result.stderr
    report = result.stdout.decode()
    for line in (
        "as coded",
        "exact network, null latent",
        "float network, null latent",
        "float network, -ELBO",
        "xz -9e",
        "gzip -9",
        "KL per block",
        "the mixer practised on these files, so other text gains less",
    ):
        assert line in report
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus", "my.vzm"]
    text = PROSE[-1000:]
    blob = vaezip.compress(text, model=tmp_path / "my.vzm")
    assert len(blob) < 900
    assert vaezip.decompress(blob, model=tmp_path / "my.vzm") == text
    again = run(*arguments, "-o", "my.vzm")
    assert again.returncode == 1
    assert b"already exists" in again.stderr


def test_training_learns_and_is_reproducible(corpus: Path, tmp_path: Path) -> None:
    def curve(name: str, seed: int, steps: int) -> list[float]:
        options = {**OPTIONS, "epochs": 10, "seed": seed, "lr": 0.03}
        with TrainingRun([corpus], tmp_path / name, SIZES, options) as run:
            return [progress.bits_per_byte for progress in itertools.islice(run.run(), steps)]

    first, second, other = curve("a", 1, 60), curve("b", 1, 60), curve("c", 2, 2)
    assert first == second
    assert first[:2] != other
    assert first[-1] < 6 < first[0]


def test_dense_weights_learn_by_adam_and_decay() -> None:
    torch.manual_seed(0)
    initial = torch.randn(30, 4)
    ours, reference = torch.nn.Parameter(initial.clone()), initial.double()
    adam, mean, square = AdamW([ours], 0.1, (0.9, 0.98), 0.02), 0.0, 0.0
    for step in range(1, 6):
        gradient = torch.randn(30, 4)
        adam.step(gradient.flatten(), 0.5)
        mean = 0.9 * mean + 0.1 * gradient.double()
        square = 0.98 * square + 0.02 * gradient.double() ** 2
        change = (mean / (1 - 0.9**step)) / ((square / (1 - 0.98**step)).sqrt() + 1e-8)
        reference = (1 - 0.05 * 0.02) * reference - 0.05 * change
    assert torch.allclose(ours.double(), reference, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(ours, initial, atol=0.1)


def test_continuing_from_a_model(corpus: Path, tmp_path: Path) -> None:
    options = {"epochs": 0.3, "lanes": 4, "chunk": 128}
    with TrainingRun([corpus], tmp_path / "my.vzm", {}, options, init=str(TINY)) as run:
        first = next(iter(run.run()))
    assert first.measured is not None
    assert first.measured < 4.5  # it can read already


def test_what_training_spoils_is_not_kept(corpus: Path, run: Run) -> None:
    arguments = ("--init", TINY, "--epochs", 3, "--lr", 1, "--dropout", 0.1)
    result = run("train", "corpus/prose", "-o", "my.vzm", *arguments, "-q")
    assert result.returncode == 0, result.stderr
    after, before = (float(line.split()[-2]) for line in result.stdout.decode().splitlines()[1:3])
    assert after < 1.02 * before


def test_the_exact_model_is_the_float_model(tiny: vaezip.Model) -> None:
    data = read_model_file(str(TINY))
    vae = dequantise(tiny, data)
    text = np.frombuffer(PROSE[:4000], np.uint8)
    x_bits, kl_bits, null_bits = negative_elbo(vae, text)
    files = [TextFile("x", text)]
    result = evaluate(vae, tiny, files)
    assert result.bytes == 4000
    assert result.negative_elbo * 4000 == pytest.approx(x_bits + kl_bits)
    parts = pieces("x", text.tobytes(), 1000)
    again = parse_model(quantise(vae, Corpus(parts, parts, []), {}), "again")
    for model in (tiny, again):
        null = network_bits(model, text, model.latent.null())
        assert null == pytest.approx(null_bits, rel=0.003)
    step = safetensors.numpy.load(data)["training.latent_step"]
    drawn = bitsback.encode(tiny, text.tobytes(), latent=True, preset=0)
    (given,) = text_bits(vae, text, torch.from_numpy(drawn.z * step)[None].float())
    assert network_bits(tiny, text, drawn.z) == pytest.approx(given, rel=0.003)
    assert np.abs(tiny.encoder(text)[0] / 8 - posterior(vae, text).mean[0].numpy() / step).max() < 1


def test_a_model_whose_latents_are_idle_keeps_one() -> None:
    vae = Vae(SMALL)
    with torch.no_grad():
        for layer, bias in ((vae.encoder.mean, 0), (vae.encoder.log_scale, 0.5)):  # the prior of any text
            layer.weight.zero_()
            layer.bias.fill_(bias)
    parts = pieces("x", PROSE[:2000], 1000)
    idle = parse_model(quantise(vae, Corpus(parts, parts, []), {}, practice_seconds=0), "idle")
    assert idle.architecture.latents == 1
    assert vaezip.decompress(vaezip.compress(PROSE[:500], model=idle), model=idle) == PROSE[:500]


@pytest.mark.parametrize("size", [11, 15])
def test_files_too_short_for_a_latent_leave_the_prior_the_normal_one(size: int) -> None:
    parts = pieces("x", PROSE[: 300 * size], size)
    data = quantise(Vae(SMALL), Corpus(parts, parts, []), {}, practice_seconds=0)
    prior = read_tensors(data)[0]["latent.prior"]
    assert (prior == prior[:, ::-1]).mean() > 0.9  # but for what rounding leaves
    assert prior.argmax(axis=1).tolist() == [prior.shape[1] // 2] * len(prior)
    assert prior.max() < TOTAL // 2
    model = parse_model(data, "short")
    assert vaezip.decompress(vaezip.compress(PROSE[:2000], model=model), model=model) == PROSE[:2000]


def test_a_mixer_is_fine_tuned_from_what_it_had_learned(tiny: vaezip.Model) -> None:
    vae = dequantise(tiny, read_model_file(str(TINY)))
    files = [TextFile("x", np.frombuffer(PROSE[-1500:], np.uint8))]
    text = PROSE[:4000]

    def coded(before: MixerParameters | None) -> int:
        data = quantise(vae, Corpus(files, files, []), {}, before=before)
        return len(vaezip.compress(text, model=parse_model(data, "x")))

    assert coded(tiny.mixer) < coded(None)


def test_a_mixer_that_has_little_time_practises_less(tiny: vaezip.Model) -> None:
    vae = dequantise(tiny, read_model_file(str(TINY)))
    files = [TextFile("x", np.frombuffer(PROSE[-300:], np.uint8))]

    def counts(seconds: float) -> int:
        model = parse_model(quantise(vae, Corpus(files, files, []), {}, practice_seconds=seconds), "x")
        return int((model.mixer.presets[0].history_map & 1023).sum())

    assert 0 < counts(0) < counts(math.inf)


def test_presets_learn_different_texts(tiny: vaezip.Model) -> None:
    table = b"".join(b"%d;%d;item %d;%0.2f\n" % (i, i % 7, i % 5, i * 1.5) for i in range(700))
    files = [*pieces("prose", PROSE[:12_000], 1500), *pieces("table", table, 1500)]
    model = parse_model(
        quantise(dequantise(tiny, read_model_file(str(TINY))), Corpus(files, files, []), {}), "x"
    )
    texts = PROSE[12_000:15_000], table.replace(b"item", b"unit")[:3000]
    sizes = [
        [len(bitsback.encode(model, text, latent=False, preset=k).block.payload) for k in range(PRESETS)]
        for text in texts
    ]
    chosen = [bitsback.PresetChoice(model, text).preset for text in texts]
    for of_text, preset in zip(sizes, chosen, strict=True):
        assert of_text[preset] <= 1.05 * min(of_text)
    assert chosen[0] != chosen[1]
    assert sum(map(min, sizes)) < min(map(sum, zip(*sizes, strict=True)))  # no preset suits both as well


@pytest.mark.skipif(functions.passes("cpu") is functions_torch, reason="the kernel was not built")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kernel_differentiates_as_torch_does(dtype: torch.dtype) -> None:
    def results(passes: functions.Passes) -> list[torch.Tensor]:
        torch.manual_seed(0)
        u = (2 * torch.randn(37, 5, 72)).to(dtype).requires_grad_()
        x, h0, scale, shift = (torch.randn(n, requires_grad=True) for n in ((37, 5, 24), *[(5, 24)] * 3))
        change, logits = (torch.randn(37, 5, n).to(dtype).requires_grad_() for n in (24, 256))
        target = torch.randint(0, 256, (37, 5))
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            out = [
                *passes.recurrence(u, h0),
                *passes.add_and_modulate(x, change, scale, shift),
                passes.cross_entropy(5 * logits, target),
            ]
        loss = torch.stack([(y.float() * torch.randn(y.shape)).sum() for y in out]).sum()
        return out + list(torch.autograd.grad(loss, (u, h0, x, change, scale, shift, logits)))

    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    for a, b in zip(results(functions.passes("cpu")), results(functions_torch), strict=True):
        assert (a.float() - b.float()).norm() <= tolerance * b.float().norm()


@pytest.mark.skipif(functions.passes("cpu") is functions_torch, reason="the kernel was not built")
def test_the_kernel_takes_numbers_of_any_size() -> None:
    passes = functions.passes("cpu")
    sizes = [0.0, 1e-30, 1.0, 87.0, 88.5, 1e3, 1e7, 1e30, 3e38, float("inf")]
    row = torch.tensor([sign * size for size in sizes for sign in (1, -1)] * 4)
    u = torch.cat([row, row.roll(1), row.roll(7)]).expand(3, 2, -1)
    for ours, expected in zip(
        passes.recurrence(u, torch.zeros(2, 80)),
        functions_torch.recurrence(u, torch.zeros(2, 80)),
        strict=True,
    ):
        assert torch.allclose(ours, expected, rtol=1e-5, atol=1e-6)
    logits = torch.zeros(1, 1, 256)
    logits[0, 0, :18] = row[:18]  # all but the infinite
    target = torch.tensor([[int(logits.argmax())]])
    assert passes.cross_entropy(logits, target) == functions_torch.cross_entropy(logits, target) == 0
    logits[0, 0, 100] = float("nan")
    assert passes.cross_entropy(logits, target).isnan()
    u = u.clone()
    u[0, 0, 0] = float("nan")
    assert passes.recurrence(u, torch.zeros(2, 80))[0][:, 0, 0].isnan().all()


@pytest.mark.parametrize("sizes", [{"width": 24}, {"layers": 3}, {"width": 20, "layers": 2}])
def test_a_grown_network_begins_where_the_old_one_is(tiny: vaezip.Model, sizes: dict[str, int]) -> None:
    text = np.frombuffer(PROSE[:4000], np.uint8)
    vae = dequantise(tiny, TINY.read_bytes())
    z = torch.randn(1, vae.a.latents)
    (before,) = text_bits(vae, text, z)
    (after,) = text_bits(grow(vae, dataclasses.replace(vae.a, **sizes)), text, z)
    assert after == pytest.approx(before, rel=0.03)
    (fresh,) = text_bits(Vae(dataclasses.replace(vae.a, **sizes)), text, z)
    assert fresh > 1.5 * before


def test_a_trained_network_does_not_shrink(tiny: vaezip.Model) -> None:
    vae = dequantise(tiny, TINY.read_bytes())
    for sizes in ({"width": vae.a.width - 8}, {"patch": 2}, {"table_dim": vae.a.table_dim + 1}):
        with pytest.raises(vaezip.ModelError, match=r"grow|only width"):
            grow(vae, dataclasses.replace(vae.a, **sizes))


def test_the_carried_state_continues_a_segment() -> None:
    torch.manual_seed(0)
    decoder = Decoder(SMALL)
    seen, rows = torch.randint(0, 256, (20, 2)), torch.randint(0, 2048, (20, 2, SMALL.contexts))
    z = torch.randn(2, SMALL.latents)
    whole, end = decoder(seen, rows, z, decoder.initial_state(z))
    first, middle = decoder(seen[:7], rows[:7], z, decoder.initial_state(z))
    second, last = decoder(seen[7:], rows[7:], z, middle)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(last, end)


def test_rounds_end_between_origin_and_mean(tiny: vaezip.Model, tmp_path: Path) -> None:
    """Two rounds miss a good network, each by the same step to another side; the origin lies far behind it."""
    vae = dequantise(tiny, read_model_file(str(TINY)))
    good = {name: x.clone() for name, x in vae.state_dict().items()}
    g = torch.Generator().manual_seed(0)
    step = {n: torch.randn(x.shape, generator=g) * x.std() for n, x in good.items() if n.endswith("weight")}
    side = {n: torch.randn(x.shape, generator=g) * x.std() for n, x in good.items() if n.endswith("weight")}

    def put(forth: float, aside: float) -> None:
        vae.load_state_dict(good)
        for name, x in vae.named_parameters():
            if name in step:
                x.data += forth * step[name] + aside * side[name]

    text = np.frombuffer(PROSE[:2000], np.uint8)
    validation = Validation([TextFile("x", text)], tmp_path)
    best = validation.offer(vae)
    (tmp_path / "best.pt").unlink()

    put(-0.21, 0)
    validation = Validation([TextFile("x", text)], tmp_path)
    validation.set_origin(vae)
    origin = [p.clone() for p in vae.parameters()]
    for ended, aside in enumerate((0.05, -0.05), 1):
        put(0.09, aside)
        assert validation.offer(vae) > 1.002 * best
        put(9, 9)
        validation.offer(vae)
        validation.next_round(vae, ended)
        assert all((p == q).all() for p, q in zip(vae.parameters(), origin, strict=True))
    validation.finish(vae)
    assert validation.offer(vae) < 1.0001 * best


def test_a_run_goes_on_in_rounds_once_the_corpus_is_known_by_heart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round is over when other text is worse for it; the last one ends with the budget, annealed."""
    text, other = (
        TextFile("x", np.frombuffer(part, np.uint8)) for part in (PROSE[12500:14500], PROSE[22000:24000])
    )
    torch.manual_seed(0)
    vae = Vae(SMALL)
    settle_owners(vae.decoder, [text], 0)
    monkeypatch.setattr(loop, "_WARM_UP", 20)  # so that rounds are short
    settings = Settings(epochs=40, workers=1, lanes=4, chunk=64, lr=8e-3)
    trainer = Trainer(vae, Corpus([text], [other], []), settings, tmp_path)
    trainer.fine_tune()
    progress = list(trainer.run())
    rounds = torch.load(tmp_path / "mean.pt", weights_only=True)["rounds"]
    assert rounds >= 2
    assert progress[-1].round == rounds + 1
    for last, first in itertools.pairwise(progress):
        if last.round < first.round:
            assert last.measured is not None  # which is how the round's end was known
            assert first.learning_rate == pytest.approx(8e-3 / 20)  # it rises anew
    assert progress[-1].bytes_read == pytest.approx(40 * 2000, rel=0.01)
    trainer.finish()
    null = torch.zeros(1, SMALL.latents)
    assert text_bits(vae, other.data, null)[0] / 2000 < progress[-1].validation


@pytest.mark.parametrize("at", ["unlink", "begin", "order"])
def test_a_run_that_is_interrupted_between_two_rounds_counts_none_twice(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the mean has a round, once its best network is gone, too, and once the checkpoint knows of that."""
    text = TextFile("x", np.frombuffer(PROSE[12500:14500], np.uint8))
    corpus = Corpus([text], [text], [])
    settings = Settings(epochs=40, workers=1, lanes=4, chunk=64)
    for name, value in (("_WARM_UP", 1), ("_PATIENCE", 0), ("_VALIDATION_SECONDS", 0)):
        monkeypatch.setattr(loop, name, value)  # so that rounds are short
    trainer = Trainer(Vae(SMALL), corpus, settings, tmp_path)
    trainer.fine_tune()

    def interrupt(*arguments: Any, **options: Any) -> None:
        if at == "begin" or arguments[0] in (tmp_path / "best.pt", (Command.BEGIN_AGAIN, 0.0, 0.0)):
            raise KeyboardInterrupt

    owner = {"unlink": Path, "begin": trainer._descent, "order": trainer._ranks}[at]
    steps = trainer.run()
    next(steps)
    trainer.save()
    with monkeypatch.context() as patch:
        patch.setattr(owner, at, interrupt)
        with pytest.raises(KeyboardInterrupt):
            list(steps)
    mean = states.load(tmp_path / "mean.pt")
    assert (tmp_path / "best.pt").exists() == (at == "unlink")
    resumed = Trainer.resumed(corpus, tmp_path, {}, {})
    steps = resumed.run()
    assert next(steps).round == 2
    again = states.load(tmp_path / "mean.pt")
    assert mean["rounds"] == again["rounds"] == 1
    assert all(torch.equal(x, again["vae"][name]) for name, x in mean["vae"].items())
    assert not (tmp_path / "best.pt").exists()
    assert next(progress.round for progress in steps if progress.round != 2) == 3
    assert states.load(tmp_path / "mean.pt")["rounds"] == 2


def test_training_without_torch_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from vaezip.__main__ import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "train", str(DATA), "-o", str(tmp_path / "m.vzm")],
        capture_output=True,
        check=False,
    )
    assert result.returncode == 1
    assert b"pip install 'vaezip-text[train]'" in result.stderr
    assert b"Traceback" not in result.stderr
