"""What is flushed can be read at once, also if nothing more comes; nobody pays for a flush of nothing."""

from __future__ import annotations

import io
import itertools
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY
from hypothesis import given, settings
from hypothesis import strategies as st

import vaezip
from vaezip.model import Model

LINES = [b"line %d of a text that goes on for a while\n" % i for i in range(60)]
FLUSH_BLOCK, FLUSH_FRAME = vaezip.VaezipCompressor.FLUSH_BLOCK, vaezip.VaezipCompressor.FLUSH_FRAME


@settings(max_examples=40)
@given(
    pieces=st.lists(st.integers(0, 700) | st.just(None), max_size=12),
    block_size=st.sampled_from([97, 640, 9000]),
    threads=st.sampled_from([1, 3]),
)
def test_a_flushed_block_is_decompressed_at_once(
    tiny: Model, pieces: list[int | None], block_size: int, threads: int
) -> None:
    """None stands for a flush."""
    compressor = vaezip.VaezipCompressor(model=tiny, block_size=block_size, threads=threads)
    decompressor, text = vaezip.VaezipDecompressor(model=tiny), b"".join(LINES)
    given, back, frame = b"", b"", b""
    for piece in pieces:
        part = compressor.flush(FLUSH_BLOCK) if piece is None else compressor.compress(text[:piece])
        given += text[: piece or 0]
        frame += part
        back += decompressor.decompress(part)
        assert back == given if piece is None else given.startswith(back)
    rest = compressor.flush()
    assert back + decompressor.decompress(rest) == given
    assert decompressor.eof
    frame += rest
    assert vaezip.decompress(frame, model=tiny) == given
    assert len(list(vaezip.list_frames(io.BytesIO(frame)))) == 1
    file = vaezip.open(io.BytesIO(frame), model=tiny)
    assert file.seek(len(given) // 2) == len(given) // 2
    assert file.read() == given[len(given) // 2 :]


def test_a_flush_of_nothing_makes_no_block(tiny: Model) -> None:
    compressor = vaezip.VaezipCompressor(model=tiny)
    assert compressor.flush(FLUSH_BLOCK) == b""
    assert compressor.compress(b"") + compressor.flush(FLUSH_FRAME) == vaezip.compress(b"", model=tiny)
    compressor = vaezip.VaezipCompressor(model=tiny)
    frame = compressor.compress(LINES[0]) + compressor.flush(FLUSH_BLOCK)
    assert compressor.flush(FLUSH_BLOCK) == b""
    frame += compressor.flush()
    assert [info.blocks for info in vaezip.list_frames(io.BytesIO(frame))] == [1]
    for mode in (FLUSH_BLOCK, FLUSH_FRAME):
        with pytest.raises(ValueError, match="has been finished"):
            compressor.flush(mode)


@pytest.mark.parametrize("mode", [0, 3, None, "block"])
def test_other_modes_are_refused(tiny: Model, mode: object) -> None:
    compressor = vaezip.VaezipCompressor(model=tiny)
    with pytest.raises(ValueError, match="FLUSH_BLOCK or FLUSH_FRAME"):
        compressor.flush(mode)  # type: ignore[arg-type]
    assert vaezip.decompress(compressor.compress(b"text") + compressor.flush(), model=tiny) == b"text"


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_a_file_is_whole_after_every_flush(tmp_path: Path, threads: int, mode: str) -> None:
    path = tmp_path / "notes.vz"
    with vaezip.open(path, mode, model=TINY, block_size=100, threads=threads) as file:
        for number, line in enumerate(LINES[:9], 1):
            file.write(line)
            if number % 3 == 0:
                file.flush()
                size = path.stat().st_size
                assert vaezip.decompress(path.read_bytes(), model=TINY) == b"".join(LINES[:number])
                file.flush()
                assert path.stat().st_size == size
        assert file.tell() == len(b"".join(LINES[:9]))
    assert path.stat().st_size == size  # nothing was left to be written
    with vaezip.open(path, "ab", model=TINY) as file:
        file.write(LINES[9])
    with vaezip.open(path, model=TINY) as file:
        file.seek(150)
        assert file.read() == b"".join(LINES[:10])[150:]


def test_what_was_flushed_outlives_a_crash(tmp_path: Path) -> None:
    script = f"""
import os, sys, vaezip
file = vaezip.open(sys.argv[1], "at", model={str(TINY)!r})
print("flushed", file=file, flush=True)
print("not flushed", file=file)
os._exit(1)
"""
    for times in (1, 2):  # a log is opened again, and goes on
        subprocess.run([sys.executable, "-c", script, tmp_path / "log.vz"], check=False)
        with vaezip.open(tmp_path / "log.vz", "rt", model=TINY) as file:
            assert file.read() == "flushed\n" * times


def test_who_flushes_before_closing_pays_nothing_for_it(tiny: Model) -> None:
    """As text files do, and fsspec's."""
    for text, block_size in itertools.product((b"", LINES[0], b"".join(LINES)), (500, 9000)):
        expected = io.BytesIO()
        with vaezip.VaezipFile(expected, "w", model=tiny, block_size=block_size) as file:
            file.write(text)
        below = io.BytesIO()
        with vaezip.open(below, "wt", model=tiny, block_size=block_size, newline="\n") as written:
            for line in text.decode().splitlines(keepends=True):
                written.write(line)
        assert below.getvalue() == expected.getvalue()
        below = io.BytesIO()
        with io.BufferedWriter(vaezip.VaezipFile(below, "w", model=tiny, block_size=block_size)) as buffered:  # type: ignore[arg-type]
            buffered.write(text)
        assert below.getvalue() == expected.getvalue()


def test_each_record_of_a_log_can_be_read(tiny: Model) -> None:
    below = io.BytesIO()
    handler = logging.StreamHandler(vaezip.open(below, "wt", model=tiny, newline="\n"))
    for number in range(3):
        handler.emit(logging.makeLogRecord({"msg": f"record {number}"}))
        written = vaezip.decompress(below.getvalue(), model=tiny)
        assert written == b"".join(b"record %d\n" % i for i in range(number + 1))


def test_a_flush_that_fails_leaves_no_file_that_looks_whole() -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError("no space left")

    file = vaezip.VaezipFile(Full(), "w", model=TINY)
    file.write(b"text")
    with pytest.raises(OSError, match="no space left"):
        file.flush()
    with pytest.raises(OSError, match="nothing can be added"):
        file.flush()
    with pytest.raises(OSError, match="not complete"):
        file.close()
