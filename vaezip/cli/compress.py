"""`vaezip compress`."""

from __future__ import annotations

from typing import Any

import click

from vaezip.cli.common import ByteSize
from vaezip.cli.transform import transform, transform_options


@click.command()
@click.option(
    "--block-size",
    metavar="SIZE",
    type=ByteSize(1, "16M"),
    help="Bytes coded as one: larger blocks are smaller in the end, and use fewer cores. [default: 512K]",
)
@transform_options
def compress(files: tuple[str, ...], **options: Any) -> int:
    """Compress FILES: each to a file of the same name with .vz behind it.

    Without FILES, or for -, standard input is compressed to standard output. Inputs are kept.
    """
    return transform(True, files, **options)
