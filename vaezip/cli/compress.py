"""`vaezip compress`."""

from __future__ import annotations

from typing import Any

import click

from vaezip.cli.options import block_size_option, level_options
from vaezip.cli.transform import transform, transform_options


@click.command()
@transform_options
@block_size_option
@level_options
def compress(**options: Any) -> int:
    """Compress FILES: each to a file of the same name with .vz behind it.

    \b
    vaezip compress notes.txt
    cat notes.txt | vaezip compress > notes.txt.vz

    Without FILES, or for -, standard input is compressed to standard output. Inputs are kept.
    """
    return transform(True, **options)
