"""Hashed contexts, which choose the row of each table that the decoder reads before it predicts a byte.

Every context is a 64-bit key; the top bits of its multiplicative hash are a slot's row and tag, and the row
is the context's own if it carries that tag (`find_rows`). All arithmetic is modulo 2**64, so whole
sequences (`context_slots`) and single steps (`ContextState`) agree bit by bit. Twin: kernel/contexts.c.

A context of order n is the last n bytes, zeros before the first. A word is a run of letters, digits and
bytes above 127, ASCII upper case folded; its rolling hash is w = (w + byte + 1) * PRIME per byte. Word
context k is the last k + 1 words, the one in progress being the first; between words it is the last
k + 1 whole ones and the byte that came after.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaezip.network.architecture import Architecture

PRIME = 0x9E3779B97F4A7C15
INVERSE = pow(PRIME, -1, 1 << 64)  # of PRIME, modulo 2**64
MIX = 0xD6E8FEB86659FD93
SALT = 0xA0761D6478BD642F
TAG_BITS = 8
TAG_MASK = (1 << TAG_BITS) - 1
STRANGERS = 1 << TAG_BITS  # rows at the beginning of every table that contexts without their own share
_MASK = (1 << 64) - 1

_byte = np.arange(256)
_is_word = (
    ((_byte >= ord("0")) & (_byte <= ord("9")))
    | ((_byte >= ord("A")) & (_byte <= ord("Z")))
    | ((_byte >= ord("a")) & (_byte <= ord("z")))
    | (_byte >= 128)
)
_fold = np.where((_byte >= ord("A")) & (_byte <= ord("Z")), _byte + 32, _byte)
# The summand of a byte in the rolling hash of its word; 0 outside words.
WORD_VALUE: NDArray[np.uint64] = np.where(_is_word, _fold + 1, 0).astype(np.uint64)


def _slot(key: NDArray[np.uint64], table: int, bits: int) -> NDArray[np.int64]:
    """Row of `table` and tag for each key: uint64 (...) -> int64 (...), row * 256 + tag."""
    key = (key + np.uint64(((table + 1) * SALT) & _MASK)) * np.uint64(MIX)
    key ^= key >> np.uint64(32)
    key *= np.uint64(PRIME)
    slot = (key >> np.uint64(64 - bits - TAG_BITS)).astype(np.int64)
    return np.where(slot & TAG_MASK, slot, slot + 1)


def find_rows(a: Architecture, slots: NDArray[np.int64], tags: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Rows to read for contexts: a context's own, or one of the table's first 256, which strangers share.

    slots: (..., contexts); tags: (rows of all tables,), the tag of every row's owner, 0 for none. Returns
    rows counted over all tables, (..., contexts).
    """
    offsets = np.array(a.table_offsets[:-1])
    rows, own_tags = (slots >> TAG_BITS) + offsets, slots & TAG_MASK
    found: NDArray[np.int64] = np.where(tags[rows] == own_tags, rows, offsets + own_tags)
    return found


class ContextState:
    """The contexts of several sequences ("lanes") that advance together, one byte at a time."""

    def __init__(self, architecture: Architecture, lanes: int) -> None:
        self._architecture = architecture
        self._recent = np.zeros(lanes, np.uint64)  # the last eight bytes, newest lowest
        self._words = np.zeros((architecture.word_contexts + 1, lanes), np.uint64)  # [0] is the word so far

    def slots(self) -> NDArray[np.int64]:
        """The slots with which the byte to come is predicted: int64 (lanes, contexts)."""
        return _slots(self._architecture, self._recent, self._words)

    def push(self, byte: NDArray[np.uint8]) -> None:
        """Append one byte to every lane: uint8 (lanes,)."""
        value = WORD_VALUE[byte]
        ended = (value == 0) & (self._words[0] != 0)
        self._words[1:] = np.where(ended, self._words[:-1], self._words[1:])
        self._words[0] = np.where(value != 0, (self._words[0] + value) * np.uint64(PRIME), np.uint64(0))
        self._recent = (self._recent << np.uint64(8)) | byte.astype(np.uint64)


def _slots(
    architecture: Architecture, recent: NDArray[np.uint64], words: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Slots from the last eight bytes (...) and the word hashes (words, ...): int64 (..., contexts)."""
    keys = [recent & np.uint64((1 << 8 * n) - 1) for n in architecture.orders]
    inside = words[0] != 0
    newest = np.where(inside, words[:-1], words[1:])
    key = np.where(inside, np.uint64(0), (recent & np.uint64(255)) + np.uint64(1))
    for k in range(architecture.word_contexts):
        key = key * np.uint64(SALT) + newest[k]
        keys.append(key)
    bits = architecture.table_bits
    return np.stack([_slot(key, i, bits[i]) for i, key in enumerate(keys)], axis=-1)


def context_slots(architecture: Architecture, data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Slots for every position of whole sequences.

    data: uint8 (lanes, T). Returns int64 (lanes, T, contexts): those with which byte t is predicted from
    the bytes before it, as `ContextState` gives them step by step.
    """
    lanes, length = data.shape
    seen = np.zeros((lanes, length), np.uint8)  # seen[:, t] is the byte before position t
    seen[:, 1:] = data[:, :-1]
    wide = seen.astype(np.uint64)
    recent = wide.copy()
    for n in range(1, min(max(architecture.orders), length)):
        recent[:, n:] |= wide[:, : length - n] << np.uint64(8 * n)
    return _slots(architecture, recent, _word_hashes(seen, architecture.word_contexts + 1))


def _word_hashes(seen: NDArray[np.uint8], words: int) -> NDArray[np.uint64]:
    """Rolling hashes after every byte: uint64 (words, lanes, T); [0] the word so far, [k] the k-th before.

    The recurrence w = (w + v) * P unrolls to P**(t+1) * sum(v_j * P**-j) over the word, and P has an
    inverse modulo 2**64: so prefix sums do the work of a loop over time.
    """
    lanes, length = seen.shape
    value = WORD_VALUE[seen]
    up = np.multiply.accumulate(np.full(length, PRIME, np.uint64))  # PRIME**(t+1)
    down = np.multiply.accumulate(np.full(length, INVERSE, np.uint64)) * np.uint64(PRIME)
    sums = np.add.accumulate(value * down, axis=1)
    position = np.broadcast_to(np.arange(length), (lanes, length))
    # The last position outside a word, at or before each one; -1 if there is none.
    outside = np.maximum.accumulate(np.where(value == 0, position, -1), axis=1)
    before = np.where(outside >= 0, np.take_along_axis(sums, np.maximum(outside, 0), 1), np.uint64(0))
    current = (sums - before) * up
    hashes = np.zeros((words, lanes, length), np.uint64)
    hashes[0] = current
    # A word ends where its last byte is followed by one outside words; `ends` is the position after it.
    ended = np.zeros((lanes, length), bool)
    ended[:, 1:] = (value[:, 1:] == 0) & (value[:, :-1] != 0)
    ends = np.maximum.accumulate(np.where(ended, position, 0), axis=1)
    end = ends
    for k in range(1, words):
        last = np.maximum(end - 1, 0)  # the last byte of the k-th word back; position 0 is in no word
        hashes[k] = np.take_along_axis(current, last, 1)
        end = np.take_along_axis(ends, last, 1)
    return hashes
