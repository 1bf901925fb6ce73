"""Numbers as users write them, in plain digits; Python takes 1_0, +3, nan and other digits, too."""

from __future__ import annotations

import re
from typing import Any

import click

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class _Plain(click.ParamType):  # type: ignore[type-arg]  # which click 8.2 does not take
    """A part of what follows."""

    _form: str
    _noun: str

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As in any click.ParamType."""
        if isinstance(value, str) and not re.fullmatch(self._form, value):
            self.fail(f"{value!r} is not a {self._noun}", param, ctx)
        return super().convert(value, param, ctx)


class _Whole(_Plain):
    _form, _noun = "-?[0-9]+", "whole number"


class _Decimal(_Plain):
    _form, _noun = r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", "number"


class Whole(_Whole, click.types.IntParamType):
    """`12`, `-3`."""


class WholeRange(_Whole, click.IntRange):
    """The same, within bounds."""


class Decimal(_Decimal, click.types.FloatParamType):
    """`0.5`, `-3`, `1e-3`."""


class DecimalRange(_Decimal, click.FloatRange):
    """The same, within bounds."""


class WholeList(click.ParamType):  # type: ignore[type-arg]  # as above
    """Whole numbers with commas: `1,0,-2`."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """As in any click.ParamType."""
        if not re.fullmatch("-?[0-9]{1,20}(,-?[0-9]{1,20})*", value):
            self.fail(f"{value!r} is not whole numbers with commas between, such as 1,0,-2", param, ctx)
        return [int(part) for part in value.split(",")]


class ByteSize(click.ParamType):  # type: ignore[type-arg]  # as above
    """A number of bytes; K, M and G mean powers of 1024: `512K` -> 524288."""

    name = "size"

    def __init__(self, least: int, most: str) -> None:
        """most: as users write it."""
        self._least, self._most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """As in any click.ParamType."""
        size = _size(str(value))
        if size is None or not self._least <= size <= (_size(self._most) or 0):
            self.fail(f"{value!r} is not a size from {self._least} to {self._most}", param, ctx)
        return size


def _size(text: str) -> int | None:
    match = re.fullmatch(r"([0-9]{1,20})([kmgt]?)(i?b)?", text, re.IGNORECASE | re.ASCII)
    return int(match[1]) * _UNITS[match[2].lower()] if match else None
