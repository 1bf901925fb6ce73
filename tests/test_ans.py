"""The ANS stack against a pure-Python coder written from docs/format.md."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaezip.ans import TOTAL, AnsStack, huffman_compress, huffman_decompress, quantise
from vaezip.errors import FormatError, IntegrityError
from vaezip.lzw import lzw_compress, lzw_decompress


class PlainStack:
    """docs/format.md, "The ANS stack", word for word."""

    def __init__(self, payload: bytes) -> None:
        payload += bytes(-len(payload) % 4)
        self.words = [int.from_bytes(payload[i : i + 4], "little") for i in range(0, len(payload), 4)]
        self.state = 0
        while self.words and self.state < 2**32:
            self.state = (self.state << 32) + self.words.pop()

    def pop(self, row: list[int]) -> int:
        q = self.state % 2**24
        symbol, c = 0, 0
        while c + row[symbol] <= q:
            c += row[symbol]
            symbol += 1
        self.state = (self.state >> 24) * row[symbol] + q - c
        if self.state < 2**32 and self.words:
            self.state = (self.state << 32) + self.words.pop()
        return symbol

    def push(self, symbol: int, row: list[int]) -> None:
        f, c = row[symbol], sum(row[:symbol])
        if self.state >> 40 >= f:
            self.words.append(self.state % 2**32)
            self.state >>= 32
        self.state = (self.state // f << 24) + c + self.state % f

    def payload(self) -> bytes:
        return (
            b"".join(w.to_bytes(4, "little") for w in self.words) + self.state.to_bytes(8, "little")
        ).rstrip(b"\0")


rows = st.lists(st.integers(0, 1 << 24), min_size=2, max_size=256).filter(any)
operations = st.lists(st.tuples(rows, st.none() | st.integers(0, 255)), max_size=60)


@given(first=st.integers(0, 2**32 - 1), operations=operations)
def test_the_stack_is_a_plain_rans_coder(first: int, operations: list[tuple[list[int], int | None]]) -> None:
    stack, plain = AnsStack(first), PlainStack(first.to_bytes(4, "little"))
    for weights, symbol in operations:
        row = quantise(np.array([weights], np.int64))
        if symbol is None:
            assert stack.pop(row)[0] == plain.pop(row[0].tolist())
        else:
            symbol %= len(weights)
            stack.push(np.array([symbol], np.int32), row)
            plain.push(symbol, row[0].tolist())
        assert stack.to_bytes() == plain.payload()
    stack, plain = AnsStack.from_bytes(stack.to_bytes()), PlainStack(plain.payload())
    row = quantise(np.array([[1, 2, 3, 5, 8, 13]], np.int64))
    for _ in range(20):
        assert stack.pop(row)[0] == plain.pop(row[0].tolist())


@given(weights=rows)
def test_quantised_rows_are_exact_and_close(weights: list[int]) -> None:
    row = quantise(np.array([weights], np.int64))[0].astype(np.int64)
    assert row.min() >= 1
    assert row.sum() == TOTAL
    ideal = np.array(weights) * (TOTAL - len(weights)) / sum(weights) + 1
    off = np.abs(row - ideal)
    off[np.argmax(weights)] = 0
    assert off.max() <= 1 + max(ideal) / 2**19


starts = st.integers(1, TOTAL - 2)


@given(
    first=st.integers(0, 2**32 - 1),
    ends=st.lists(st.tuples(starts, starts).map(sorted), min_size=1, max_size=40),
)
def test_intervals_are_found_by_their_quantiles(first: int, ends: list[list[int]]) -> None:
    stack, plain = AnsStack(first), PlainStack(first.to_bytes(4, "little"))
    intervals = np.array([(low, high - low + (high == low)) for low, high in ends], np.int32)
    intervals[:, 0] -= intervals.sum(axis=1) == TOTAL  # an interval ends before the last number
    stack.push_intervals(intervals)
    rows = [[below, width, TOTAL - below - width] for below, width in intervals.tolist()]
    for row in reversed(rows):
        plain.push(1, row)
    assert stack.to_bytes() == plain.payload()
    for row in rows:
        assert stack.quantile() == plain.state % TOTAL
        assert row[0] <= stack.quantile() < row[0] + row[1]
        stack.pop_interval(np.array(row, np.float32) - 1)
        assert plain.pop(row) == 1
    assert stack.single() == first


def test_a_quantile_outside_its_interval_is_refused() -> None:
    for row in ([TOTAL - 2, 1, 1], [1, 1, TOTAL - 2]):
        stack = AnsStack(TOTAL // 2)
        with pytest.raises(IntegrityError):
            stack.pop_interval(np.array(row, np.float32) - 1)


@given(first=st.integers(0, 2**32 - 1))
def test_a_fresh_stack_holds_one_number_without_overhead(first: int) -> None:
    stack = AnsStack(first)
    assert stack.single() == first
    assert len(stack.to_bytes()) == (first.bit_length() + 7) // 8
    assert AnsStack.from_bytes(stack.to_bytes()).single() == first


def test_a_dry_stack_yields_symbol_0_and_stays_dry() -> None:
    stack = AnsStack()
    row = np.repeat(quantise(np.ones((1, 17), np.int64)), 100, axis=0)
    assert not stack.pop(row).any()
    assert stack.single() == 0


@pytest.mark.parametrize("row", [[0, TOTAL], [-1, TOTAL + 1], [1, TOTAL], [TOTAL // 2] * 3])
def test_rows_that_would_not_decode_are_refused(row: list[int]) -> None:
    with pytest.raises(ValueError, match="frequencies"):
        AnsStack().push(np.array([0], np.int32), np.array([row], np.int32))


def test_a_payload_cannot_end_in_a_zero_byte() -> None:
    with pytest.raises(FormatError):
        AnsStack.from_bytes(b"\1\0")


@given(data=st.binary(min_size=1, max_size=2000) | st.text("ab", min_size=1).map(str.encode))
def test_the_ancestors_round_trip(data: bytes) -> None:
    assert huffman_decompress(huffman_compress(data)) == data
    assert lzw_decompress(lzw_compress(data)) == data


def test_lzw_round_trips_past_a_full_dictionary() -> None:
    data = np.random.default_rng(0).integers(0, 256, 200_000, np.uint8).tobytes()
    assert lzw_decompress(lzw_compress(data)) == data
