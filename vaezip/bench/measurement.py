"""Sizes and speeds as they were measured, summed up, and read again from JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from vaezip.errors import FileError

_TICK = 1e-9  # seconds; no clock tells less
_MOST = 1e15  # bytes or seconds


class Measurement(NamedTuple):
    """One compressor on one text; sizes in bytes, times in seconds."""

    compressor: str
    name: str
    content: int
    compressed: int
    compress_seconds: float
    decompress_seconds: float

    @property
    def bits_per_byte(self) -> float:
        """Bits of compressed data per byte of text."""
        return 8 * self.compressed / max(1, self.content)

    @property
    def compress_speed(self) -> float:
        """Bytes of text per second."""
        return self.content / max(_TICK, self.compress_seconds)

    @property
    def decompress_speed(self) -> float:
        """Bytes of text per second."""
        return self.content / max(_TICK, self.decompress_seconds)


class Total(NamedTuple):
    """One compressor on several files."""

    sums: Measurement
    ratio: float  # of text to compressed data, geometric mean of the files


def totals(measurements: Sequence[Measurement]) -> list[Total]:
    """Over the files that every compressor has been measured on; the smallest sum first."""
    groups: dict[str, list[Measurement]] = {}
    for m in measurements:
        groups.setdefault(m.compressor, []).append(m)
    common = set.intersection(*({m.name for m in group} for group in groups.values())) if groups else set()
    found = []
    for compressor, group in groups.items():
        if own := [m for m in group if m.name in common]:
            sums = Measurement(
                compressor,
                f"all {len(own)} files",
                sum(m.content for m in own),
                sum(m.compressed for m in own),
                sum(m.compress_seconds for m in own),
                sum(m.decompress_seconds for m in own),
            )
            found.append(Total(sums, math.exp(fmean(math.log(m.content / m.compressed) for m in own))))
    return sorted(found, key=lambda total: total.sums.compressed)


def read_measurements(data: bytes, name: str) -> list[Measurement]:
    """The measurements that `vaezip bench --json` has written; raises FileError, which says `name`."""
    try:
        rows = json.loads(data)
        found = [
            Measurement(**{key: value for key, value in row.items() if key != "name_base64"}) for row in rows
        ]
        if found and all(map(_is_sound, found)):
            return found
    except (AttributeError, TypeError, ValueError, RecursionError):
        pass
    raise FileError(f"{name}: holds no measurements as vaezip bench --json writes them")


def _is_sound(m: Measurement) -> bool:
    names, sizes, seconds = m[:2], m[2:4], m[4:]
    return (
        all(isinstance(name, str) for name in names)
        and all(type(size) is int and 0 < size < _MOST for size in sizes)
        and all(type(second) in (int, float) and 0 <= second < _MOST for second in seconds)
    )
