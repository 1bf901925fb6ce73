"""`vaezip dict`."""

from __future__ import annotations

from typing import Any

import click

from vaezip.cli.numbers import ByteSize
from vaezip.cli.options import PATH, chosen_texts, text_input_options
from vaezip.cli.report import Report, note, refuse_terminal_output
from vaezip.inputs import STDIO


@click.command("dict")
@text_input_options
@click.option(
    "-o", "--output", metavar="FILE", type=PATH, required=True, help="The dictionary, as in logs.vzd."
)
@click.option(
    "--size",
    metavar="SIZE",
    type=ByteSize(1, "256K"),
    default="32K",
    show_default=True,
    help="Bytes of text to choose: more say more, and take longer to read at every start.",
)
@click.option("--files", "whole_files", is_flag=True, help="Every file is a sample; else every line is.")
@click.option("-f", "--force", is_flag=True, help="Overwrite the output.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
def dict_command(output: str, size: int, whole_files: bool, force: bool, quiet: bool, **chosen: Any) -> int:
    """Make a dictionary of samples: the lines of FILES, or FILES themselves.

    \b
    vaezip dict -o logs.vzd old/*.log   chooses the lines that tell the most about the others
    vaezip -D logs.vzd today.log        compresses, knowing them
    vaezip -d -D logs.vzd today.log.vz  decompresses

    Without FILES, or for -, standard input is read. In folders (-r), files that end in .vz, .vzp, .vzd or
    .vzm are passed over.

    A dictionary pays for many short texts of one kind, each compressed by itself. What was compressed with
    one needs it for ever. In a folder of your models (see vaezip models --help), it is found by itself.
    """
    from vaezip.dictionaries.fileio import write_dictionary

    report = Report(quiet)
    sources = chosen_texts(report, **chosen)
    if not sources:
        return report.exit_code
    with report.catch(output):
        target = None if output == STDIO else output
        if not force:
            refuse_terminal_output(target)
        made = write_dictionary(sources, target, size, whole_files, force, others=chosen["lists"])
        if not quiet:
            note(f"{output}: {made.texts} of {made.samples} samples, {made.size} bytes of text")
    return report.exit_code
