"""The block so far: its contexts, the bit histories met in them, and its last matches.

A bit history is what followed a context at one node of a nibble: the bits themselves, as long as they
are few, then their bounded counts and the last one (Mahoney 2005, "Adaptive weighing of context models").
Histories of a nibble's 15 nodes lie together in a slot that a hash finds. Twin: kernel/history.c.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaezip.mixing.parameters import HISTORIES
from vaezip.network.contexts import MIX, PRIME, SALT

LONGEST_MATCH = 400
_LEAST_MATCH = (4, 8)
_MANY_FIELDS = 256
_MASK = (1 << 64) - 1
_INSIDE_ITEMS = frozenset(b"_-.")
_SEPARATORS = frozenset(b',\t|;:="')


def hash64(x: int) -> int:
    """A hash whose upper bits are good."""
    x = x * MIX & _MASK
    x ^= x >> 32
    return x * PRIME & _MASK


@dataclass
class Match:
    """A match: the last place where `least` bytes or more are those that the block now ends with."""

    least: int
    ends: NDArray[np.int64]  # by hash: where the same bytes ended last; 0 for nowhere
    position: int = 0  # of the byte that should come
    length: int = 0  # bytes that agreed before it; 0 if there is no match

    def find(self, text: bytes | bytearray, end: int, recent: int) -> None:
        """Advance by a byte: the block so far is the first `end` bytes of `text`, the last eight `recent`."""
        if self.length and text[self.position] == text[end - 1]:
            self.length += 1
            self.position += 1
        else:
            self.length = 0
        if end < self.least:
            return
        bits = len(self.ends).bit_length() - 1
        at = hash64((recent << 64 - 8 * self.least) + 1 & _MASK) >> (64 - bits)
        before = int(self.ends[at])
        if not self.length and before:
            length = 0
            while length < min(LONGEST_MATCH, before) and text[before - 1 - length] == text[end - 1 - length]:
                length += 1
            if length >= self.least:
                self.length, self.position = length, before
        self.ends[at] = end


def hash_bits(size: int) -> int:
    """log2 of the places in each table of a block of so many bytes."""
    bits = 10
    while bits < 18 and 1 << bits < 2 * size:
        bits += 1
    return bits


def new_matches(size: int) -> list[Match]:
    """The matches of a block of so many bytes, at its beginning."""
    return [Match(least, np.zeros(1 << hash_bits(size), np.int64)) for least in _LEAST_MATCH]


class History:
    """Contexts, slots and matches of one block; `slots` and `matches` are valid for the nibble to come."""

    def __init__(self, size: int) -> None:
        """size: bytes of the block."""
        self.bits = hash_bits(size)
        self.text = bytearray()
        self.last_two = 0  # bytes, the newest lowest
        self.slots: list[NDArray[np.uint8]] = []  # per context: the states of nodes 1 to 15
        self.matches = new_matches(size)
        self.fields = self.word_length = 0  # separators of this line, letters of this word so far
        self._tags = np.zeros((HISTORIES, 1 << self.bits), np.uint8)
        self._states = np.zeros((HISTORIES, 1 << self.bits, 15), np.uint8)
        self._followers = np.zeros(1 << 16, np.uint16)  # by the hash of three bytes: the two after them
        self._contexts = [0] * HISTORIES
        self._recent = 0  # the last eight bytes, the newest lowest
        self._words = [0, 0, 0]  # hashes of the word so far and of those before
        self._item = self._line_word = 0  # hashes of the item so far, and of the line's first word
        self._shape = 0  # classes of the last runs of bytes
        self._line = self._line_before = 0  # where this line begins, and the one above
        self._indent = self._indent_before = 0  # blanks that they begin with
        self._first = self._separator = 0  # of this line
        self._field_at: list[int] = [0]  # where its fields begin
        self._field_at_before: list[int] = []  # ... and those of the line above

    def begin_nibble(self, node: int, guess: tuple[int, int]) -> None:
        """Begin a nibble; `node` is the bits of its byte so far, with a leading 1.

        guess: the network's best and second best byte.
        """
        if node == 1:
            self._hash_contexts(*guess)
            for match in self.matches:
                match.find(self.text, len(self.text), self._recent)
            keys = self._contexts
        else:
            keys = self._second_keys(node)
        self.slots = [self._find_slot(i, key) for i, key in enumerate(keys)]

    def peek_nibble(self, node: int) -> None:
        """Set `slots` as `begin_nibble` does, but replace nothing in the tables; changes will be undone.

        For a byte's second nibble.
        """
        self.slots = []
        for i, key in enumerate(self._second_keys(node)):
            place, found = self._nearest_slot(i, key)
            self.slots.append(self._states[i, place] if found else np.zeros(15, np.uint8))

    def _second_keys(self, node: int) -> list[int]:
        return [hash64((context + node * SALT) & _MASK) for context in self._contexts]

    def _hash_contexts(self, best: int, second: int) -> None:
        recent, column = self._recent, len(self.text) - self._line
        last, last_two = recent & 0xFF, recent & 0xFFFF
        above_at = self._line_before + column
        above = self.text[above_at] if above_at < self._line else 0
        near, fields = min(column, 255), self.fields
        word = self._words[0] or last + 1
        contexts = (
            0,
            last,
            last_two,
            recent & 0xFFFFFF,
            recent & 0xFFFFFFFF,
            recent & 0xFFFFFFFFFFFF,
            word,
            word * PRIME + self._words[1],
            above << 8 | last,
            fields << 16 | self._first << 8 | near,
            self._shape * PRIME + self._separator,
            above << 24 | self._first << 16 | last_two,
            self._item * PRIME + fields,
            self._above_in_field() << 16 | (fields & 255) << 8 | last,
            word * PRIME + self._words[2],
            int(self._followers[self._three_bytes()]) << 8 | last,
            self._line_word * PRIME + word,
            (self._indent << 16 | self._indent_before << 8 | near) * PRIME + last,
            best << 16 | second << 8 | last,
            (best << 8) * PRIME + word,
        )
        self._contexts = [hash64(context * PRIME + i + 1 & _MASK) for i, context in enumerate(contexts)]
        self.last_two = last_two

    def _above_in_field(self) -> int:
        """The byte at the same place of the same field in the line above, and the one before it; or 0."""
        fields = self.fields
        if fields >= min(len(self._field_at_before), _MANY_FIELDS):
            return 0
        at = self._field_at_before[fields] + len(self.text) - self._field_at[fields]
        return self.text[at] << 8 | self.text[at - 1] if 0 < at < self._line else 0

    def _three_bytes(self) -> int:
        return hash64(self._recent & 0xFFFFFF) >> 48

    def _find_slot(self, context: int, key: int) -> NDArray[np.uint8]:
        place, found = self._nearest_slot(context, key)
        slot: NDArray[np.uint8] = self._states[context, place]
        if not found:
            self._tags[context, place] = _tag(key)
            slot[:] = 0
        return slot

    def _nearest_slot(self, context: int, key: int) -> tuple[int, bool]:
        """The place of a key's slot, of three, and True; or of a free or the least used one, and False."""
        tags: NDArray[np.uint8] = self._tags[context]
        states: NDArray[np.uint8] = self._states[context]
        worst = at = key >> (64 - self.bits)
        for place in (at, at ^ 1, at ^ 2):
            if tags[place] in (_tag(key), 0):
                return place, bool(tags[place])
            if states[place, 0] < states[worst, 0]:
                worst = place
        return worst, False

    def push(self, byte: int) -> None:
        """Append a byte."""
        three = self._three_bytes()
        self._followers[three] = int(self._followers[three]) << 8 & 0xFF00 | byte
        self.text.append(byte)
        self._recent = (self._recent << 8 | byte) & _MASK
        kind = shape_class(byte)
        if byte == ord(" "):
            self._item = self._item * PRIME & _MASK
        elif kind in _WORD_CLASSES or byte in _INSIDE_ITEMS:
            self._item = (self._item + byte + 1) * PRIME & _MASK
        else:
            self._item = 0
        if kind in _WORD_CLASSES:
            folded = byte + 32 if kind == ord("A") else byte
            self._words[0] = (self._words[0] + folded + 1) * PRIME & _MASK
            self.word_length += 1
        elif self.word_length:
            self._line_word = self._line_word or self._words[0]
            self._words = [0, *self._words[:2]]
            self.word_length = 0
        if self._shape & 255 != kind:
            self._shape = (self._shape << 8 | kind) & _MASK
        if byte == ord("\n"):
            self._begin_line()
        else:
            column = len(self.text) - 1 - self._line
            if not column:
                self._first = byte
            if byte in b" \t" and self._indent == column:
                self._indent += 1
            if byte in _SEPARATORS:
                self.fields += 1
                self._separator = byte
                self._field_at.append(len(self.text))

    def _begin_line(self) -> None:
        self._line_before, self._line = self._line, len(self.text)
        self._indent_before = self._indent
        self._field_at_before, self._field_at = self._field_at, [self._line]
        self._first = self.fields = self._separator = self._indent = self._line_word = 0


def _tag(key: int) -> int:
    return (key >> 8 & 255) or 1


_WORD_CLASSES = (ord("0"), ord("a"), ord("A"), 128)


def shape_class(byte: int) -> int:
    """Digits, small and capital letters and bytes above 127 are one class each; other bytes their own."""
    if byte >= 128:
        return 128
    for low, high in (b"09", b"az", b"AZ"):
        if low <= byte <= high:
            return low
    return byte
