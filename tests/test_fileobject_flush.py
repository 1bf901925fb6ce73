"""What is flushed can be read at once, also if nothing more comes; nobody pays for a flush of nothing."""

from __future__ import annotations

import io
import itertools
import logging
import os
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


def test_nobody_appends_to_what_a_crash_has_left(tmp_path: Path) -> None:
    script = f"""
import os, sys, vaezip
file = vaezip.open(sys.argv[1], "ab", model={str(TINY)!r}, block_size=1000)
file.write(b"flushed\\n")
file.flush()
file.write(os.urandom(20000))
os._exit(1)
"""
    path = tmp_path / "log.vz"
    subprocess.run([sys.executable, "-c", script, path], check=False)
    with pytest.raises(vaezip.TruncatedError):
        vaezip.open(path, "at", model=TINY)
    with vaezip.open(path, model=TINY) as file:
        assert file.readline() == b"flushed\n"
        with pytest.raises(EOFError):
            file.read()


def flushed_lines(count: int, rest: bytes = b"") -> bytes:
    """A log in which each line was flushed, and what else is in it."""
    return b"".join(vaezip.compress(line, model=TINY) for line in LINES[:count]) + rest


def test_nothing_is_appended_where_it_could_not_be_read(tmp_path: Path) -> None:
    """A program died amid a frame of several blocks, or the power went amid one of a single block."""
    path = tmp_path / "log.vz"
    blocks = vaezip.compress(b"".join(LINES), model=TINY, block_size=500)
    single = flushed_lines(1)
    for rest in (blocks[:-1], blocks[:90], blocks[:3], single[:-1], single[:2], b"\xf5vzx\x09skipped"):
        path.write_bytes(before := flushed_lines(3, rest))
        for mode in ("ab", "at"):
            with pytest.raises(vaezip.TruncatedError, match=r"log\.vz: ends amid a frame.* `vaezip -dc`"):
                vaezip.open(path, mode, model=TINY)
        assert path.read_bytes() == before
        for stream in (path.open("ab"), path.open("r+b"), io.BytesIO(before)):
            with stream, pytest.raises(vaezip.TruncatedError, match="ends amid a frame"):
                vaezip.VaezipFile(stream, "a", model=TINY)
        assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"a line of a plain text\n", b"\x1f\x8b\x08\0", bytes(40), b"\xf5vzp\0"])
def test_nothing_is_appended_to_what_is_no_vz_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.vz"
    for before, problem in (
        (content, "not a .vz file"),
        (flushed_lines(2, bytes(9)), "after the last frame"),
    ):
        path.write_bytes(before)
        with pytest.raises(vaezip.FormatError, match=rf"log\.vz: nothing can be appended: .*{problem}"):
            vaezip.open(path, "at", model=TINY)
        assert path.read_bytes() == before


def test_appending_looks_at_the_frames_and_decodes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vaezip import block, content

    def decoded(*arguments: object) -> None:
        raise AssertionError

    path = tmp_path / "log.vz"
    blocks = vaezip.compress(b"".join(LINES), model=TINY, block_size=500)
    for before in (b"", blocks, flushed_lines(40, blocks), blocks + flushed_lines(40)):
        path.write_bytes(before)
        with monkeypatch.context() as patched:
            patched.setattr(block, "decode_blocks", decoded)
            patched.setattr(content, "decode_block", decoded)
            with vaezip.open(path, "ab", model=TINY) as file:
                file.write(b"more")
        assert vaezip.decompress(path.read_bytes(), model=TINY) == b"".join(
            [vaezip.decompress(before, model=TINY) if before else b"", b"more"]
        )


def test_what_cannot_be_read_is_appended_to(tmp_path: Path) -> None:
    class WriteOnly(io.BytesIO):
        def readable(self) -> bool:
            return False

        def read(self, size: int | None = -1, /) -> bytes:
            raise io.UnsupportedOperation("read")

    class Liar(WriteOnly):
        def readable(self) -> bool:
            return True

    class ForwardOnly(io.BytesIO):
        """As GzipFile when it writes."""

        def seek(self, offset: int, whence: int = 0, /) -> int:
            if whence == io.SEEK_END:
                raise ValueError("not to the end")
            return super().seek(offset, whence)

    before = flushed_lines(1)[:-1]
    for kind in (WriteOnly, Liar):
        below = kind(before)
        with vaezip.open(below, "ab", model=TINY) as file:
            file.write(LINES[1])
        assert below.getvalue().startswith(before)
        assert len(below.getvalue()) > len(before) + 9
    forward = ForwardOnly()
    with vaezip.open(forward, "ab", model=TINY) as file:
        file.write(LINES[1])
    assert vaezip.decompress(forward.getvalue(), model=TINY) == LINES[1]
    read, write = os.pipe()
    with open(read, "rb") as source, open(write, "wb") as sink:
        with vaezip.open(sink, "ab", model=TINY) as file:
            file.write(LINES[1])
        sink.close()
        assert vaezip.decompress(source.read(), model=TINY) == LINES[1]
    fifo = tmp_path / "fifo.vz"
    os.mkfifo(fifo)
    with open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb") as source:
        with vaezip.open(fifo, "ab", model=TINY) as file:
            file.write(LINES[1])
        assert vaezip.decompress(source.read(), model=TINY) == LINES[1]


def test_a_stream_is_appended_to_at_its_end_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "log.vz"
    path.write_bytes(flushed_lines(2))
    for number, stream in enumerate((path.open("r+b"), path.open("r+b", buffering=0), path.open("ab")), 2):
        with stream:
            stream.seek(number)
            with vaezip.open(stream, "ab", model=TINY) as file:
                file.write(LINES[number])
            assert file.closed
        assert vaezip.decompress(path.read_bytes(), model=TINY) == b"".join(LINES[: number + 1])
    memory = io.BytesIO(flushed_lines(2))
    with vaezip.open(memory, "ab", model=TINY) as file:
        file.write(LINES[2])
    assert vaezip.decompress(memory.getvalue(), model=TINY) == b"".join(LINES[:3])
    with path.open("w+b") as stream:  # what it has not written yet counts
        for number in range(3):
            with vaezip.open(stream, "ab", model=TINY) as file:
                file.write(LINES[number])
    assert vaezip.decompress(path.read_bytes(), model=TINY) == b"".join(LINES[:3])


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
