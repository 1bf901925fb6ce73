"""Every stream that Python may be given is read to its end, and takes all that is written, or raises."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY
from hypothesis import given
from hypothesis import strategies as st

import vaezip
from vaezip.byteio import ByteReader, ByteWriter
from vaezip.model import Model

answers = st.lists(st.sampled_from(["none", "blocking", "interrupted", "one", "half", "all"]), max_size=30)


class Moody(io.RawIOBase):
    """A raw stream over `content` that does as little as it may, as its `moods` say; then, all."""

    def __init__(self, content: bytes = b"", moods: list[str] | None = None) -> None:
        self.content = bytearray(content)
        self._moods = iter(moods or [])

    def _amount(self, most: int) -> int | None:
        mood = next(self._moods, "all")
        if mood == "blocking":
            raise BlockingIOError(11, "not now")
        if mood == "interrupted":
            raise InterruptedError
        return {"none": None, "one": min(1, most), "half": -(-most // 2)}.get(mood, most)

    def read(self, n: int = -1) -> bytes | None:  # type: ignore[override]
        amount = self._amount(min(n, len(self.content)))
        if amount is None:
            return None
        part = bytes(self.content[:amount])
        del self.content[:amount]
        return part

    def write(self, data: object) -> int | None:  # type: ignore[override]
        view = memoryview(data)  # type: ignore[arg-type]
        amount = self._amount(len(view))
        if amount is not None:
            self.content += view[:amount]
        return amount


@given(content=st.binary(max_size=200), moods=answers)
def test_all_is_read_however_little_comes_at_a_time(content: bytes, moods: list[str]) -> None:
    reader = ByteReader(Moody(content, moods))
    assert reader.read_all() == content
    assert reader.position == len(content)


@given(parts=st.lists(st.binary(max_size=60), max_size=8), moods=answers)
def test_all_is_written_however_little_is_taken(parts: list[bytes], moods: list[str]) -> None:
    sink = Moody(moods=moods)
    writer = ByteWriter(sink)
    for part in parts:
        writer.write(part)
    assert bytes(sink.content) == b"".join(parts)
    assert writer.position == len(sink.content)


@pytest.mark.parametrize("taken", [0, -1, 1000])
def test_a_stream_that_takes_an_impossible_number_of_bytes_is_an_error(taken: int) -> None:
    class Liar(io.RawIOBase):
        def write(self, data: object) -> int:  # type: ignore[override]
            return taken

    with pytest.raises(OSError, match=f"took {taken} of 3"):
        ByteWriter(Liar()).write(b"abc")


def test_something_with_a_write_that_says_nothing_has_taken_all() -> None:
    class Parts:
        def __init__(self) -> None:
            self.parts: list[bytes] = []

        def write(self, data: bytes) -> None:
            self.parts.append(data)

    sink = Parts()
    ByteWriter(sink).write(b"abc")
    assert sink.parts == [b"abc"]


def test_raw_pipes_and_sockets_carry_whole_frames(tiny: Model) -> None:
    """Larger than any of their buffers, so that writes are short, or block."""
    noise = os.urandom(3_000_000)

    def pipe(blocking: bool) -> tuple[io.RawIOBase, io.RawIOBase]:
        ends = os.pipe()
        for end in ends:
            os.set_blocking(end, blocking)
        return io.FileIO(ends[0], "r"), io.FileIO(ends[1], "w")

    def sockets() -> tuple[io.RawIOBase, io.RawIOBase]:
        one, other = socket.socketpair()
        with one, other:
            return one.makefile("rb", buffering=0), other.makefile("wb", buffering=0)

    for make in (lambda: pipe(True), lambda: pipe(False), sockets):
        source, sink = make()
        back = io.BytesIO()
        reading = threading.Thread(
            target=lambda source=source, back=back: vaezip.decompress_stream(source, back, model=tiny)
        )
        reading.start()
        sizes = vaezip.compress_stream(io.BytesIO(noise), sink, model=tiny)
        sink.close()
        reading.join()
        source.close()
        assert back.getvalue() == noise
        assert sizes.read == len(noise) < sizes.written


def test_a_buffered_writer_that_would_block_loses_nothing(tiny: Model) -> None:
    ends = os.pipe()
    os.set_blocking(ends[1], False)
    received = bytearray()

    def receive() -> None:
        while part := os.read(ends[0], 1 << 16):
            received.extend(part)
            time.sleep(0.001)

    receiving = threading.Thread(target=receive)
    receiving.start()
    noise = os.urandom(1_000_000)
    with open(ends[1], "wb", buffering=1 << 16) as sink:
        vaezip.compress_stream(io.BytesIO(noise), sink, model=tiny)
        os.set_blocking(ends[1], True)
    receiving.join()
    os.close(ends[0])
    assert vaezip.decompress(received, model=tiny) == noise


@pytest.mark.parametrize("buffered", [{}, {"PYTHONUNBUFFERED": "1"}])
@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_standard_streams_that_do_not_block_are_waited_for(
    command: str, buffered: dict[str, str], tmp_path: Path
) -> None:
    text = b"".join(b"line %d\n" % i for i in range(400))
    noise = os.urandom(70_000)  # more than a pipe holds
    data = text + noise if command == "compress" else vaezip.compress(text + noise, model=TINY)
    inside, outside = os.pipe(), os.pipe()
    for end in (inside[0], outside[1]):
        os.set_blocking(end, False)
    process = subprocess.Popen(
        [sys.executable, "-m", "vaezip", command, "-m", str(TINY)],
        stdin=inside[0],
        stdout=outside[1],
        cwd=tmp_path,
        env={**os.environ, **buffered},
    )
    os.close(inside[0])
    os.close(outside[1])

    def send() -> None:
        with open(inside[1], "wb", buffering=0) as pipe:
            for at in range(0, 2000, 100):
                pipe.write(data[at : at + 100])
                time.sleep(0.01)
            ByteWriter(pipe).write(data[2000:])

    sending = threading.Thread(target=send)
    sending.start()
    with open(outside[0], "rb") as pipe:
        out = pipe.read()
    sending.join()
    assert process.wait(timeout=600) == 0
    assert (vaezip.decompress(out, model=TINY) if command == "compress" else out) == text + noise


def test_buffers_of_items_larger_than_a_byte(tiny: Model) -> None:
    import array

    numbers = array.array("I", [1, 2, 3])
    for data in (numbers, memoryview(numbers), memoryview(bytes(24)).cast("B", (4, 6))):
        assert vaezip.decompress(vaezip.compress(data, model=tiny), model=tiny) == bytes(data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [
        lambda m: vaezip.compress(b"", model=m, threads=-1),
        lambda m: vaezip.decompress(b"", model=m, threads=-1),
        lambda m: vaezip.compress_stream(io.BytesIO(), io.BytesIO(), model=m, content_size=-5),
        lambda m: vaezip.decompress(b"", model=m, max_output_size=-1),
    ],
)
def test_numbers_that_make_no_sense_are_refused_before_any_work(
    call: Callable[[Model], object], tiny: Model
) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        call(tiny)
