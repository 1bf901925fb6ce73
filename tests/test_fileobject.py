"""File objects and incremental coders behave as those of the standard library do."""

from __future__ import annotations

import gc
import io
import os
import random
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from conftest import TINY
from hypothesis import given, settings
from hypothesis import strategies as st

import vaezip
from vaezip.model import Model

LINES = b"".join(b"line %d of a text that goes on for a while\n" % i for i in range(60))
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["read", "read1", "readline", "peek"]), st.integers(0, 900)),
        st.tuples(st.sampled_from(["seek", "back", "on"]), st.integers(0, 3500)),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def frames(tiny: Model) -> tuple[bytes, bytes]:
    """A file of long and short frames, one of them empty, and its content."""
    parts = [(LINES, 300), (b"a short one", 300), (b"", 300), (LINES[:800], 100)]
    whole = b"".join(vaezip.compress(text, model=tiny, block_size=size) for text, size in parts)
    return whole, b"".join(text for text, _ in parts)


@given(steps=steps, threads=st.sampled_from([1, 2]))
def test_reading_goes_as_in_a_plain_file(
    tiny: Model, frames: tuple[bytes, bytes], steps: list[tuple[str, int]], threads: int
) -> None:
    file, plain = vaezip.open(io.BytesIO(frames[0]), model=tiny, threads=threads), io.BytesIO(frames[1])
    for step, n in steps:
        if step in ("read", "readline"):
            assert getattr(file, step)(n) == getattr(plain, step)(n)
        elif step in ("read1", "peek"):
            part = getattr(file, step)(n or 1)
            assert frames[1][plain.tell() :].startswith(part)
            assert part or plain.tell() >= len(frames[1])
            plain.seek(len(part) if step == "read1" else 0, io.SEEK_CUR)
        elif step == "seek":
            assert file.seek(n) == plain.seek(n)
        else:
            there = plain.tell() - n if step == "on" and n <= plain.tell() else max(0, len(frames[1]) - n)
            whence = io.SEEK_END if step == "back" else io.SEEK_SET
            offset = there - len(frames[1]) if step == "back" else there
            plain.seek(there)
            assert file.seek(offset, whence) == there
        assert file.tell() == plain.tell()
    assert file.read() == plain.read()


@settings(max_examples=40)
@given(
    cuts=st.lists(st.integers(0, 700), min_size=1, max_size=30), block_size=st.sampled_from([97, 640, 9000])
)
def test_what_comes_in_pieces_makes_the_same_frame(tiny: Model, cuts: list[int], block_size: int) -> None:
    compressor = vaezip.VaezipCompressor(model=tiny, block_size=block_size, threads=2)
    out, text = [], b""
    for cut in cuts:
        out.append(compressor.compress(LINES[:cut]))
        text += LINES[:cut]
    frame = b"".join(out) + compressor.flush()
    assert vaezip.decompress(frame, model=tiny) == text
    decompressor, data, back = vaezip.VaezipDecompressor(model=tiny), frame + b"more", []
    while not decompressor.eof:
        size = cuts[len(back) % len(cuts)] + 1 if decompressor.needs_input else 0
        back.append(decompressor.decompress(data[:size], max_length=50 if len(back) % 2 else -1))
        data = data[size:]
    assert b"".join(back) == text
    assert decompressor.unused_data + data == b"more"
    with pytest.raises(EOFError):
        decompressor.decompress(b"")


def test_a_frame_is_finished_once_and_only_if_nothing_went_wrong(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressor = vaezip.VaezipCompressor(model=tiny)
    compressor.flush()
    for act in (compressor.flush, lambda: compressor.compress(b"more")):
        with pytest.raises(ValueError, match="has been finished"):
            act()
    compressor = vaezip.VaezipCompressor(model=tiny, block_size=10)
    monkeypatch.setattr("vaezip.frame_encoder.encode_block", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compressor.compress(LINES)
    for act in (compressor.flush, lambda: compressor.compress(b"more")):
        with pytest.raises(ValueError, match="failed or was interrupted"):
            act()


def interrupt(*arguments: object) -> NoReturn:
    raise KeyboardInterrupt


def test_files_are_written_appended_to_and_read_as_text(tmp_path: Path) -> None:
    path = tmp_path / "notes.vz"
    with vaezip.open(path, "wt", model=TINY, encoding="utf-8", newline="\n") as file:
        file.write("Größe\n日本\n")
    with vaezip.open(path, "at", model=TINY, encoding="utf-8", newline="\n") as file:
        file.write("more")
    with vaezip.open(path, "rt", model=TINY, encoding="utf-8") as file:
        assert list(file) == ["Größe\n", "日本\n", "more"]
    with pytest.raises(FileExistsError):
        vaezip.open(path, "xb", model=TINY)
    for mode, options in (("rw", {}), ("rbt", {}), ("rb", {"encoding": "utf-8"}), ("U", {})):
        with pytest.raises(ValueError, match="mode"):
            vaezip.open(path, mode, **options)  # type: ignore[arg-type]


def test_a_pipe_is_read_on_and_cannot_seek(tiny: Model, frames: tuple[bytes, bytes]) -> None:
    ends = os.pipe()
    with open(ends[1], "wb") as sink:
        sink.write(frames[0])
    with open(ends[0], "rb") as source, vaezip.VaezipFile(source, model=tiny) as file:
        assert not file.seekable()
        assert file.read(10) == frames[1][:10]
        with pytest.raises(io.UnsupportedOperation):
            file.seek(0)
        assert file.read() == frames[1][10:]


def test_a_byte_from_anywhere_costs_one_block(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    from vaezip import content

    decoded: list[int] = []

    def counted(load: object, fingerprint: bytes, block: object) -> bytes:
        decoded.append(1)
        return real(load, fingerprint, block)  # type: ignore[arg-type]

    real = content.decode_block
    monkeypatch.setattr(content, "decode_block", counted)
    file = vaezip.open(io.BytesIO(vaezip.compress(LINES, model=tiny, block_size=100)), model=tiny)
    assert file.seek(2000) == 2000
    assert file.read1(1) == LINES[2000:2001]
    assert len(decoded) == 1


@pytest.fixture
def kept() -> Iterator[list[object]]:
    """A list of what is kept until all threads have ended that the test began, which they do soon after it.

    Nobody looks for circles of references meanwhile.
    """
    before, kept = set(threading.enumerate()), list[object]()
    gc.disable()
    try:
        yield kept
        for thread in set(threading.enumerate()) - before:
            thread.join(30)
            assert not thread.is_alive()
    finally:
        gc.enable()


def test_no_thread_stays_behind(tiny: Model, frames: tuple[bytes, bytes], kept: list[object]) -> None:
    for _ in range(3):
        file = vaezip.open(io.BytesIO(frames[0]), model=tiny, threads=4)
        file.read(700)  # in part, and elsewhere, and in part again
        file.seek(2000)
        file.read(700)
        file.close()
        written = vaezip.VaezipFile(io.BytesIO(), "w", model=tiny, threads=4, block_size=300)
        written.write(LINES)
        written.close()
        compressor = vaezip.VaezipCompressor(model=tiny, threads=4, block_size=300)
        compressor.compress(LINES)
        compressor.flush()
        kept += [file, written, compressor]


@pytest.mark.usefixtures("kept")
def test_no_thread_stays_behind_of_what_is_dropped(tiny: Model, frames: tuple[bytes, bytes]) -> None:
    vaezip.open(io.BytesIO(frames[0]), model=tiny, threads=4).read(700)
    vaezip.VaezipCompressor(model=tiny, threads=4, block_size=300).compress(LINES)
    interrupted = vaezip.VaezipFile(io.BytesIO(), "w", model=tiny, threads=4, block_size=300)
    interrupted._writer.write = interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        interrupted.write(LINES)
    with pytest.raises(OSError, match="not complete"):
        interrupted.close()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_one_large_write_holds_but_some_blocks(tiny: Model, mode: Any, threads: int, tmp_path: Path) -> None:
    size = 1 << 15
    noise = random.Random(0).randbytes(200 * size + 5)
    with vaezip.open(tmp_path / "noise.vz", mode, model=tiny, block_size=size, threads=threads) as file:
        file.write(noise[:size])  # so that whatever is loaded but once is there
        tracemalloc.start()
        try:
            file.write(memoryview(noise)[size:])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < len(noise) / 3  # most of it what it takes to look at a block: a dozen times its size
    with vaezip.open(tmp_path / "noise.vz", model=tiny) as file:
        assert file.read() == noise


@pytest.mark.parametrize("damage", [b"", b"plain text", None])
def test_damage_raises_as_decompress_does(
    tiny: Model, frames: tuple[bytes, bytes], damage: bytes | None
) -> None:
    data = frames[0][:-3] if damage is None else damage
    with pytest.raises(vaezip.FormatError):
        vaezip.open(io.BytesIO(data), model=tiny).read()
