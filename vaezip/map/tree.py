"""Hierarchical clustering: a tree of texts from their distances, and an order in which like are side by side.

Average linkage, UPGMA (Sokal, Michener 1958): the two nearest clusters become one, whose distance to another
is the mean of all its members' distances.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Merge(NamedTuple):
    """Two clusters become one. Numbers below n are texts, n + i is what the merge of number i made."""

    one: int
    other: int
    height: float  # the mean distance between their texts; never less than that of an earlier merge


class Tree(NamedTuple):
    """The tree in which n texts come together."""

    order: tuple[int, ...]  # all texts, so that each cluster's are side by side
    merges: tuple[Merge, ...]  # the n - 1 merges, the nearest first

    def at_each(self, of_text: NDArray[np.float64]) -> NDArray[np.float64]:
        """A value for each text, float64 (n,), and after these for each merge: midway between its two."""
        values = of_text.tolist()
        for merge in self.merges:
            values.append((values[merge.one] + values[merge.other]) / 2)
        return np.array(values)


def cluster(distances: NDArray[np.float64]) -> Tree:
    """The tree of n texts; distances: float64 (n, n), n >= 1, symmetric.

    Where two clusters meet, each is turned so that the ends nearest to each other touch (Gruvaeus, Wainer
    1972, doi:10.1111/j.2044-8317.1972.tb00491.x).
    """
    count = len(distances)
    between = np.array(distances, np.float64)
    np.fill_diagonal(between, np.inf)
    sizes, ids, leaves = np.ones(count), [*range(count)], [[i] for i in range(count)]
    merges: list[Merge] = []
    for made in range(count, 2 * count - 1):
        i, j = sorted(divmod(int(between.argmin()), count))
        merges.append(Merge(ids[i], ids[j], float(between[i, j])))
        leaves[i], ids[i] = _joined(leaves[i], leaves[j], distances), made
        between[i] = (sizes[i] * between[i] + sizes[j] * between[j]) / (sizes[i] + sizes[j])
        between[:, i] = between[i]
        between[i, i] = between[j] = between[:, j] = np.inf
        sizes[i] += sizes[j]
    return Tree(tuple(leaves[0]), tuple(merges))


def _joined(one: list[int], other: list[int], distances: NDArray[np.float64]) -> list[int]:
    """The orders of two clusters joined, each as it is or reversed."""
    ways = [(a, b) for a in (one, one[::-1]) for b in (other, other[::-1])]
    a, b = min(ways, key=lambda way: distances[way[0][-1], way[1][0]])
    return a + b
