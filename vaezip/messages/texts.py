"""A text that follows others of its kind, as symbols: how it ends, how long it is, its bytes.

It is as long as a number says, or goes on to the terminator, which the model expects where texts end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from vaezip.ans import quantise
from vaezip.coder import PRECISION, TOTAL
from vaezip.dictionaries.dictionary import Dictionary
from vaezip.dictionaries.priming import ROOM
from vaezip.errors import FormatError
from vaezip.mixing.predictor import Predictor, SymbolDecoder

MAX_TEXT = 1 << 16
"""Bytes of the longest text."""
NO_DICTIONARY = Dictionary(b"\n", ord("\n"), 200)
"""Without one, a text is as if it began a line."""
BYTE = TOTAL >> 8
"""How wide the interval of one of 256 equally likely values is."""
_WAYS = 255  # of 256 parts of the first symbol; what is left is for whoever has no use of symbols
_LINE = 4  # of 256: how likely a text ends with the terminator, and has no other
_SIZE_BITS = (1, 1, 2, 4, 8, 12, 12, 8, 4, 3, 2, 2, 1, 1, 1, 1, 1)  # how likely a size has 1, 2 … bits
_SIZE_WEIGHT = 20  # of a text of the dictionary, against these

Interval = tuple[int, int]
"""Of a symbol: where it begins, of 2**24, and how wide it is."""


class Decoder(SymbolDecoder, Protocol):
    """What a text is decoded from."""

    def read(self, predictor: Predictor, count: int, end: int | None) -> bytes:
        """The next bytes, up to and with the first that is `end`; fewer than `count` if they are damaged."""


class TextCoder:
    """Texts of a dictionary's kind as symbols, and back."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._end = dictionary.terminator
        self._ended = 0, dictionary.ended * BYTE
        self._line = self._ended[1], _LINE * BYTE
        self._counted = sum(self._line), _WAYS * BYTE - sum(self._line)
        self._size_bits = _size_bits(dictionary)

    def symbols(self, predictor: Predictor, text: bytes) -> list[Interval]:
        """Of a text of up to 65536 bytes; the predictor then has read it, and the terminator at its end."""
        end = bytes([self._end])
        line = text if text.endswith(end) else text + end
        intervals = predictor.intervals(np.frombuffer(line, np.uint8)).tolist()
        counted = [self._counted, *self._size(len(text))] if text else []
        if len(line) <= ROOM and line.count(end) == 1:
            ended = [self._line if line == text else self._ended]
            if not text or _is_less([*ended, *intervals[len(text) :]], counted):
                return [*ended, *intervals]
        return [*counted, *intervals[: len(text)]]

    def pop(self, predictor: Predictor, decoder: Decoder, most: int) -> bytes:
        """Inverse of `symbols`, also in what the predictor has read; FormatError beyond `most` bytes."""
        is_line, size = self._pop_size(decoder)
        if size is not None and size > most:
            raise FormatError("damaged message: longer than it may be")
        if size is None:
            longest = most if is_line else most + 1  # with the terminator
            text = decoder.read(predictor, max(0, min(ROOM, longest)), self._end)
            if not text or text[-1] != self._end:
                raise FormatError("damaged message: it does not end")
            return text if is_line else text[:-1]
        text = decoder.read(predictor, size, None)
        if len(text) < size:
            raise FormatError("damaged message: no text is coded like that")
        if text[-1] != self._end:
            predictor.intervals(np.array([self._end], np.uint8))
        return text

    def _pop_size(self, decoder: Decoder) -> tuple[bool, int | None]:
        """Whether the terminator is part of the text, and bytes of the text; None if it goes on to there."""
        quantile = decoder.quantile()
        if quantile < self._counted[0]:
            is_line = quantile >= self._line[0]
            decoder.pop(*(self._line if is_line else self._ended))
            return is_line, None
        if quantile >= sum(self._counted):
            raise FormatError("damaged message: no text begins like that")
        decoder.pop(*self._counted)
        quantile = decoder.quantile()
        bits = next(i for i, (below, _) in enumerate([*self._size_bits[1:], (TOTAL, 0)]) if quantile < below)
        decoder.pop(*self._size_bits[bits])
        shift = PRECISION - bits
        low = decoder.quantile() >> shift
        decoder.pop(low << shift, 1 << shift)
        return False, 1 << bits | low

    def _size(self, size: int) -> list[Interval]:
        """How many bits follow the highest one of a size, and these."""
        bits = size.bit_length() - 1
        shift = PRECISION - bits
        return [self._size_bits[bits], ((size ^ 1 << bits) << shift, 1 << shift)]


def _size_bits(dictionary: Dictionary) -> list[Interval]:
    """The intervals of numbers of bits, learned from the dictionary's texts."""
    weights = np.array([_SIZE_BITS], np.int64)
    for text in dictionary.texts():
        weights[0, min(len(text), MAX_TEXT).bit_length() - 1 if text else 0] += _SIZE_WEIGHT
    widths = quantise(weights)[0]
    below = np.cumsum(widths) - widths
    return list(zip(below.tolist(), widths.tolist(), strict=True))


def _is_less(first: Sequence[Interval], second: Sequence[Interval]) -> bool:
    """Whether the first symbols take fewer bits: exactly, since it decides what is coded."""
    products = [math.prod(width for _, width in symbols) for symbols in (first, second)]
    return bool(products[0] * TOTAL ** len(second) > products[1] * TOTAL ** len(first))
