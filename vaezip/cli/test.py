"""`vaezip test`."""

from __future__ import annotations

import click

from vaezip.cli.common import (
    STDIO,
    Report,
    file_size,
    files_argument,
    max_output_option,
    mention_slow_engine,
    model_option,
    progress_bar,
    refuse_terminal_input,
    say,
    threads_option,
    verbosity_options,
)
from vaezip.errors import printable


@click.command()
@files_argument
@model_option
@max_output_option
@threads_option
@verbosity_options
def test(
    files: tuple[str, ...],
    model: str | None,
    max_output_size: int | None,
    threads: int,
    quiet: bool,
    verbose: bool,
) -> int:
    """Check FILES: decompress them and compare all checksums, writing nothing.

    Without FILES, or for -, standard input is checked.
    """
    from vaezip import jobs

    mention_slow_engine(quiet)
    report = Report(quiet)
    job = jobs.Job(model=model, threads=threads, max_output_size=max_output_size)
    for source in files or (STDIO,):
        with report.catch(), progress_bar(source, file_size(source), quiet) as tick:
            if source == STDIO:
                refuse_terminal_input()
            sizes = jobs.check_file(None if source == STDIO else source, job, tick)
            if not quiet:
                detail = f" ({sizes.read} -> {sizes.written} bytes)" if verbose else ""
                say(f"{printable(source)}: ok{detail}")
    return report.exit_code
