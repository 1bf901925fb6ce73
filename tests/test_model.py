"""Model files: hostile ones are refused, whatever they hold; those at their bounds mean the same everywhere."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from conftest import TINY, Run
from extremes import LARGE, extreme_tensors, largest_norm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import vaezip
from vaezip import tensors as tensors_module
from vaezip.engine import REFERENCE, available
from vaezip.errors import ModelError
from vaezip.model import DEFAULT, Model, load_model, parse_model, read_model_file, serialise
from vaezip.network.architecture import Architecture
from vaezip.tensors import read_json, read_tensors, write_tensors

Tensors = dict[str, np.ndarray]
Change = Callable[[Tensors, dict[str, Any]], object]

LEAST = {kind: int(np.iinfo(kind).min) for kind in (np.int8, np.int16, np.int32)}


def _opened() -> tuple[Tensors, dict[str, str], dict[str, Any]]:
    """The tiny model's tensors, metadata and sizes, to be changed."""
    tensors, metadata = read_tensors(TINY.read_bytes())
    return {k: v.copy() for k, v in tensors.items()}, metadata, json.loads(metadata["architecture"])


def _rewrite(change: Change) -> bytes:
    tensors, metadata, sizes = _opened()
    change(tensors, sizes)
    return write_tensors(tensors, {**metadata, "architecture": json.dumps(sizes)})


def _refusal(data: bytes) -> str:
    """What is said of a model that is refused, which has to be one line, fit for a terminal."""
    with pytest.raises(ModelError, match=r"^x: ") as caught:
        parse_model(data, "x")
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 600
    return text


def _refused_everywhere(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    said = set()
    for name in available():
        monkeypatch.setenv("VAEZIP_ENGINE", name)
        said.add(_refusal(data))
    assert len(said) == 1


# Tensors and sizes that would break exactness, overflow, or read out of bounds.

HOSTILE: dict[str, Change] = {
    "a missing tensor": lambda t, a: t.pop("decoder.byte"),
    "a wrong shape": lambda t, a: t.update({"decoder.tables": t["decoder.tables"][:-1]}),
    "a wrong type": lambda t, a: t.update({"decoder.tables": t["decoder.tables"].astype(np.int16)}),
    "a multiplier that overflows": lambda t, a: t["decoder.head.multiplier"].fill(2**30),
    "the least multiplier": lambda t, a: t["decoder.head.multiplier"].fill(LEAST[np.int32]),
    "the least bias": lambda t, a: t["encoder.mean.bias"].fill(LEAST[np.int32]),
    "a negative shift": lambda t, a: t["decoder.head.shift"].fill(-1),
    "a residual that overflows": lambda t, a: (
        t["decoder.features.multiplier"].fill(2**13),
        t["decoder.features.shift"].__setitem__(1, 0),
    ),
    "a weight of -128": lambda t, a: t["decoder.head.weight"][0].__setitem__(0, -128),
    "a row of -128": lambda t, a: t["decoder.tables"][-1].fill(-128),
    "a byte's vector of -128": lambda t, a: t["encoder.byte"][65].fill(-128),
    "tags of a wrong type": lambda t, a: t.update({"decoder.tags": t["decoder.tags"].astype(np.int8)}),
    "a norm out of range": lambda t, a: t["decoder.norm"].fill(2**30),
    "a negative norm": lambda t, a: t["encoder.norm"][1023:].fill(-1),
    "a norm that overflows with the largest scale": lambda t, a: t["decoder.norm"][1023:].fill(2**15 - 1),
    "a gate out of range": lambda t, a: t["decoder.sigmoid"].fill(2**20),
    "the least tanh": lambda t, a: t["decoder.tanh"].fill(LEAST[np.int32]),
    "the least scale of an output": lambda t, a: t["decoder.layers.0.out_scale"].fill(LEAST[np.int32]),
    "the least scale of the pool": lambda t, a: t["encoder.pool"].fill(LEAST[np.int32]),
    "negative exponentials": lambda t, a: t["decoder.exp"][1:].fill(-1),
    "an exponential of nothing": lambda t, a: t["decoder.exp"].fill(0),
    "no mixer": lambda t, a: t.pop("mixer.next"),
    "a mixer that learns too fast": lambda t, a: t["mixer.learning"].fill(1 << 12),
    "a mixer that divides by nothing": lambda t, a: t["mixer.learning"].fill(0),
    "a mixer with wild weights": lambda t, a: t["mixer.final_weights"].fill(-(1 << 15)),
    "a map that adapts beyond the bit": lambda t, a: t["mixer.rate"].fill(1 << 17),
    "the least of a mixer's inputs": lambda t, a: t["mixer.stretch"].fill(LEAST[np.int16]),
    "a probability of nothing": lambda t, a: t["mixer.squash"].fill(0),
    "frequencies that do not sum up": lambda t, a: t["latent.prior"].fill(1),
    "frequencies that sum up with a negative one": lambda t, a: t["latent.prior"][0].__setitem__(
        slice(2), [t["latent.prior"][0, :2].sum() + 1, -1]
    ),
    "a posterior wider than the prior": lambda t, a: t.update(
        {"latent.prior": np.full((t["latent.prior"].shape[0], 1), 1 << 24, np.int32)}
    ),
    "a prior of millions of steps": lambda t, a: t.update(
        {"latent.prior": np.full((8, (1 << 20) + 1), 15, np.int32)}
    ),
    "a posterior of hundreds of steps": lambda t, a: t.update(
        {"latent.posterior": np.full((1, 8, 257), 1 << 16, np.int32)}
    ),
    "scales without end": lambda t, a: t.update(
        {"latent.posterior": np.tile(t["latent.posterior"][:1], (300, 1, 1))}
    ),
    "a posterior of one step": lambda t, a: t.update(
        {"latent.posterior": np.full((*t["latent.posterior"].shape[:2], 1), 1 << 24, np.int32)}
    ),
    "one weight changed": lambda t, a: t["decoder.head.weight"].__iadd__(np.int8(1)),
    "an absurd width": lambda t, a: a.update(width=10**9),
    "no width": lambda t, a: a.update(width=0),
    "a size of another kind": lambda t, a: a.update(layers="2"),
    "a size that is true": lambda t, a: a.update(layers=True),
    "too few tables": lambda t, a: a.update(table_bits=[10]),
    "lists that are none": lambda t, a: a.update(orders=2, table_bits=None),
    "an unknown size": lambda t, a: a.update(heads=4),
    "an unknown size of many lines": lambda t, a: a.update({"two\nlines\x1b[2J" * 99: 4}),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_tensors_are_refused_by_every_engine(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    _refused_everywhere(_rewrite(change), monkeypatch)


def test_an_untouched_model_survives_the_rewriting() -> None:
    assert _rewrite(lambda t, a: None) == TINY.read_bytes()


# Whatever passes must mean the same to every engine.

BOUNDS: dict[str, Change] = {
    "all bytes equally likely": lambda t, a: [
        t[f"decoder.head.{part}"].fill(0) for part in ("weight", "multiplier", "bias")
    ],
    "all bytes equally likely, whatever their logits": lambda t, a: t["decoder.exp"].fill(1 << 24),
    "one byte certain": lambda t, a: t["decoder.exp"][1:].fill(0),
    "the largest norm": lambda t, a: [t[f"{part}.norm"].__setitem__(..., largest_norm()) for part in ("decoder", "encoder")],
    "the fastest learning": lambda t, a: t["mixer.learning"].__setitem__(..., [1023, 1023, 1 << 20, 1023]),
    "no learning": lambda t, a: t["mixer.learning"].__setitem__(..., [0, 0, 1, 0]),
    "histories that forget at once": lambda t, a: t["mixer.next"].fill(0),
    "maps of what cannot be": lambda t, a: t["mixer.history_map"].fill(0),
    "full counts": lambda t, a: t["mixer.match_map"].fill(0xFFFFFFFF),
    "latents that are all but certain": lambda t, a: [
        t[f"latent.{part}"].__setitem__(
            ..., np.where(np.arange(n) == mode, (1 << 24) - n + 1, 1)
        ) for part, n, mode in (("prior", 49, 24), ("posterior", 17, 0))
    ],
    "latents of as many steps as there may be": lambda t, a: t.update({
        f"latent.{part}": np.where(np.arange(n) == 0, (1 << 24) - 256 * (n - 1), 256 * np.ones((*shape, 1))).astype(np.int32)
        for part, n, shape in (("prior", 255, (8,)), ("posterior", 253, (255, 8)))
    }),
    "logarithms of nothing": lambda t, a: t["mixer.log"].fill(0),
}  # fmt: skip


def _same_everywhere(a: Architecture, tensors: Tensors, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"The same text 12, the same TEXT 12"
    files, blobs = set(), set()
    for name in available():
        monkeypatch.setenv("VAEZIP_ENGINE", name)
        files.add(serialise(a, tensors, {}))
        model = parse_model(next(iter(files)), "x")
        blob = vaezip.compress(text, model=model)
        assert vaezip.decompress(blob, model=model) == text
        blobs.add(blob)
    assert len(files) == len(blobs) == 1


@pytest.mark.parametrize("change", BOUNDS.values(), ids=BOUNDS.keys())
def test_a_model_at_its_bounds_means_the_same_to_every_engine(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors, _, sizes = _opened()
    change(tensors, sizes)
    _same_everywhere(Architecture.from_json(sizes), tensors, monkeypatch)


@pytest.mark.parametrize("lone", [False, True])
def test_a_large_model_at_all_its_bounds_means_the_same_to_every_engine(
    lone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _same_everywhere(LARGE, extreme_tensors(LARGE, lone=lone), monkeypatch)


@pytest.mark.parametrize("lone", [False, True])
def test_no_sum_of_the_network_leaves_32_bits(lone: bool) -> None:
    """numpy wraps silently, and the kernel may do as it likes: the same network in 64 bits finds it out."""
    model = parse_model(serialise(LARGE, extreme_tensors(LARGE, lone=lone), {}), "x")
    decoder, encoder = model.decoder, model.encoder
    text = np.frombuffer(b"The same text, in 64 bits: 0123456789", np.uint8)[None]
    slots = np.random.default_rng(0).integers(0, 1 << 17, (1, text.shape[1], LARGE.contexts))
    modulation = decoder.modulation(np.zeros((1, LARGE.latents), np.int32))
    logits, state = decoder(text, slots, modulation, modulation.initial_state)
    posterior = encoder(np.resize(text, 5000))

    def widen(part: object) -> None:
        for name, value in vars(part).items():
            if isinstance(value, np.ndarray) and value.dtype == np.int32:
                setattr(part, name, value.astype(np.int64))

    for layer in decoder.layers:
        widen(layer)
    maps = [getattr(layer, name) for layer in decoder.layers for name in ("gates", "out", "up", "down")]
    for part in (decoder, decoder.norm, decoder.features, decoder.head, *maps, *vars(encoder).values()):
        if hasattr(part, "__dict__"):
            widen(part)
    wide_modulation = type(modulation)(*(part.astype(np.int64) for part in modulation))
    wide_logits, wide_state = decoder(text, slots, wide_modulation, wide_modulation.initial_state)
    assert wide_logits.dtype == np.int64
    assert (wide_logits == logits).all()
    assert (wide_state == state).all()
    wide_posterior = encoder(np.resize(text, 5000))
    assert wide_posterior[0].dtype == np.int64
    assert all((wide == narrow).all() for wide, narrow in zip(wide_posterior, posterior, strict=True))


# Files that are no models, or whose header is not what it should be.


def _file(header: str | bytes | dict[str, Any], data: bytes = b"") -> bytes:
    if isinstance(header, dict):
        header = json.dumps(header)
    if isinstance(header, str):
        header = header.encode("utf-8", "surrogatepass")
    return len(header).to_bytes(8, "little") + header + data


def _tensor(dtype: str = "U8", shape: Any = (4,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def _with_architecture(text: str, version: str = "1") -> bytes:
    return _file({"__metadata__": {"format": version, "architecture": text}})


NO_MODELS: dict[str, bytes] = {
    "nothing": b"",
    "zeros": bytes(8),
    "text": b"not a model at all, just text",
    "bytes of ones": b"\xff" * 100,
    "a header that is cut off": TINY.read_bytes()[:4000],
    "data that are cut off": TINY.read_bytes()[:-1],
    "data that go on": TINY.read_bytes() + b"\0",
    "a header that is a list": _file("[]"),
    "a header that is not UTF-8": _file(b'{"\xff": 1}'),
    "no metadata": _file("{}"),
    "metadata that are null": _file('{"__metadata__": null}'),
    "metadata that are a list": _file('{"__metadata__": ["format", "1"]}'),
    "metadata that are numbers": _file('{"__metadata__": {"format": 1}}'),
    "metadata twice": _file('{"__metadata__": {"format": "1"}, "__metadata__": {"format": "1"}}'),
    "a tensor twice": _file('{"a": %s, "a": %s}' % ((json.dumps(_tensor()),) * 2), b"1234"),
    "a key of the metadata twice": _file('{"__metadata__": {"format": "1", "format": "1"}}'),
    "half a character in a name": _file('{"__metadata__": {"format": "1"}, "\\ud800": 1}'),
    "half a character in the metadata": _file('{"__metadata__": {"format": "1\\udfff"}}'),
    "half a character as bytes": _file('{"__metadata__": {"format": "1\ud800"}}'),
    "brackets in brackets": _file("[" * 100_000),
    "objects in objects": _file('{"a":' * 30_000 + "1" + "}" * 30_000),
    "a number of many digits": _file('{"__metadata__": {"format": %s}}' % ("9" * 200_000)),
    "a number that is none": _file('{"a": NaN}'),
    "a tensor that is null": _file({"a": None}),
    "a tensor with more to it": _file({"a": {**_tensor(), "strides": [1]}}, b"1234"),
    "a type that models do not have": _file({"a": _tensor("BF16", (2,))}, b"1234"),
    "a type that is a list": _file({"a": _tensor([])}, b"1234"),  # type: ignore[arg-type]
    "a shape that is a number": _file({"a": _tensor(shape=4)}, b"1234"),
    "a shape of fractions": _file({"a": _tensor(shape=[4.0])}, b"1234"),
    "a shape of truths": _file({"a": _tensor(shape=[True, 4])}, b"1234"),
    "a negative shape": _file({"a": _tensor(shape=[-2, -2])}, b"1234"),
    "a shape of nothing": _file({"a": _tensor(shape=[0, 10**18], offsets=[0, 0])}),
    "a shape that overflows": _file({"a": _tensor(shape=[2**32, 2**32, 4])}, b"1234"),
    "a shape of very many dimensions": _file({"a": _tensor(shape=[1] * 100 + [4])}, b"1234"),
    "three offsets": _file({"a": _tensor(offsets=[0, 2, 4])}, b"1234"),
    "negative offsets": _file({"a": _tensor(offsets=[-4, 0])}, b"1234"),
    "offsets beyond the end": _file({"a": _tensor(offsets=[4, 8])}, b"1234"),
    "offsets backwards": _file({"a": _tensor(offsets=[4, 0])}, b"1234"),
    "a hole": _file({"a": _tensor(), "b": _tensor(offsets=[5, 9])}, b"123456789"),
    "tensors that overlap": _file({"a": _tensor(), "b": _tensor(offsets=[2, 6])}, b"123456"),
    "two tensors in one place": _file({"a": _tensor(), "b": _tensor()}, b"1234"),
    "600,000 tensors": _file(",".join(f'"{i}":{{}}' for i in range(600_000)).join("{}")),
    "2,000 tensors": _file({str(i): _tensor(shape=(1,), offsets=[i, i + 1]) for i in range(2000)}, bytes(2000)),
    "16 MB of metadata": _file({"__metadata__": {"format": "1", "a": "a" * (16 << 20)}}),
    "no format": _file({"__metadata__": {"architecture": "{}"}}),
    "a format that is a word": _with_architecture("{}", "one"),
    "a format in other digits": _with_architecture("{}", "١"),
    "a newer format": _with_architecture("{}", "2"),
    "a much newer format": _with_architecture("{}", "9" * 5000),
    "no sizes": _with_architecture("{}"),
    "sizes that are null": _with_architecture("null"),
    "sizes in brackets": _with_architecture("[" * 100_000),
    "sizes that are no numbers": _with_architecture('{"width": NaN}'),
    "sizes twice": _with_architecture('{"width": 16, "width": 16}'),
    "sizes with half a character": _with_architecture('{"\\ud800": 16}'),
}  # fmt: skip


@pytest.mark.parametrize("data", NO_MODELS.values(), ids=NO_MODELS.keys())
def test_other_files_are_not_models(data: bytes) -> None:
    _refusal(data)


def test_a_newer_model_is_told_from_a_damaged_one() -> None:
    assert "newer" in _refusal(NO_MODELS["a newer format"])
    assert "newer" not in _refusal(NO_MODELS["a format that is a word"])


@settings(max_examples=150)
@given(
    at=st.integers(0, 9000),
    removed=st.integers(0, 40),
    put=st.binary(max_size=8) | st.sampled_from([b'"', b"{", b"}", b"[", b",", b"0", b"-", b"\\ud800", b"null"]),
    grow=st.booleans(),
)  # fmt: skip
def test_no_damage_to_the_header_is_more_than_a_model_error(
    at: int, removed: int, put: bytes, grow: bool
) -> None:
    data = TINY.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, rest = data[8 : 8 + length], data[8 + length :]
    header = header[: at % length] + put + header[at % length + removed :]
    size_field = (len(header) if grow else length).to_bytes(8, "little")
    with contextlib.suppress(ModelError):
        parse_model(size_field + header + rest, "x")  # which may do: it may be what is there for people


def test_the_largest_files_are_refused_in_little_memory(tmp_path: Path) -> None:
    """They are read into memory once, and nothing as large is made of them."""
    if not Path("/proc/self/status").exists():
        pytest.skip("how much memory a process took is read from /proc")
    tensors, metadata, sizes = _opened()
    sizes["table_bits"] = [20] * 7
    tensors["decoder.tables"] = np.zeros((7 << 20, 16), np.int8)
    tensors["decoder.tags"] = np.zeros(7 << 20, np.uint8)
    (tmp_path / "tables.vzm").write_bytes(
        write_tensors(tensors, {**metadata, "architecture": json.dumps(sizes)})
    )
    (tmp_path / "names.vzm").write_bytes(NO_MODELS["600,000 tensors"])
    with open(tmp_path / "words.vzm", "wb") as file:
        file.write(_file(b'{"__metadata__": {"a": "')[8:])
        file.truncate(100 << 20)
        file.seek(0)
        file.write((99 << 20).to_bytes(8, "little"))
    code = (
        "import re, sys, vaezip\n"
        "try: vaezip.load_model(sys.argv[1])\n"
        "except vaezip.ModelError as error: print(error)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    for name in ("tables", "names", "words"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / f"{name}.vzm")], capture_output=True, check=True
        )
        error, peak = done.stdout.decode().splitlines()
        assert name in error
        assert int(peak) * 1024 < 300e6, (name, peak)


# Where a model file lies, and what lies there now.


@pytest.fixture
def other() -> bytes:
    """The tiny model in other words: another fingerprint, the same numbers, as many bytes."""
    data = TINY.read_bytes()
    changed = data.replace(b'"seconds":"61"', b'"seconds":"62"')
    assert len(changed) == len(data) and changed != data  # noqa: PT018
    return changed


def test_a_model_that_was_replaced_is_loaded_anew(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "m.vzm"
    path.write_bytes(TINY.read_bytes())
    first = load_model(path)
    assert load_model(str(path)) is first  # as long as the file stays as it is
    (tmp_path / "new").write_bytes(other)
    os.replace(tmp_path / "new", path)
    second = load_model(path)
    assert (first.info["seconds"], second.info["seconds"]) == ("61", "62")
    path.write_bytes(TINY.read_bytes())  # in place
    os.utime(path, ns=(0, 0))
    assert load_model(path).fingerprint == first.fingerprint


def test_a_model_that_was_deleted_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "m.vzm"
    path.write_bytes(TINY.read_bytes())
    load_model(path)
    path.unlink()
    with pytest.raises(ModelError, match=r"m\.vzm"):
        load_model(path)


def test_a_name_means_a_file_of_the_folder_at_hand(
    tmp_path: Path, other: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, data in (("a", TINY.read_bytes()), ("b", other)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.vzm").write_bytes(data)
    monkeypatch.chdir(tmp_path / "a")
    first = load_model("m.vzm")
    monkeypatch.chdir(tmp_path / "b")
    assert load_model("m.vzm").fingerprint != first.fingerprint
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"m\.vzm"):
        load_model("m.vzm")
    assert pickle.loads(pickle.dumps(first)).fingerprint == first.fingerprint  # it knows where it lies


def test_only_a_few_models_are_kept(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.vzm" for i in range(6)]
    for path in paths:
        path.write_bytes(TINY.read_bytes())
    first = weakref.ref(load_model(paths[0]))
    assert first() is load_model(paths[0])
    for path in paths[1:]:
        load_model(path)
    gc.collect()
    assert first() is None
    load_model(TINY)


@pytest.mark.parametrize("which", ["nowhere", "", "a\0b", "\ud800", "n" * 5000, "two\nlines", "/", Path()])
def test_a_name_of_no_model_is_refused_in_one_line(which: str | Path) -> None:
    for load in (load_model, read_model_file):
        with pytest.raises(ModelError) as caught:
            load(which)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 600


def test_a_missing_model_is_named() -> None:
    with pytest.raises(ModelError, match="nowhere"):
        load_model("nowhere")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_model_is_a_regular_file(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_bytes(b"text")
    for which in ("pipe", "/dev/zero", "/dev/null", "."):
        done = run("compress", "-c", "text", "-m", which)
        assert done.returncode == 1
        assert done.stdout == b""
        assert which.encode() in done.stderr
        assert done.stderr.count(b"\n") == 1


def test_a_model_has_an_end(tmp_path: Path) -> None:
    with open(tmp_path / "m.vzm", "wb") as file:
        file.truncate((128 << 20) + 1)
    with pytest.raises(ModelError, match=r"m\.vzm.*larger"):
        load_model(tmp_path / "m.vzm")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.vzm").write_bytes(TINY.read_bytes())
    (tmp_path / "m.vzm").chmod(0)
    with pytest.raises(ModelError, match=r"m\.vzm"):
        load_model(tmp_path / "m.vzm")


@pytest.mark.parametrize("which", [TINY, DEFAULT])
def test_a_pickled_model_is_found_again(which: str | Path, tmp_path: Path) -> None:
    model = load_model(which)
    (tmp_path / "pickle").write_bytes(pickle.dumps(model))
    assert (tmp_path / "pickle").stat().st_size < 1000
    code = (
        "import pickle, sys; model = pickle.load(open(sys.argv[1], 'rb')); print(model.fingerprint.hex());"
        "import vaezip; print(vaezip.compress(b'some text', model=model).hex())"
    )
    elsewhere = {**os.environ, "PYTHONPATH": str(Path(vaezip.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code, "pickle"], cwd=tmp_path, env=elsewhere, capture_output=True, check=True
    )
    blob = vaezip.compress(b"some text", model=model)
    assert done.stdout.decode().split() == [model.fingerprint.hex(), blob.hex()]


def test_a_pickled_model_that_was_replaced_is_not_taken_for_the_old_one(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "m.vzm"
    path.write_bytes(TINY.read_bytes())
    pickled = pickle.dumps(load_model(path))
    path.write_bytes(other)
    with pytest.raises(ModelError, match=r"m\.vzm"):
        pickle.loads(pickled)
    path.unlink()
    with pytest.raises(ModelError, match=r"m\.vzm"):
        pickle.loads(pickled)


def test_a_model_of_bytes_cannot_be_pickled() -> None:
    with pytest.raises(pickle.PicklingError, match="memory"):
        pickle.dumps(parse_model(TINY.read_bytes(), "memory"))


# Reader and writer of tensors against the safetensors library.

KINDS = [np.float32, np.uint32, np.int32, np.int16, np.int8, np.uint8]
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9).filter(
    "__metadata__".__ne__
)
tensor_values = st.sampled_from(KINDS).flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(max_dims=4, max_side=4))
)


def _equal(one: Tensors, other: Tensors) -> bool:
    """Bit for bit, so that it does not matter what is not a number."""
    return one.keys() == other.keys() and all(
        one[k].dtype == other[k].dtype and one[k].shape == other[k].shape and one[k].tobytes() == other[k].tobytes()
        for k in one
    )  # fmt: skip


@settings(max_examples=50)
@given(
    tensors=st.dictionaries(names, tensor_values, min_size=1, max_size=5),
    metadata=st.dictionaries(names, names, max_size=1),
)
def test_the_safetensors_library_writes_the_same_bytes(tensors: Tensors, metadata: dict[str, str]) -> None:
    data = write_tensors(tensors, metadata)
    assert safetensors.numpy.save(tensors, metadata) == data
    assert _equal(read_tensors(data).tensors, tensors)
    assert read_tensors(data).metadata == metadata
    assert _equal(safetensors.numpy.load(data), tensors)


@pytest.mark.parametrize("which", [TINY, DEFAULT])
def test_models_are_read_and_written_as_by_the_safetensors_library(which: str | Path) -> None:
    data = read_model_file(which)
    tensors, metadata = read_tensors(data)
    assert _equal(tensors, safetensors.numpy.load(data))
    assert write_tensors(tensors, metadata) == data
    theirs = safetensors.numpy.save(tensors, metadata)  # metadata in any order
    assert len(theirs) == len(data)
    assert _equal(read_tensors(theirs).tensors, tensors)
    assert read_tensors(theirs).metadata == metadata


def test_tensors_are_views_of_the_file() -> None:
    data = TINY.read_bytes()
    tensors = read_tensors(data).tensors
    memory = np.frombuffer(data, np.uint8)
    assert all(
        np.shares_memory(value, memory) == (sys.byteorder == "little")
        for value in tensors.values()
        if value.itemsize > 1
    )


def test_tensors_at_odd_places_are_moved() -> None:
    data = _file(json.dumps({"a": _tensor("I32", [2], [0, 8])}) + " " * 3, bytes(range(8)))
    for padding in range(8):
        moved = len(data[8:-8]) + padding
        text = moved.to_bytes(8, "little") + data[8:-8] + b" " * padding + data[-8:]
        (value,) = read_tensors(text).tensors.values()
        assert value.flags.aligned
        assert value.tolist() == [0x03020100, 0x07060504]


def test_the_other_byte_order_is_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a big-endian machine reads a file, so this one reads a file that has been swapped."""
    tensors, metadata = read_tensors(TINY.read_bytes())
    swapped = {name: value.astype(value.dtype.newbyteorder("S")) for name, value in tensors.items()}
    assert write_tensors(swapped, metadata) == TINY.read_bytes()
    foreign = {name: dtype.newbyteorder("S") for name, dtype in tensors_module._TYPES.items()}
    monkeypatch.setattr(tensors_module, "_TYPES", foreign)
    data = write_tensors(tensors, metadata)
    assert data != TINY.read_bytes()
    again = read_tensors(data).tensors
    assert all(value.dtype.isnative for value in again.values())
    assert _equal(again, tensors)
    parse_model(data, "x")


def test_json_is_read_strictly() -> None:
    assert read_json('{"a": [1, {"b": "\\u00e9\\ud83d\\ude00"}]}') == {"a": [1, {"b": "é😀"}]}
    for text in (
        "1",
        '{"a": 1.5}',
        '{"a": 1e3}',
        '{"a": Infinity}',
        '{"a": 1, "a": 2}',
        '{"a": "\\udc00"}',
        "{",
    ):
        with pytest.raises(ModelError):
            read_json(text)


def test_a_model_needs_no_engine_to_be_described(tiny: Model) -> None:
    """What people see of a model is kept as it is in the file."""
    assert tiny.info["seconds"] == "61"
    assert tiny.source == str(TINY)
    assert dataclasses.replace(tiny, name="another").name == "another"
    assert REFERENCE in available()
