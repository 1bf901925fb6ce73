"""A test that tells text from random bytes: what is encrypted or compressed already is not worth coding.

Coding random bytes takes hundreds of times as long as finding out that it is in vain. All in integers: how
a block is stored must be the same on every machine.
"""

from __future__ import annotations

import numpy as np

from vaezip.network.contexts import PRIME

_PIECE = 4096  # bytes: text may be a small part of a block
_NOISE = 1024  # chi-square of a piece; that of random bytes is 255 +- 23 (255 degrees of freedom)
_GRAM = 5  # bytes; so many in a row hardly ever come twice by chance
_SAMPLE_BITS = 5  # one in 32 of the repeats is looked for
_PRIME = np.uint64(PRIME)


def looks_compressible(block: bytes, before: bytes = b"") -> bool:
    """True if coding is likely to save more than it costs to learn that bytes are random.

    To learn that takes about 180 bytes and a thousandth of the block, as measured with random blocks above
    16 KB. before: what has been read before the block, which may repeat it.
    """
    repeats = _saved_by_repeats(before + block) - _saved_by_repeats(before)
    return _saved_by_counts(block) + repeats > 180 + len(block) // 1024


def _saved_by_counts(block: bytes) -> int:
    """Bytes that uneven counts of byte values promise to save, in any piece of the block."""
    pieces = -(-len(block) // _PIECE)
    size = len(block) // pieces
    values = np.frombuffer(block, np.uint8, pieces * size).reshape(pieces, size)
    cells = values + 256 * np.arange(pieces)[:, None]
    counts = np.bincount(cells.ravel(), minlength=256 * pieces).reshape(pieces, 256)
    chi_square = 256 * np.square(counts, dtype=np.int64).sum(axis=1) // size - size
    # If the counts differ little, chi-square / (2 ln 2) bits are saved, and fewer if they differ much.
    return int((np.maximum(chi_square - _NOISE, 0) // 16).sum())


def _saved_by_repeats(text: bytes) -> int:
    """Bytes that have come before, together with those around them, at any distance.

    Only grams whose hash begins with zeros are looked at: if such a gram comes again, so does its hash.
    """
    samples = [np.zeros(0, np.uint64)]
    for offset in range(min(8, len(text) - 7)):
        windows = np.frombuffer(text, "<u8", (len(text) - offset) // 8, offset).astype(np.uint64)
        hashes = (windows << np.uint64(64 - 8 * _GRAM)) * _PRIME
        samples.append(hashes[hashes >> np.uint64(64 - _SAMPLE_BITS) == 0])
    found = np.concatenate(samples)
    return (len(found) - len(np.unique(found))) << _SAMPLE_BITS
