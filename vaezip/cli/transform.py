"""What `vaezip compress` and `vaezip decompress` have in common: all but the direction."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from vaezip.cli.common import (
    STDIO,
    Report,
    binary_stdin,
    binary_stdout,
    file_size,
    files_argument,
    model_option,
    progress_bar,
    threads_option,
    verbosity_options,
)

F = TypeVar("F", bound=Callable[..., Any])


def transform_options(command: F) -> F:
    """FILES, -c, -o, -f, -k, --rm, -m, -T, -q and -v."""
    for option in (
        verbosity_options,
        threads_option,
        model_option,
        click.option("--rm", "remove", is_flag=True, help="Remove each input once its output is safe."),
        click.option("-k", "--keep", is_flag=True, help="Keep the inputs (the default)."),
        click.option("-f", "--force", is_flag=True, help="Overwrite files; write binary data to a terminal."),
        click.option("-o", "--output", type=click.Path(path_type=Path), help="Name of the output file."),
        click.option("-c", "--stdout", is_flag=True, help="Write to standard output; keeps the inputs."),
        files_argument,
    ):
        command = option(command)
    return command


def transform(
    compressing: bool,
    files: tuple[Path, ...],
    *,
    stdout: bool,
    output: Path | None,
    force: bool,
    keep: bool,
    remove: bool,
    model: str | None,
    threads: int,
    quiet: bool,
    verbose: bool,
    block_size: int | None = None,
) -> int:
    """Compress or decompress every file; returns the exit code."""
    from vaezip import jobs
    from vaezip.files import compressed_name, decompressed_name

    act, name = (
        (jobs.compress_file, compressed_name) if compressing else (jobs.decompress_file, decompressed_name)
    )
    report = Report(quiet)
    job = jobs.Job(model=model, threads=threads, overwrite=force, remove=remove and not keep)
    if block_size is not None:
        job = dataclasses.replace(job, block_size=block_size)
    for source, target in _plan(files, output, stdout, job.remove, name, report):
        with report.catch(), progress_bar(source.name, file_size(source), quiet) as tick:
            out = binary_stdout(compressing, force) if target is None else target
            data = binary_stdin(not compressing) if source == STDIO else source
            sizes = act(data, out, job, tick)
            if verbose:
                text, coded = (sizes.read, sizes.written) if compressing else (sizes.written, sizes.read)
                ratio = f"{100 * coded / max(1, text):.1f} %, {8 * coded / max(1, text):.3f} bits/byte"
                click.echo(f"{source}: {sizes.read} -> {sizes.written} bytes ({ratio})", err=True)
    return report.exit_code


def _plan(
    files: Iterable[Path],
    output: Path | None,
    stdout: bool,
    remove: bool,
    name: Callable[[Path], Path],
    report: Report,
) -> list[tuple[Path, Path | None]]:
    """Pairs of input and output; None is standard output. Usage errors and clobbering are refused."""
    from vaezip.files import refuse_clobbering

    sources = list(files) or [STDIO]
    if output is not None and (len(sources) > 1 or stdout):
        raise click.UsageError("-o names the output of one input, and does not go with -c.")
    if remove and (stdout or STDIO in sources or output == STDIO):
        raise click.UsageError("--rm does not go with standard input or output.")
    pairs: list[tuple[Path, Path | None]] = []
    for source in sources:
        with report.catch():
            if stdout or output == STDIO or (output is None and source == STDIO):
                pairs.append((source, None))
            else:
                pairs.append((source, output if output is not None else name(source)))
    refuse_clobbering([s for s in sources if s != STDIO], [t for _, t in pairs if t is not None])
    return pairs
