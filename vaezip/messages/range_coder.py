"""A range coder: symbols given by their intervals <-> the shortest bytes that say them (Martin 1979).

Where nothing has to lie under it, as a checksum lies under the ANS stack of a block, it wastes less than a
stack does: of all numbers in the last interval, it takes one with the fewest bytes; zeros follow them.
"""

from __future__ import annotations

from collections.abc import Sequence

from vaezip.coder import PRECISION, TOTAL
from vaezip.errors import FormatError
from vaezip.mixing.predictor import Predictor

_BITS = 64
_MASK = (1 << _BITS) - 1
_LEAST = 1 << (_BITS - 8)  # a range below this makes room for another byte


class RangeEncoder:
    """Encodes symbols, the first one first."""

    def __init__(self) -> None:
        self._low, self._range = 0, _MASK
        self._bytes = bytearray()

    def push(self, below: int, width: int) -> None:
        """A symbol whose interval, of 2**24, begins at `below`, and how wide it is, 1 at least."""
        unit = self._range >> PRECISION
        self._low += unit * below
        self._range = unit * width
        if self._low > _MASK:
            self._carry()
        while self._range < _LEAST:
            self._bytes.append(self._low >> (_BITS - 8))
            self._low = self._low << 8 & _MASK
            self._range <<= 8

    def push_all(self, intervals: Sequence[tuple[int, int]]) -> None:
        """Several symbols."""
        for below, width in intervals:
            self.push(below, width)

    def _carry(self) -> None:
        self._low &= _MASK
        at = len(self._bytes) - 1
        while self._bytes[at] == 255:
            self._bytes[at] = 0
            at -= 1
        self._bytes[at] += 1

    def to_bytes(self) -> bytes:
        """All that was pushed; nothing can be pushed after it."""
        end = self._low + self._range
        for bits in range(_BITS, -8, -8):  # of the number that are zeros
            number = -(-self._low >> bits) << bits
            if number < end:
                break
        if number > _MASK:
            self._low = number
            self._carry()
            number = self._low
        return bytes(self._bytes + number.to_bytes(_BITS // 8, "big")).rstrip(b"\0")


class RangeDecoder:
    """Decodes what a `RangeEncoder` wrote, or whatever else the bytes may mean.

    `code` is the number that is left, less the low end of its interval, and `range` how wide that is.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, _BITS // 8
        self.code = int.from_bytes(data[: _BITS // 8].ljust(_BITS // 8, b"\0"), "big")
        self.range = _MASK

    def quantile(self) -> int:
        """The number below 2**24 that tells in which interval the next symbol lies."""
        return min(TOTAL - 1, self.code // (self.range >> PRECISION))

    def pop(self, below: int, width: int) -> None:
        """Take off the symbol with that interval, which holds the quantile."""
        unit = self.range >> PRECISION
        self.code -= unit * below
        self.range = unit * width
        while self.range < _LEAST:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.code = self.code << 8 | byte
            self.range <<= 8
            self.at += 1

    def check_end(self) -> None:
        """Raise FormatError unless the data are what the encoder writes for the symbols that were taken off.

        Of the numbers in the last interval that end in the most zero bytes, that is the smallest.
        """
        zeros = self.at - len(self.data)  # bytes that were taken off behind the end
        unit, last = 1 << 8 * max(zeros, 0), self.data[-1] if self.data else 0
        is_smallest = zeros >= 0 and self.code < min(self.range, unit)
        is_shortest = not self.data.endswith(b"\0") and self.range - self.code <= (256 - last) * unit
        if not (is_smallest and is_shortest):
            raise FormatError(
                "damaged message: cut off, followed by something, or made with another dictionary or model"
            )

    def read(self, predictor: Predictor, count: int, end: int | None) -> bytes:
        """See `vaezip.messages.texts.Decoder`."""
        return predictor.decode_range(self, count, end)
