"""`vaezip train`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaezip.cli.completion import complete_models
from vaezip.cli.interruption import Interrupted, Interruption, interruption
from vaezip.cli.numbers import DecimalRange, WholeRange
from vaezip.cli.options import PATH
from vaezip.cli.plot import PlotPath
from vaezip.cli.report import complain, mention_slow_engine, note, say
from vaezip.cli.training_progress import TrainingProgress
from vaezip.errors import MissingExtraError, VaezipError, printable
from vaezip.inputs import STDIO
from vaezip.network.architecture import LIMITS, Architecture
from vaezip.training.settings import DEFAULT_MINUTES, FINE_TUNING, ON_GPU, Settings, sizes

if TYPE_CHECKING:
    from vaezip.training.evaluate import Evaluation
    from vaezip.training.ranks import Place
    from vaezip.training.run import TrainingRun

_SIZES = Architecture()
_MOST = 1_000_000  # minutes, epochs, times a folder is read
_NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")  # not "illegal memory access"


def folder_weights(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    """`prose=2` -> {"prose": 2.0}."""
    weights = {}
    for value in values:
        match = re.fullmatch(r"(.+)=([0-9]+\.?[0-9]*)", value, re.DOTALL)
        if not match or not 1 / _MOST <= float(match[2]) <= _MOST:
            raise click.BadParameter(f"{value!r} is not a folder and how often to read it, such as prose=2")
        weights[match[1]] = float(match[2])
    return weights


def _file_name(ctx: click.Context, param: click.Parameter, value: Path) -> Path:
    """A path, which standard output has none of."""
    if str(value) == STDIO:
        raise click.BadParameter("the name of a file is needed.")
    return value


@click.command()
@click.argument("corpus", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, readable=False),
    callback=_file_name,
    help="Model file to write (.vzm).",
)
@click.option(
    "-f",
    "--force",
    is_flag=True,
    help="Overwrite the model file, log and plot, and start anew over a checkpoint.",
)
@click.option(
    "--minutes",
    type=DecimalRange(0, _MOST, min_open=True),
    help=f"Time for all of it, writing and measuring the model included. [default: {DEFAULT_MINUTES:g}]",
)
@click.option(
    "--epochs", type=DecimalRange(0, _MOST, min_open=True), help="How often to read the corpus instead."
)
@click.option(
    "--init",
    metavar="MODEL",
    shell_complete=complete_models,
    help="Fine-tune this model: a file, or a name that vaezip models shows.",
)
@click.option(
    "--teacher",
    metavar="MODEL",
    shell_complete=complete_models,
    help="Learn from what this model, a larger one, predicts as well: half of the loss.",
)
@click.option(
    "--complement",
    is_flag=True,
    default=None,
    help="With --init: bytes count for less where that model's mixer foretells them from the text before.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Resume an interrupted run, with its settings and what is left of its minutes or epochs; "
    "--minutes or --epochs set another total.",
)
@click.option("--seed", type=WholeRange(0, 2**32 - 1), help="Seed of all random numbers. [default: 0]")
@click.option(
    "--lr",
    type=DecimalRange(0, 10, min_open=True),
    help=f"Learning rate. [default: {Settings.lr}, on a GPU {ON_GPU['lr']}, with --init {FINE_TUNING['lr']}]",
)
@click.option(
    "--dropout",
    type=DecimalRange(0, 0.9),
    help="How much to withhold at random, so that the network does not learn a small corpus by heart. "
    f"[default: {Settings.dropout:g}, on a GPU {ON_GPU['dropout']}, with --init {FINE_TUNING['dropout']}]",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Train on a GPU (cuda) or without; auto takes a GPU if PyTorch finds one.",
)
@click.option(
    "--threads",
    "workers",
    type=WholeRange(1, 1024),
    help="Worker threads, without a GPU. [default: all cores, 8 at most]",
)
@click.option(
    "--width",
    type=WholeRange(8, LIMITS["width"][1]),
    help=f"Channels of the decoder. [default: {_SIZES.width}, or those of --init]",
)
@click.option(
    "--layers",
    type=WholeRange(*LIMITS["layers"]),
    help=f"Layers of the decoder. [default: {_SIZES.layers}, or those of --init]",
)
@click.option(
    "--table-bits",
    type=WholeRange(12, 20),
    help="The largest context tables have 2 to this power rows. "
    f"[default: {max(_SIZES.table_bits)}, or those of --init]",
)
@click.option(
    "--rescript",
    "rescript_share",
    type=DecimalRange(0, 1),
    help="Share of text read in another script, to learn to adapt to scripts that the corpus lacks. "
    "[default: 0]",
)
@click.option(
    "--weight",
    "weights",
    metavar="FOLDER=TIMES",
    multiple=True,
    callback=folder_weights,
    help="Read a folder of the corpus that many times as often; may be given for several.",
)
@click.option(
    "--log",
    metavar="CSV",
    type=PATH,
    help="Write a table that grows as training goes: bits per byte, KL, learning rate; --resume goes on with "
    "it; - is standard output.",
)
@click.option(
    "--plot",
    metavar="SVG",
    type=PlotPath(),
    help="Draw these curves at the end of training, and when it is interrupted; - is standard output.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing about the progress.")
def train(
    corpus: tuple[Path, ...],
    output: Path,
    force: bool,
    init: str | None,
    teacher: str | None,
    resume: bool,
    width: int | None,
    layers: int | None,
    table_bits: int | None,
    log: str | None,
    plot: str | None,
    quiet: bool,
    device: str,
    **settings: Any,
) -> int:
    """Train a model on all files below the folders CORPUS.

    \b
    vaezip train mylogs -o logs.vzm --init standard --minutes 5
    vaezip train mylogs -o logs.vzm --init standard --log run.csv --plot curve.svg
    vaezip train mylogs -o logs.vzm --resume --plot curve.svg
    vaezip train library -o small.vzm --teacher large --minutes 360
    torchrun --nproc-per-node 4 -m -- vaezip train library -o large.vzm --width 256 --layers 3

    Bytes are bytes: any encoding will do. One file in fifty (of few files, up to one in eight) is kept
    for validation, and the network that is best on these is the one that is written. A checkpoint is kept
    beside the model file until training is done: after 15 seconds, then every 3 minutes, and when the
    command is interrupted; --resume goes on from it. At the end the exact model is measured on the
    validation files. torchrun, which comes with PyTorch, trains in several processes, one for each GPU of
    one machine or of many; the first one measures and writes. Needs PyTorch: pip install
    'vaezip-text[train]'; --plot needs Matplotlib, too: pip install 'vaezip-text[plot]'. vaezip plot draws a
    log while training goes on.
    """
    began = time.monotonic()
    _refuse_contradictions(settings, init is not None or resume, log, plot)
    with _required():
        from vaezip.training.ranks import Place
        from vaezip.training.run import TrainingRun, how_to_resume
    network = sizes(width, layers, table_bits)
    options = {name: value for name, value in settings.items() if value not in (None, {})}
    if options.get("complement"):
        mention_slow_engine(quiet)
    others: dict[str, Any] = {"init": init, "teacher": teacher, "resume": resume, "overwrite": force}
    others |= {"began": began, "log": log, "plot": plot}
    leads = True
    try:
        with _enough_memory(), interruption() as signals, Place.found(device) as place:
            leads = place.ranks.leads
            if not leads:
                return _follow(list(corpus), output, options, place, signals, log, plot)
            with TrainingRun(list(corpus), output, network, options, place=place, **others) as run:
                result = _carry_out(run, signals, TrainingProgress(quiet, has_bar=log != STDIO))
    except Interrupted as interrupted:
        if leads:
            complain(f"interrupted; {how_to_resume(output)}")
        return interrupted.end()
    _report(output, result, note if STDIO in (log, plot) else say)
    return 2 if run.warnings or run.corpus.unreadable else 0


def _refuse_contradictions(
    settings: dict[str, Any], has_init: bool, log: str | None, plot: str | None
) -> None:
    """Raise UsageError for options that do not go together."""
    if settings["complement"] and not has_init:
        raise click.UsageError("--complement needs --init.")
    if settings["minutes"] is not None and settings["epochs"] is not None:
        raise click.UsageError("give either --minutes or --epochs.")
    if log == plot == STDIO:
        raise click.UsageError("standard output takes either --log or --plot.")


@contextmanager
def _required() -> Iterator[None]:
    """Raise MissingExtraError where PyTorch cannot be imported."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("training needs PyTorch: pip install 'vaezip-text[train]'") from error


@contextmanager
def _enough_memory() -> Iterator[None]:
    """Raise VaezipError where there is not."""
    try:
        yield
    except RuntimeError as error:  # which is what torch makes of it
        if not any(words in str(error) for words in _NO_MEMORY):
            raise
        raise VaezipError("not enough memory to train a network of this size") from error


def _follow(
    corpus: list[Path],
    output: Path,
    options: dict[str, Any],
    place: Place,
    signals: Interruption,
    *others: str | None,
) -> int:
    """Train along with the process that leads, which says when to go; it tells of signals, too."""
    from vaezip.training.follow import follow

    with signals.deferred():
        follow(corpus, output, options, place, without=[Path(path) for path in others if path])
    return 0


def _carry_out(run: TrainingRun, signals: Interruption, telling: TrainingProgress) -> Evaluation:
    corpus = run.corpus
    for name, reason in (*corpus.skipped, *corpus.unreadable):
        complain(f"{name}: skipped: {reason}")
    with telling as progress:
        told = progress.warn(run.warnings)
        progress.say(
            f"{len(corpus.train)} files, {corpus.train_bytes} bytes to train on; "
            f"{len(corpus.validation)} files to validate"
        )
        for notice in run.notices:
            progress.say(notice)
        with signals.deferred():
            for at in run.run():
                progress.show(at)
                told += progress.warn(run.warnings[told:])
                if signals.requested:
                    run.save()
                    break
            run.draw()
            progress.warn(run.warnings[told:])
        return run.finish(progress.say)


def _report(output: Path, result: Evaluation, say: Callable[[str], None]) -> None:
    size = output.stat().st_size
    say(f"{printable(str(output))}: {size} bytes; on {result.files} validation files, {result.bytes} bytes:")
    for name, value in (
        ("as coded", result.coded),
        ("as coded by --init's model", result.coded_before),
        ("exact network, null latent", result.exact_null),
        ("float network, null latent", result.float_null),
        ("float network, -ELBO", result.negative_elbo),
        ("xz -9e", result.xz),
        ("gzip -9", result.gzip),
    ):
        if value is not None:
            say(f"  {name:26} {value:7.4f} bits/byte")
    say(f"  {'KL per block':26} {result.kl_bits:7.1f} bits")
    say("  (the mixer practised on these files, so other text gains less)")
