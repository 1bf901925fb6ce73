"""Compression levels, as gzip and xz have them: which model, and how much text is coded as one."""

from __future__ import annotations

from typing import NamedTuple

from vaezip.block import DEFAULT_BLOCK_SIZE
from vaezip.model import DEFAULT, LARGE


class Level(NamedTuple):
    """The choices of a level, where nothing else makes them."""

    model: str
    block_size: int  # bytes


LEVELS = {
    **dict.fromkeys(range(1, 7), Level(DEFAULT, DEFAULT_BLOCK_SIZE)),
    7: Level(LARGE, DEFAULT_BLOCK_SIZE),
    8: Level(LARGE, 1 << 20),
    9: Level(LARGE, 4 << 20),
}
