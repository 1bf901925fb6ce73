"""`vaezip map` in a terminal: the tree of the files, one a line, so that like stands beside like."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vaezip.errors import printable
from vaezip.map.atlas import Atlas

_WIDTH = 24  # columns of a tree
_LEFT, _RIGHT, _UP, _DOWN = 1, 2, 4, 8
_LINES = " ╴╶─╵┘└┴╷┐┌┬│┤├┼"  # by the sides to which they lead


def tree_lines(atlas: Atlas) -> Iterator[str]:
    """The lines to print."""
    heights = [merge.height for merge in atlas.tree.merges]
    yield printable(atlas.summary())
    if heights:
        yield f"the last come together at a distance of {heights[-1]:.2f}, the first at {heights[0]:.2f}"
    yield ""
    for drawn, number in zip(_drawn(atlas), atlas.tree.order, strict=True):
        yield f"{drawn} {printable(atlas.entries[number].name)}"


def _drawn(atlas: Atlas) -> Iterator[str]:
    """The tree, a line for each file in its order."""
    count, merges = len(atlas.entries), atlas.tree.merges
    sides = np.zeros((count, _WIDTH), int)
    left = np.arange(len(merges), 0, -1) * _WIDTH // max(1, len(merges) + 1)  # from right to left
    rows, columns = np.argsort(atlas.tree.order).tolist(), [_WIDTH] * count
    for merge, at in zip(merges, left.tolist(), strict=True):
        ends = sorted((rows[merge.one], rows[merge.other]))
        sides[ends[0] : ends[1], at] |= _DOWN
        sides[ends[0] + 1 : ends[1] + 1, at] |= _UP
        for child in (merge.one, merge.other):
            if columns[child] > at:
                sides[rows[child], at] |= _RIGHT
                sides[rows[child], at + 1 : columns[child]] |= _LEFT | _RIGHT
                if columns[child] < _WIDTH:
                    sides[rows[child], columns[child]] |= _LEFT
        rows.append(sum(ends) // 2)
        columns.append(at)
    return ("".join(_LINES[cell] for cell in row) for row in sides.tolist())
