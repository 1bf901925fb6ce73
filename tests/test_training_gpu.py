"""Training on a GPU: the same as on a CPU, and tested there, in torch and by Triton's interpreter."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from conftest import PROSE, ROOT, TINY, Run

import vaezip
from vaezip.errors import DeviceError
from vaezip.network.architecture import Architecture
from vaezip.network.contexts import STRANGERS
from vaezip.training import backends, functions, functions_torch
from vaezip.training.backends import DeviceBackend, ThreadBackend
from vaezip.training.data import Corpus, SegmentSource, TextFile
from vaezip.training.devices import find_device
from vaezip.training.importance import Misses
from vaezip.training.loop import Trainer
from vaezip.training.optimizer import RowAdam
from vaezip.training.owners import choose_owners
from vaezip.training.ranks import Place
from vaezip.training.run import TrainingRun
from vaezip.training.sampler import Chunk, DeviceSampler, Sampler
from vaezip.training.settings import FINE_TUNING, Settings
from vaezip.training.vae import Decoder, Vae

SIZES: dict[str, Any] = {
    "width": 16,
    "layers": 1,
    "table_bits": (9, 9, 10, 10, 10, 9, 10),
    "encoder_width": 16,
}
SMALL = Architecture(**SIZES)
HAS_GPU = torch.cuda.is_available()
HAS_TRITON = importlib.util.find_spec("triton") is not None
DEVICES = ["cpu", *(["cuda"] if HAS_GPU else [])]


def text_files() -> list[TextFile]:
    """Prose, words longer than any chunk, bytes without sense, and files shorter than a chunk."""
    rng = np.random.default_rng(5)
    letters = rng.integers(97, 123, 9000).astype(np.uint8)
    letters[rng.integers(0, 9000, 20)] = 32
    texts = {
        "docs/prose": PROSE[:20000],
        "docs/cyrillic": "Съешь ещё этих мягких французских булок, да выпей же чаю. ".encode() * 80,
        "odd/words": letters.tobytes(),
        "odd/noise": rng.integers(0, 256, 9000).astype(np.uint8).tobytes(),
        "odd/zeros": bytes(3000),
        "short/one": b"a",
        "short/some": b"Some words, Some WORDS.",
    }
    return [TextFile(name, np.frombuffer(text, np.uint8)) for name, text in texts.items()]


def owners(a: Architecture, files: list[TextFile]) -> np.ndarray:
    return choose_owners(a, files, np.random.default_rng(0), np.zeros(a.table_offsets[-1], np.uint8))


@pytest.mark.parametrize("teachers", [{}, {"orders": (1, 4), "table_bits": (9, 10, 9, 11)}])
@pytest.mark.parametrize(
    "more",
    [{}, {"orders": (1, 7), "word_contexts": 4, "table_bits": (9, 10, 9, 10, 11, 12)}],
    ids=["as by default", "others"],
)
def test_a_device_reads_the_chunks_that_the_reference_reads(
    more: dict[str, Any], teachers: dict[str, Any]
) -> None:
    a, files = Architecture(**{**SIZES, **more}), text_files()
    tags, source = owners(a, files), SegmentSource(files)
    teacher = Decoder(Architecture(**{**SIZES, **teachers}))
    teacher.tags.copy_(torch.from_numpy(owners(teacher.a, files[1:])))
    options: dict[str, Any] = {"teacher": teacher, "misses": Misses(TINY.read_bytes())}
    reference, device = (
        sampler(a, own_tags, source, 6, 192, np.random.default_rng(1), 0.3, **options)
        for sampler, own_tags in ((Sampler, tags), (DeviceSampler, torch.from_numpy(tags)))
    )
    own = 0.0
    for _ in range(60):
        theirs, ours = reference.next(), device.next()
        real = theirs.mask == 1
        for name, x, y in zip(Chunk._fields, theirs, ours, strict=True):
            if isinstance(x, int):
                assert x == y, name
                continue
            assert (x.dtype, x.shape) == (y.dtype, y.shape), name
            assert (x[real] == y[real] if x.shape[:2] == real.shape else x == y).all(), name
        own += float((theirs.rows[real] >= torch.tensor(a.table_offsets[:-1]) + STRANGERS).float().mean())
    assert own / 60 > 0.2  # so that both kinds of rows were met


def test_a_device_withholds_contexts_too() -> None:
    files = text_files()
    tags = torch.from_numpy(owners(SMALL, files))

    def known(dropout: float) -> float:
        options = SegmentSource(files), 8, 512, np.random.default_rng(0)
        rows = DeviceSampler(SMALL, tags, *options, dropout=dropout).next().rows
        return float((rows >= torch.tensor(SMALL.table_offsets[:-1]) + STRANGERS).float().mean())

    torch.manual_seed(0)
    assert known(0.5) == pytest.approx(0.5 * known(0), rel=0.05)


def network(files: list[TextFile]) -> Vae:
    torch.manual_seed(0)
    vae = Vae(SMALL)
    vae.decoder.tags.copy_(torch.from_numpy(owners(SMALL, files)))
    return vae


def test_both_backends_find_the_same_gradients() -> None:
    files = text_files()
    vae, source = network(files), SegmentSource(files)
    settings = Settings(epochs=1, workers=1, lanes=4, chunk=96, bfloat16=False)
    parameters = [*(p for p in vae.parameters() if p is not vae.decoder.tables), vae.decoder.tables]
    threads, device = (
        backend(vae, source, settings, (1, 2, 3)) for backend in (ThreadBackend, DeviceBackend)
    )
    expected = [threads.gradients(parameters, 0.5) for _ in range(5)]
    found = [device.gradients(parameters, 0.5) for _ in range(5)]
    threads.close()
    for x, y in zip(expected, found, strict=True):
        assert x.bytes == y.bytes
        assert not y.tables.is_sparse
        for g, h in ((x.dense, y.dense), (x.tables.to_dense(), y.tables)):
            assert (g - h).norm() <= 1e-5 * g.norm()
    told = [(x.bits_per_byte, x.kl_bits) for x in expected]
    assert np.allclose([(y.bits_per_byte, y.kl_bits) for y in found], [told[0], *told[:-1]], rtol=1e-5)


def test_rows_learn_the_same_from_either_kind_of_gradient() -> None:
    torch.manual_seed(0)
    initial = torch.randn(300, 4)
    sparse, dense = (torch.nn.Parameter(initial.clone()) for _ in range(2))
    optimizers = RowAdam(sparse, 0.1), RowAdam(dense, 0.1)
    weights = torch.randn(40, 3, 4)
    for step in range(4):
        rows = torch.randint(0, 60 + 10 * step, (40, 3)) + torch.tensor([0, 100, 200])
        losses = [
            (looked_up.square() * weights).sum()
            for looked_up in (functions.lookup(sparse, rows), functions.dense_lookup(dense, rows))
        ]
        gradients = [torch.autograd.grad(loss, p)[0] for loss, p in zip(losses, (sparse, dense), strict=True)]
        assert [g.is_sparse for g in gradients] == [True, False]
        for optimizer, gradient in zip(optimizers, gradients, strict=True):
            optimizer.step(gradient, 0.5, 3)
    assert torch.allclose(sparse, dense, atol=1e-5)
    unread = slice(90, 100)
    assert (dense[unread] == initial[unread]).all()
    assert not torch.allclose(dense, initial, atol=0.1)


def trainer(folder: Path, vae: Vae, **options: Any) -> Trainer:
    files = text_files()
    settings = Settings(
        **{"epochs": 0.8, "lr": 0.02, "workers": 1, "lanes": 4, "chunk": 96, "bfloat16": False, **options}
    )
    return Trainer(vae, Corpus(files, files[-1:], []), settings, folder)


def test_both_backends_learn_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def curve(name: str) -> list[float]:
        (tmp_path / name).mkdir()
        return [at.bits_per_byte for at in trainer(tmp_path / name, network(text_files())).run()]

    threads = curve("threads")
    monkeypatch.setitem(backends.BACKENDS, "cpu", DeviceBackend)
    device = curve("device")
    assert len(threads) == len(device) > 100
    assert device[-1] == pytest.approx(threads[-1], abs=0.1)
    assert device[-1] < 7 < 7.9 < device[0]


@pytest.mark.parametrize("order", [(ThreadBackend, DeviceBackend), (DeviceBackend, ThreadBackend)])
def test_a_run_is_resumed_on_another_device(
    order: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(backends.BACKENDS, "cpu", order[0])
    first = trainer(tmp_path, network(text_files()))
    steps = first.run()
    before = [next(steps) for _ in range(40)]
    first.save()
    monkeypatch.setitem(backends.BACKENDS, "cpu", order[1])
    second = Trainer.resumed(first.corpus, tmp_path, {"workers": 1}, {})
    assert all(
        torch.equal(p, q) for p, q in zip(first.vae.parameters(), second.vae.parameters(), strict=True)
    )
    after = list(second.run())
    assert after[0].step == 41
    assert after[0].bits_per_byte == pytest.approx(before[-1].bits_per_byte, abs=0.1)
    assert after[-1].bits_per_byte < before[-1].bits_per_byte
    assert after[-1].share >= 1


def test_a_gpu_has_defaults_of_its_own() -> None:
    large, small = (Settings.new({}, gpu_reads=size) for size in (300_000_000, 500_000))
    assert (large.lanes, large.chunk, large.lr, large.hold, large.dropout) == (512, 512, 3e-3, 0.3, 0.08)
    assert 500_000 / (small.lanes * small.chunk) > 30  # else a step would take too much of so little text
    given = Settings.new({"lr": 1e-3, "lanes": 7}, gpu_reads=300_000_000)
    assert (given.lr, given.lanes, given.dropout) == (1e-3, 7, 0.08)
    tuned = Settings.new({}, fine_tuning=True, gpu_reads=300_000_000)
    assert (tuned.lr, tuned.dropout, tuned.hold) == (FINE_TUNING["lr"], FINE_TUNING["dropout"], 0.3)


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_without_a_gpu_it_is_missed_in_one_line_or_done_without(
    corpus: Path, tmp_path: Path, run: Run
) -> None:
    result = run("train", "corpus", "-o", "my.vzm", "--device", "cuda")
    assert result.returncode == 1
    assert result.stderr.decode().startswith("vaezip: no GPU to train on: ")
    assert result.stderr.count(b"\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]
    assert find_device("auto").type == "cpu"
    with pytest.raises(DeviceError, match="no GPU"):
        find_device("cuda")


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_trains_a_model(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start to end; on a GPU, if there is one, as well."""
    monkeypatch.setitem(backends.BACKENDS, "cpu", DeviceBackend)
    for i in range(12):
        (tmp_path / f"{i}.txt").write_bytes(PROSE[2000 * i : 2000 * (i + 1)])
    texts = sorted(tmp_path.iterdir())
    output = tmp_path / "my.vzm"
    options = {"epochs": 3, "lr": 0.02, "lanes": 8, "chunk": 128, "dropout": 0.1}
    with Place.found(device) as place, TrainingRun(texts, output, SIZES, options, place=place) as run:
        progress = list(run.run())
        run.finish()
    assert progress[-1].bits_per_byte < 6.5 < 7.9 < progress[0].bits_per_byte
    text = PROSE[-3000:]
    blob = vaezip.compress(text, model=output)
    assert len(blob) < 0.75 * len(text)
    assert vaezip.decompress(blob, model=output) == text
    assert sorted(tmp_path.iterdir()) == sorted([*texts, output])


_PASSES = """
import os, sys, torch
from vaezip.training import functions, functions_torch, functions_triton

def results(passes, dtype, lengths):
    torch.manual_seed(0)
    t, b, h = lengths
    u = (2 * torch.randn(t, b, 3 * h)).to(dtype)
    x, *modulation = (torch.randn(n) for n in ((t, b, h), *[(b, h)] * 3))
    change, logits = (torch.randn(t, b, n).to(dtype) for n in (h, 256))
    inputs = [v.to(device).requires_grad_() for v in (u, x, *modulation, change, logits)]
    u, x, h0, scale, shift, change, logits = inputs
    target = torch.randint(0, 256, (t, b)).to(device)
    out = [*passes.recurrence(u, h0), *passes.add_and_modulate(x, change, scale, shift),
           passes.cross_entropy(5 * logits, target)]
    loss = torch.stack([(y.float() * torch.randn(y.shape).to(device)).sum() for y in out]).sum()
    return [y.detach() for y in (*out, *torch.autograd.grad(loss, inputs))]

device = sys.argv[1]
functions._try_out(functions_triton, device)
for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 1e-2)):
    for lengths in ((34, 2, 24), (3, 1, 136), *([(512, 16, 256)] if device == "cuda" else [])):
        pairs = zip(results(functions_triton, dtype, lengths), results(functions_torch, dtype, lengths))
        for i, (ours, theirs) in enumerate(pairs):
            assert ours.shape == theirs.shape
            assert (ours.float() - theirs.float()).norm() <= tolerance * theirs.float().norm(), (i, dtype, lengths)
"""


_COMPILE = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from vaezip.training import functions_triton

float32 = {"h0", "states", "last", "last_gradient", "h0_gradient", "x", "scale", "shift", "total",
           "total_gradient", "scale_gradient", "shift_gradient", "nats", "log_total", "nats_gradient"}
targets = GPUTarget("cuda", 90, 32), GPUTarget("hip", "gfx942", 64)
kernels = [x for x in vars(functions_triton).values() if hasattr(x, "arg_names")]
assert len(kernels) == 6

def signature(kernel):
    # "gradient" is that of x, which is float32, and elsewhere of what a product gives.
    wide = float32 | ({"gradient"} if "change_gradient" in kernel.arg_names else set())
    return {
        name: "constexpr" if name.isupper() else "i32" if name in ("steps", "lanes", "width", "rows")
        else "*i64" if name == "target" else "*fp32" if name in wide else "*bf16"
        for name in kernel.arg_names
    }

for kernel in kernels:
    blocks = (128, 512) if "EPSILON" in kernel.arg_names else (128,)  # it has a whole row of the network's width
    for block in blocks:
        constants = {"BLOCK": block, "EPSILON": 1e-7, "STEPS": 32, "ROWS": 16}
        used = {name: value for name, value in constants.items() if name in kernel.arg_names}
        source = ASTSource(fn=kernel, signature=signature(kernel), constexprs=used)
        for target in targets:
            assembly = compile(source, target=target).asm
            assert assembly["ptx" if target.backend == "cuda" else "amdgcn"]
"""


def python(code: str, *arguments: str, **environment: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **environment}
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not HAS_TRITON, reason="Triton is not installed")
@pytest.mark.parametrize("device", DEVICES)
def test_triton_differentiates_as_torch_does(device: str) -> None:
    """On a CPU by its interpreter, which a process has to choose before it imports Triton."""
    python(_PASSES, device, TRITON_INTERPRET=str(int(device == "cpu")))


@pytest.mark.skipif(not HAS_TRITON, reason="Triton is not installed")
def test_triton_compiles_for_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    python(_COMPILE, TRITON_CACHE_DIR=str(tmp_path))


def test_every_device_has_passes() -> None:
    """Even one that nothing was written for."""
    assert functions.passes("xpu") is functions_torch


def test_triton_that_cannot_launch_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(*arguments: object) -> NoReturn:
        raise RuntimeError("Failed to find C compiler.\nPlease specify one")

    monkeypatch.setitem(sys.modules, "vaezip.training.functions_triton", functions_torch)
    monkeypatch.setattr(functions, "_try_out", launch)
    functions.passes.cache_clear()
    try:
        with pytest.warns(UserWarning, match=r"Triton does not work here: Failed to find C compiler\.$"):
            assert functions.passes("cuda") is functions_torch
        assert functions.passes("cuda") is functions_torch  # a second warning would fail
    finally:
        functions.passes.cache_clear()
