"""Sum the rows of `vaezip bench --json`, as Markdown tables, or write them as a CSV.

    vaezip bench --json texts/*/* > rows.json
    python benchmarks/tables.py folders rows.json

shows the bits per byte of every folder; rows of `vaezip bench --ablation --json` give where vaezip's bits
go, those of `vaezip bench --shares --json` what network and mixer are worth. With those of `--ablation`,
`files` instead of `folders` writes a CSV with a row for every file, docs/ablation.csv.
For pieces named kind.size.number, such as prose.4k.0,

    python benchmarks/tables.py sizes rows.json

shows means: every piece of a kind counts the same, and so does every kind. Rows of `--ablation` give what
the latents save by size.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, TextIO

Row = dict[str, Any]

_ABLATION = {
    "x_bits": "x given z",
    "z_bits": "z",
    "returned_bits": "got back",
    "latent_bytes": "latent",
    "no_bits_back_bytes": "no bits-back",
    "null_bytes": "null",
    "fixed_preset_bytes": "null, first preset",
}
_FRACTIONAL = ("x_bits", "z_bits")


def comparison(rows: Sequence[Row]) -> Iterable[Sequence[str]]:
    """Bits per byte of every compressor, all bytes of a folder together."""
    names = sorted({row["compressor"] for row in rows}, key=lambda name: _bits(rows, name))
    yield ["folder", "files", "bytes", *names]
    for folder, chosen in [*_folders(rows), ("all", rows)]:
        own = [row for row in chosen if row["compressor"] == names[0]]
        size = sum(row["content"] for row in own)
        yield [folder, str(len(own)), str(size), *(f"{_bits(chosen, name):.3f}" for name in names)]


def ablation(rows: Sequence[Row]) -> Iterable[Sequence[str]]:
    """Bits of the text given z, of z, and what came back; payload bytes with and without the latents."""
    yield ["folder", "files", "bytes", *_ABLATION.values(), "kept z"]
    for folder, chosen in [*_folders(rows), ("all", rows)]:
        sums = [f"{sum(row[column] for row in chosen):.0f}" for column in _ABLATION]
        kept = sum(row["kept"] == "latent" for row in chosen)
        size = sum(row["content"] for row in chosen)
        yield [folder, str(len(chosen)), str(size), *sums, f"{kept} of {len(chosen)}"]


def sizes(rows: Sequence[Row]) -> Iterable[Sequence[str]]:
    """Bits per byte of every compressor by size of the pieces, mean of the kinds; the smallest first."""
    names = sorted({row["compressor"] for row in rows}, key=lambda name: _mean_of_kinds(rows, name))
    groups = _sizes(rows)
    yield ["", *groups]
    for name in names:
        yield [name, *(f"{_mean_of_kinds(chosen, name):.3f}" for chosen in groups.values())]


def gains(rows: Sequence[Row]) -> Iterable[Sequence[str]]:
    """Print gains over payloads with null latent and first preset, by size; geometric means."""
    groups = _sizes(rows)
    yield ["", *groups]
    coded: dict[str, Callable[[Row], int]] = {
        "the preset alone, null latent": lambda row: row["null_bytes"],
        "preset and z, with bits-back": lambda row: row["latent_bytes"],
        "preset and the most likely z, nothing given back": lambda row: row["no_bits_back_bytes"],
        "preset, and the smaller of bits-back and null": lambda row: min(
            row["latent_bytes"], row["null_bytes"]
        ),
    }
    for label, size in coded.items():
        logs = [
            fmean(math.log(size(row) / row["fixed_preset_bytes"]) for row in chosen)
            for chosen in groups.values()
        ]
        yield [label, *(f"{100 * (1 - math.exp(log)):+.2f} %" for log in logs)]


def kinds(rows: Sequence[Row], compressor: str) -> Iterable[Sequence[str]]:
    """Bits per byte of one compressor by kind and size of the pieces."""
    groups = _sizes(rows)
    yield [compressor, *groups]
    for kind in sorted({_kind(row) for row in rows}):
        cells = [[row for row in chosen if _kind(row) == kind] for chosen in groups.values()]
        yield [kind, *(f"{_mean_of_kinds(chosen, compressor):.3f}" for chosen in cells)]
    yield ["mean", *(f"{_mean_of_kinds(chosen, compressor):.3f}" for chosen in groups.values())]


def files(rows: Sequence[Row], out: TextIO) -> None:
    """Rows of `--ablation` as a CSV: a row for every file, bits to one decimal."""
    columns = ["name", "content", *_ABLATION, "kept"]
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, **{column: f"{row[column]:.1f}" for column in _FRACTIONAL}})


def shares(rows: Sequence[Row]) -> Iterable[Sequence[str]]:
    """Bits per byte of network and mixer, alone and together, by folder."""
    yield ["folder", "files", "bytes", "network alone", "mixer alone", "both"]
    for folder, chosen in [*_folders(rows), ("all", rows)]:
        size = sum(row["content"] for row in chosen)
        parts = ("network_bits", "mixer_bits", "both_bits")
        bits = [f"{sum(row[part] for row in chosen) / size:.3f}" for part in parts]
        yield [folder, str(len(chosen)), str(size), *bits]


def _kind(row: Row) -> str:
    return Path(row["name"]).name.split(".")[0]


def _sizes(rows: Sequence[Row]) -> dict[str, Sequence[Row]]:
    """Rows by the size that their names give, the shortest pieces first."""
    ordered = sorted(rows, key=lambda row: int(row["content"]))
    labels = dict.fromkeys(Path(row["name"]).name.split(".")[1] for row in ordered)
    return {label: [row for row in rows if f".{label}." in Path(row["name"]).name] for label in labels}


def _mean_of_kinds(rows: Sequence[Row], compressor: str) -> float:
    chosen = [row for row in rows if row["compressor"] == compressor]
    return fmean(
        fmean(8 * row["compressed"] / row["content"] for row in chosen if _kind(row) == kind)
        for kind in {_kind(row) for row in chosen}
    )


def _folders(rows: Sequence[Row]) -> list[tuple[str, Sequence[Row]]]:
    names = sorted({Path(row["name"]).parent.name for row in rows})
    return [(name, [row for row in rows if Path(row["name"]).parent.name == name]) for name in names]


def _bits(rows: Sequence[Row], compressor: str) -> float:
    chosen = [row for row in rows if row["compressor"] == compressor]
    total: float = sum(row["compressed"] for row in chosen)
    content: int = sum(row["content"] for row in chosen)
    return 8 * total / content


def main() -> None:
    """Print the tables of the view and the file named on the command line."""
    view, rows = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    if view == "sizes":
        own = sorted({name for row in rows if (name := row.get("compressor", "")).startswith("vaezip")})
        tables = [sizes(rows), *(kinds(rows, name) for name in own)] if own else [gains(rows)]
    elif view == "folders":
        by = comparison if "compressor" in rows[0] else shares if "mixer_bits" in rows[0] else ablation
        tables = [by(rows)]
    elif view == "files":
        files(rows, sys.stdout)
        return
    else:
        sys.exit(__doc__)
    for table in tables:
        head, *lines = table
        for line in (head, ["---", *["--:"] * (len(head) - 1)], *lines):
            print(f"| {' | '.join(line)} |")
        print()


if __name__ == "__main__":
    main()
