"""The interface of the ANS coders: constriction's (`vaezip.ans`), and its twins in C and Python.

All three give the same words (docs/format.md, "The ANS stack"): 64 bits of state, 32-bit words, and rows
of integer frequencies that sum to 2**24.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

PRECISION = 24
TOTAL = 1 << PRECISION  # sum of the frequencies of a row


class Coder(ABC):
    """A stack of symbols. A subclass codes intervals; coding by rows follows from that.

    It trusts what it is given: symbols to be in their rows, rows to be positive and to sum to 2**24.
    """

    @abstractmethod
    def __init__(self, words: NDArray[np.uint32]) -> None:
        """Open the stack that `words`, uint32 (k,), hold; the last of them is not 0."""

    @abstractmethod
    def words(self) -> NDArray[np.uint32]:
        """The words of the whole stack, uint32 (k,); the last one is not 0."""

    @abstractmethod
    def push_intervals(self, intervals: NDArray[np.int32]) -> None:
        """Encode intervals, int32 (m, 2), each where it begins and how wide it is; the last one first."""

    @abstractmethod
    def quantile(self) -> int:
        """The number below 2**24 that tells in which interval the next symbol lies; it stays on the stack."""

    @abstractmethod
    def pop_intervals(self, intervals: NDArray[np.int32]) -> bool:
        """Decode symbols that are known by their intervals, int32 (m, 2), the first one first.

        False if a quantile is not in its interval; the stack is of no use then.
        """

    def push(self, symbols: NDArray[np.int32], frequencies: NDArray[np.int32]) -> None:
        """Encode symbols (m,) with rows (m, n), the last one first."""
        at = np.arange(len(symbols)), symbols
        ends = frequencies.cumsum(axis=1, dtype=np.int32)
        self.push_intervals(np.stack([ends[at] - frequencies[at], frequencies[at]], axis=1))

    def pop(self, frequencies: NDArray[np.int32]) -> NDArray[np.int32]:
        """Decode one symbol per row (m, n)."""
        symbols = np.empty(len(frequencies), np.int32)
        for i, row in enumerate(frequencies):
            ends = row.cumsum(dtype=np.int32)
            symbols[i] = symbol = ends.searchsorted(self.quantile(), side="right")
            self.pop_intervals(np.array([[ends[symbol] - row[symbol], row[symbol]]], np.int32))
        return symbols

    def bits(self) -> int:
        """Whole bits of information on the stack: log2 of all of it as one number, rounded down."""
        words = self.words()
        return 32 * (len(words) - 1) + int(words[-1]).bit_length() - 1 if len(words) else 0
