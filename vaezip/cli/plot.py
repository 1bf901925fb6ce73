"""`vaezip plot`, and what other commands share of it."""

from __future__ import annotations

import os
from typing import Any

import click

from vaezip.cli.options import PATH
from vaezip.inputs import STDIO


class PlotPath(click.Path):
    """The path of a plot, whose suffix is of no other kind of picture."""

    def __init__(self) -> None:
        super().__init__(readable=False, allow_dash=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As in any click.ParamType."""
        path = str(super().convert(value, param, ctx))
        if os.path.splitext(path)[1].lower() not in ("", ".svg"):
            self.fail(f"{value!r}: a plot is an SVG, so let its name end in .svg", param, ctx)
        return path


@click.command()
@click.argument("file", type=PATH, default=STDIO)
@click.option(
    "-o",
    "--output",
    metavar="SVG",
    type=PlotPath(),
    default=STDIO,
    help="Where to write it. [default: standard output]",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite the plot.")
def plot(file: str, output: str, force: bool) -> None:
    """Draw FILE, which bench --json or train --log has written, as an SVG.

    \b
    vaezip plot run.csv -o curve.svg
    vaezip bench --json *.txt | vaezip plot > sizes.svg

    Without FILE, or for -, standard input is read. Needs Matplotlib: pip install 'vaezip-text[plot]'.
    """
    from vaezip.byteio import ByteReader, ByteWriter
    from vaezip.fileio import opened
    from vaezip.plots import plot_target

    source = None if file == STDIO else file
    with plot_target(output, inputs=(source,), overwrite=force) as sink:
        with opened(source, any_kind=True) as content:
            data = ByteReader(content).read_all()
        ByteWriter(sink).write(_drawn(data, source or "standard input"))


def _drawn(data: bytes, name: str) -> bytes:
    from vaezip import plots

    if data.lstrip().startswith(b"["):
        from vaezip.bench.measurement import read_measurements, totals

        measurements = read_measurements(data, name)
        return plots.comparison_plot(measurements, totals(measurements))
    from vaezip.training.log import read_log

    return plots.training_plot(read_log(data, name))
