"""The contexts of `vaezip.network.contexts` in torch: on a GPU, if the text is there; for many lanes at once.

The same integers modulo 2**64, which two's complement leaves to int64, and the same prefix sums; a lane's
words are carried from chunk to chunk.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaezip.network.architecture import MAX_ORDER, Architecture
from vaezip.network.contexts import INVERSE, MIX, PRIME, SALT, TAG_BITS, TAG_MASK, WORD_VALUE


class Rows(NamedTuple):
    """The rows of the tables that contexts may read, int64 (lanes, chunk, contexts) each."""

    own: Tensor  # that a context hashes to
    shared: Tensor  # that it reads as a stranger, if another context owns that one
    tag: Tensor  # of its own row, if it is the owner

    def found(self, tags: Tensor) -> Tensor:
        """What `find_rows` gives; tags: uint8 (rows of all tables,), the tag of every row's owner."""
        return torch.where(tags[self.own] == self.tag, self.own, self.shared)


class LaneContexts:
    """The contexts of lanes, carried from chunk to chunk."""

    def __init__(self, a: Architecture, lanes: int, chunk: int, device: torch.device) -> None:
        """All is computed on `device`."""
        self._a = a
        self._words = torch.zeros((a.word_contexts + 1, lanes), dtype=torch.int64, device=device)
        self._value = torch.from_numpy(WORD_VALUE.astype(np.int64)).to(device)
        self._position = torch.arange(chunk, device=device)
        self._up = torch.from_numpy(_powers(PRIME, chunk)).to(device)  # PRIME**(t+1)
        self._down = torch.from_numpy(_powers(INVERSE, chunk) * _signed(PRIME)).to(device)
        shifts = [64 - bits - TAG_BITS for bits in a.table_bits]
        slots = [(1 << bits + TAG_BITS) - 1 for bits in a.table_bits]
        salts = [_signed((table + 1) * SALT) for table in range(a.contexts)]
        masks = [(1 << 8 * n) - 1 for n in a.orders]
        self._shifts, self._slots, self._salts, self._masks, self._offsets = (
            torch.tensor(numbers, device=device)
            for numbers in (shifts, slots, salts, masks, a.table_offsets[:-1])
        )

    def rows(self, text: Tensor, fresh: Tensor) -> Rows:
        """Rows of the tables to read for the next bytes of every lane.

        text: int64 (lanes, 7 + chunk), the byte before every position and the seven before the first of
        these, 0 before a segment begins. fresh: (lanes,), where a segment begins.
        """
        a, before = self._a, MAX_ORDER
        seen = text[:, before:]
        recent = seen.clone()
        for n in range(1, max(a.orders)):
            recent |= text[:, before - n : -n] << (8 * n)
        words = self._hashes(seen, torch.where(fresh, 0, self._words))
        inside = words[0] != 0
        key, keys = torch.where(inside, 0, (recent & 255) + 1), []
        for k in range(a.word_contexts):
            key = key * _signed(SALT) + torch.where(inside, words[k], words[k + 1])
            keys.append(key)
        return self._find(torch.cat([recent[..., None] & self._masks, torch.stack(keys, -1)], -1))

    def _find(self, keys: Tensor) -> Rows:
        keys = (keys + self._salts) * _signed(MIX)
        keys = (keys ^ _shifted(keys, 32)) * _signed(PRIME)
        slot = (keys >> self._shifts) & self._slots
        tag = slot & TAG_MASK
        tag = torch.where(tag != 0, tag, 1)
        return Rows((slot >> TAG_BITS) + self._offsets, tag + self._offsets, tag)

    def _hashes(self, seen: Tensor, carried: Tensor) -> list[Tensor]:
        """Rolling hashes after every byte, (lanes, chunk) each: of the word so far, and of those before.

        carried: (words, lanes), the same where the chunk before ended.
        """
        value, position = self._value[seen], self._position.expand_as(seen)
        sums = torch.cumsum(value * self._down, 1)
        outside = torch.cummax(torch.where(value == 0, position, -1), 1).values
        before = torch.where(outside >= 0, sums.gather(1, outside.clamp(min=0)), -carried[0, :, None])
        current = (sums - before) * self._up
        # The words that have ended, in their order, begin with those of the chunks before.
        previous = torch.cat([carried[0, :, None], current[:, :-1]], 1)
        ended = (value == 0) & (previous != 0)
        known, (lanes, length) = len(carried) - 1, seen.shape
        count = known + torch.cumsum(ended, 1)
        finished = torch.zeros((lanes, known + length + 1), dtype=torch.int64, device=seen.device)
        finished[:, :known] = carried[1:].flip(0).T
        finished.scatter_(1, torch.where(ended, count - 1, known + length), previous)
        hashes = [current, *(finished.gather(1, count - k) for k in range(1, known + 1))]
        self._words = torch.stack([h[:, -1] for h in hashes])
        return hashes


def _signed(number: int) -> int:
    """The same modulo 2**64, as an int64."""
    return ((number + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shifted to the right as a uint64 would be."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _powers(base: int, count: int) -> NDArray[np.int64]:
    """base**1, base**2, ... modulo 2**64, int64 (count,)."""
    return np.multiply.accumulate(np.full(count, base, np.uint64)).view(np.int64)
