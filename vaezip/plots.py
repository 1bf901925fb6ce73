"""Plots of what `vaezip bench` measures and `vaezip train` logs: SVG, drawn by Matplotlib (the extra `plot`).

Text stays text, the ground is transparent, and all tones lie in the middle, so that both a light page and a
dark one will do. The same figures give the same bytes, with the same Matplotlib.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from vaezip.errors import FileError, MissingExtraError, printable
from vaezip.files import open_source
from vaezip.inputs import STDIO
from vaezip.outputs import Sink, open_output

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, Locator, LogLocator, NullLocator
except ModuleNotFoundError as error:
    raise MissingExtraError("a plot needs Matplotlib: pip install 'vaezip-text[plot]'") from error

if TYPE_CHECKING:
    from vaezip.bench.measurement import Measurement, Total
    from vaezip.training.log import Row

_GREY = "#7b7b7b"  # as far from white as from the black of dark pages
_RED, _BLUE, _GREEN, _VIOLET = "#e0482f", "#4f7be8", "#2f9e44", "#a463f2"
_COLOURS = (_RED, _BLUE, _GREEN, "#b0801a", _VIOLET, "#12929e", "#d0559a", "#8d6e5a", "#7f8894")
_MARKERS = "osD^vP*Xph"
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "vaezip",
    "text.parse_math": False,
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # the first is measured, the other is as wide
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    **{f"axes.{part}color": _GREY for part in ("edge", "label", "title")},
    **dict.fromkeys(("grid.color", "legend.labelcolor", "text.color", "xtick.color", "ytick.color"), _GREY),
}
_TITLE = "vaezip: "
_HEAD = 500  # bytes of a plot, in which its title stands
_CLASSES = 2  # of sizes, to a factor of ten


def comparison_plot(measurements: Sequence[Measurement], totals: Sequence[Total]) -> bytes:
    """Size against speed, all files together, and against the files' sizes.

    measurements: at least one. totals: of the same.
    """
    with _style():
        figure = Figure(figsize=(9.6, 4.2), layout="constrained")
        by_speed, by_size = figure.subplots(1, 2, sharey=True)
        names = dict.fromkeys([*(t.sums.compressor for t in totals), *(m.compressor for m in measurements)])
        for number, name in enumerate(names):
            look: dict[str, Any] = {
                "color": _COLOURS[number % len(_COLOURS)],
                "marker": _MARKERS[number % len(_MARKERS)],
                "linewidth": 2.5 if name.startswith("vaezip") else 1.2,
                "markersize": 5,
            }
            points = _by_size([m for m in measurements if m.compressor == name])
            by_size.plot(*zip(*points, strict=True), label=printable(name), **look)
            for sums in (total.sums for total in totals if total.sums.compressor == name):
                speeds, bits = (sums.compress_speed, sums.decompress_speed), sums.bits_per_byte
                by_speed.plot(speeds, (bits, bits), **look, markevery=[0])
                by_speed.plot(speeds[1], bits, **look, fillstyle="none")
        _scale(by_speed, [m.bits_per_byte for m in measurements])
        _decades(by_speed, [t.sums.compress_speed for t in totals], "B/s")
        _decades(by_size, [m.content for m in measurements], "B")
        by_speed.set(title="all files together", xlabel="speed", ylabel="bits per byte (less is better)")
        by_size.set(title="by the file's size", xlabel="size of the file")
        full, hollow = (
            Line2D([], [], color=_GREY, marker="o", linestyle="", markersize=5, fillstyle=style)
            for style in ("full", "none")
        )
        by_speed.legend([full, hollow], ["compress", "decompress"])
        figure.legend(loc="outside right center")
        return _svg(figure, "compressors compared")


def _by_size(measurements: Iterable[Measurement]) -> Iterator[tuple[float, float]]:
    """Mean size and bits per byte of the files of each class of sizes."""
    classes: dict[int, list[Measurement]] = {}
    for m in measurements:
        classes.setdefault(round(_CLASSES * math.log10(m.content)), []).append(m)
    for _, files in sorted(classes.items()):
        size = sum(m.content for m in files)
        yield size / len(files), 8 * sum(m.compressed for m in files) / size


def training_plot(rows: Sequence[Row]) -> bytes:
    """The curves of training and validation, KL and learning rate against the bytes read."""
    with _style():
        figure = Figure(figsize=(8, 7), layout="constrained")
        curves, kl, rate = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1))
        read = [row.bytes_read / 1e6 for row in rows]
        curves.plot(read, [row.bits_per_byte for row in rows], color=_BLUE, label="training")
        validations = [
            (mb, row.validation) for mb, row in zip(read, rows, strict=True) if row.validation is not None
        ]
        if validations:
            best = min(bits for _, bits in validations)
            label = f"validation, best {best:.3f}"
            curves.plot(*zip(*validations, strict=True), color=_RED, marker="o", markersize=4, label=label)
        kl.plot(read, [row.kl_bits for row in rows], color=_GREEN)
        rate.plot(read, [row.learning_rate for row in rows], color=_VIOLET)
        for before, after in pairwise(rows):
            if after.round != before.round:
                for axes in (curves, kl, rate):
                    axes.axvline(after.bytes_read / 1e6, color=_GREY, linestyle=":", linewidth=1)
        _scale(curves, [row.bits_per_byte for row in rows] + [bits for _, bits in validations])
        curves.set(ylabel="bits per byte")
        curves.legend(loc="upper right")
        kl.set(ylabel="KL in bits")
        rate.set(ylabel="learning rate", ylim=(0, None), xlabel="MB read")
        return _svg(figure, "a training run")


def plot_target(path: str, *, inputs: Iterable[str | None], overwrite: bool) -> AbstractContextManager[Sink]:
    """The target of a plot, `-` being standard output; it appears when the body is done.

    Raises FileError before the work if it may not be written there: over one of the `inputs`, for example.
    """
    return open_output(None if path == STDIO else path, inputs=inputs, overwrite=overwrite)


def is_plot(path: str) -> bool:
    """True if a file is one of these plots; not if it cannot be read."""
    try:
        with open_source(path) as source:
            return f"<title>{_TITLE}".encode() in (source.read(_HEAD) or b"")
    except FileError:
        return False


@contextmanager
def _style() -> Iterator[None]:
    """Our style, and nothing of the user's."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def _scale(axes: Axes, bits: Sequence[float]) -> None:
    """A vertical axis for bits per byte: if they differ much, equal distances are equal ratios."""
    if min(bits, default=0) > 0 and max(bits) > 2 * min(bits):
        axes.set_yscale("log", base=2)
        _ticks(axes.yaxis, LogLocator(2, subs=(1.0, 1.5)), lambda value: f"{value:g}")


def _decades(axes: Axes, values: Sequence[float], unit: str) -> None:
    """A logarithmic horizontal axis."""
    axes.set_xscale("log")
    wide = max(values, default=1.0) > 30 * min(values, default=1.0)

    def label(value: float) -> str:
        thousands = min(3, int(math.log10(value) + 1e-9) // 3)
        return f"{value / 1000**thousands:g} {' KMG'[thousands].strip()}{unit}"

    _ticks(axes.xaxis, LogLocator(10, subs=(1.0,) if wide else (1.0, 2.0, 5.0)), label)


def _ticks(axis: Axis, locator: Locator, label: Callable[[float], str]) -> None:
    axis.set_major_locator(locator)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: label(value)))


def _svg(figure: Figure, title: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Title": _TITLE + title, "Date": None, "Creator": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font to measure with lacks
        figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    return buffer.getvalue()
