"""The block so far: its contexts, the bit histories met in them, and its last match.

A bit history is what followed a context at one node of a nibble: the bits themselves, as long as they
are few, then their bounded counts and the last one (Mahoney 2005, "Adaptive weighing of context models").
Histories of a nibble's 15 nodes lie together in a slot that a hash finds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaezip.mixing.parameters import HISTORIES

LONGEST_MATCH = 400
_LEAST_MATCH = 4
_PRIME = 0x9E3779B97F4A7C15
_MIX = 0xD6E8FEB86659FD93
_SALT = 0xA0761D6478BD642F
_MASK = (1 << 64) - 1
_INSIDE_ITEMS = frozenset(b"_-.")
_SEPARATORS = frozenset(b',\t|;:="')


def hash64(x: int) -> int:
    """A hash whose upper bits are good."""
    x = x * _MIX & _MASK
    x ^= x >> 32
    return x * _PRIME & _MASK


class History:
    """Contexts, slots and match of one block; `slots` and `match_*` are valid for the nibble to come."""

    def __init__(self, size: int) -> None:
        """size: bytes of the block."""
        self.bits = 10
        while self.bits < 18 and 1 << self.bits < 2 * size:
            self.bits += 1
        self.text = bytearray()
        self.last_two = 0  # bytes, the newest lowest
        self.slots: list[NDArray[np.uint8]] = []  # per context: the states of nodes 1 to 15
        self.match = 0  # position of the byte that should come
        self.match_length = 0
        self._checks = np.zeros((HISTORIES, 1 << self.bits), np.uint8)
        self._states = np.zeros((HISTORIES, 1 << self.bits, 15), np.uint8)
        self._last = np.zeros(1 << self.bits, np.int64)  # end of the last _LEAST_MATCH bytes of that hash
        self._contexts = [0] * HISTORIES
        self._recent = 0  # the last eight bytes, the newest lowest
        self._word = self._word_before = self._item = 0  # rolling hashes
        self._shape = 0  # classes of the last runs of bytes
        self._line = self._line_before = 0  # where this line begins, and the one above
        self._first = self._fields = self._separator = 0  # of this line

    def begin_nibble(self, node: int) -> None:
        """Get ready for a nibble; `node` is the bits of its byte so far, with a leading 1."""
        if node == 1:
            self._hash_contexts()
            self._find_match()
            keys = self._contexts
        else:
            keys = [hash64((context + node * _SALT) & _MASK) for context in self._contexts]
        self.slots = [self._find_slot(i, key) for i, key in enumerate(keys)]

    def _hash_contexts(self) -> None:
        recent, column = self._recent, len(self.text) - self._line
        last, last_two = recent & 0xFF, recent & 0xFFFF
        above_at = self._line_before + column
        above = self.text[above_at] if above_at < self._line else 0
        word = self._word or last + 1
        contexts = (
            0,
            last,
            last_two,
            recent & 0xFFFFFF,
            recent & 0xFFFFFFFF,
            recent & 0xFFFFFFFFFFFF,
            word,
            word * _PRIME + self._word_before,
            above << 8 | last,
            self._fields << 16 | self._first << 8 | min(column, 255),
            self._shape * _PRIME + self._separator,
            above << 24 | self._first << 16 | last_two,
            self._item * _PRIME + self._fields,
        )
        self._contexts = [hash64(context * _PRIME + i + 1 & _MASK) for i, context in enumerate(contexts)]
        self.last_two = last_two

    def _find_match(self) -> None:
        text, end = self.text, len(self.text)
        if self.match_length and text[self.match] == text[end - 1]:
            self.match_length += 1
            self.match += 1
        else:
            self.match_length = 0
        if end < _LEAST_MATCH:
            return
        at = hash64((self._recent & 0xFFFFFFFF) + 1) >> (64 - self.bits)
        before = int(self._last[at])
        if not self.match_length and before:
            length = 0
            while length < min(LONGEST_MATCH, before) and text[before - 1 - length] == text[end - 1 - length]:
                length += 1
            if length >= _LEAST_MATCH:
                self.match_length, self.match = length, before
        self._last[at] = end

    def _find_slot(self, context: int, key: int) -> NDArray[np.uint8]:
        """The slot of a key, of three that it may lie in; else a free one, or the least used of them."""
        checks: NDArray[np.uint8] = self._checks[context]
        states: NDArray[np.uint8] = self._states[context]
        at, check = key >> (64 - self.bits), (key >> 8 & 255) or 1
        worst = at
        for place in (at, at ^ 1, at ^ 2):
            if checks[place] == check:
                found: NDArray[np.uint8] = states[place]
                return found
            if not checks[place]:
                worst = place
                break
            if states[place, 0] < states[worst, 0]:
                worst = place
        checks[worst] = check
        found = states[worst]
        found[:] = 0
        return found

    def push(self, byte: int) -> None:
        """Append a byte."""
        self.text.append(byte)
        self._recent = (self._recent << 8 | byte) & _MASK
        kind = _shape_class(byte)
        if byte == ord(" "):
            self._item = self._item * _PRIME & _MASK
        elif kind in _WORD_CLASSES or byte in _INSIDE_ITEMS:
            self._item = (self._item + byte + 1) * _PRIME & _MASK
        else:
            self._item = 0
        if kind in _WORD_CLASSES:
            folded = byte + 32 if kind == ord("A") else byte
            self._word = (self._word + folded + 1) * _PRIME & _MASK
        elif self._word:
            self._word_before, self._word = self._word, 0
        if self._shape & 255 != kind:
            self._shape = (self._shape << 8 | kind) & _MASK
        if byte == ord("\n"):
            self._line_before, self._line = self._line, len(self.text)
            self._first = self._fields = self._separator = 0
        else:
            if len(self.text) - 1 == self._line:
                self._first = byte
            if byte in _SEPARATORS:
                self._fields += 1
                self._separator = byte


_WORD_CLASSES = (ord("0"), ord("a"), ord("A"), 128)


def _shape_class(byte: int) -> int:
    """Digits, small and capital letters and bytes above 127 are one class each; other bytes their own."""
    if byte >= 128:
        return 128
    for low, high in (b"09", b"az", b"AZ"):
        if low <= byte <= high:
            return low
    return byte
