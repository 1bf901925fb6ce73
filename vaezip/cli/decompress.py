"""`vaezip decompress`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vaezip.cli.transform import transform, transform_options


@click.command()
@transform_options
def decompress(files: tuple[Path, ...], **options: Any) -> int:
    """Decompress FILES: each to a file of the same name without .vz.

    Without FILES, or for -, standard input is decompressed to standard output. Inputs are kept.
    """
    return transform(False, files, **options)
