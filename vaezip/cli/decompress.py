"""`vaezip decompress`."""

from __future__ import annotations

from typing import Any

import click

from vaezip.cli.options import max_output_option, reading_level_options
from vaezip.cli.transform import transform, transform_options


@click.command()
@transform_options
@max_output_option
@reading_level_options
def decompress(**options: Any) -> int:
    """Decompress FILES: each to a file of the same name without .vz.

    \b
    vaezip decompress notes.txt.vz
    vaezip decompress -c notes.txt.vz | head

    Without FILES, or for -, standard input is decompressed to standard output. Inputs are kept.
    """
    return transform(False, **options)
