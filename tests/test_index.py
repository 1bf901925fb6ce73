"""The index of a frame: what one may say, and what it costs to read one that says something else."""

from __future__ import annotations

import io
import tracemalloc
from zlib import crc32

import pytest
from conftest import TINY

import vaezip
from vaezip import container, numerals
from vaezip.byteio import ByteReader
from vaezip.container import Block, Method
from vaezip.errors import FormatError


def _index(*numbers: int, mark: int = 0) -> bytes:
    """An index of such numbers: of the header, how many blocks, and of each its size and its coded size."""
    body = bytes([mark]) + b"".join(map(numerals.encode_number, numbers)) + bytes(4)
    return body + crc32(body).to_bytes(4, "little")


def _read_index(data: bytes, room: int) -> container.Extents:
    return container.read_index(data[:4], ByteReader(io.BytesIO(data[4:])), len(data), room)


def test_an_index_is_read_if_its_blocks_have_room() -> None:
    most = container.MAX_BLOCK_SIZE
    extents = _read_index(_index(20, 3, 1, 2, 300, 250, most, 9), 20 + 2 + 250 + 9)
    assert (extents.header_size, [*extents.sizes]) == (20, [1, 300, most])
    assert [*extents.encoded_sizes] == [2, 250, 9]
    assert not _read_index(_index(20, 0), 20).sizes
    assert _read_index(_index(36, 1, 1, 16), 1000).header_size == 36
    many = 40_000  # more than one piece of the index
    assert len(_read_index(_index(20, many, *[9, 12] * many), 20 + many * 12).sizes) == many
    for data, room in (
        (_index(20, 3, 1, 2, 300, 250, most, 9), 20 + 2 + 250 + 9 - 1),
        (_index(20, 1, most + 1, 9), 1000),
        (_index(20, 1, 0, 9), 1000),
        (_index(20, 1, 9, 0), 1000),
        (_index(20, 2, 9, 9), 1000),
        (_index(20, 1, 9, 9, 9, 9), 1000),
        (_index(20, 1, 9, 9, mark=1), 1000),
        (_index(20, 1, 9, 9)[:-1] + b"?", 1000),
        (_index(37, 1, 9, 9), 1000),
        (_index(20, 1, 1, 17), 1000),
        (_index(20, 1, most, most + 16), 1 << 40),
        (_index(20, 1, 9, 1 << 32), 1 << 40),
        (_index(20), 1000),
        (_index(20, 2**63), 1000),
        (bytes(9), 1000),
        (b"\0", 1000),
        (b"", 1000),
    ):
        with pytest.raises(FormatError, match=r"^damaged index$"):
            _read_index(data, room)


def test_no_block_is_larger_than_an_index_may_say() -> None:
    """At every size at which a number becomes longer, and with the longest payload."""
    for size in (1, 219, 220, 7387, 7388, 65531, 65532, (1 << 24) - 4, container.MAX_BLOCK_SIZE):
        for method in (Method.VAE, Method.STORED):
            block = Block(method, size, bytes(size + 4))
            header = container.frame_header(bytes(8), size, None, bytes(8))
            encoded, index = container.encode_block(block), container.Index(len(header))
            index.add(block)
            reader = ByteReader(io.BytesIO(header + encoded + index.to_bytes()))
            parsed = container.read_header(reader)
            assert parsed is not None
            assert list(container.read_blocks(reader, parsed)) == [block]
            extents = _read_index(index.to_bytes()[:-4], len(header) + len(encoded))
            assert [*extents.encoded_sizes] == [len(encoded)]


def test_a_frame_of_too_many_blocks_is_refused_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has room for 4 GiB of sizes, here for a hundred bytes: two for each of these blocks."""
    monkeypatch.setattr(container, "_MOST_NUMBERS", 100)
    whole = vaezip.compress(bytes(50), model=TINY, block_size=1)
    assert vaezip.decompress(whole, model=TINY) == bytes(50)
    with pytest.raises(vaezip.LimitError, match=r"^a frame has no room for more blocks: "):
        vaezip.compress(bytes(51), model=TINY, block_size=1)
    with pytest.raises(vaezip.LimitError):
        vaezip.VaezipCompressor(model=TINY, block_size=1).compress(bytes(60))


def test_the_longest_index_has_a_length_of_four_bytes() -> None:
    index = container.Index(36)
    index._blocks = 2**63
    assert len(index.to_bytes()) - 4 + container._MOST_NUMBERS < 1 << 32


def test_no_header_is_larger_than_an_index_may_say() -> None:
    header = container.frame_header(bytes(8), container.MAX_BLOCK_SIZE, 2**64 - 2, bytes(8))
    assert len(header) == 36


class Sparse(io.RawIOBase):
    """A file that is zeros but for its begin and its end; counts the bytes that are asked for."""

    def __init__(self, begin: bytes, size: int, end: bytes) -> None:
        self._parts = ((0, begin), (size - len(end), end))
        self._size, self._position, self.asked = size, 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def read(self, n: int = -1) -> bytes:
        assert n >= 0
        self.asked += n
        data = bytearray(max(0, min(n, self._size - self._position)))
        for place, part in self._parts:
            at = place - self._position
            for i in range(max(0, -at), min(len(part), len(data) - at)):
                data[at + i] = part[i]
        self._position += len(data)
        return bytes(data)


def _written(header: bytes, *numbers: int) -> bytes:
    """An index behind blocks, with its length."""
    index = _index(len(header), *numbers)
    return index + len(index).to_bytes(4, "little")


HEADER = container.frame_header(bytes(8), 1 << 20, None)


@pytest.mark.parametrize(
    "file",
    [
        Sparse(HEADER, 1 << 33, _written(HEADER, 1, 100, (1 << 32) + 5)),  # a block of 100 bytes takes 4 GiB
        Sparse(HEADER, 300 << 20, (299 << 20).to_bytes(4, "little")),  # an index of zeros
        Sparse(HEADER + b"\0\x16", 300 << 20, ((300 << 20) - len(HEADER) - 4).to_bytes(4, "little")),
        Sparse(
            HEADER + bytes([0, len(HEADER), 255]) + (75 << 20).to_bytes(8, "little") + bytes([1, 3]) * 9,
            300 << 20,
            ((300 << 20) - len(HEADER) - 4).to_bytes(4, "little"),
        ),
    ],
    ids=["a large block", "zeros", "no blocks", "many blocks"],
)
def test_no_index_makes_a_reader_take_what_is_not_there(file: Sparse) -> None:
    for act in (
        lambda: list(vaezip.list_frames(file)),
        lambda: vaezip.open(file, model=TINY).seek(0, io.SEEK_END),
    ):
        file.seek(0)
        file.asked = 0
        tracemalloc.start()
        try:
            with pytest.raises(vaezip.FormatError):
                act()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert file.asked < 200_000
        assert peak < 1 << 20


def test_an_index_of_blocks_that_are_larger_than_the_header_says_is_damage() -> None:
    """Nothing else tells where the header does not say how much there is, and the blocks are not read."""
    for size, largest in ((10, 10), (11, 10)):
        header = container.frame_header(bytes(8), largest, None)
        block = container.encode_block(container.stored(bytes(size)))
        data = header + block + _written(header, 1, size, len(block))
        if size <= largest:
            assert [frame.content_size for frame in vaezip.list_frames(io.BytesIO(data))] == [size]
        else:
            with pytest.raises(vaezip.FormatError, match=r"^damaged index$"):
                list(vaezip.list_frames(io.BytesIO(data)))
