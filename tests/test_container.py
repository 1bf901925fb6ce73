"""Frames: numbers, headers, blocks, index; every kind of damage is an error of the right class."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import tracemalloc
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_golden import skippable

from vaezip import container, numerals
from vaezip.byteio import ByteReader
from vaezip.container import Block, Method
from vaezip.errors import FormatError, IntegrityError, LimitError, TruncatedError, VaezipError, VersionError

FINGERPRINT = bytes(range(32))
SOME = [Block(Method.VAE, 10, b"abc"), container.stored(b"text"), Block(Method.VAE_NULL, 300, b"x" * 240, 3)]


def _read(data: bytes) -> list[Block]:
    reader, blocks = ByteReader(io.BytesIO(data)), []
    while (header := container.read_header(reader)) is not None:
        blocks += container.read_blocks(reader, header)
    return blocks


def _long_frame(content_size: int | None = 314) -> bytes:
    header = container.frame_header(FINGERPRINT, 300, content_size)
    index = container.Index(len(header))
    for block in SOME:
        index.add(block)
    return header + b"".join(map(container.encode_block, SOME)) + index.to_bytes()


@given(n=st.integers(0, 2**64 - 1) | st.integers(0, 8000))
def test_numbers_round_trip_in_their_only_form(n: int) -> None:
    data = numerals.encode_number(n)
    assert numerals.read_number(ByteReader(io.BytesIO(data))) == n
    for other in (b"\xfc", b"\xfd", b"\xfe", b"\xff"):
        width = {0xFC: 2, 0xFD: 3, 0xFE: 4, 0xFF: 8}[other[0]]
        if n < 1 << 8 * width and other[0] != data[0]:
            with pytest.raises(FormatError, match="shortest"):
                numerals.read_number(ByteReader(io.BytesIO(other + n.to_bytes(width, "little"))))


@pytest.mark.parametrize("sizes", [b"\xfc\x0a\x00\x0b", b"\x0a\xfc\x0b\x00"])
def test_a_header_whose_numbers_have_another_form_is_damaged(sizes: bytes) -> None:
    header = bytes([container.MAGIC, 32]) + sizes + bytes(8)
    whole = header + crc32(header).to_bytes(4, "little")
    with pytest.raises(FormatError, match=r"^not a \.vz file, or its header is damaged$"):
        container.read_header(ByteReader(io.BytesIO(whole)))


@pytest.mark.parametrize(
    ("n", "size"),
    [(0, 1), (223, 1), (224, 2), (7391, 2), (7392, 3), (65535, 3), (65536, 4), (2**24, 5), (2**32, 9)],
)
def test_sizes_of_numbers(n: int, size: int) -> None:
    assert len(numerals.encode_number(n)) == size


def test_a_number_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        numerals.encode_number(1 << 64)


@pytest.mark.parametrize("block", [*SOME, container.stored(b"")])
def test_the_short_form(block: Block) -> None:
    frame = container.short_frame(FINGERPRINT, block)
    assert _read(frame) == [block]
    assert _read(frame + frame) == [block, block]
    assert len(frame) - len(block.payload) <= (5 if block.size < 224 else 7)


@given(size=st.integers(0, 4096), data=st.data())
def test_the_size_of_a_payload_takes_a_byte_if_near_a_fifth_of_the_content(
    size: int, data: st.DataObject
) -> None:
    block = Block(Method.VAE_NULL, size, bytes(data.draw(st.integers(0, size + 4))))
    frame = container.short_frame(FINGERPRINT, block)
    assert _read(frame) == [block]
    is_near = size // 5 - 112 <= len(block.payload) < size // 5 + 112
    assert len(frame) - len(block.payload) == 3 + (1 if size < 224 else 2) + (1 if is_near else 2)


@given(n=st.integers(-(2**40), 2**40) | st.integers(-9, 9))
def test_signed_numbers_are_folded_into_unsigned_ones(n: int) -> None:
    assert numerals.unfold(numerals.fold(n)) == n
    assert 2 * abs(n) - 1 <= numerals.fold(n) <= 2 * abs(n)


@pytest.mark.parametrize("dictionary", [None, bytes(range(100, 132))])
@pytest.mark.parametrize("size", [0, 16384, 16385, container.MAX_BLOCK_SIZE])
def test_a_longer_text_names_its_model_by_more_than_a_byte(dictionary: bytes | None, size: int) -> None:
    block, named = Block(Method.VAE_NULL, size, b"abc"), 1 if size <= 16384 else 8
    frame = container.short_frame(FINGERPRINT, block, dictionary)
    header = container.read_header(ByteReader(io.BytesIO(frame)))
    assert header is not None
    assert header.fingerprint == FINGERPRINT[:named]
    assert header.dictionary == (dictionary and dictionary[:named])
    assert _read(frame + frame) == [block, block]


def test_in_every_header_names_come_last() -> None:
    named, sizes, theirs = bytes(range(50, 82)), b"\x0a\x02", FINGERPRINT[:8]
    for frame, expected in (
        (container.short_frame(FINGERPRINT, SOME[0]), b"\xf8" + sizes + theirs[:1]),
        (container.short_frame(FINGERPRINT, SOME[0], named), b"\xf7\x28" + sizes + theirs[:1] + named[:1]),
        (container.short_frame(FINGERPRINT, SOME[1]), b"\xf6\x24\x04" + theirs[:1]),
        (container.frame_header(FINGERPRINT, 10, 1), b"\xf6\x20" + sizes + theirs),
        (container.frame_header(FINGERPRINT, 10, 1, named), b"\xf7\x20" + sizes + theirs + named[:8]),
    ):
        check = crc32(expected).to_bytes(4, "little")
        assert frame.startswith(expected + (check if frame[1] == 0x20 else check[:1]))


def test_what_a_header_says() -> None:
    for frame, expected in (
        (container.short_frame(FINGERPRINT, SOME[0]), (FINGERPRINT[:1], None, None, 10, 5)),
        (container.short_frame(FINGERPRINT, SOME[1], b"12345678"), (FINGERPRINT[:1], b"1", None, 4, 6)),
        (_long_frame(), (FINGERPRINT[:8], None, 300, 314, 18)),
        (_long_frame(None), (FINGERPRINT[:8], None, 300, None, 17)),
        (skippable(bytes(20)), (b"", None, None, 0, 5)),
    ):
        header = container.read_header(ByteReader(io.BytesIO(frame)))
        assert header is not None
        assert dataclasses.astuple(header)[:5] == expected
        assert header.is_short == (expected[2] is None and expected[0] != b"")


def test_skippable_frames_have_bounds() -> None:
    assert _read(skippable(b"") + _long_frame() + skippable(bytes(300))) == SOME
    with pytest.raises(FormatError, match=r"^damaged skippable frame: its sizes disagree$"):
        _read(skippable(bytes(20))[:-4] + bytes([20, 0, 0, 0]))
    for size, error in (
        ((1 << 32) - 10, TruncatedError),
        ((1 << 32) - 9, FormatError),
        ((1 << 32), FormatError),
    ):
        header = container.SKIPPABLE + numerals.encode_number(size)
        with pytest.raises(error) as caught:
            _read(header)
        assert (str(caught.value) == "damaged header: a frame that is too long") == (error is FormatError)


@pytest.mark.parametrize("content_size", [314, None])
def test_the_long_form(content_size: int | None) -> None:
    frame = _long_frame(content_size)
    assert _read(frame) == SOME
    assert _read(frame + container.short_frame(FINGERPRINT, SOME[0]) + frame) == [*SOME, SOME[0], *SOME]


def test_the_index_is_found_from_the_end() -> None:
    frame = _long_frame()
    length = int.from_bytes(frame[-4:], "little")
    index = frame[-4 - length : -4]
    assert index[-4:] == crc32(index[:-4]).to_bytes(4, "little")
    reader = ByteReader(io.BytesIO(index))
    assert reader.read(1) == b"\0"
    header_size, count = numerals.read_number(reader), numerals.read_number(reader)
    sizes = [(numerals.read_number(reader), numerals.read_number(reader)) for _ in range(count)]
    assert [size for size, _ in sizes] == [block.size for block in SOME]
    assert header_size + sum(encoded for _, encoded in sizes) + length + 4 == len(frame)


@pytest.mark.parametrize(
    "frame", [_long_frame(), container.short_frame(FINGERPRINT, SOME[0])], ids=["long", "short"]
)
def test_every_truncation_is_an_error(frame: bytes) -> None:
    for n in range(1, len(frame)):
        with pytest.raises(FormatError):
            _read(frame[:n])
    with pytest.raises(TruncatedError):
        _read(frame[:-1])


def test_every_flipped_bit_of_header_and_index_is_an_error() -> None:
    for frame, payload in ((_long_frame(), 3 + 8 + 240), (container.short_frame(FINGERPRINT, SOME[0]), 3)):
        covered = len(frame) - payload if payload == 3 else len(frame)
        for bit in range(8 * covered):
            damaged = bytearray(frame)
            damaged[bit // 8] ^= 1 << bit % 8
            try:
                blocks = _read(bytes(damaged))
            except VaezipError:
                continue
            # What is left are bits of payloads, methods and presets, which the contents' checksums cover.
            assert [b.size for b in blocks] == [b.size for b in SOME]
            assert blocks != SOME


def _with_check(header: bytes, size: int) -> bytes:
    return header + crc32(header).to_bytes(4, "little")[:size]


@pytest.mark.parametrize("block", [SOME[0], SOME[2]])
def test_the_first_byte_may_stand_for_magic_and_descriptor(block: Block) -> None:
    frame = container.short_frame(FINGERPRINT, block)
    kind, header = frame[0] & 15, frame[1 : -len(block.payload) - 1]
    written_out = _with_check(bytes([container.MAGIC, 1 << 5 | kind]) + header, 1)
    assert _read(written_out + block.payload) == [block]


@pytest.mark.parametrize("descriptor", [2 << 5 | 2 << 2, 6 << 5 | 2 << 2, 1 << 5 | 0x10 | 2 << 2])
def test_newer_versions_and_critical_flags_are_told_from_damage(descriptor: int) -> None:
    header = bytes([container.MAGIC, descriptor]) + container.short_frame(FINGERPRINT, SOME[0])[1:4]
    with pytest.raises(VersionError, match="newer"):
        _read(_with_check(header, 1) + SOME[0].payload)
    with pytest.raises(FormatError) as caught:  # without a matching check it is damage
        _read(header + bytes([_with_check(header, 1)[-1] ^ 1]) + SOME[0].payload)
    assert not isinstance(caught.value, VersionError)


def test_version_7_may_have_a_header_of_another_form() -> None:
    for rest in (b"", b"anything"):
        with pytest.raises(VersionError, match="newer"):
            _read(bytes([container.MAGIC, 7 << 5]) + rest)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Block(Method.VAE, 10, b"abc"), Block(Method.VAE, 10, b"abd")),
        (container.stored(b"content 1."), container.stored(b"content 2.")),
    ],
)
def test_blocks_that_have_changed_places_are_told(first: Block, second: Block) -> None:
    """Each is intact, and so is the index, which says the same of both."""
    header = container.frame_header(FINGERPRINT, 300, 20)
    index = container.Index(len(header))
    index.add(first)
    index.add(second)

    def frame(*blocks: Block) -> bytes:
        return header + b"".join(map(container.encode_block, blocks)) + index.to_bytes()

    assert _read(frame(first, second)) == [first, second]
    for blocks in ((second, first), (first, first)):
        with pytest.raises(FormatError, match="other blocks"):
            _read(frame(*blocks))


def test_a_frame_that_is_not_as_its_header_says_is_told() -> None:
    header, frame = container.frame_header(FINGERPRINT, 300, 314), _long_frame()
    for other, said in (
        (container.frame_header(FINGERPRINT, 300, 315), "it does not hold as many bytes as its header says"),
        (container.frame_header(FINGERPRINT, 299, 314), "impossible size"),
        (container.frame_header(FINGERPRINT, 0, 314), "blocks of no bytes"),
    ):
        with pytest.raises(FormatError, match=f"^damaged (frame|block|header): {said}$"):
            _read(other + frame[len(header) :])
    empty = container.encode_block(Block(Method.VAE, 0, b""))
    with pytest.raises(FormatError, match=r"^damaged block: impossible size$"):
        _read(container.frame_header(FINGERPRINT, 300, None) + empty)


def test_blocks_have_a_size_that_readers_take() -> None:
    for size in (1, container.MAX_BLOCK_SIZE):
        container.check_block_size(size)
    for size in (0, container.MAX_BLOCK_SIZE + 1):
        with pytest.raises(ValueError, match=r"^block size must be 1 to 16777216$"):
            container.check_block_size(size)
    header, block = container.frame_header(FINGERPRINT, 1, None), Block(Method.VAE, 1, b"")
    index = container.Index(len(header))
    index.add(block)
    assert _read(header + container.encode_block(block) + index.to_bytes()) == [block]


def test_a_stored_block_that_is_damaged_is_told() -> None:
    block = container.stored(b"text")
    assert container.stored_content(block) == b"text"
    for at in range(8):
        payload = block.payload[:at] + bytes([block.payload[at] ^ 1]) + block.payload[at + 1 :]
        with pytest.raises(IntegrityError, match=r"^checksum mismatch: the data are damaged$"):
            container.stored_content(block._replace(payload=payload))


def test_ignorable_flags_are_ignored() -> None:
    frame, header = _long_frame(), container.frame_header(FINGERPRINT, 300, 314)
    flagged = _with_check(header[:1] + bytes([1 << 5 | 3]) + header[2:-4], 4)
    assert _read(flagged + frame[len(header) :]) == SOME


def test_a_stored_block_has_no_preset() -> None:
    stored = container.stored(b"text")._replace(preset=1)
    with pytest.raises(FormatError, match="unknown method"):
        _read(container.short_frame(FINGERPRINT, stored))


@pytest.mark.parametrize(
    "data", [b"plain text", b"\x1f\x8b\x08\0", b"\xf6", b"\xf6ffentlich", b"\xfcber alles", b"\xff\xfea\0b\0"]
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^(not a \.vz file|the file ends too early)"):
        _read(data)
    with pytest.raises(
        FormatError, match=r"^(the data after the last frame are not|damaged header|the file ends)"
    ):
        _read(_long_frame() + data)


@pytest.mark.parametrize(("kin", "said"), [(b"\xf5vzp\x01", "a pack: "), (b"\xf5vzd\x01", "a dictionary: ")])
def test_kin_is_known_by_its_name(kin: bytes, said: str) -> None:
    with pytest.raises(FormatError, match=f"^not a .vz file, but {said}"):
        _read(kin)
    with pytest.raises(FormatError, match=r"^the data after the last frame are not"):
        _read(_long_frame() + kin)


@pytest.mark.parametrize("other", [b"q", b"a", b"y", b"X", b"\x01"])
def test_extensions_of_the_magic_are_newer(other: bytes) -> None:
    for before in (b"", container.short_frame(FINGERPRINT, SOME[0]), skippable(b"")):
        for rest in (b"", b"anything"):
            with pytest.raises(VersionError, match=r"^made by a newer vaezip: update vaezip to read it$"):
                _read(before + b"\xf5vz" + other + rest)
    for data in (b"\xf5vy" + other, b"\xf5xz" + other):
        with pytest.raises(FormatError, match=r"^not a \.vz file$"):
            _read(data)


def test_damage_is_told_from_what_is_no_frame_if_one_was_there_before() -> None:
    frame = container.short_frame(FINGERPRINT, SOME[0])
    damaged = frame[:3] + bytes([frame[3] ^ 1]) + frame[4:]
    no_version = bytes([container.MAGIC, 0]) + frame
    for data in (damaged, no_version):
        with pytest.raises(FormatError, match=r"^not a \.vz file, or its header is damaged$"):
            _read(data)
        with pytest.raises(FormatError, match=r"^damaged header$"):
            _read(frame + data)


def test_huge_blocks_are_refused_before_anything_is_allocated() -> None:
    most = container.MAX_BLOCK_SIZE
    for data in (
        container.frame_header(FINGERPRINT, most + 1, None),
        container.short_frame(FINGERPRINT, Block(Method.VAE, most + 1, b"")),
    ):
        with pytest.raises(LimitError, match=r"^the blocks are larger than 16 MiB$"):
            _read(data)
    end = container.Index(len(container.frame_header(FINGERPRINT, most, None))).to_bytes()
    assert _read(container.frame_header(FINGERPRINT, most, None) + end) == []
    for size, payload in ((most, b""), (1, b"12345")):
        block = Block(Method.VAE, size, payload)
        assert _read(container.short_frame(FINGERPRINT, block)) == [block]
    with pytest.raises(FormatError, match="impossible size"):
        _read(container.short_frame(FINGERPRINT, Block(Method.VAE, 1, b"123456")))
    fewer_than_none = bytes([container.MAGIC, 40, 9, numerals.fold(-2), FINGERPRINT[0]])
    with pytest.raises(FormatError, match="impossible size"):
        _read(fewer_than_none + crc32(fewer_than_none).to_bytes(4, "little")[:1])


@given(lead=st.integers(container.MAGIC, 255), data=st.binary(max_size=80))
def test_garbage_behind_the_magic_never_escapes_the_tree_of_errors(lead: int, data: bytes) -> None:
    with contextlib.suppress(VaezipError):
        _read(bytes([lead]) + data)


def test_millions_of_blocks_take_no_more_memory_than_their_index() -> None:
    """Here it is a hundred thousand, of three bytes each, as a hostile file may have them."""
    count, block = 100_000, Block(Method.VAE_NULL, 1, b"")
    header = container.frame_header(bytes(8), 100, None)
    index = container.Index(len(header))
    for _ in range(count):
        index.add(block)
    reader = ByteReader(io.BytesIO(header + container.encode_block(block) * count + index.to_bytes()))
    parsed = container.read_header(reader)
    assert parsed is not None
    tracemalloc.start()
    try:
        assert sum(block.size for block in container.read_blocks(reader, parsed)) == count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * count
