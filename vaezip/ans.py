"""The ANS stack: the only module that touches `constriction`.

Asymmetric numeral systems (Duda 2013, arXiv:1311.2540) as a stack of bits: `push` encodes symbols,
`pop` decodes them in reverse order, and popping from arbitrary bits is a way to *draw* symbols that
`push` undoes exactly, which is what bits-back coding rests on.

The frequencies of a row are positive integers that sum to 2**24. They reach constriction as float rows
of `frequency - 1`, whose sum is 2**24 - n: its fast quantisation then has nothing to round, so the words
are those of a plain rANS coder with 64 bits of state and 32-bit words (docs/format.md).
"""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from vaezip.errors import FormatError, IntegrityError

PRECISION = 24
TOTAL = 1 << PRECISION  # sum of the frequencies of a row

_INSIDE = 1  # of what lies below an interval, in it, above it

_Categorical = constriction.stream.model.Categorical
_categorical = _Categorical(perfect=False)
_uniform = constriction.stream.model.Uniform(TOTAL)


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


def _model_rows(frequencies: NDArray[np.int32]) -> NDArray[np.float32]:
    """Float rows for constriction, after checking what it would not: sign and sum."""
    if frequencies.min() < 1 or (frequencies.sum(axis=1, dtype=np.int64) != TOTAL).any():
        raise ValueError("frequencies must be positive and sum to 2**24")
    return np.ascontiguousarray(frequencies - 1, np.float32)


class AnsStack:
    """A stack of bits on which symbols are pushed and popped."""

    def __init__(self, first: int = 0) -> None:
        """A stack that holds nothing but the 32-bit number `first`, without any overhead."""
        words = np.array([first] if first else [], np.uint32)
        self._coder = constriction.stream.stack.AnsCoder(words)

    @classmethod
    def from_bytes(cls, data: bytes) -> AnsStack:
        """Inverse of `to_bytes`; raises FormatError for bytes that it cannot have written."""
        if data.endswith(b"\0"):
            raise FormatError("damaged block: it ends in a zero byte")
        stack = cls()
        words = np.frombuffer(data + bytes(-len(data) % 4), "<u4").astype(np.uint32)
        stack._coder = constriction.stream.stack.AnsCoder(words)
        return stack

    def to_bytes(self) -> bytes:
        """The stack as little-endian words, zero bytes at its top trimmed."""
        return bytes(self._coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0"))

    def push(self, symbols: NDArray[np.int32], frequencies: NDArray[np.int32]) -> None:
        """Encode symbols (m,) with frequency rows (m, n), so that `pop` returns them in this order."""
        if len(symbols):
            self._coder.encode_reverse(
                np.ascontiguousarray(symbols, np.int32), _categorical, _model_rows(frequencies)
            )

    def push_intervals(self, intervals: NDArray[np.int32]) -> None:
        """Encode symbols given by their intervals, int32 (m, 2): where each begins, and how wide it is.

        All lie within 1 ... 2**24 - 2. They are decoded by `quantile` and `pop_interval`, in this order.
        """
        below, width = intervals.T
        rows = np.stack([below, width, TOTAL - below - width], axis=1)
        self.push(np.full(len(rows), _INSIDE, np.int32), rows)

    def quantile(self) -> int:
        """The number below 2**24 that tells in which interval the next symbol lies; it stays on the stack."""
        quantile: int = self._coder.decode(_uniform)
        self._coder.encode_reverse(quantile, _uniform)
        return quantile

    def pop_interval(self, row: NDArray[np.float32]) -> None:
        """Take off a symbol that has been found by its quantile.

        row: float32 (3,), what lies below its interval, its width, what lies above, each less 1; trusted
        to sum to 2**24 - 3. Raises IntegrityError if the quantile was not within.
        """
        if self._coder.decode(_Categorical(row, perfect=False)) != _INSIDE:
            raise IntegrityError("the data are damaged, or were coded with another model")

    def pop(self, frequencies: NDArray[np.int32]) -> NDArray[np.int32]:
        """Decode one symbol per frequency row (m, n); an empty stack yields symbol 0 for ever."""
        if not len(frequencies):
            return np.zeros(0, np.int32)
        symbols: NDArray[np.int32] = self._coder.decode(_categorical, _model_rows(frequencies))
        return symbols

    def bits(self) -> int:
        """Number of bits on the stack, without leading zeros."""
        return int(self._coder.num_valid_bits())

    def single(self) -> int | None:
        """The 32-bit number that is all the stack holds, or None if it holds more."""
        words = self._coder.get_compressed()
        if len(words) > 1:
            return None
        return int(words[0]) if len(words) else 0


def huffman_compress(data: bytes) -> bytes:
    """Huffman (1952) coding by byte counts, for the benchmark: the counts, then the coded bytes."""
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    tree = constriction.symbol.huffman.EncoderHuffmanTree(counts.astype(np.float32))
    coder = constriction.symbol.QueueEncoder()
    for byte in data:
        coder.encode_symbol(byte, tree)
    used = np.flatnonzero(counts)
    table = bytes([len(used) - 1]) + used.astype(np.uint8).tobytes() + counts[used].astype("<u4").tobytes()
    words, _ = coder.get_compressed()
    return bytes(table + words.astype("<u4").tobytes())


def huffman_decompress(data: bytes) -> bytes:
    """Inverse of `huffman_compress`."""
    used = data[0] + 1
    counts = np.zeros(256, np.int64)
    counts[np.frombuffer(data, np.uint8, used, 1)] = np.frombuffer(data, "<u4", used, 1 + used)
    tree = constriction.symbol.huffman.DecoderHuffmanTree(counts.astype(np.float32))
    coder = constriction.symbol.QueueDecoder(np.frombuffer(data, "<u4", -1, 1 + 5 * used).astype(np.uint32))
    return bytes(coder.decode_symbol(tree) for _ in range(int(counts.sum())))
