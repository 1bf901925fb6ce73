"""What type checkers know of what the library returns; mypy reads this file, too (pyproject.toml)."""

from __future__ import annotations

import array
import gzip
import io
import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vaezip

if TYPE_CHECKING:
    from typing_extensions import assert_type
else:

    def assert_type(value: Any, expected: Any) -> None:
        assert type(value) is expected


TINY = str(Path(__file__).parent / "data" / "tiny.vzm")


def test_the_mode_tells_what_open_returns(tmp_path: Path) -> None:
    path = tmp_path / "notes.vz"
    with vaezip.open(path, "wt", model=TINY, encoding="utf-8", newline="\n") as text:
        assert_type(text, io.TextIOWrapper)
        text.write("one\n")
    with vaezip.open(str(path), "ab", model=TINY) as file:
        assert_type(file, vaezip.VaezipFile)
        file.write(b"two\n")
    with vaezip.open(path, model=TINY) as file:
        assert_type(file, vaezip.VaezipFile)
        assert file.read() == b"one\ntwo\n"
    with open(path, "rb") as below, vaezip.open(below, "rt", model=TINY) as text:
        assert_type(text, io.TextIOWrapper)
        assert text.readlines() == ["one\n", "two\n"]


def test_a_mode_that_is_not_known_beforehand_may_be_either(tmp_path: Path) -> None:
    for mode, expected in (("wb", vaezip.VaezipFile), ("at", io.TextIOWrapper)):
        file = vaezip.open(tmp_path / "notes.vz", mode, model=TINY)
        with file:
            assert isinstance(file, expected)
        if TYPE_CHECKING:
            assert_type(file, vaezip.VaezipFile | io.TextIOWrapper)


def test_streams_of_every_kind_are_taken(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "notes.vz")
    with vaezip.open(path, "wb", model=TINY) as file:
        file.write(b"one")
    with open(path, "rb", buffering=0) as raw, vaezip.VaezipFile(raw, model=TINY) as file:
        assert file.read() == b"one"
    with open(path, "rb") as buffered:
        assert next(vaezip.list_frames(buffered)).content_size == 3
    assert next(vaezip.list_frames(path)).content_size == 3
    with (
        gzip.open(tmp_path / "twice.vz.gz", "wb") as zipped,
        vaezip.open(zipped, "wb", model=TINY) as outer,
        vaezip.VaezipFile(outer, "wb", model=TINY) as inner,
    ):
        inner.write(b"two")
    with gzip.open(tmp_path / "twice.vz.gz") as zipped, vaezip.open(zipped, model=TINY) as outer:
        assert vaezip.open(outer, model=TINY).read() == b"two"
    with open(path, "wb") as pack:
        pack.write(vaezip.pack_records([b"a", array.array("B", b"b"), memoryview(b"c")], model=TINY))
    with vaezip.Records(path, model=TINY) as records:
        assert_type(records[1], bytes)
    with open(path, "rb", buffering=0) as raw, vaezip.Records(raw, model=TINY) as records:
        assert records[1:] == [b"b", b"c"]


def test_buffers_of_every_kind_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    blob = vaezip.compress(b"abc", model=TINY)
    codec, compressor = vaezip.MessageCodec(TINY), vaezip.VaezipCompressor(model=TINY)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert vaezip.compress(mapped, model=TINY) == blob
        assert vaezip.make_dictionary([mapped]).texts() == [b"abc"]
        assert compressor.compress(mapped) + compressor.flush() == blob
    numbers = array.array("B", b"abc")
    assert codec.decode(array.array("B", codec.encode(numbers))) == b"abc"
    assert vaezip.decompress(array.array("B", blob), model=TINY) == b"abc"
    assert vaezip.VaezipDecompressor(model=TINY).decompress(bytearray(blob)) == b"abc"
    assert vaezip.measure_costs(numbers, model=TINY).compressed == len(blob)
