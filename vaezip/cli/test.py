"""`vaezip test`."""

from __future__ import annotations

from pathlib import Path

import click

from vaezip.cli.common import (
    STDIO,
    Report,
    binary_stdin,
    file_size,
    files_argument,
    model_option,
    progress_bar,
    threads_option,
    verbosity_options,
)


@click.command()
@files_argument
@model_option
@threads_option
@verbosity_options
def test(files: tuple[Path, ...], model: str | None, threads: int, quiet: bool, verbose: bool) -> int:
    """Check FILES: decompress them and compare all checksums, writing nothing.

    Without FILES, or for -, standard input is checked.
    """
    from vaezip import jobs

    report = Report(quiet)
    for source in files or (STDIO,):
        with report.catch(), progress_bar(source.name, file_size(source), quiet) as tick:
            data = binary_stdin(True) if source == STDIO else source
            sizes = jobs.check_file(data, jobs.Job(model=model, threads=threads), tick)
            if not quiet:
                detail = f" ({sizes.read} -> {sizes.written} bytes)" if verbose else ""
                click.echo(f"{source}: ok{detail}")
    return report.exit_code
