"""`vaezip bench`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

from vaezip.cli.options import chosen_model, files_argument, model_option
from vaezip.cli.report import Report, note, say
from vaezip.errors import FileError, printable


@click.command()
@files_argument
@click.option(
    "--ablation", is_flag=True, help="Show where vaezip's bits go instead of comparing compressors."
)
@click.option("--shares", is_flag=True, help="Show what network and mixer are worth, alone and together.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for scripts.")
@model_option
def bench(files: tuple[str, ...], ablation: bool, shares: bool, as_json: bool, model: str | None) -> int:
    """Compare vaezip with other compressors on FILES (by default on its own README).

    Sizes are bytes on disk, all headers counted; every compressor's output is decompressed and compared.
    brotli, PPMd and zstd take part if their packages are installed (pip install '.[bench]').
    """
    from vaezip import bench as library
    from vaezip.files import read_text
    from vaezip.model import load_model

    report = Report(quiet=False)
    given, usual = chosen_model(model)
    loaded = load_model(usual if given is None else given)
    texts = []
    for path in files:
        with report.catch():
            texts.append((path, read_text(path)))
    if not files:
        texts.append(("README.md", _readme()))
    if ablation:
        rows = [library.ablate(loaded, name, text)._asdict() for name, text in texts]
        show = _show_ablation
    elif shares:
        rows = [library.shares(loaded, name, text)._asdict() for name, text in texts]
        show = _show_shares
    else:
        rows = []
        for name, text in texts:
            for compressor in library.compressors(loaded):
                with report.catch():
                    rows.append(library.measure(compressor, name, text)._asdict())
                    if not as_json:
                        note(f"{name}: {compressor.name} done")
        show = _show_comparison
    if as_json:
        say(json.dumps(rows, indent=2))
    else:
        show(rows)
    return report.exit_code


def _readme() -> bytes:
    from importlib.metadata import PackageNotFoundError, metadata  # a tenth of the time of a small file

    try:
        return str(metadata("vaezip-text").json["description"]).encode()
    except PackageNotFoundError as error:
        raise FileError(
            "README.md: comes with an installed vaezip only; name files to compare with"
        ) from error


def _show_comparison(rows: Sequence[dict[str, Any]]) -> None:
    for name in dict.fromkeys(row["name"] for row in rows):
        chosen = [row for row in rows if row["name"] == name]
        say(f"\n{printable(name)}, {chosen[0]['content']} bytes")
        lines = []
        for row in sorted(chosen, key=lambda row: row["compressed"]):
            kilobytes = row["content"] / 1e3
            lines.append(
                (
                    row["compressor"],
                    f"{row['compressed']}",
                    f"{8 * row['compressed'] / max(1, row['content']):.3f}",
                    f"{kilobytes / max(1e-9, row['compress_seconds']):.1f}",
                    f"{kilobytes / max(1e-9, row['decompress_seconds']):.1f}",
                )
            )
        _table(("compressor", "bytes", "bits/byte", "KB/s in", "KB/s out"), lines)


def _show_ablation(rows: Sequence[dict[str, Any]]) -> None:
    say("Information in bits; the last columns are payload bytes, each block's checksum counted.")
    lines = [
        (
            row["name"],
            f"{row['content']}",
            f"{row['x_bits']:.1f}",
            f"{row['z_bits']:.1f}",
            f"{row['returned_bits']}",
            f"{row['x_bits'] + row['z_bits'] - row['returned_bits']:.1f}",
            f"{row['latent_bytes']}",
            f"{row['no_bits_back_bytes']}",
            f"{row['null_bytes']}",
            f"{row['fixed_start_bytes']}",
            row["kept"],
        )
        for row in rows
    ]
    payloads = ("latent", "no bits-back", "null", "null, first start")
    _table(("file", "bytes", "x given z", "z", "got back", "net", *payloads, "kept"), lines)


def _show_shares(rows: Sequence[dict[str, Any]]) -> None:
    say("Information in bits per byte, with the null latent.")
    parts = ("network_bits", "mixer_bits", "both_bits")
    lines = [
        (row["name"], f"{row['content']}", *(f"{row[part] / max(1, row['content']):.3f}" for part in parts))
        for row in rows
    ]
    _table(("file", "bytes", "network alone", "mixer alone", "both"), lines)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """A Markdown table: the first column to the left, the others to the right."""
    rows = [head, *([printable(cell) for cell in line] for line in lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        say("| " + " | ".join(cells) + " |")
        if number == 0:
            say(
                "|"
                + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths))
                + "|"
            )
