"""`vaezip bench`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from vaezip.cli.completion import complete_model_list
from vaezip.cli.options import chosen_model, files_argument, model_option, typed
from vaezip.cli.plot import PlotPath
from vaezip.cli.report import Report, json_text, mention_slow_engine, note, say
from vaezip.errors import FileError, printable
from vaezip.inputs import STDIO

if TYPE_CHECKING:
    from vaezip.bench.compressors import Compressor
    from vaezip.bench.measurement import Measurement, Total
    from vaezip.model import Model


def model_names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str]:
    """`standard,logs` -> ["standard", "logs"]."""
    names = [] if value is None else value.split(",")
    if not all(names) or len(set(names)) < len(names):
        raise click.BadParameter(f"{value!r} is not different models with commas between")
    return names


@click.command()
@files_argument
@click.option(
    "--ablation", is_flag=True, help="Show where vaezip's bits go instead of comparing compressors."
)
@click.option("--shares", is_flag=True, help="Show what network and mixer are worth, alone and together.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for scripts and for vaezip plot.")
@click.option(
    "--plot",
    metavar="SVG",
    type=PlotPath(),
    help="Draw size against speed and against the files' sizes, too; - is standard output, without tables.",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite the plot.")
@click.option(
    "--models",
    metavar="A,B",
    callback=model_names,
    shell_complete=complete_model_list,
    help="Compare vaezip with several models; each is a file, or a name that vaezip models shows.",
)
@model_option
def bench(
    files: tuple[str, ...],
    ablation: bool,
    shares: bool,
    as_json: bool,
    plot: str | None,
    force: bool,
    models: list[str],
    model: str | None,
) -> int:
    """Compare vaezip with other compressors on FILES (by default on its own README).

    \b
    vaezip bench notes.txt my.log
    vaezip bench --plot sizes.svg *.txt
    vaezip bench --models standard,logs.vzm *.log

    Sizes are bytes on disk, all headers counted; every compressor's output is decompressed and compared. Of
    several files there are totals, and the ratio of text to compressed bytes, geometric mean of the files.
    brotli, PPMd and zstd take part if their packages are installed (pip install 'vaezip-text[bench]'); a plot
    needs Matplotlib (pip install 'vaezip-text[plot]').
    """
    if (plot is not None or models) and (ablation or shares):
        raise click.UsageError("--plot and --models are about the comparison with other compressors.")
    if ablation and shares:
        raise click.UsageError("give either --ablation or --shares.")
    if models and typed("model"):
        raise click.UsageError("give either -m or --models.")
    if plot == STDIO and as_json:
        raise click.UsageError("standard output takes either --json or --plot.")
    if plot is not None:
        from vaezip.plots import comparison_plot, plot_target
    from vaezip.bench.compressors import compressors
    from vaezip.bench.measurement import totals
    from vaezip.byteio import ByteWriter

    report = Report(quiet=False)
    mention_slow_engine(quiet=False)
    chosen = _load(models, model)
    if ablation or shares:
        (loaded,) = chosen.values()
        _say_where_bits_go(loaded, _texts(files, report), ablation, as_json)
        return report.exit_code
    inputs = [path for path in (*files, *models, model) if path is not None and path != STDIO]
    with nullcontext() if plot is None else plot_target(plot, inputs=inputs, overwrite=force) as sink:
        measurements = _measure(compressors(chosen), _texts(files, report), report, quiet=as_json)
        sums = totals(measurements)
        if as_json:
            _say_json([m._asdict() for m in measurements])
        elif plot != STDIO:
            _show_comparison(measurements, sums)
        if sink is not None and not measurements:
            raise FileError(f"{plot}: not written, since nothing was measured")
        if sink is not None:
            ByteWriter(sink).write(comparison_plot(measurements, sums))
    return report.exit_code


def _say_where_bits_go(
    model: Model, texts: Iterable[tuple[str, bytes]], ablation: bool, as_json: bool
) -> None:
    from vaezip.bench.ablation import ablate, shares

    rows = [(ablate if ablation else shares)(model, name, text)._asdict() for name, text in texts]
    if as_json:
        _say_json(rows)
    else:
        (_show_ablation if ablation else _show_shares)(rows)


def _say_json(rows: Sequence[dict[str, Any]]) -> None:
    """A row a line."""
    say("[" + ",\n ".join(map(json_text, rows)) + "]")


def _load(models: Sequence[str], model: str | None) -> dict[str, Model]:
    """Load models, by the names that they have in the tables."""
    from vaezip.model import load_model

    if models:
        return {f"vaezip -m {name}": load_model(name) for name in models}
    return {"vaezip": load_model(chosen_model(model).to_write)}


def _texts(files: Iterable[str], report: Report) -> list[tuple[str, bytes]]:
    from vaezip.files import read_text

    texts = []
    for path in dict.fromkeys(files):
        source = None if path == STDIO else path
        with report.catch(source):
            texts.append((path, read_text(source)))
    return texts if files else [("README.md", _readme())]


def _measure(
    compressors: Sequence[Compressor], texts: Iterable[tuple[str, bytes]], report: Report, quiet: bool
) -> list[Measurement]:
    from vaezip.bench.compressors import measure

    measurements = []
    for name, text in texts:
        for compressor in compressors:
            with report.catch(name):
                measurements.append(measure(compressor, name, text))
                if not quiet:
                    note(f"{name}: {compressor.name} done")
    return measurements


def _readme() -> bytes:
    from importlib.metadata import PackageNotFoundError, metadata  # a tenth of the time of a small file

    try:
        return str(metadata("vaezip-text").json["description"]).encode()
    except PackageNotFoundError as error:
        raise FileError(
            "README.md: comes with an installed vaezip only; name files to compare with"
        ) from error


def _show_comparison(measurements: Sequence[Measurement], totals: Sequence[Total]) -> None:
    head = ("compressor", "bytes", "bits/byte", "KB/s in", "KB/s out")
    names = list(dict.fromkeys(m.name for m in measurements))
    for name in names:
        chosen = sorted((m for m in measurements if m.name == name), key=lambda m: m.compressed)
        say(f"\n{printable(name)}, {chosen[0].content} bytes")
        _table(head, map(_cells, chosen))
    if len(names) > 1 and totals:
        sums = totals[0].sums
        say(f"\n{sums.name}, {sums.content} bytes; ratio: the geometric mean of the files'")
        _table((*head, "ratio"), ((*_cells(total.sums), f"{total.ratio:.3f}") for total in totals))


def _cells(m: Measurement) -> Sequence[str]:
    speeds = (f"{speed / 1e3:.1f}" for speed in (m.compress_speed, m.decompress_speed))
    return m.compressor, f"{m.compressed}", f"{m.bits_per_byte:.3f}", *speeds


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
            f"{row['fixed_preset_bytes']}",
            row["kept"],
        )
        for row in rows
    ]
    payloads = ("latent", "no bits-back", "null", "null, first preset")
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
