"""`vzcat`: what `vaezip -dc` does."""

from __future__ import annotations

from typing import Any

import click

from vaezip.cli.options import (
    dictionary_option,
    input_options,
    max_output_option,
    message_options,
    model_option,
    reading_level_options,
    threads_option,
    verbosity_options,
    version_option,
)
from vaezip.cli.transform import transform


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@input_options
@model_option
@dictionary_option
@threads_option
@message_options
@verbosity_options
@max_output_option
@reading_level_options
@click.option("-d", "--decompress", is_flag=True, expose_value=False, hidden=True)
@click.option("-c", "--stdout", is_flag=True, expose_value=False, hidden=True)
@click.option("-f", "--force", is_flag=True, expose_value=False, hidden=True)
@click.option("-k", "--keep", is_flag=True, expose_value=False, hidden=True)
@click.option("-n", "--no-name", is_flag=True, expose_value=False, hidden=True)
def vzcat(**options: Any) -> int:
    """Decompress FILES to standard output, one after the other, whatever their names end in.

    \b
    vzcat notes.txt.vz | head
    vzcat logs/*.vz | grep error

    Without FILES, or for -, standard input is read. It is vaezip -dc, whose options -c, -d, -f, -k and -n are
    accepted and mean nothing here; no file is ever written.
    """
    return transform(
        False, stdout=True, output=None, output_dir=None, force=False, keep=False, remove=False, **options
    )


vzcat.params.append(version_option)
