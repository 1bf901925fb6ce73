"""The ANS coder in Python, docs/format.md word for word: for want of constriction and of a kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaezip.coder import PRECISION, TOTAL, Coder

_WORD = 32
_FULL = 1 << _WORD  # a state this large or larger needs no further word


class PythonCoder(Coder):
    """The words below, as a list, and the state above them, below 2**64."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        self._words: list[int] = words.tolist()
        self._state = 0
        self._refill()
        self._refill()

    def words(self) -> NDArray[np.uint32]:
        """See `Coder`."""
        top = [self._state % _FULL, self._state >> _WORD]
        while top and not top[-1]:
            top.pop()
        return np.array(self._words + top, np.uint32)

    def push_intervals(self, intervals: NDArray[np.int32]) -> None:
        """See `Coder`."""
        for below, width in reversed(intervals.tolist()):
            if self._state >> (64 - PRECISION) >= width:
                self._words.append(self._state % _FULL)
                self._state >>= _WORD
            self._state = (self._state // width << PRECISION) + below + self._state % width

    def quantile(self) -> int:
        """See `Coder`."""
        return self._state % TOTAL

    def pop_intervals(self, intervals: NDArray[np.int32]) -> bool:
        """See `Coder`."""
        for below, width in intervals.tolist():
            offset = self.quantile() - below
            if not 0 <= offset < width:
                return False
            self._state = (self._state >> PRECISION) * width + offset
            self._refill()
        return True

    def _refill(self) -> None:
        if self._state < _FULL and self._words:
            self._state = self._state << _WORD | self._words.pop()
