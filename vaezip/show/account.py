"""The results of `vaezip show`, however they are shown: sums, the dearest lines, the run of the costs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip.show.characters import KINDS, Characters
from vaezip.show.costs import Costs

# Bits at which the next class of costs begins; there is one class more than these
CLASSES = (0.125, 0.5, 1.0, 2.0, 4.0, 8.0)


class Item(NamedTuple):
    """A sum."""

    name: str
    bits: float

    def tenths(self) -> str:
        """Its bits as they are shown."""
        return f"{round(self.bits, 1) + 0.0:.1f}"  # 0.0, not -0.0


class Sum(NamedTuple):
    """Bytes of a part of the compressed file."""

    name: str
    size: int


class KindSum(NamedTuple):
    """The cost of all characters of a kind."""

    kind: str
    characters: int
    bits: float


@dataclass(frozen=True)
class Shown:
    """A text and what it costs."""

    name: str
    model: str
    data: bytes
    costs: Costs
    characters: Characters

    def sizes(self) -> str:
        """Bytes before and after, and the rate, which only a text that has bytes has."""
        size, compressed = len(self.data), self.costs.compressed
        rate = f" ({8 * compressed / size:.3f} bits/byte)" if size else ""
        return f"{size} -> {compressed} bytes{rate}"

    def items(self) -> list[Item]:
        """Everything that the payload holds; the bits add up to its size."""
        costs = self.costs
        return [
            Item("text", costs.text_bits),
            Item("latents", costs.latent_bits),
            Item("checksums", costs.checksum_bits),
            Item("coder and rounding", costs.coder_bits),
        ]

    def sums(self) -> list[Sum]:
        """The payload, what else is in the compressed file, and all of it."""
        costs = self.costs
        return [Sum("payload", costs.payload), Sum(_HEADERS, costs.header), Sum("all", costs.compressed)]

    def kinds(self) -> list[KindSum]:
        """Every kind of character that the text has, the dearest first."""
        kinds, sums = self.characters.kinds, self.characters.sums(self.costs.bits)
        counts = np.bincount(kinds, minlength=len(KINDS))
        bits = np.bincount(kinds, sums, minlength=len(KINDS))
        rows = [KindSum(*row) for row in zip(KINDS, counts.tolist(), bits.tolist(), strict=True) if row[1]]
        return sorted(rows, key=lambda row: -row.bits)

    def methods(self) -> str:
        """The methods of the blocks, in words."""
        blocks = self.costs.blocks
        names = [block.method for block in blocks]
        if len(blocks) == 1:
            return _IN_WORDS[names[0]] + ("" if names[0] == "stored" else f", preset {blocks[0].preset}")
        parts = (f"{names.count(name)} {words}" for name, words in _IN_WORDS.items() if name in names)
        return f"{len(blocks)} blocks: " + ", ".join(parts)

    def dearest_lines(self, most: int) -> list[int]:
        """Indexes of the lines that cost most, `most` of them or fewer, the dearest first."""
        order: list[int] = np.argsort(-self.line_bits(), kind="stable")[:most].tolist()
        return order

    def line_bits(self) -> NDArray[np.float64]:
        """The bits of each line: float64 (lines,)."""
        return self.characters.line_sums(self.costs.bits)

    def strip(self, columns: int) -> NDArray[np.float64]:
        """Bits per byte along the text, the means of so many equal parts: float64 (columns,), or fewer."""
        size = len(self.data)
        bounds = np.arange(min(columns, size) + 1) * size // max(1, min(columns, size))
        total = np.concatenate([[0.0], np.cumsum(self.costs.bits)])
        means: NDArray[np.float64] = np.diff(total[bounds]) / np.diff(bounds)
        return means

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values, for scripts: bits with three places."""
        rows = zip(self.characters.offsets[self.characters.lines].tolist(), self.line_bits(), strict=False)
        return {
            "name": self.name,
            "model": self.model,
            "content": len(self.data),
            "compressed": self.costs.compressed,
            "payload": self.costs.payload,
            "account": {
                **{item.name: round(item.bits, 3) for item in self.items()},
                _HEADERS: 8 * self.costs.header,
            },
            "kinds": [{**kind._asdict(), "bits": round(kind.bits, 3)} for kind in self.kinds()],
            "blocks": [
                {
                    "offset": block.offset,
                    "content": block.size,
                    "method": block.method,
                    "preset": block.preset,
                    "payload": block.payload,
                    "text": round(block.text_bits, 3),
                    "latent": round(block.latent_bits, 3),
                    "checksum": block.checksum_bits,
                    "coder": round(block.coder_bits, 3),
                }
                for block in self.costs.blocks
            ],
            "lines": [{"offset": offset, "bits": round(float(bits), 3)} for offset, bits in rows],
            "bits": np.round(self.costs.bits, 3).tolist(),
        }


def cost_classes(bits: NDArray[np.float64]) -> NDArray[np.int64]:
    """The class of each cost, 0 to len(CLASSES), as it is coloured."""
    classes: NDArray[np.int64] = np.searchsorted(np.array(CLASSES), bits, side="right").astype(np.int64)
    return classes


def class_labels() -> list[str]:
    """The range of bits of each class, as text."""
    bounds = [f"{bound:g}" for bound in CLASSES]
    between = (f"{low}–{high}" for low, high in itertools.pairwise(bounds))
    return [f"below {bounds[0]}", *between, f"{bounds[-1]} or more"]


_HEADERS = "headers and index"
_IN_WORDS = {"latent": "with a latent", "null": "with the null latent", "stored": "stored"}
