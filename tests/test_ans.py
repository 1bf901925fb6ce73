"""The ANS stack, with every coder, against a pure-Python one written from docs/format.md."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaezip.ans import AnsStack, ConstrictionCoder, Decoded, pop_bytes, quantise
from vaezip.ans_python import PythonCoder
from vaezip.coder import TOTAL, Coder
from vaezip.errors import FormatError, IntegrityError

TESTS = Path(__file__).parent


def coders() -> list[type[Coder]]:
    """Those of this installation, of which AnsStack takes the first."""
    found: list[type[Coder]] = []
    if importlib.util.find_spec("constriction"):
        found.append(ConstrictionCoder)
    if importlib.util.find_spec("vaezip.kernel._kernel"):
        found.append(importlib.import_module("vaezip.kernel.ans").KernelCoder)
    return [*found, PythonCoder]


def stacks() -> list[type[AnsStack]]:
    return [type(coder.__name__, (AnsStack,), {"coder": coder}) for coder in coders()]


every_stack = pytest.mark.parametrize("stack_type", stacks(), ids=lambda stack: stack.__name__)


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
payloads = st.binary(max_size=100).map(lambda payload: payload.rstrip(b"\0"))


@every_stack
@given(payload=payloads, operations=operations)
def test_the_stack_is_a_plain_rans_coder(
    stack_type: type[AnsStack], payload: bytes, operations: list[tuple[list[int], int | None]]
) -> None:
    stack, plain = stack_type.from_bytes(payload), PlainStack(payload)
    for weights, symbol in operations:
        row = quantise(np.array([weights], np.int64))
        if symbol is None:
            assert stack.pop(row)[0] == plain.pop(row[0].tolist())
        else:
            symbol %= len(weights)
            stack.push(np.array([symbol], np.int32), row)
            plain.push(symbol, row[0].tolist())
        assert stack.to_bytes() == plain.payload()
        assert stack.bits() == max(0, int.from_bytes(plain.payload(), "little").bit_length() - 1)
    stack, plain = stack_type.from_bytes(stack.to_bytes()), PlainStack(plain.payload())
    row = quantise(np.array([[1, 2, 3, 5, 8, 13]], np.int64))
    for _ in range(20):
        assert stack.pop(row)[0] == plain.pop(row[0].tolist())


@every_stack
@given(payload=payloads, seed=st.integers(0, 2**32 - 1), count=st.integers(0, 300), n=st.integers(2, 256))
def test_many_symbols_are_coded_as_one_by_one(
    stack_type: type[AnsStack], payload: bytes, seed: int, count: int, n: int
) -> None:
    random = np.random.default_rng(seed)
    stack, plain = stack_type.from_bytes(payload), PlainStack(payload)
    frequencies = quantise(random.integers(1, 2 ** random.integers(1, 25), (count, n)))
    symbols = random.integers(0, n, count, np.int32)
    stack.push(symbols, frequencies)
    for symbol, row in zip(reversed(symbols.tolist()), reversed(frequencies.tolist()), strict=True):
        plain.push(symbol, row)
    assert stack.to_bytes() == plain.payload()
    assert stack.pop(frequencies).tolist() == symbols.tolist()
    assert stack.to_bytes() == payload
    plain = PlainStack(payload)
    symbols = stack.pop(frequencies)  # drawn from the payload's bits, until the stack is dry
    assert symbols.tolist() == [plain.pop(row) for row in frequencies.tolist()]
    assert stack.to_bytes() == plain.payload()
    stack.push(symbols, frequencies)
    assert stack.to_bytes() == payload


@given(weights=rows)
def test_quantised_rows_are_exact_and_close(weights: list[int]) -> None:
    row = quantise(np.array([weights], np.int64))[0].astype(np.int64)
    assert row.min() >= 1
    assert row.sum() == TOTAL
    ideal = np.array(weights) * (TOTAL - len(weights)) / sum(weights) + 1
    off = np.abs(row - ideal)
    off[np.argmax(weights)] = 0
    assert off.max() <= 1 + max(ideal) / 2**19


bounds = st.integers(1, TOTAL - 2)


@every_stack
@given(
    first=st.integers(0, 2**32 - 1),
    ends=st.lists(st.tuples(bounds, bounds).map(sorted), max_size=40),
)
def test_intervals_are_found_by_their_quantiles(
    stack_type: type[AnsStack], first: int, ends: list[list[int]]
) -> None:
    stack, plain = stack_type(first), PlainStack(first.to_bytes(4, "little"))
    intervals = np.array([(low, high - low + (high == low)) for low, high in ends], np.int32).reshape(-1, 2)
    intervals[:, 0] -= intervals.sum(axis=1) == TOTAL  # an interval ends before the last number
    stack.push_intervals(intervals)
    rows = [[below, width, TOTAL - below - width] for below, width in intervals.tolist()]
    for row in reversed(rows):
        plain.push(1, row)
    assert stack.to_bytes() == plain.payload()

    def decode(words: Sequence[np.ndarray], counts: Sequence[int]) -> list[Decoded]:
        coder = PythonCoder(words[0])
        for i, row in enumerate(rows):
            assert coder.quantile() == plain.state % TOTAL
            assert row[0] <= coder.quantile() < row[0] + row[1]
            assert plain.pop(row) == 1
            assert coder.pop_intervals(intervals[i : i + 1])
        return [(bytes(range(counts[0])), intervals)]

    assert pop_bytes([stack], [len(rows)], decode) == [bytes(range(len(rows)))]
    assert stack.single() == first


@every_stack
def test_a_quantile_outside_its_interval_is_refused(stack_type: type[AnsStack]) -> None:
    for interval in ([TOTAL - 2, 1], [1, 1]):
        found = b"?", np.array([interval], np.int32)
        with pytest.raises(IntegrityError):
            pop_bytes([stack_type(TOTAL // 2)], [1], lambda words, counts, found=found: [found])
    said = r"^the data are damaged, or were coded with another model$"
    with pytest.raises(IntegrityError, match=said):  # the decoder went no further
        pop_bytes([stack_type(TOTAL // 2)], [1], lambda words, counts: [(b"", np.zeros((1, 2), np.int32))])


@every_stack
@given(first=st.integers(0, 2**32 - 1))
def test_a_fresh_stack_holds_one_number_without_overhead(stack_type: type[AnsStack], first: int) -> None:
    stack = stack_type(first)
    assert stack.single() == first
    assert len(stack.to_bytes()) == (first.bit_length() + 7) // 8
    assert stack_type.from_bytes(stack.to_bytes()).single() == first
    assert stack_type.from_bytes(stack.to_bytes().ljust(4, b"\0") + b"\1").single() is None


@every_stack
def test_a_dry_stack_yields_symbol_0_and_stays_dry(stack_type: type[AnsStack]) -> None:
    stack = stack_type()
    row = np.repeat(quantise(np.ones((1, 17), np.int64)), 100, axis=0)
    assert not stack.pop(row).any()
    assert stack.single() == 0


@pytest.mark.parametrize("row", [[0, TOTAL], [-1, TOTAL + 1], [1, TOTAL], [TOTAL // 2] * 3])
def test_rows_that_would_not_decode_are_refused(row: list[int]) -> None:
    with pytest.raises(ValueError, match="frequencies"):
        AnsStack().push(np.array([0], np.int32), np.array([row], np.int32))


@pytest.mark.parametrize("interval", [[0, 1], [1, 0], [-1, 5], [5, -1], [1, TOTAL - 1], [TOTAL - 1, 1]])
def test_intervals_that_would_not_decode_are_refused(interval: list[int]) -> None:
    with pytest.raises(ValueError, match="intervals"):
        AnsStack().push_intervals(np.array([[1, 1], interval], np.int32))


def test_no_rows_are_no_symbols() -> None:
    stack = AnsStack(12345)
    symbols = stack.pop(np.zeros((0, 5), np.int32))
    assert (symbols.tolist(), symbols.dtype, stack.single()) == ([], np.int32, 12345)


def test_a_stack_takes_the_first_coder_of_those_that_are_installed() -> None:
    assert AnsStack.coder is coders()[0]


def test_a_payload_cannot_end_in_a_zero_byte() -> None:
    with pytest.raises(FormatError, match=r"^damaged block: it ends in a zero byte$"):
        AnsStack.from_bytes(b"\1\0")


# Refuses to import some modules, then does what test_golden does with some of the files.
BLOCKED = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in sys.argv[1].split():
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
from vaezip.ans import AnsStack
assert AnsStack.coder.__name__ == sys.argv[2], AnsStack.coder
import test_golden
for name in sys.argv[3].split() or test_golden.cases():
    test_golden.test_golden_files(name)
"""
TWIN = "KernelCoder" if importlib.util.find_spec("vaezip.kernel._kernel") else "PythonCoder"


@pytest.mark.parametrize(
    ("blocked", "coder", "files"),
    [
        ("constriction", TWIN, ""),
        ("constriction vaezip.kernel._kernel", "PythonCoder", "empty one-byte latent stored"),
        ("constriction _lzma _bz2", TWIN, ""),
    ],
)
def test_golden_files_are_the_same_without(blocked: str, coder: str, files: str) -> None:
    command = [sys.executable, "-W", "error", "-c", BLOCKED, blocked, coder, files]
    subprocess.run(command, cwd=TESTS, check=True)
