"""`vaezip show`."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys

import click

from vaezip.cli.options import (
    PATH,
    block_size_option,
    chosen_files,
    chosen_model,
    model_option,
    threads_option,
)
from vaezip.cli.report import Report, json_text, mention_slow_engine, say
from vaezip.inputs import STDIO


@click.command()
@click.argument("file", type=PATH, default=STDIO)
@click.option("--all", "whole", is_flag=True, help="Show every line of a long text, not only the dearest.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Whether to colour; auto: on a terminal, unless NO_COLOR is set.",
)
@click.option(
    "--html",
    metavar="PAGE",
    type=PATH,
    help="Write a page for the browser, in which the pointer shows who predicted what; - is standard output.",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite the page.")
@click.option("--json", "as_json", is_flag=True, help="The bits of every byte, and all sums, for scripts.")
@model_option
@block_size_option
@threads_option
@click.option("-q", "--quiet", is_flag=True, help="No progress bar and no warnings.")
def show(
    file: str,
    whole: bool,
    color: str,
    html: str | None,
    force: bool,
    as_json: bool,
    model: str | None,
    block_size: int | None,
    threads: int,
    quiet: bool,
) -> int:
    """Show what every character of FILE costs, in the file that vaezip compress would make of it.

    \b
    vaezip show notes.txt                    the text in colours, with sums
    vaezip show --html notes.html notes.txt  a page for the browser
    vaezip show --all --color always notes.txt | less -R

    Without FILE, or for -, standard input is read. A text of more than 8 KB or 200 lines is shown by a chart
    of what its parts cost and by its dearest lines. The text and all figures are held in memory.
    """
    from vaezip.fileio import Options, Target
    from vaezip.naming import Guard
    from vaezip.show.fileio import show_file, show_page
    from vaezip.show.terminal import terminal_lines

    if html is not None and (as_json or whole):
        raise click.UsageError("--html goes with neither --json nor --all.")
    report = Report(quiet)
    source = None if file == STDIO else file
    mention_slow_engine(quiet)
    options = Options(model=chosen_model(model), threads=threads, overwrite=force, warn=report.warn)
    if block_size is not None:
        options = dataclasses.replace(options, block_size=block_size)
    with report.catch(source):
        if html is not None:
            target = None if html == STDIO else Target(html, named=True)
            if target is not None:
                inputs = [source, *chosen_files(model)]
                Guard(path for path in inputs if path is not None).check(target.path)
            with report.progress(source, 1, 1, shown=target is not None) as tick:
                show_page(source, target, options, tick)
            return report.exit_code
        with report.progress(source, 1, 1) as tick:
            shown = show_file(source, options, tick)
        if as_json:
            say(json_text(shown.as_json()))
        else:
            colours = color == "always" or (color == "auto" and _has_colours())
            columns = shutil.get_terminal_size().columns
            for line in terminal_lines(shown, colours=colours, columns=columns, whole=whole):
                say(line)
    return report.exit_code


def _has_colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
