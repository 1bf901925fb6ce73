"""What `vaezip compress` and `vaezip decompress` have in common: all but the direction."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import click

from vaezip.cli.common import (
    STDIO,
    Report,
    file_size,
    files_argument,
    mention_slow_engine,
    model_option,
    note,
    progress_bar,
    refuse_terminal_input,
    refuse_terminal_output,
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
        click.option("-o", "--output", metavar="FILE", help="Name of the output file."),
        click.option("-c", "--stdout", is_flag=True, help="Write to standard output; keeps the inputs."),
        files_argument,
    ):
        command = option(command)
    return command


def transform(
    compressing: bool,
    files: tuple[str, ...],
    *,
    stdout: bool,
    output: str | None,
    force: bool,
    keep: bool,
    remove: bool,
    model: str | None,
    threads: int,
    quiet: bool,
    verbose: bool,
    block_size: int | None = None,
    max_output_size: int | None = None,
) -> int:
    """Compress or decompress every file; returns the exit code."""
    from vaezip import jobs
    from vaezip.files import compressed_name, decompressed_name, identities, refuse_clobbering

    act, name = (
        (jobs.compress_file, compressed_name) if compressing else (jobs.decompress_file, decompressed_name)
    )
    sources = files or (STDIO,)
    to_stdout = stdout or output == STDIO
    if output is not None and (len(sources) > 1 or stdout):
        raise click.UsageError("-o names the output of one input, and does not go with -c.")
    if remove and keep:
        raise click.UsageError("-k and --rm contradict each other.")
    if remove and (to_stdout or STDIO in sources):
        raise click.UsageError("--rm does not go with standard input or output.")
    mention_slow_engine(quiet)
    report = Report(quiet)
    job = jobs.Job(
        model=model,
        threads=threads,
        max_output_size=max_output_size,
        overwrite=force,
        remove=remove,
        warn=report.warn,
    )
    if block_size is not None:
        job = dataclasses.replace(job, block_size=block_size)
    inputs = identities([*sources, model] if model else sources)
    for source in sources:
        with report.catch(), progress_bar(source, file_size(source), quiet) as tick:
            target = None
            if output is not None and not to_stdout:
                target = jobs.Target(output, named=True)
            elif not to_stdout and source != STDIO:
                target = jobs.Target(name(source), named=False)
            if target is not None:
                refuse_clobbering(target.path, inputs)
            elif compressing and not force:
                refuse_terminal_output()
            if source == STDIO and not compressing:
                refuse_terminal_input()
            sizes = act(None if source == STDIO else source, target, job, tick)
            if verbose:
                text, coded = (sizes.read, sizes.written) if compressing else (sizes.written, sizes.read)
                ratio = f"{100 * coded / max(1, text):.1f} %, {8 * coded / max(1, text):.3f} bits/byte"
                note(f"{source}: {sizes.read} -> {sizes.written} bytes ({ratio})")
    return report.exit_code
