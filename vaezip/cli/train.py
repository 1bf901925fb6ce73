"""`vaezip train`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import click

from vaezip.errors import FileError, MissingExtraError
from vaezip.network.architecture import Architecture
from vaezip.training.settings import CONTINUED, Settings

_SIZES = Architecture()


def folder_weights(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    """`prose=2` -> {"prose": 2.0}."""
    weights = {}
    for value in values:
        match = re.fullmatch(r"(.+)=(\d+\.?\d*)", value)
        if not match or not float(match[2]):
            raise click.BadParameter(f"{value!r} is not a folder and how often to read it, such as prose=2")
        weights[match[1]] = float(match[2])
    return weights


@click.command()
@click.argument("corpus", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Model file to write (.vzm)."
)
@click.option(
    "-f", "--force", is_flag=True, help="Overwrite the model file, and start anew over a checkpoint."
)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time to train. [default: 20]")
@click.option(
    "--epochs", type=click.FloatRange(min=0, min_open=True), help="How often to read the corpus instead."
)
@click.option("--init", metavar="MODEL", help="Start from this model: a file, or the name of a shipped one.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run, with its settings.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random numbers.")
@click.option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    help=f"Learning rate. [default: {Settings.lr}, with --init {CONTINUED['lr']}]",
)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 0.9),
    help="How much to withhold at random, so that the network does not learn a small corpus by heart. "
    f"[default: {Settings.dropout:g}, with --init {CONTINUED['dropout']}]",
)
@click.option("--threads", type=click.IntRange(1), help="Worker threads. [default: all cores, 8 at most]")
@click.option(
    "--width",
    type=click.IntRange(8, 256),
    help=f"Channels of the decoder. [default: {_SIZES.width}, or those of --init]",
)
@click.option(
    "--layers",
    type=click.IntRange(1, 16),
    help=f"Layers of the decoder. [default: {_SIZES.layers}, or those of --init]",
)
@click.option(
    "--table-bits",
    type=click.IntRange(12, 20),
    help="The largest context tables have 2 to this power rows. "
    f"[default: {max(_SIZES.table_bits)}, or those of --init]",
)
@click.option(
    "--rescript",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of text read in another script, to learn to adapt to scripts that the corpus lacks.",
)
@click.option(
    "--weight",
    "weights",
    metavar="FOLDER=TIMES",
    multiple=True,
    callback=folder_weights,
    help="Read a folder of the corpus that many times as often; may be given for several.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def train(
    corpus: tuple[Path, ...],
    output: Path,
    force: bool,
    minutes: float | None,
    epochs: float | None,
    init: str | None,
    resume: bool,
    seed: int,
    lr: float | None,
    dropout: float | None,
    threads: int | None,
    width: int | None,
    layers: int | None,
    table_bits: int | None,
    rescript: float,
    weights: dict[str, float],
    quiet: bool,
) -> None:
    """Train a model on all files below the folders CORPUS.

    Bytes are bytes: any encoding will do. One file in fifty (of few files, up to one in eight) is kept for
    validation, and the network that is best on these is the one that is written. A checkpoint is kept
    beside the model file until training is done; after an interruption, --resume goes on from it. At the
    end the exact model is measured on the validation files. Needs PyTorch: pip install 'vaezip[train]'.
    """
    if minutes is not None and epochs is not None:
        raise click.UsageError("give either --minutes or --epochs.")
    if init is not None and resume:
        raise click.UsageError("--init starts a run, --resume goes on with one: give either.")
    from tqdm import tqdm

    try:
        from vaezip.training.job import TrainingJob
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("training needs PyTorch: pip install 'vaezip[train]'") from error
    if output.exists() and not force:
        raise FileError(f"{output}: already exists (-f overwrites it)")

    settings = Settings(
        minutes=20.0 if minutes is None and epochs is None else minutes,
        epochs=epochs,
        seed=seed,
        rescript_share=rescript,
        weights=weights,
    )
    if init is not None:
        settings = dataclasses.replace(settings, **CONTINUED)
    given: dict[str, Any] = {"lr": lr, "dropout": dropout, "workers": threads}
    settings = dataclasses.replace(settings, **{k: v for k, v in given.items() if v is not None})
    sizes: dict[str, Any] = {"width": width, "layers": layers}
    if table_bits is not None:
        larger = table_bits - max(_SIZES.table_bits)
        sizes["table_bits"] = tuple(bits + larger for bits in _SIZES.table_bits)
    sizes = {name: size for name, size in sizes.items() if size is not None}
    job = TrainingJob(list(corpus), output, sizes, settings, init=init, resume=resume, restart=force)
    for name, reason in job.corpus.skipped:
        click.echo(f"vaezip: {name}: skipped: {reason}", err=True)
    click.echo(
        f"{len(job.corpus.train)} files, {job.corpus.train_bytes} bytes to train on; "
        f"{len(job.corpus.validation)} files to validate",
        err=True,
    )
    with tqdm(
        total=100, unit="%", disable=True if quiet else None, bar_format="{l_bar}{bar}| {postfix}"
    ) as bar:
        for progress in job.run():
            bar.n = round(100 * progress.share)
            rate = progress.bytes_read / max(1e-9, progress.seconds) / 1e3
            bar.set_postfix_str(
                f"{progress.bytes_read / 1e6:.1f} MB read, {rate:.0f} KB/s, "
                f"{progress.bits_per_byte:.3f} bits/byte + KL {progress.kl_bits:.1f} bits, "
                f"best {progress.validation:.3f} on validation files"
            )
    result = job.finish()
    click.echo(
        f"{output}: {output.stat().st_size} bytes; on {result.files} validation files, {result.bytes} bytes:"
    )
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
            click.echo(f"  {name:26} {value:7.4f} bits/byte")
    click.echo(f"  {'KL per block':26} {result.kl_bits:7.1f} bits")
