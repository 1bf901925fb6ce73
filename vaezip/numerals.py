"""Whole numbers as bytes, each in one way (docs/format.md)."""

from __future__ import annotations

from typing import Protocol

from vaezip.errors import FormatError


class Source(Protocol):
    """What a number is read from."""

    def read(self, n: int, /) -> bytes:
        """The next n bytes; raises FormatError if there are fewer."""


def read_number(reader: Source, damage: str = "damaged file: a number is not in its shortest form") -> int:
    """A number as `encode_number` writes it; raises FormatError(damage) for any other way to write it."""
    first = reader.read(1)[0]
    if first < 224:
        return first
    if first < 252:
        return 224 + ((first - 224) << 8) + reader.read(1)[0]
    value = int.from_bytes(reader.read((2, 3, 4, 8)[first - 252]), "little")
    if encode_number(value)[0] != first:
        raise FormatError(damage)
    return value


def encode_number(n: int) -> bytes:
    """An unsigned number below 2**64 in 1 byte (below 224), 2 (below 7392), or a prefix and 2, 3, 4 or 8."""
    if n < 224:
        return bytes([n])
    if n < 7392:
        high, low = divmod(n - 224, 256)
        return bytes([224 + high, low])
    for prefix, width in ((252, 2), (253, 3), (254, 4), (255, 8)):
        if n < 1 << 8 * width:
            return bytes([prefix]) + n.to_bytes(width, "little")
    raise ValueError("number too large")


def fold(n: int) -> int:
    """A signed number as an unsigned one, near 0 if it is: 0, -1, 1, -2, ... as 0, 1, 2, 3, ..."""
    return 2 * n if n >= 0 else -2 * n - 1


def unfold(n: int) -> int:
    """The signed number that `fold` makes this one of."""
    return -(n // 2) - 1 if n % 2 else n // 2
