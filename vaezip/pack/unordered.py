"""Records whose order does not matter, on one ANS stack: bits-back over the set pays for their order.

Which record comes next is *drawn* with bits of those that lie on the stack already, without replacement;
the decoder, which keeps what it has found in order, gives them back (Severo et al., arXiv:2107.09202). So n
records take log2 n! bits less than in an order, less that of equal ones.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence

import numpy as np

from vaezip.ans import AnsStack
from vaezip.coder import TOTAL
from vaezip.errors import FormatError
from vaezip.messages.texts import Interval
from vaezip.mixing.predictor import Predictor, decode_symbols

Record = tuple[bytes, ...]


def room(texts: Sequence[bytes]) -> int:
    """Bytes of texts as limits count them: one more for each, since a text of none takes time as well."""
    return sum(len(text) + 1 for text in texts)


class StackDecoder:
    """An ANS stack as texts are decoded from it."""

    def __init__(self, stack: AnsStack) -> None:
        self._stack = stack

    def quantile(self) -> int:
        """See `vaezip.messages.texts.Decoder`."""
        return self._stack.quantile()

    def pop(self, below: int, width: int) -> None:
        """See `vaezip.messages.texts.Decoder`."""
        if width < TOTAL:  # else there is nothing to know
            self._stack.pop(_row(below, width))

    def read(self, predictor: Predictor, count: int, end: int | None) -> bytes:
        """See `vaezip.messages.texts.Decoder`."""
        return decode_symbols(predictor, self, count, end)


def encode_set(records: Sequence[Record], symbols: Callable[[Record], Sequence[Interval]]) -> bytes:
    """The bytes of records, whatever their order. symbols: of a record by itself."""
    left, stack = sorted(records), AnsStack()
    decoder = StackDecoder(stack)
    while left:
        number = _number(stack.quantile(), len(left))
        record = left[number]
        first, end = bisect_left(left, record), bisect_right(left, record)
        decoder.pop(*_share(first, end, len(left)))
        del left[number]
        for below, width in reversed(symbols(record)):
            _push(stack, below, width)
    return stack.to_bytes()


def decode_set(data: bytes, count: int, pop: Callable[[StackDecoder], Record]) -> list[Record]:
    """Inverse of `encode_set`: the records in order. pop: decodes a record; raises FormatError."""
    stack, found = AnsStack.from_bytes(data), list[Record]()
    for _ in range(count):
        record = pop(StackDecoder(stack))
        insort(found, record)
        first, end = bisect_left(found, record), bisect_right(found, record)
        _push(stack, *_share(first, end, len(found)))
    if stack.single() != 0:
        raise FormatError("damaged pack: something is left on the stack")
    return found


def _number(quantile: int, count: int) -> int:
    """Of so many equally likely ones, that in whose share the quantile lies."""
    number = quantile * count // TOTAL
    return number + (quantile >= (number + 1) * TOTAL // count)


def _share(first: int, end: int, count: int) -> Interval:
    """The interval of some of so many equally likely ones."""
    below = first * TOTAL // count
    return below, end * TOTAL // count - below


def _row(below: int, width: int) -> np.ndarray:
    """Frequencies below, in and above an interval, those that are not 0."""
    return np.array([[part for part in (below, width, TOTAL - below - width) if part]], np.int32)


def _push(stack: AnsStack, below: int, width: int) -> None:
    if width < TOTAL:
        stack.push(np.array([1 if below else 0], np.int32), _row(below, width))
