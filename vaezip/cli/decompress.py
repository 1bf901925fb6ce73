"""`vaezip decompress`."""

from __future__ import annotations

from pathlib import Path

import click

from vaezip.cli.common import (
    STDIO,
    Report,
    binary_stdin,
    binary_stdout,
    file_size,
    files_argument,
    model_option,
    output_options,
    plan_targets,
    progress_bar,
    verbosity_options,
)


@click.command()
@files_argument
@output_options
@model_option
@verbosity_options
def decompress(
    files: tuple[Path, ...],
    stdout: bool,
    output: Path | None,
    force: bool,
    keep: bool,
    remove: bool,
    model: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Decompress FILES: each to a file of the same name without .vz.

    Without FILES, or for -, standard input is decompressed to standard output. Inputs are kept.
    """
    from vaezip import jobs
    from vaezip.files import decompressed_name

    report = Report(quiet)
    job = jobs.Job(model=model, overwrite=force, remove=remove and not keep)
    for source, target in plan_targets(files, output, stdout, job.remove, decompressed_name, report):
        with report.catch(), progress_bar(source.name, file_size(source), quiet) as tick:
            out = binary_stdout(False, force) if target is None else target
            data = binary_stdin(True) if source == STDIO else source
            sizes = jobs.decompress_file(data, out, job, tick)
            if verbose:
                click.echo(f"{source}: {sizes.read} -> {sizes.written} bytes", err=True)
    return report.exit_code
