"""`vaezip compress`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vaezip.cli.transform import transform, transform_options


@click.command()
@transform_options
def compress(files: tuple[Path, ...], **options: Any) -> int:
    """Compress FILES: each to a file of the same name with .vz behind it.

    Without FILES, or for -, standard input is compressed to standard output. Inputs are kept.
    """
    return transform(True, files, **options)
