"""`vaezip compress`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from vaezip.cli.transform import transform, transform_options

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}


def byte_size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A number of bytes; K and M mean powers of 1024: `512K` -> 524288."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)([kKmM]?)(i?B)?", value)
    if not match or not 1 <= (size := int(match[1]) * _UNITS[match[2].lower()]) <= _UNITS["m"] * 16:
        raise click.BadParameter(f"{value!r} is not a size from 1 to 16M")
    return size


@click.command()
@click.option(
    "--block-size",
    metavar="SIZE",
    callback=byte_size,
    help="Bytes coded as one: larger blocks are smaller in the end, and use fewer cores. [default: 512K]",
)
@transform_options
def compress(files: tuple[Path, ...], **options: Any) -> int:
    """Compress FILES: each to a file of the same name with .vz behind it.

    Without FILES, or for -, standard input is compressed to standard output. Inputs are kept.
    """
    return transform(True, files, **options)
