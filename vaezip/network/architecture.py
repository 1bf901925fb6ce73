"""The sizes of a model: every number that its file must carry besides the weights."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

from vaezip.errors import ModelError

# The least and the most that each size may be: a model file may come from strangers. The kernel has arrays of
# so many channels, layers and contexts (VZ_MAX_WIDTH and so on, in its headers).
LIMITS = {
    "width": (1, 512),
    "layers": (1, 16),
    "expansion": (1, 8),
    "word_contexts": (1, 4),
    "table_dim": (1, 64),
    "latents": (1, 64),
    "patch": (1, 8),
    "encoder_width": (4, 256),
}
MAX_ORDERS = 16  # how many of them
MAX_ORDER = 7  # bytes of a context
TABLE_BITS = (9, 22)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Sizes of encoder and decoder; the exact network and the float VAE are built from the same ones."""

    width: int = 96  # H, channels of the residual stream
    layers: int = 2  # {gated linear recurrence, feed-forward}, each
    expansion: int = 2  # hidden channels of a feed-forward, in units of H
    orders: tuple[int, ...] = (2, 3, 4, 5, 6)  # hashed contexts: the last n bytes
    word_contexts: int = 2  # hashed contexts: the word so far, with 0, 1, ... words before it
    table_bits: tuple[int, ...] = (15, 17, 18, 18, 18, 17, 18)  # each context has a table of 2**bits rows
    table_dim: int = 16  # channels of a row
    latents: int = 8  # dimensions of z
    patch: int = 4  # the encoder's convolutions have kernel and stride `patch`
    encoder_width: int = 64  # channels of its byte embedding (a quarter of it) and hidden layers

    @property
    def contexts(self) -> int:
        """Number of hashed contexts, one table each."""
        return len(self.orders) + self.word_contexts

    @property
    def table_offsets(self) -> list[int]:
        """The first row of each table, and the number of all rows at the end."""
        return list(itertools.accumulate((1 << bits for bits in self.table_bits), initial=0))

    def hashes_as(self, other: Architecture) -> bool:
        """True if a text has the same contexts with both, and these the same rows."""
        ours, theirs = ((a.orders, a.word_contexts, a.table_bits) for a in (self, other))
        return ours == theirs

    @property
    def multiplications(self) -> int:
        """int8 multiplications of the decoder per byte."""
        layer = (4 + 2 * self.expansion) * self.width**2
        return self.contexts * self.table_dim * self.width + self.layers * layer + 256 * self.width

    def to_json(self) -> dict[str, Any]:
        """The sizes as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Architecture:
        """Inverse of `to_json`; raises ModelError for unknown, missing or absurd sizes."""
        try:
            lists = {name: tuple(values[name]) for name in ("orders", "table_bits")}
            a = cls(**{**values, **lists})
            sizes = [getattr(a, f.name) for f in dataclasses.fields(a) if f.name not in lists]
            if not all(type(n) is int for n in (*sizes, *a.orders, *a.table_bits)):
                raise TypeError("sizes must be integers")
        except (KeyError, TypeError) as error:
            raise ModelError(f"damaged or unknown model architecture: {error}") from error
        in_range = (
            all(least <= getattr(a, name) <= most for name, (least, most) in LIMITS.items())
            and 0 < len(a.orders) <= MAX_ORDERS
            and all(0 < n <= MAX_ORDER for n in a.orders)
            and len(a.table_bits) == a.contexts
            and all(TABLE_BITS[0] <= bits <= TABLE_BITS[1] for bits in a.table_bits)
            and a.encoder_width % 4 == 0
        )
        if not in_range:
            raise ModelError("model architecture out of range")
        return a
