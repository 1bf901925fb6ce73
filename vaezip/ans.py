"""The ANS stack, and the coder under it: the only module that touches `constriction`.

Asymmetric numeral systems (Duda 2013, arXiv:1311.2540) as a stack of bits: `push` encodes symbols,
`pop` decodes them in reverse order, and popping from arbitrary bits is a way to *draw* symbols that
`push` undoes exactly, which is what bits-back coding rests on.

A symbol is an interval of 2**24, as wide as it is likely. The state is one large number; its remainder, the
quantile, tells in which interval the symbol on top of the stack lies:

    0            below                below + width             2**24
    ├──────────────┼────────────────────────┼─────────────────────┤
                   │◄─────── width ────────►│
                             ▲
                   quantile = state % 2**24

    push: state = state // width * 2**24 + below + state % width
    pop:  state = state // 2**24 * width + quantile - below

So push makes the state 2**24 / width times as large, and pop as much smaller. Of what would not fit into 64
bits, 32 go to a list of words below the state, and come back from there.

The coder is constriction's. It is not built for every machine: where it cannot be imported, a twin takes
its place, the kernel's or, without a kernel, Python's (`vaezip.ans_python`), and gives the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vaezip.coder import TOTAL, Coder
from vaezip.errors import FormatError, IntegrityError

try:
    import constriction
except ImportError:
    constriction = None

# Bytes, and their intervals, int32 (n, 2): where each begins, and how wide it is
Decoded = tuple[bytes, NDArray[np.int32]]
_INSIDE = 1  # of what lies below an interval, in it, above it


def quantise(weights: NDArray[np.int64]) -> NDArray[np.int32]:
    """Frequencies in proportion to integer weights.

    weights: int64 (rows, n), each from 0 to 2**24, with a positive sum per row; n <= 256.
    Returns int32 (rows, n), all at least 1, each row summing to 2**24; what rounding down leaves over
    goes to the first of the heaviest symbols.
    """
    n = weights.shape[1]
    spread = TOTAL - n
    reciprocal = (spread << 28) // weights.sum(axis=1, keepdims=True)
    frequencies = ((weights * reciprocal) >> 28) + 1
    heaviest = weights.argmax(axis=1)
    frequencies[np.arange(len(weights)), heaviest] += TOTAL - frequencies.sum(axis=1)
    exact: NDArray[np.int32] = frequencies.astype(np.int32)
    return exact


class ConstrictionCoder(Coder):
    """constriction's coder, with 64 bits of state and 32-bit words.

    Rows reach it as float rows of `frequency - 1`, whose sum is 2**24 - n: its fast quantisation then has
    nothing to round, so the words are those of a plain rANS coder.
    """

    def __init__(self, words: NDArray[np.uint32]) -> None:
        model = constriction.stream.model
        self._coder = constriction.stream.stack.AnsCoder(words)
        self._categorical = model.Categorical(perfect=False)
        self._uniform = model.Uniform(TOTAL)

    def words(self) -> NDArray[np.uint32]:
        """See `Coder`."""
        words: NDArray[np.uint32] = self._coder.get_compressed()
        return words

    def push(self, symbols: NDArray[np.int32], frequencies: NDArray[np.int32]) -> None:
        """See `Coder`."""
        self._coder.encode_reverse(
            np.ascontiguousarray(symbols, np.int32), self._categorical, _less_one(frequencies)
        )

    def pop(self, frequencies: NDArray[np.int32]) -> NDArray[np.int32]:
        """See `Coder`."""
        symbols: NDArray[np.int32] = self._coder.decode(self._categorical, _less_one(frequencies))
        return symbols

    def push_intervals(self, intervals: NDArray[np.int32]) -> None:
        """See `Coder`."""
        self.push(np.full(len(intervals), _INSIDE, np.int32), _rows(intervals))

    def quantile(self) -> int:
        """See `Coder`."""
        quantile: int = self._coder.decode(self._uniform)
        self._coder.encode_reverse(quantile, self._uniform)
        return quantile

    def pop_intervals(self, intervals: NDArray[np.int32]) -> bool:
        """See `Coder`."""
        return bool((self.pop(_rows(intervals)) == _INSIDE).all())


def _rows(intervals: NDArray[np.int32]) -> NDArray[np.int32]:
    below, width = intervals.T
    return np.stack([below, width, TOTAL - below - width], axis=1)


def _less_one(frequencies: NDArray[np.int32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(frequencies - 1, np.float32)


def _best_coder() -> type[Coder]:
    if constriction is not None:
        return ConstrictionCoder
    try:
        from vaezip.kernel.ans import KernelCoder
    except ImportError:
        from vaezip.ans_python import PythonCoder

        return PythonCoder
    return KernelCoder


class AnsStack:
    """A stack of bits on which symbols are pushed and popped."""

    coder: ClassVar[type[Coder]] = _best_coder()

    def __init__(self, first: int = 0) -> None:
        """A stack that holds nothing but the 32-bit number `first`, without any overhead."""
        self._coder = self.coder(np.array([first] if first else [], np.uint32))

    @classmethod
    def from_bytes(cls, data: bytes) -> AnsStack:
        """Inverse of `to_bytes`; raises FormatError for bytes that it cannot have written."""
        if data.endswith(b"\0"):
            raise FormatError("damaged block: it ends in a zero byte")
        stack = cls()
        stack._coder = cls.coder(np.frombuffer(data + bytes(-len(data) % 4), "<u4").astype(np.uint32))
        return stack

    def to_bytes(self) -> bytes:
        """The stack as little-endian words, zero bytes at its top trimmed."""
        return bytes(self._coder.words().astype("<u4").tobytes().rstrip(b"\0"))

    def push(self, symbols: NDArray[np.int32], frequencies: NDArray[np.int32]) -> None:
        """Encode symbols (m,) with frequency rows (m, n), so that `pop` returns them in this order."""
        if len(symbols):
            _check(frequencies)
            self._coder.push(symbols, frequencies)

    def push_intervals(self, intervals: NDArray[np.int32]) -> None:
        """Encode symbols given by their intervals, int32 (m, 2): where each begins, and how wide it is.

        All lie within 1 ... 2**24 - 2. They are decoded by `pop_bytes`, in this order.
        """
        if len(intervals):
            if intervals.min() < 1 or intervals.sum(axis=1).max() >= TOTAL:
                raise ValueError("intervals must lie within 1 ... 2**24 - 2")
            self._coder.push_intervals(intervals)

    def pop(self, frequencies: NDArray[np.int32]) -> NDArray[np.int32]:
        """Decode one symbol per frequency row (m, n); an empty stack yields symbol 0 for ever."""
        if not len(frequencies):
            return np.zeros(0, np.int32)
        _check(frequencies)
        return self._coder.pop(frequencies)

    def quantile(self) -> int:
        """The number below 2**24 that tells in which interval the next symbol lies; it stays on the stack."""
        return self._coder.quantile()

    def bits(self) -> int:
        """Whole bits of information on the stack: log2 of all of it as one number, rounded down."""
        return self._coder.bits()

    def single(self) -> int | None:
        """The 32-bit number that is all the stack holds, or None if it holds more."""
        words = self._coder.words()
        if len(words) > 1:
            return None
        return int(words[0]) if len(words) else 0


def pop_bytes(
    stacks: Sequence[AnsStack],
    counts: Sequence[int],
    decode: Callable[[Sequence[NDArray[np.uint32]], Sequence[int]], list[Decoded]],
) -> list[bytes]:
    """Decode bytes that have been pushed by their intervals, as many of each stack as `counts` says.

    decode: the next bytes by the words on the stacks, and their intervals; fewer, if a quantile is in none of
    them. Which intervals there are depends on the bytes before, so that it goes ahead with coders of its
    own; what it finds is then popped here. Raises IntegrityError if that cannot be.
    """
    decoded = decode([stack._coder.words() for stack in stacks], counts)
    for stack, count, (found, intervals) in zip(stacks, counts, decoded, strict=True):
        if len(found) < count or not stack._coder.pop_intervals(intervals):
            raise IntegrityError("the data are damaged, or were coded with another model")
    return [found for found, _ in decoded]


def _check(frequencies: NDArray[np.int32]) -> None:
    """Check what constriction does not: signs and sums."""
    if frequencies.min() < 1 or (frequencies.sum(axis=1, dtype=np.int64) != TOTAL).any():
        raise ValueError("frequencies must be positive and sum to 2**24")
