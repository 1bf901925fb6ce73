"""Arguments that cannot be: TypeErrors that say what they should have been."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import TINY

import vaezip
from vaezip.model import Model

BLOB = vaezip.compress(b"abc", model=TINY)
PACK = vaezip.pack_records([b"one", b"two"], model=TINY)
untyped: Any = vaezip  # of which type checkers refuse all this
WRONG: dict[str, tuple[Callable[[Any], object], str]] = {
    "compress a str": (
        lambda model: untyped.compress("abc", model=model),
        "a bytes-like object is needed, not str",
    ),
    "decompress a str": (lambda model: untyped.decompress("abc"), "a bytes-like object is needed, not str"),
    "costs of a str": (
        lambda model: untyped.measure_costs("abc", model=model),
        "a bytes-like object is needed, not str",
    ),
    "a piece": (
        lambda model: untyped.VaezipCompressor(model=model).compress("abc"),
        "a bytes-like object is needed, not str",
    ),
    "texts of numbers": (
        lambda model: untyped.make_dictionary(b"abc"),
        "a bytes-like object is needed, not int",
    ),
    "distances of nothing": (
        lambda model: untyped.distances([b"a", None], model=model),
        "a bytes-like object is needed, not NoneType",
    ),
    "encode a str": (
        lambda model: untyped.MessageCodec(model).encode("abc"),
        "a bytes-like object is needed, not str",
    ),
    "decode letters": (
        lambda model: untyped.MessageCodec(model).decode("abc"),
        "a bytes-like object is needed, not str",
    ),
    "letters as bytes": (
        lambda model: untyped.MessageCodec(model).decode_text(b"ABC", "base45"),
        "letters are a str, not bytes",
    ),
    "other letters as bytes": (
        lambda model: untyped.MessageCodec(model).decode_text(b"ABC"),
        "letters are a str, not bytes",
    ),
    "a name of bytes": (
        lambda model: untyped.make_dictionary([b"a"], b"a"),
        "name of a dictionary must be a str, not bytes",
    ),
    "block_size": (
        lambda model: untyped.compress(b"a", model=model, block_size="64K"),
        "block size must be a whole number, not str",
    ),
    "block_size of a file": (
        lambda model: untyped.open(io.BytesIO(), "wb", model=model, block_size=64.0),
        "block size must be a whole number, not float",
    ),
    "max_output_size": (
        lambda model: untyped.decompress(b"", max_output_size="1M"),
        "largest output size must be a whole number, not str",
    ),
    "max_length": (
        lambda model: untyped.VaezipDecompressor(model=model).decompress(b"", "1M"),
        "max_length must be a whole number, not str",
    ),
    "size of a read": (
        lambda model: untyped.open(io.BytesIO(BLOB), model=model).read1("1K"),
        "size must be a whole number, not str",
    ),
    "size of a look": (
        lambda model: untyped.open(io.BytesIO(BLOB), model=model).peek(None),
        "size must be a whole number, not NoneType",
    ),
    "bytes for a record's number": (
        lambda model: untyped.Records(io.BytesIO(PACK), model=model)[b"one"],
        "a record's number must be a whole number, not bytes",
    ),
    "half a record's number": (
        lambda model: untyped.Records(io.BytesIO(PACK), model=model).record(1.5),
        "a record's number must be a whole number, not float",
    ),
    "a number for a pack": (
        lambda model: untyped.Records(5, model=model),
        "not a binary stream: int has no read",
    ),
    "max_segment_size": (
        lambda model: untyped.Records(io.BytesIO(PACK), model=model, max_segment_size="1M"),
        "max_segment_size must be a whole number, not str",
    ),
    "group": (
        lambda model: untyped.pack_records([b"a"], model=model, group="x"),
        "group must be a whole number, not str",
    ),
    "dictionary_size": (
        lambda model: untyped.pack_records([b"a"], model=model, dictionary_size="1K"),
        "dictionary_size must be a whole number, not str",
    ),
    "length of a sample": (
        lambda model: untyped.sample(model=model, length=1.5),
        "length must be a whole number, not float",
    ),
    "preset of a sample": (
        lambda model: untyped.sample(model=model, preset="1"),
        "preset must be a whole number, not str",
    ),
    "text of a dictionary": (
        lambda model: untyped.Dictionary("a", 10, 100),
        "text of a dictionary must be bytes, not str",
    ),
    "ended": (
        lambda model: untyped.Dictionary(b"a\n", 10, "100"),
        "ended must be a whole number, not str",
    ),
    "threads": (
        lambda model: untyped.compress(b"a", model=model, threads="2"),
        "number of threads must be a whole number, not str",
    ),
    "check_bytes": (
        lambda model: untyped.MessageCodec(model, check_bytes="1"),
        "check_bytes must be a whole number, not str",
    ),
    "sample_size": (
        lambda model: untyped.distances([b"a"], model=model, sample_size="4K"),
        "sample_size must be a whole number, not str",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_is_a_type_error_in_plain_words(tiny: Model, what: str) -> None:
    call, said = WRONG[what]
    with pytest.raises(TypeError, match=said):
        call(tiny)


def test_no_size_is_no_limit() -> None:
    for size in (None, -1):
        file = vaezip.open(io.BytesIO(BLOB), model=TINY)
        assert (file.read1(size), file.read(size)) == (b"abc", b"")


def test_buffers_of_every_kind_are_bytes() -> None:
    blob = vaezip.compress(b"abc", model=TINY)
    for data in (bytearray(b"abc"), memoryview(b"abc"), memoryview(b"abc").cast("B", (3, 1))):
        assert vaezip.MessageCodec(TINY).encode(data) == vaezip.MessageCodec(TINY).encode(b"abc")
    assert vaezip.compress(bytearray(b"abc"), model=TINY) == blob
    assert vaezip.decompress(memoryview(blob), model=TINY) == b"abc"


TAKERS: dict[str, Callable[[Any], object]] = {
    "compress": lambda data: vaezip.compress(data, model=TINY),
    "decompress": lambda data: vaezip.decompress(data, model=TINY),
    "VaezipCompressor": lambda data: vaezip.VaezipCompressor(model=TINY).compress(data),
    "VaezipDecompressor": lambda data: vaezip.VaezipDecompressor(model=TINY).decompress(data),
    "VaezipFile": lambda data: vaezip.VaezipFile(io.BytesIO(), "wb", model=TINY).write(data),
    "encode": lambda data: vaezip.MessageCodec(TINY).encode(data),
    "decode": lambda data: vaezip.MessageCodec(TINY).decode(data),
    "measure_costs": lambda data: vaezip.measure_costs(data, model=TINY),
    "distances": lambda data: vaezip.distances([data], model=TINY),
    "sample": lambda data: vaezip.sample(prompt=data, model=TINY),
    "make_dictionary": lambda data: vaezip.make_dictionary([data]),
    "pack_records": lambda data: vaezip.pack_records([data], model=TINY),
}


@pytest.mark.parametrize("taker", TAKERS)
def test_a_buffer_with_gaps_is_a_type_error_everywhere(taker: str) -> None:
    columns = np.asfortranarray(np.zeros((3, 4), np.uint8))  # no gaps, but its bytes in another order
    for data in (memoryview(bytes(100))[::2], memoryview(bytes(100))[::-1], columns):
        with pytest.raises(TypeError, match="without gaps"):
            TAKERS[taker](data)
