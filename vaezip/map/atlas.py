"""The results of `vaezip map`, however they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip.map.layout import place
from vaezip.map.tree import Tree, cluster


class Entry(NamedTuple):
    """A file."""

    name: str
    folder: str  # decides the colour
    preset: int  # of the mixer, 0 to 3
    z: tuple[int, ...] | None  # the mean of its latent, in grid steps; None: it is too short for one


@dataclass(frozen=True)
class Atlas:
    """Files, and how far they are from each other."""

    model: str
    sample_size: int  # bytes of each file that were read, at most
    entries: tuple[Entry, ...]
    distances: NDArray[np.float64]  # float64 (n, n), symmetric, zeros on the diagonal

    @cached_property
    def tree(self) -> Tree:
        """The tree in which the files come together."""
        return cluster(self.distances)

    @cached_property
    def places(self) -> NDArray[np.float64]:
        """A place on a plane for each: float64 (n, 2)."""
        return place(self.distances)

    @cached_property
    def folders(self) -> list[str]:
        """Every folder once, by name."""
        return sorted({entry.folder for entry in self.entries})

    def nearest(self, number: int) -> list[int]:
        """The other files, the nearest first."""
        order: list[int] = np.argsort(self.distances[number], kind="stable").tolist()
        return [other for other in order if other != number]

    def at_home(self) -> tuple[int, float]:
        """The number of files whose nearest neighbour is of their own folder, and the number by chance."""
        folders = [entry.folder for entry in self.entries]
        count = len(folders)
        found = sum(folders[self.nearest(i)[0]] == folders[i] for i in range(count)) if count > 1 else 0
        chance = sum(n * (n - 1) for n in map(folders.count, self.folders)) / max(1, count - 1)
        return found, chance

    def summary(self) -> str:
        """A summary in one line."""
        count, (found, chance) = len(self.entries), self.at_home()
        files = f"{count} file{'s' * (count > 1)}, of each the first {self.sample_size} bytes"
        if len(self.folders) == 1 or not chance:  # the latter where each is the only one of its folder
            return f"{files}; model {self.model}"
        home = f"of {found} the nearest is of the same folder, by chance it would be {chance:.0f}"
        return f"{files}; model {self.model}; {home}"

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values, for scripts: distances with four places."""
        return {
            "model": self.model,
            "sample_size": self.sample_size,
            "files": [
                {**entry._asdict(), "place": np.round(place, 4).tolist()}
                for entry, place in zip(self.entries, self.places, strict=True)
            ],
            "distances": np.round(self.distances, 4).tolist(),
            "order": self.tree.order,
            "merges": [[one, other, round(height, 4)] for one, other, height in self.tree.merges],
        }
