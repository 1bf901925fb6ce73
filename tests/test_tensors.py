"""Tensors in files, as the safetensors library has them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from conftest import TINY
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from test_hostile_models import file_of, tensor_entry

from vaezip import tensors as tensors_module
from vaezip.errors import ModelError
from vaezip.model import DEFAULT, parse_model, read_model_file
from vaezip.tensors import read_json, read_tensors, write_tensors

Tensors = dict[str, np.ndarray]


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
    data = file_of(json.dumps({"a": tensor_entry("I32", [2], [0, 8])}) + " " * 3, bytes(range(8)))
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
