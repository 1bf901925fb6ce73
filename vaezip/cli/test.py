"""`vaezip test`."""

from __future__ import annotations

from typing import Any

import click

from vaezip.cli.options import (
    chosen_dictionary,
    chosen_inputs,
    chosen_model,
    dictionary_option,
    input_options,
    max_output_option,
    model_option,
    threads_option,
    verbosity_options,
)
from vaezip.cli.report import Report, mention_slow_engine, refuse_terminal_input, say
from vaezip.errors import printable
from vaezip.inputs import STDIO


@click.command()
@input_options
@model_option
@dictionary_option
@threads_option
@verbosity_options
@max_output_option
def test(
    model: str | None,
    dictionary: str | None,
    max_output_size: int | None,
    threads: int,
    quiet: bool,
    verbose: bool,
    **chosen: Any,
) -> int:
    """Check FILES, packs among them: decompress them and compare all checksums, writing nothing.

    \b
    vaezip test -v *.vz *.vzp

    Without FILES, or for -, standard input is checked. Says nothing if all is well, but with -v.
    """
    from vaezip import fileio
    from vaezip.pack.fileio import Reading, check_pack, is_pack

    report = Report(quiet)
    sources = chosen_inputs(report, compressed=True, **chosen)
    mention_slow_engine(quiet)
    options = fileio.Options(
        model=chosen_model(model, takes_usual=False),
        dictionary=chosen_dictionary(dictionary),
        threads=threads,
        max_output_size=max_output_size,
    )
    reading = Reading(options.model, dictionary, max_output_size)

    def check(source: str | None, number: int) -> None:
        if source is not None and is_pack(source):
            check_pack(
                source, reading, lambda count: report.progress(source, number, len(sources), steps=count)
            )
            return
        if source is None:
            refuse_terminal_input()
        with report.progress(source, number, len(sources)) as tick:
            fileio.check_file(source, options, tick)

    for number, source in enumerate(sources, 1):
        with report.catch(source):
            check(source, number)
            if verbose:
                say(f"{printable(source or STDIO)}: ok")
    return report.exit_code
