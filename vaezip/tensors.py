"""Tensors in a file: a reader and a writer of the safetensors format, for what a model file needs of it.

The format (https://github.com/huggingface/safetensors): eight bytes, little-endian, say how long the header
is; the header is a JSON object that gives each tensor's type, shape and place among the data, and under
`__metadata__` strings of any kind; the data follow, little-endian, without holes or overlaps. Of its types
this module knows six.

A file may come from anywhere: so what is read is bounded, and whatever is wrong with it is a ModelError.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip.errors import ModelError

Tensors = Mapping[str, NDArray[np.generic]]

MAX_HEADER = 1 << 18  # bytes; the largest architecture needs a sixth of that
MAX_TENSORS = 1024
_MAX_DIMENSIONS = 8
_MAX_DIGITS = 19  # of a number in JSON
_METADATA = "__metadata__"
_ALIGNMENT = 8  # of the data, by blanks after the header
# In the order in which writers lay them out: whatever needs the most alignment comes first.
_TYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
}


class TensorFile(NamedTuple):
    """The contents of a file of tensors."""

    # In the machine's own byte order; where that is the file's, they are views of its bytes
    tensors: dict[str, NDArray[np.generic]]
    metadata: dict[str, str]


def read_tensors(data: bytes) -> TensorFile:
    """Inverse of `write_tensors`; raises ModelError for anything that is not such a file."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > MAX_HEADER or 8 + length > len(data):
        raise ModelError("not a vaezip model")
    header = read_json(data[8 : 8 + length])
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ModelError("damaged header: metadata that are not strings")
    if len(header) > MAX_TENSORS:
        raise ModelError(f"damaged header: more than {MAX_TENSORS} tensors")
    places = sorted((_place(name, entry) for name, entry in header.items()), key=lambda place: place[:2])
    tensors, at, buffer = {}, 0, memoryview(data)[8 + length :]
    for begin, end, name, dtype, shape in places:
        if begin != at or end > len(buffer):
            raise ModelError(f"damaged header: {name} does not lie where the tensor before it ends")
        stored = np.frombuffer(buffer[begin:end], dtype).reshape(shape)
        tensors[name] = np.require(stored, dtype.newbyteorder("="), "A")
        at = end
    if at != len(buffer):
        raise ModelError("damaged file: it is not as long as its header says")
    return TensorFile(tensors, metadata)


def write_tensors(tensors: Tensors, metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file, those that the safetensors library writes (it puts metadata in any order)."""
    names = {dtype.newbyteorder("="): name for name, dtype in _TYPES.items()}
    order = list(_TYPES)
    kinds = {name: names[value.dtype.newbyteorder("=")] for name, value in tensors.items()}
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    parts, at = [], 0
    for name in sorted(tensors, key=lambda name: (order.index(kinds[name]), name)):
        parts.append(tensors[name].astype(_TYPES[kinds[name]], copy=False).tobytes())
        end = at + len(parts[-1])
        header[name] = {
            "dtype": kinds[name],
            "shape": list(tensors[name].shape),
            "data_offsets": [at, end],
        }
        at = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def read_json(text: bytes | str) -> dict[str, Any]:
    """A JSON object of strings, whole numbers, lists and objects; raises ModelError for any other text.

    Stricter than the standard library, which takes the last of several equal keys, NaN, and halves of
    characters (surrogates) in strings.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        value = json.loads(
            text,
            parse_int=_whole_number,
            parse_float=_refuse,
            parse_constant=_refuse,
            object_pairs_hook=_without_repeats,
        )
        if "\\u" in text:  # the one way in which JSON that is UTF-8 can write a surrogate
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ModelError("not a vaezip model: damaged JSON") from error
    if not isinstance(value, dict):
        raise ModelError("not a vaezip model: not a JSON object")
    return value


def _whole_number(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError("a number of too many digits")
    return int(text)


def _refuse(text: str) -> object:
    raise ValueError(f"not a whole number: {text}")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key appears twice")
    return values


def _place(name: str, entry: Any) -> tuple[int, int, str, np.dtype[Any], tuple[int, ...]]:
    """The place of a tensor: where it begins and ends among the data, its name, type and shape."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ModelError(f"damaged header: {name} is not described as a tensor is")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ModelError(f"{name} is of a type that no model has")
    proper = _are_numbers(shape, 1) and _are_numbers(offsets, 0) and len(offsets) == 2
    if not proper or len(shape) > _MAX_DIMENSIONS:
        raise ModelError(f"damaged header: {name} has no proper shape or place")
    dtype, (begin, end) = _TYPES[kind], offsets
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise ModelError(f"damaged header: {name} is not as large as its shape says")
    return begin, end, name, dtype, tuple(shape)


def _are_numbers(values: Any, least: int) -> bool:
    return isinstance(values, list) and all(type(n) is int and n >= least for n in values)
