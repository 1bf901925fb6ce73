"""Model files from strangers: whatever they hold, they are refused, or mean the same to every engine."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY
from extremes import LARGE, extreme_tensors, largest_norm
from hypothesis import given, settings
from hypothesis import strategies as st

import vaezip
from vaezip.engine import available
from vaezip.errors import ModelError
from vaezip.model import parse_model, serialise
from vaezip.network.architecture import Architecture
from vaezip.tensors import read_tensors, write_tensors

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
    "a hidden layer of zeros": lambda t, a: t["decoder.layers.0.up.bias"].fill(-(1 << 28)),
    "a hidden layer without zeros": lambda t, a: t["decoder.layers.0.up.bias"].fill(1 << 28),
    "a hidden layer that is zero but for every fifth element": lambda t, a: t[
        "decoder.layers.0.up.bias"
    ].__setitem__(..., np.where(np.arange(len(t["decoder.layers.0.up.bias"])) % 5, -(1 << 28), 1 << 28)),
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


@pytest.mark.parametrize(("width", "table_dim"), [(13, 5), (66, 16), (1, 1)])
def test_a_model_of_odd_sizes_means_the_same_to_every_engine(
    width: int, table_dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel takes elements by fours, sixteens and so on: of these sizes, some are left over."""
    odd = replace(LARGE, width=width, expansion=3, table_dim=table_dim, encoder_width=8)
    _same_everywhere(odd, extreme_tensors(odd, lone=False), monkeypatch)


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


def file_of(header: str | bytes | dict[str, Any], data: bytes = b"") -> bytes:
    if isinstance(header, dict):
        header = json.dumps(header)
    if isinstance(header, str):
        header = header.encode("utf-8", "surrogatepass")
    return len(header).to_bytes(8, "little") + header + data


def tensor_entry(dtype: str = "U8", shape: Any = (4,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def _with_architecture(text: str, version: str = "1") -> bytes:
    return file_of({"__metadata__": {"format": version, "architecture": text}})


NO_MODELS: dict[str, bytes] = {
    "nothing": b"",
    "zeros": bytes(8),
    "text": b"not a model at all, just text",
    "bytes of ones": b"\xff" * 100,
    "a header that is cut off": TINY.read_bytes()[:4000],
    "data that are cut off": TINY.read_bytes()[:-1],
    "data that go on": TINY.read_bytes() + b"\0",
    "a header that is a list": file_of("[]"),
    "a header that is not UTF-8": file_of(b'{"\xff": 1}'),
    "no metadata": file_of("{}"),
    "metadata that are null": file_of('{"__metadata__": null}'),
    "metadata that are a list": file_of('{"__metadata__": ["format", "1"]}'),
    "metadata that are numbers": file_of('{"__metadata__": {"format": 1}}'),
    "metadata twice": file_of('{"__metadata__": {"format": "1"}, "__metadata__": {"format": "1"}}'),
    "a tensor twice": file_of('{"a": %s, "a": %s}' % ((json.dumps(tensor_entry()),) * 2), b"1234"),
    "a key of the metadata twice": file_of('{"__metadata__": {"format": "1", "format": "1"}}'),
    "half a character in a name": file_of('{"__metadata__": {"format": "1"}, "\\ud800": 1}'),
    "half a character in the metadata": file_of('{"__metadata__": {"format": "1\\udfff"}}'),
    "half a character as bytes": file_of('{"__metadata__": {"format": "1\ud800"}}'),
    "brackets in brackets": file_of("[" * 100_000),
    "objects in objects": file_of('{"a":' * 30_000 + "1" + "}" * 30_000),
    "a number of many digits": file_of('{"__metadata__": {"format": %s}}' % ("9" * 200_000)),
    "a number that is none": file_of('{"a": NaN}'),
    "a tensor that is null": file_of({"a": None}),
    "a tensor with more to it": file_of({"a": {**tensor_entry(), "strides": [1]}}, b"1234"),
    "a type that models do not have": file_of({"a": tensor_entry("BF16", (2,))}, b"1234"),
    "a type that is a list": file_of({"a": tensor_entry([])}, b"1234"),  # type: ignore[arg-type]
    "a shape that is a number": file_of({"a": tensor_entry(shape=4)}, b"1234"),
    "a shape of fractions": file_of({"a": tensor_entry(shape=[4.0])}, b"1234"),
    "a shape of truths": file_of({"a": tensor_entry(shape=[True, 4])}, b"1234"),
    "a negative shape": file_of({"a": tensor_entry(shape=[-2, -2])}, b"1234"),
    "a shape of nothing": file_of({"a": tensor_entry(shape=[0, 10**18], offsets=[0, 0])}),
    "a shape that overflows": file_of({"a": tensor_entry(shape=[2**32, 2**32, 4])}, b"1234"),
    "a shape of very many dimensions": file_of({"a": tensor_entry(shape=[1] * 100 + [4])}, b"1234"),
    "three offsets": file_of({"a": tensor_entry(offsets=[0, 2, 4])}, b"1234"),
    "negative offsets": file_of({"a": tensor_entry(offsets=[-4, 0])}, b"1234"),
    "offsets beyond the end": file_of({"a": tensor_entry(offsets=[4, 8])}, b"1234"),
    "offsets backwards": file_of({"a": tensor_entry(offsets=[4, 0])}, b"1234"),
    "a hole": file_of({"a": tensor_entry(), "b": tensor_entry(offsets=[5, 9])}, b"123456789"),
    "tensors that overlap": file_of({"a": tensor_entry(), "b": tensor_entry(offsets=[2, 6])}, b"123456"),
    "two tensors in one place": file_of({"a": tensor_entry(), "b": tensor_entry()}, b"1234"),
    "600,000 tensors": file_of(",".join(f'"{i}":{{}}' for i in range(600_000)).join("{}")),
    "2,000 tensors": file_of({str(i): tensor_entry(shape=(1,), offsets=[i, i + 1]) for i in range(2000)}, bytes(2000)),
    "16 MB of metadata": file_of({"__metadata__": {"format": "1", "a": "a" * (16 << 20)}}),
    "no format": file_of({"__metadata__": {"architecture": "{}"}}),
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
        file.write(file_of(b'{"__metadata__": {"a": "')[8:])
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
