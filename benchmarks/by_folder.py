"""Sum the rows of `vaezip bench --json` by folder, as a Markdown table.

    vaezip bench --json texts/*/* > rows.json
    python benchmarks/by_folder.py rows.json

Rows of `vaezip bench --ablation --json` give the table of where the bits go.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def comparison(rows: Sequence[Row]) -> Iterable[Sequence[str]]:
    """Bits per byte of every compressor, all bytes of a folder together."""
    names = sorted({row["compressor"] for row in rows}, key=lambda name: _bits(rows, name))
    yield ["folder", "files", "bytes", *names]
    for folder, chosen in [*_folders(rows), ("all", rows)]:
        own = [row for row in chosen if row["compressor"] == names[0]]
        size = sum(row["content"] for row in own)
        yield [folder, str(len(own)), str(size), *(f"{_bits(chosen, name):.3f}" for name in names)]


def ablation(rows: Sequence[Row]) -> Iterable[Sequence[str]]:
    """Bits of the text given z, of z, and what came back; payload bytes with, without, and without z."""
    columns = ("x_bits", "z_bits", "returned_bits", "latent_bytes", "no_bits_back_bytes", "null_bytes")
    yield [
        "folder",
        "files",
        "bytes",
        "x given z",
        "z",
        "got back",
        "latent",
        "no bits-back",
        "null",
        "kept z",
    ]
    for folder, chosen in [*_folders(rows), ("all", rows)]:
        sums = [f"{sum(row[column] for row in chosen):.0f}" for column in columns]
        kept = sum(row["kept"] == "latent" for row in chosen)
        size = sum(row["content"] for row in chosen)
        yield [folder, str(len(chosen)), str(size), *sums, f"{kept} of {len(chosen)}"]


def _folders(rows: Sequence[Row]) -> list[tuple[str, Sequence[Row]]]:
    names = sorted({Path(row["name"]).parent.name for row in rows})
    return [(name, [row for row in rows if Path(row["name"]).parent.name == name]) for name in names]


def _bits(rows: Sequence[Row], compressor: str) -> float:
    chosen = [row for row in rows if row["compressor"] == compressor]
    total: float = sum(row["compressed"] for row in chosen)
    content: int = sum(row["content"] for row in chosen)
    return 8 * total / content


def main() -> None:
    """Print the table of the file named on the command line."""
    rows: list[Row] = json.loads(Path(sys.argv[1]).read_text())
    table = list((comparison if "compressor" in rows[0] else ablation)(rows))
    table.insert(1, ["---", *["--:"] * (len(table[0]) - 1)])
    for line in table:
        print(f"| {' | '.join(line)} |")


if __name__ == "__main__":
    main()
