"""The owners of the tables' rows: of all contexts that hash to a row, the most frequent one.

The others share the offset rows of their table. A row that many rare contexts would pull in different
directions says little about any; and that a context is rare is something to know, too. The shared rows are
256, since that a rare context has come back is worth knowing as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from vaezip.network.architecture import Architecture
from vaezip.network.contexts import STRANGERS, TAG_BITS, TAG_MASK, context_slots
from vaezip.training.data import SegmentSource, TextFile
from vaezip.training.vae import Decoder

_SAMPLE_BYTES = 32 << 20
_SEGMENT_BYTES = 1 << 16
_LEAST_COUNT = 2  # a context met once is a stranger
# What an incumbent knows of other text is worth something, too: to oust it, a context must be frequent.
_OUSTS_PER_MB, _OUSTS = 4, 16


def settle_owners(decoder: Decoder, files: list[TextFile], seed: int) -> None:
    """Choose the owners of a decoder's rows by what is frequent in `files`.

    A row that changes hands starts with what its new owner had until now: a row that strangers share.
    """
    a, before = decoder.a, decoder.tags.numpy().copy()
    after = choose_owners(a, files, np.random.default_rng(seed), before)
    decoder.tags.copy_(torch.from_numpy(after))
    with torch.no_grad():
        for offset, end in itertools.pairwise(a.table_offsets):
            changed = offset + np.flatnonzero(after[offset:end] != before[offset:end])
            decoder.tables[changed] = decoder.tables[offset + after[changed].astype(np.int64)]


def choose_owners(
    a: Architecture, files: list[TextFile], rng: np.random.Generator, incumbents: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The tag of every row's owner, uint8 (rows of all tables,), 0 for none; so are `incumbents`.

    Counts contexts in all of `files`, or in a sample of 32 MB. An incumbent stays unless another context
    of its row is more frequent than it is, and met 4 times per MB (twice at least; 16 times is enough).
    """
    size = 0
    found: list[list[NDArray[np.uint32]]] = [[] for _ in range(a.contexts)]
    for segment in _sample(files, rng):
        size += len(segment)
        slots = context_slots(a, segment[None])[0].astype(np.uint32)
        for table, column in enumerate(slots.T):
            found[table].append(column.copy())
    to_oust = min(_OUSTS, max(_LEAST_COUNT, _OUSTS_PER_MB * size >> 20))
    tags = incumbents.copy()
    for table, offset in enumerate(a.table_offsets[:-1]):
        seen, counts = np.unique(np.concatenate(found[table]), return_counts=True)
        found[table].clear()
        rows, seen_tags = offset + (seen >> TAG_BITS).astype(np.int64), (seen & TAG_MASK).astype(np.uint8)
        order = np.lexsort((tags[rows] == seen_tags, counts, rows))
        last = order[np.append(np.diff(rows[order]) > 0, True)]  # of each row
        least = np.where(tags[rows[last]] > 0, to_oust, _LEAST_COUNT)
        last = last[(counts[last] >= least) & (rows[last] >= offset + STRANGERS)]
        tags[rows[last]] = seen_tags[last]
    return tags


def _sample(files: list[TextFile], rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    if sum(len(f.data) for f in files) <= _SAMPLE_BYTES:
        for file in files:
            for at in range(0, len(file.data), _SEGMENT_BYTES):
                yield file.data[at : at + _SEGMENT_BYTES]
        return
    source = SegmentSource(files)
    size = 0
    while size < _SAMPLE_BYTES:
        segment = source.draw(rng, _SEGMENT_BYTES)
        size += len(segment)
        yield segment
