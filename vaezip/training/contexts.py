"""The contexts of `vaezip.network.contexts` in torch: on a GPU, if the text is there; for many lanes at once.

The same integers modulo 2**64, which two's complement leaves to int64, and the same prefix sums; a lane's
words are carried from chunk to chunk.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaezip.network.architecture import Architecture
from vaezip.network.contexts import INVERSE, MIX, PRIME, SALT, TAG_BITS, TAG_MASK, WORD_VALUE

MOST_ORDER = 7  # bytes of a context


class LaneContexts:
    """The contexts of lanes, carried from chunk to chunk."""

    def __init__(self, a: Architecture, tags: Tensor, lanes: int, chunk: int) -> None:
        """tags: uint8 (rows of all tables,), the tag of every row's owner; all is computed where they are."""
        device = tags.device
        self._a = a
        self._tags = tags
        self._offsets = a.table_offsets
        self._words = torch.zeros((a.word_contexts + 1, lanes), dtype=torch.int64, device=device)
        self._value = torch.from_numpy(WORD_VALUE.astype(np.int64)).to(device)
        self._position = torch.arange(chunk, device=device)
        self._up = torch.from_numpy(_powers(PRIME, chunk)).to(device)  # PRIME**(t+1)
        self._down = torch.from_numpy(_powers(INVERSE, chunk) * _signed(PRIME)).to(device)

    def rows(self, text: Tensor, fresh: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of the tables to read for the next bytes of every lane.

        text: int64 (lanes, 7 + chunk), the byte before every position and the seven before the first of
        these, 0 before a segment begins. fresh: (lanes,), where a segment begins. Returns what `find_rows`
        gives for these contexts, and what it gives where no row has an owner: int64 (lanes, chunk,
        contexts) each.
        """
        a, before = self._a, MOST_ORDER
        seen = text[:, before:]
        recent = seen.clone()
        for n in range(1, max(a.orders)):
            recent |= text[:, before - n : -n] << (8 * n)
        keys = [recent & ((1 << 8 * n) - 1) for n in a.orders]
        words = self._hashes(seen, torch.where(fresh, 0, self._words))
        inside = words[0] != 0
        key = torch.where(inside, 0, (recent & 255) + 1)
        for k in range(a.word_contexts):
            key = key * _signed(SALT) + torch.where(inside, words[k], words[k + 1])
            keys.append(key)
        found, shared = zip(*(self._find(key, i) for i, key in enumerate(keys)), strict=True)
        return torch.stack(found, -1), torch.stack(shared, -1)

    def _find(self, key: Tensor, table: int) -> tuple[Tensor, Tensor]:
        key = (key + _signed((table + 1) * SALT)) * _signed(MIX)
        key = (key ^ _shifted(key, 32)) * _signed(PRIME)
        slot = _shifted(key, 64 - self._a.table_bits[table] - TAG_BITS)
        tag = slot & TAG_MASK
        tag = torch.where(tag != 0, tag, 1)
        own, shared = (slot >> TAG_BITS) + self._offsets[table], tag + self._offsets[table]
        return torch.where(self._tags[own] == tag, own, shared), shared

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
