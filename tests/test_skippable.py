"""Skippable frames: every reader passes over what lies in them, wherever a frame may begin."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from conftest import TINY, Run
from test_golden import skippable
from test_listing import Counted, Pipe

import vaezip
from vaezip.model import Model

TEXT = b"It was the best of times, it was the worst of times. " * 9


@pytest.fixture(scope="module")
def frames(tiny: Model) -> list[bytes]:
    """A frame of several blocks and one in the short form, with skippable ones around them."""
    long, short = vaezip.compress(TEXT, model=tiny, block_size=100), vaezip.compress(b"and", model=tiny)
    return [skippable(b"one"), long, skippable(b""), skippable(long), short, skippable(bytes(300))]


@pytest.mark.parametrize(
    "rest", [[0, 1, 2, 3, 4, 5], [0, 1], [1, 3], [1, 2, 3, 5], [4, 5], [2, 4], [1, 5, 1]]
)
def test_they_may_stand_wherever_a_frame_may_begin(frames: list[bytes], rest: list[int]) -> None:
    data = b"".join(frames[i] for i in rest)
    content = b"".join({1: TEXT, 4: b"and"}.get(i, b"") for i in rest)
    assert vaezip.decompress(data, model=TINY) == content
    for file in (io.BytesIO(data), Pipe(data)):
        assert vaezip.open(file, model=TINY).read() == content
    with vaezip.open(io.BytesIO(data), model=TINY) as opened:
        assert opened.seek(0, io.SEEK_END) == len(content)
        for place in range(0, len(content) + 1, 53):
            opened.seek(place)
            assert opened.read(5) == content[place : place + 5]
    for source in (io.BytesIO(data), Pipe(data)):
        listed = list(vaezip.list_frames(source))
        assert [frame.compressed_size for frame in listed] == [len(frames[i]) for i in rest]
        assert [frame.fingerprint != b"" for frame in listed] == [i in (1, 4) for i in rest]
        assert sum(frame.content_size for frame in listed) == len(content)


def test_a_file_of_nothing_else_has_no_content() -> None:
    data = skippable(b"one") + skippable(b"two")
    assert vaezip.decompress(data, model=TINY) == b""
    with vaezip.open(io.BytesIO(data), model=TINY) as opened:
        assert (opened.read(), opened.seek(0, io.SEEK_END)) == (b"", 0)
    listed = list(vaezip.list_frames(io.BytesIO(data)))
    assert [(frame.blocks, frame.block_size, frame.dictionary) for frame in listed] == [(0, None, None)] * 2


@pytest.mark.parametrize("step", [1, 2, 7, 10_000])
def test_a_decompressor_takes_one_as_a_frame_of_no_content(frames: list[bytes], step: int) -> None:
    """As zstd's do: who goes from frame to frame meets all."""
    data, contents = b"".join(frames), []
    while data:
        decompressor, content, at = vaezip.VaezipDecompressor(model=TINY), b"", 0
        while not decompressor.eof:
            assert decompressor.needs_input
            content += decompressor.decompress(data[at : at + step])
            at += step
        contents.append(content)
        data = decompressor.unused_data + data[at:]
    assert contents == [b"", TEXT, b"", b"", b"and", b""]


def test_a_decompressor_keeps_nothing_of_what_it_passes_over() -> None:
    decompressor, data = vaezip.VaezipDecompressor(model=TINY), skippable(bytes(1 << 22))
    for at in range(0, len(data) - 2, 1 << 16):
        assert decompressor.decompress(data[at : at + (1 << 16)]) == b""
        assert len(decompressor._input.rest()) < 10


def test_seeking_reads_nothing_of_what_it_passes_over(tiny: Model, frames: list[bytes]) -> None:
    """Not even where a long frame, whose index is found from its end, lies between them."""
    long, large = (
        vaezip.compress(bytes(range(256)) * 400, model=tiny, block_size=5000),
        skippable(bytes(1 << 20)),
    )
    file = Counted(large + long + large + large)
    assert [frame.blocks for frame in vaezip.list_frames(file)] == [0, 21, 0, 0]
    assert file.count < 500
    file = Counted(large + frames[4] + large)  # which is walked through
    assert sum(frame.content_size for frame in vaezip.list_frames(file)) == 3
    assert file.count < 100


def test_every_one_that_is_damaged_or_ends_early_is_refused(frames: list[bytes]) -> None:
    whole = skippable(b"what") + frames[4]
    for at in range(len(skippable(b"what"))):
        damaged = bytearray(whole)
        damaged[at] ^= 64
        if not 5 <= at < 9:  # of what is passed over, nothing is known
            _refused(bytes(damaged), vaezip.FormatError)
        if at:
            _refused(whole[:at], vaezip.TruncatedError)
    _refused(b"\xf5vzd\x01", vaezip.FormatError)
    _refused(b"\xf5vzx\xff" + (2**32).to_bytes(8, "little") + bytes(20), vaezip.FormatError)
    _refused(b"\xf5vzx\xfe" + (2**32 - 10).to_bytes(4, "little") + bytes(20), vaezip.TruncatedError)


def _refused(data: bytes, error: type[Exception]) -> None:
    for source in (io.BytesIO(data), Pipe(data)):
        with pytest.raises(error):
            list(vaezip.list_frames(source))
    with pytest.raises(error):
        vaezip.decompress(data, model=TINY)
    with pytest.raises(error):
        vaezip.open(io.BytesIO(data), model=TINY).read()


def test_the_commands_pass_over_them(frames: list[bytes], run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.vz").write_bytes(b"".join(frames))
    (tmp_path / "nothing.vz").write_bytes(frames[0])
    assert run("-dc", "-m", TINY, "x.vz", "nothing.vz").stdout == TEXT + b"and"
    assert run("test", "-m", TINY, "x.vz", "nothing.vz").returncode == 0
    many, nothing = json.loads(run("list", "--json", "x.vz", "nothing.vz").stdout)
    assert (many["frames"], many["compressed"]) == (6, len(b"".join(frames)))
    assert many["content"] == len(TEXT) + 3
    assert [len(model["fingerprint"]) for model in many["models"]] == [16, 2]
    assert (nothing["frames"], nothing["blocks"], nothing["content"], nothing["models"]) == (1, 0, 0, [])


def test_the_file_system_passes_over_them(frames: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "x.vz").write_bytes(b"".join(frames))
    files = pytest.importorskip("fsspec").filesystem("vz", model=str(TINY))
    assert files.info(str(tmp_path / "x"))["size"] == len(TEXT) + 3
    assert files.cat(str(tmp_path / "x")) == TEXT + b"and"
