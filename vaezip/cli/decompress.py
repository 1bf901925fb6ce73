"""`vaezip decompress`."""

from __future__ import annotations

from typing import Any

import click

from vaezip.cli.common import max_output_option
from vaezip.cli.transform import transform, transform_options


@click.command()
@max_output_option
@transform_options
def decompress(files: tuple[str, ...], **options: Any) -> int:
    """Decompress FILES: each to a file of the same name without .vz.

    Without FILES, or for -, standard input is decompressed to standard output. Inputs are kept.
    """
    return transform(False, files, **options)
