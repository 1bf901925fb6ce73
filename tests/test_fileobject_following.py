"""What is appended to a file while it is read is read, too, as of any other file; whole frames of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY
from test_fileobject_flush import LINES
from test_listing import Counted

import vaezip
from vaezip.block_index import BlockIndex
from vaezip.model import Model


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("goes_elsewhere", [False, True])
def test_a_reader_follows_a_file_that_grows(tmp_path: Path, threads: int, goes_elsewhere: bool) -> None:
    path, lines = tmp_path / "log.vz", [line.decode() for line in LINES[:6]]
    with vaezip.open(path, "wt", model=TINY, encoding="utf-8", newline="") as log:
        log.write(lines[0])
        log.flush()
        with vaezip.open(path, "rt", model=TINY, threads=threads, encoding="utf-8", newline="") as file:
            assert [file.readline(), file.readline(), file.read()] == [lines[0], "", ""]
            for number, line in enumerate(lines[1:], 1):
                log.write(line)
                assert file.readline() == ""  # what is not flushed is not there
                log.flush()
                if goes_elsewhere:
                    file.seek(0)
                    assert file.readline() == lines[0]
                    assert file.seek(0, io.SEEK_END) == len("".join(lines[: number + 1]))
                    file.seek(len("".join(lines[:number])))
                assert [file.readline(), file.readline()] == [line, ""]


@pytest.mark.parametrize("goes_elsewhere", [False, True])
def test_a_frame_that_is_not_whole_yet_is_not_there(tiny: Model, goes_elsewhere: bool) -> None:
    text = b"".join(LINES)
    first, second = (vaezip.compress(part, model=tiny, block_size=90) for part in (text[:300], text[300:]))
    below = io.BytesIO(first)
    file = vaezip.open(below, model=tiny)
    assert file.read() == text[:300]
    for byte in second[:-1]:
        below.seek(0, io.SEEK_END)
        below.write(bytes([byte]))
        if goes_elsewhere:
            assert file.seek(0, io.SEEK_END) == 300
        assert file.read() == b""
    below.seek(0, io.SEEK_END)
    below.write(second[-1:])
    assert file.read() == text[300:]
    assert file.seek(100) == 100
    assert file.read() == text[100:]
    below.write(b"junk")
    for _ in range(2):
        with pytest.raises(vaezip.FormatError):
            file.seek(0, io.SEEK_END)
        file.seek(200)
        assert file.read(50) == text[200:250]


def test_a_reader_that_came_too_early_reads_on(tiny: Model) -> None:
    """What was an error at the end of the file is none any more."""
    text = b"".join(LINES)
    whole = vaezip.compress(text, model=tiny, block_size=400)
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        below = io.BytesIO(whole[:cut])
        file = vaezip.open(below, model=tiny)
        for _ in range(2):
            with pytest.raises(EOFError):
                file.read()
        before = file.tell()
        below.seek(0, io.SEEK_END)
        below.write(whole[cut:])
        assert file.read() == text[before:]


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("cut", [1, 20])
def test_threads_that_came_too_early_look_again(tiny: Model, threads: int, cut: int) -> None:
    """They read ahead of what is asked for, to where the file ended then."""
    frames = [vaezip.compress(line, model=tiny) for line in LINES[:4]]
    below = io.BytesIO(b"".join(frames[:3])[:-cut])
    file = vaezip.open(below, model=tiny, threads=threads)
    assert [file.readline(), file.readline()] == LINES[:2]
    place = below.tell()
    below.seek(0, io.SEEK_END)
    below.write(frames[2][-cut:] + frames[3])
    below.seek(place)
    assert [file.readline(), file.readline(), file.readline()] == [*LINES[2:4], b""]


def test_looking_for_new_frames_reads_no_old_ones(tiny: Model) -> None:
    frame = vaezip.compress(b"some text", model=tiny)
    below = Counted(frame * 500)
    file = vaezip.open(below, model=tiny)
    size = file.seek(0, io.SEEK_END)
    for _ in range(5):
        below.seek(0, io.SEEK_END)
        below.write(frame)
        before, size = below.count, size + len(b"some text")
        assert file.seek(0, io.SEEK_END) == size
        assert below.count <= before + 2 * len(frame)


@pytest.mark.parametrize("goes_to_the_end", [False, True])
def test_an_interruption_while_looking_takes_no_frame_twice(
    tiny: Model, goes_to_the_end: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [vaezip.compress(line, model=tiny) for line in LINES[:3]]
    below = io.BytesIO(frames[0])
    file = vaezip.open(below, model=tiny)
    assert file.read() == LINES[0]
    below.write(frames[1] + frames[2])
    add = BlockIndex._add_frame

    def interrupted(*arguments: Any) -> int:
        add(*arguments)
        raise KeyboardInterrupt

    file.seek(0, io.SEEK_END)
    below.seek(0, io.SEEK_END)
    below.write(frames[0])
    with monkeypatch.context() as patch:
        patch.setattr(BlockIndex, "_add_frame", interrupted)
        with pytest.raises(KeyboardInterrupt):
            file.seek(0, io.SEEK_END) if goes_to_the_end else file.read()
    file.seek(0)
    assert file.read() == b"".join([*LINES[:3], LINES[0]])
