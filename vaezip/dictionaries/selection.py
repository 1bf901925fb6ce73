"""Which samples tell most about the others: the texts of a dictionary."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Sequence

_SHINGLE = 6  # bytes; the longest context of the mixer
_MOST = 4 << 20  # bytes of samples that are looked at


def choose_texts(samples: Iterable[bytes], size: int) -> list[bytes]:
    """Samples of `size` bytes in all, the most telling ones last, where a dictionary remembers best.

    To each belongs a byte for its end. Greedily, that which shares the most pieces of 6 bytes with others, in
    relation to its length, where pieces that are chosen already do not count (after zstd's COVER; Liao et al.
    2016).
    """
    texts = _looked_at(list(dict.fromkeys(sample for sample in samples if sample)))
    shingles = [_shingles(text) for text in texts]
    shared = Counter(piece for pieces in shingles for piece in pieces)
    covered: set[int] = set()
    left, chosen = size, []
    queue = [
        (-_gain(pieces, shared, covered, text), i)
        for i, (text, pieces) in enumerate(zip(texts, shingles, strict=True))
    ]
    heapq.heapify(queue)
    while queue:
        _, i = heapq.heappop(queue)
        if len(texts[i]) + 1 > left:
            continue
        now = -_gain(shingles[i], shared, covered, texts[i])
        if queue and now > queue[0][0]:  # others may be better by now
            heapq.heappush(queue, (now, i))
            continue
        chosen.append(texts[i])
        covered |= shingles[i]
        left -= len(texts[i]) + 1
    return chosen[::-1]


def _gain(pieces: set[int], shared: Counter[int], covered: set[int], text: bytes) -> float:
    return sum(shared[piece] - 1 for piece in pieces if piece not in covered) / (len(text) + 1)


def _shingles(text: bytes) -> set[int]:
    return {hash(text[at : at + _SHINGLE]) for at in range(max(1, len(text) - _SHINGLE + 1))}


def _looked_at(texts: Sequence[bytes]) -> list[bytes]:
    """All of them, or as many as there is time for."""
    total = sum(map(len, texts))
    if total <= _MOST:
        return list(texts)
    return random.Random(0).sample(texts, max(1, len(texts) * _MOST // total))
