"""What lies in a `.vz`, without decoding it."""

from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path

import pytest

import vaezip
from vaezip.model import Model


class Pipe(io.RawIOBase):
    """A stream that cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        return self._data.readinto(buffer)  # type: ignore[arg-type]


class Counted(io.BytesIO):
    """A stream that counts the bytes that are read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def test_frames_are_listed_from_a_path_a_file_and_a_pipe(tiny: Model, prose: bytes, tmp_path: Path) -> None:
    frames = [vaezip.compress(prose[:700], model=tiny, block_size=size) for size in (100, 700, 300)]
    path = tmp_path / "three.vz"
    path.write_bytes(b"".join(frames))
    for source in (path, str(path), io.BytesIO(path.read_bytes()), Pipe(path.read_bytes())):
        listed = list(vaezip.list_frames(source))
        assert [frame.compressed_size for frame in listed] == list(map(len, frames))
        assert [frame.content_size for frame in listed] == [700] * 3
        assert [(frame.blocks, frame.block_size) for frame in listed] == [(7, 100), (1, None), (3, 300)]
        assert [len(frame.fingerprint) for frame in listed] == [8, 1, 8]
        assert all(tiny.fingerprint.startswith(frame.fingerprint) for frame in listed)


def test_a_model_that_is_lost_is_known_by_eight_bytes_from_16_kb_on(tiny: Model) -> None:
    for size, named in ((16384, 1), (16385, 8)):
        data = vaezip.compress(bytes(size), model=tiny)
        assert [frame.fingerprint for frame in vaezip.list_frames(io.BytesIO(data))] == [
            tiny.fingerprint[:named]
        ]
    with pytest.raises(vaezip.ModelMismatchError, match=tiny.fingerprint[:8].hex()):
        vaezip.decompress(data, model="standard")


def test_a_stream_is_listed_from_where_it_is(tiny: Model) -> None:
    file = io.BytesIO(b"before" + vaezip.compress(b"text", model=tiny))
    file.seek(6)
    assert [frame.content_size for frame in vaezip.list_frames(file)] == [4]


def test_only_the_index_is_read(tiny: Model) -> None:
    blob = vaezip.compress(os.urandom(100_000), model=tiny, block_size=10_000)
    file = Counted(blob)
    assert [frame.content_size for frame in vaezip.list_frames(file)] == [100_000]
    assert file.count < 200


@pytest.mark.parametrize("damage", [b"", b"plain text", None])
def test_damage_raises_as_decompress_does(tiny: Model, damage: bytes | None) -> None:
    data = vaezip.compress(bytes(300), model=tiny, block_size=100)[:-3] if damage is None else damage
    for source in (io.BytesIO(data), Pipe(data)):
        with pytest.raises(vaezip.FormatError):
            list(vaezip.list_frames(source))


def test_what_follows_the_last_frame_is_told_from_what_is_no_file_at_all(tiny: Model) -> None:
    data = vaezip.compress(bytes(300), model=tiny, block_size=100) + b"junk"
    for source in (io.BytesIO(data), Pipe(data)):
        with pytest.raises(vaezip.FormatError, match="after the last frame"):
            list(vaezip.list_frames(source))


def test_millions_of_frames_take_some_bytes_each(tiny: Model) -> None:
    count, empty = 3000, vaezip.compress(b"", model=tiny)
    file = io.BytesIO(empty * count)
    tracemalloc.start()
    try:
        assert sum(1 for _ in vaezip.list_frames(file)) == count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * count
