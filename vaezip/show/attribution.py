"""The evidence for every byte: the network alone, the longest match, and contexts that had come before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip.information import network_costs
from vaezip.meter import Meter, Ticker
from vaezip.mixing.history import LONGEST_MATCH, new_matches
from vaezip.model import Model
from vaezip.show.costs import Costs
from vaezip.workers import in_order

ORDERS = (1, 2, 3, 4, 6)  # bytes of context that the mixer looks back by


class Attribution(NamedTuple):
    """The evidence for every byte of a text, arrays (n,); in a stored block, NaN and zeros."""

    network_bits: NDArray[np.float64]  # the cost if the network alone predicted
    match_length: NDArray[np.uint16]  # of the longer of the mixer's matches before it, 400 at most
    expected: NDArray[np.uint8]  # the byte that this match expects
    context: NDArray[np.uint8]  # the longest of ORDERS whose bytes had come before in the block, 0 for none
    followed: NDArray[np.uint8]  # the longest of ORDERS after whose bytes this very byte had come, 0 for none


def attribute(
    model: Model, data: bytes, costs: Costs, threads: int = 1, progress: Ticker | None = None
) -> Attribution:
    """The attribution of a text whose costs have been measured.

    threads: how many blocks to work on at once. progress: called with numbers of bytes done.
    """
    meter = Meter(progress)

    def gather(index: int) -> Attribution:
        block = costs.blocks[index]
        content = data[block.offset : block.offset + block.size]
        if block.method == "stored":
            meter.add(block.size)
            nothing = np.zeros(block.size, np.uint8)
            return Attribution(
                np.full(block.size, np.nan), nothing.astype(np.uint16), nothing, nothing, nothing
            )
        x = np.frombuffer(content, np.uint8)
        network = network_costs(model, x, block.z, meter.add)
        return Attribution(network, *_matches(content), *_contexts(x))

    parts = list(in_order(gather, range(len(costs.blocks)), threads))
    return Attribution(*map(np.concatenate, zip(*parts, strict=True)))


def _matches(block: bytes) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """`match_length` and `expected` of a block's bytes."""
    lengths, expected = np.zeros(len(block), np.uint16), np.zeros(len(block), np.uint8)
    matches, recent = new_matches(len(block)), 0
    for end, byte in enumerate(block):
        for match in matches:
            match.find(block, end, recent)
        longest = max(matches, key=lambda match: match.length)
        if longest.length:
            lengths[end], expected[end] = min(longest.length, LONGEST_MATCH), block[longest.position]
        recent = (recent << 8 | byte) & 0xFFFFFFFFFFFFFFFF
    return lengths, expected


def _contexts(x: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`context` and `followed` of a block's bytes."""
    before = np.concatenate([np.zeros(max(ORDERS), np.uint64), x.astype(np.uint64)])
    context, followed = np.zeros(len(x), np.uint8), np.zeros(len(x), np.uint8)
    for order in ORDERS:
        key = np.zeros(len(x), np.uint64)
        for back in range(order, 0, -1):
            key = key << np.uint64(8) | before[max(ORDERS) - back : len(before) - back]
        context[_seen(key)] = order
        followed[_seen(key << np.uint64(8) | x)] = order
    return context, followed


def _seen(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Flags of the keys that had come before: bool (n,)."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    seen: NDArray[np.bool_] = first[inverse] < np.arange(len(keys))
    return seen
