"""Round trips through the public interface, and every kind of bad input."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import vaezip
from vaezip import bitsback, block, container
from vaezip.byteio import ByteReader
from vaezip.container import Method
from vaezip.information import account
from vaezip.model import Model, parse_model, read_model_file
from vaezip.workers import in_order

from conftest import TINY, with_damage  # isort: skip

MIXED = b"".join(
    [
        bytes(range(256)),
        "Ünïcödé, 中文字符, кириллица\n".encode() * 3,
        b"CRLF\r\nlines\r\n",
        b"\xc3\x28\xa0 invalid",
        b"\0" * 40,
    ]
)

contents = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=150).map(str.encode),
    st.text(st.sampled_from("abc \r\n"), max_size=400).map(str.encode),
    st.text("的一是不了人我在有他这", max_size=80).map(str.encode),
)


@hypothesis_settings(max_examples=60)
@given(data=contents)
@example(b"")
@example(b"x")
@example(bytes(range(256)))
@example(MIXED)
def test_round_trip(tiny: Model, data: bytes) -> None:
    blob = vaezip.compress(data, model=tiny)
    assert vaezip.decompress(blob, model=tiny) == data
    assert len(blob) <= len(data) + 16


@hypothesis_settings(max_examples=40)
@given(parts=st.lists(contents, max_size=4), block_size=st.integers(1, 200))
def test_blocks_and_concatenated_frames(tiny: Model, parts: list[bytes], block_size: int) -> None:
    blobs = [vaezip.compress(part, model=tiny, block_size=block_size) for part in parts or [b""]]
    assert vaezip.decompress(b"".join(blobs), model=tiny) == b"".join(parts)


def test_text_and_noise_in_many_blocks(tiny: Model, prose: bytes) -> None:
    rng = np.random.default_rng(5)
    words = prose.split()
    text = b" ".join(words[i] for i in rng.integers(0, len(words), 20_000))[:75_000]
    text += rng.integers(0, 256, 175_000, np.uint8).tobytes()
    blob = vaezip.compress(text, model=tiny, block_size=4 << 10)
    assert len(blob) < 220_000
    assert vaezip.decompress(blob, model=tiny) == text
    reader = ByteReader(io.BytesIO(blob))
    header = container.read_header(reader)
    assert header is not None
    stored = [block.method == Method.STORED for block in container.read_blocks(reader, header)]
    assert sum(stored) > 40
    assert len(stored) - sum(stored) > 10


@pytest.mark.parametrize("delta", [-1, 0, 1])
@pytest.mark.parametrize("blocks", [1, 2])
def test_block_boundaries(tiny: Model, prose: bytes, blocks: int, delta: int) -> None:
    data = prose[: blocks * 128 + delta]
    blob = vaezip.compress(data, model=tiny, block_size=128)
    assert vaezip.decompress(blob, model=tiny) == data


def test_threads_change_nothing_but_time(tiny: Model, prose: bytes) -> None:
    text = prose[:3000] + bytes(500) + prose[:700]
    one = vaezip.compress(text, model=tiny, block_size=400)
    for threads in (0, 2, 5):
        assert vaezip.compress(text, model=tiny, block_size=400, threads=threads) == one
        assert vaezip.decompress(one, model=tiny, threads=threads) == text
    assert vaezip.decompress(one, model=tiny) == text


def test_what_is_ready_is_not_kept_until_all_threads_are_busy(tiny: Model, prose: bytes) -> None:
    compressor = vaezip.VaezipCompressor(model=tiny, block_size=400, threads=5)
    parts = [compressor.compress(prose[:900])]  # two blocks to work on, and 100 bytes
    deadline = time.monotonic() + 60
    while len(b"".join(parts)) < 200 and time.monotonic() < deadline:
        time.sleep(0.01)
        parts.append(compressor.compress(b""))
    frame = b"".join(parts) + compressor.flush()
    assert 200 < len(b"".join(parts)) < len(frame)
    assert vaezip.decompress(frame, model=tiny) == prose[:900]

    begun, out = list[int](), list[int]()

    def numbers() -> Iterator[int]:
        for number in range(4):
            yield number  # what comes before is done by now, and comes out at once
            assert len(out) >= number
            while len(begun) <= number:
                time.sleep(0.01)
            time.sleep(0.1)

    for _ in in_order(begun.append, numbers(), 3):
        out.append(len(out))
    assert len(out) == 4


def test_without_threads_to_spare_one_does_all_the_work(
    tiny: Model, prose: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't preset new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    one = vaezip.compress(prose[:2000], model=tiny, block_size=400)
    assert vaezip.compress(prose[:2000], model=tiny, block_size=400, threads=2) == one


@pytest.mark.parametrize(("threads", "in_step"), [(1, False), (1, True), (3, False)])
def test_what_lies_before_damage_comes_out(
    tiny: Model, prose: bytes, threads: int, in_step: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of two errors, the first counts, however many blocks are worked on."""
    monkeypatch.setattr(block, "_MANY", 0 if in_step else 1 << 30)
    text = prose[:1000]
    blob = vaezip.compress(text, model=tiny, block_size=100)
    sink = io.BytesIO()
    with pytest.raises(vaezip.TruncatedError):
        vaezip.decompress_stream(io.BytesIO(blob[:-300]), sink, model=tiny, threads=threads)
    assert len(sink.getvalue()) >= 300
    assert text.startswith(sink.getvalue())
    with pytest.raises(vaezip.IntegrityError):
        vaezip.decompress(with_damage(blob, 1)[:-300], model=tiny, threads=threads)


def test_random_data_hardly_grow(tiny: Model) -> None:
    data = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
    assert len(vaezip.compress(data, model=tiny)) <= 1.001 * len(data) + 32


def test_a_pipe_of_unknown_length_gives_the_same_blocks(tiny: Model, prose: bytes) -> None:
    class Trickle(io.RawIOBase):
        def __init__(self) -> None:
            self._rest = prose[:1000]

        def readable(self) -> bool:
            return True

        def read(self, n: int = -1) -> bytes:
            part, self._rest = self._rest[: min(n, 7)], self._rest[min(n, 7) :]
            return part

    sink = io.BytesIO()
    vaezip.compress_stream(Trickle(), sink, model=tiny, block_size=300)  # type: ignore[arg-type]
    whole = vaezip.compress(prose[:1000], model=tiny, block_size=300)
    assert vaezip.decompress(sink.getvalue(), model=tiny) == prose[:1000]
    assert abs(len(sink.getvalue()) - len(whole)) <= 2


@pytest.mark.parametrize("block_size", [2, 5, 100])
@pytest.mark.parametrize("size", [6, 1000])
def test_a_source_that_is_shorter_than_was_said_is_told(tiny: Model, size: int, block_size: int) -> None:
    sink = io.BytesIO()
    with pytest.raises(vaezip.TruncatedError, match=f"shorter than was said: 5 of {size} bytes"):
        vaezip.compress_stream(
            io.BytesIO(b"12345"), sink, model=tiny, content_size=size, block_size=block_size
        )
    with pytest.raises(vaezip.TruncatedError):  # it does not look whole
        vaezip.decompress(sink.getvalue(), model=tiny)


@pytest.mark.parametrize("size", [0, 4, 499])
def test_a_source_that_is_longer_than_was_said_is_told_as_soon_as_it_is_known(tiny: Model, size: int) -> None:
    source, sink = io.BytesIO(b"12345" * 100), io.BytesIO()
    with pytest.raises(vaezip.VaezipError, match=f"longer than was said: {size} bytes") as caught:
        vaezip.compress_stream(source, sink, model=tiny, content_size=size, block_size=10)
    assert not isinstance(caught.value, EOFError)
    assert source.tell() == size // 10 * 10 + 10
    with pytest.raises(vaezip.TruncatedError):
        vaezip.decompress(sink.getvalue(), model=tiny)
    assert vaezip.compress_stream(io.BytesIO(b"1"), sink, model=tiny, content_size=1).read == 1


def test_overhead_of_a_short_message(tiny: Model, prose: bytes) -> None:
    """Eight bytes, checksum included, and the last byte of the payload rounded up."""
    text = prose[:200]
    preset = bitsback.PresetChoice(tiny, text).preset
    null = account(tiny, text, bitsback.encode(tiny, text, latent=False, preset=preset))
    assert len(vaezip.compress(text, model=tiny)) <= null.x_bits / 8 + 9


def test_buffers_of_any_kind(tiny: Model) -> None:
    for kind in (bytearray, memoryview):
        blob = vaezip.compress(kind(b"some text"), model=tiny)
        assert vaezip.decompress(kind(blob), model=tiny) == b"some text"


@pytest.mark.parametrize("wrong", [None, "text", 5])
def test_what_is_no_buffer_is_a_type_error(wrong: Any) -> None:
    for function in (vaezip.compress, vaezip.decompress):
        with pytest.raises(TypeError, match="bytes-like"):
            function(wrong)


@pytest.fixture(scope="module")
def blob(prose: bytes) -> bytes:
    return vaezip.compress(prose[:250], model=TINY, block_size=100)


def test_every_truncation_and_many_flipped_bits_are_found(blob: bytes, tiny: Model, prose: bytes) -> None:
    for n in range(0, len(blob), 7):
        with pytest.raises(vaezip.FormatError):
            vaezip.decompress(blob[:n], model=tiny)
    for bit in range(0, 8 * len(blob), 23):
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(vaezip.VaezipError):
            vaezip.decompress(bytes(damaged), model=tiny)


def test_every_flipped_bit_of_a_short_frame_is_found(tiny: Model) -> None:
    blob = vaezip.compress(b"the quick brown fox", model=tiny)
    for bit in range(8 * len(blob)):
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(vaezip.VaezipError):
            vaezip.decompress(bytes(damaged), model=tiny)


def test_another_model_is_named(blob: bytes, tiny: Model) -> None:
    other = bytearray(read_model_file(str(TINY)))
    position = other.index(b'"seconds":"') + len(b'"seconds":"')
    other[position : position + 1] = b"7" if other[position : position + 1] != b"7" else b"8"
    with pytest.raises(vaezip.ModelMismatchError, match=tiny.fingerprint[:8].hex()):
        vaezip.decompress(blob, model=parse_model(bytes(other), "other"))


def test_max_output_size_is_a_bound(blob: bytes, tiny: Model, prose: bytes) -> None:
    assert vaezip.decompress(blob, model=tiny, max_output_size=250) == prose[:250]
    with pytest.raises(vaezip.LimitError, match="249"):
        vaezip.decompress(blob, model=tiny, max_output_size=249)


def test_stored_blocks_need_no_model(tiny: Model) -> None:
    data = np.random.default_rng(2).integers(0, 256, 1000, np.uint8).tobytes()
    blob = vaezip.compress(data, model=tiny)
    assert vaezip.decompress(blob, model="no such model") == data


@pytest.mark.parametrize("block_size", [0, -1, (16 << 20) + 1])
def test_block_sizes_out_of_range(tiny: Model, block_size: int) -> None:
    with pytest.raises(ValueError, match="block size"):
        vaezip.compress(b"", model=tiny, block_size=block_size)


def test_an_empty_input_is_not_a_vz_file(tiny: Model) -> None:
    with pytest.raises(vaezip.TruncatedError, match="empty"):
        vaezip.decompress(b"", model=tiny)


def test_public_names() -> None:
    assert sorted(vaezip.__all__) == vaezip.__all__
    for name in vaezip.__all__:
        assert getattr(vaezip, name) is not None
        assert name in dir(vaezip)
    with pytest.raises(AttributeError):
        vaezip.no_such_name  # noqa: B018


def test_a_wide_model_decodes_two_blocks_in_step(
    tiny: Model, prose: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = prose[:900] + bytes(np.random.default_rng(0).integers(0, 256, 300, np.uint8)) + prose[:450]
    blob = vaezip.compress(text, model=tiny, block_size=300)
    steps: list[int] = []
    real = bitsback.decode_in_step

    def counted(model: Model, blocks: list[container.Block], *more: Any) -> list[bytes]:
        steps.append(len(blocks))
        return real(model, blocks, *more)

    monkeypatch.setattr(bitsback, "decode_in_step", counted)
    assert vaezip.decompress(blob, model=tiny) == text
    assert set(steps) == {1}
    steps.clear()
    monkeypatch.setattr(block, "_MANY", 0)
    assert vaezip.decompress(blob, model=tiny) == text
    assert steps == [2, 1, 2]  # beside the fourth, which is stored
    damaged = bytearray(blob)
    damaged[len(vaezip.compress(text[:300], model=tiny)) + 20] ^= 1  # in the second block
    sink = io.BytesIO()
    with pytest.raises(vaezip.IntegrityError):
        vaezip.decompress_stream(io.BytesIO(damaged), sink, model=tiny)
    assert sink.getvalue() == text[:300]


@pytest.mark.parametrize("threads", [1, 3])
def test_progress_is_told_within_blocks(tiny: Model, prose: bytes, threads: int) -> None:
    text = (prose * 6)[:36_000]
    told: list[int] = []
    vaezip.compress_stream(
        io.BytesIO(text),
        sink := io.BytesIO(),
        model=tiny,
        block_size=18_000,
        threads=threads,
        progress=told.append,
    )
    assert sum(told) == len(text)
    assert len(told) >= 8
    blob, told = sink.getvalue(), []
    vaezip.decompress_stream(io.BytesIO(blob), None, model=tiny, threads=threads, progress=told.append)
    assert sum(told) == len(blob)
    assert len(told) >= 8


def test_errors_are_those_that_gzips_users_catch(tiny: Model) -> None:
    blob = bytearray(vaezip.compress(b"text " * 100, model=tiny))
    with pytest.raises(EOFError):
        vaezip.decompress(blob[:-3], model=tiny)
    with pytest.raises(OSError, match=r"not a \.vz file"):
        vaezip.decompress(b"plain text", model=tiny)
    blob[-4] ^= 1
    with pytest.raises(OSError, match=r"checksum|damaged"):
        vaezip.decompress(blob, model=tiny)
    with pytest.raises(OSError, match="cannot read the model"):
        vaezip.load_model("/nowhere.vzm")
