"""`vaezip show --html`: one page for the browser, which loads nothing and sends nothing.

The text stands in the page as text. What its bytes cost, and who predicted them, is packed beside it, and a
script colours what comes near the window: a character's own element would make a page of a megabyte unusable.
"""

from __future__ import annotations

import base64
import html
import json
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip.errors import printable
from vaezip.page_template import fill, read_template
from vaezip.show.account import CLASSES, Shown, class_labels
from vaezip.show.attribution import Attribution
from vaezip.show.costs import BlockCosts

_UNIT = 2048  # to a bit: 24 bits, the most that a byte can cost, fit into 16
_COLUMNS = 240  # of the chart
_HEIGHT = 40  # of the chart
_DEAREST, _EXCERPT = 10, 200  # lines, and characters of each
_CHUNK_LINES, _CHUNK_CHARACTERS = 50, 4096  # that are coloured, and laid out, at once


def page(shown: Shown, attribution: Attribution) -> bytes:
    """The page of a text, in UTF-8."""
    strip = shown.strip(_COLUMNS)
    parts = {
        "name": html.escape(printable(shown.name)),
        "summary": html.escape(_summary(shown)),
        "kinds": "\n".join(_kinds(shown)),
        "account": "\n".join(_account(shown)),
        "columns": str(len(strip)),
        "strip": _path(strip),
        "highest": f"{max(strip, default=0.0):.2f}",
        "dearest": "\n".join(_dearest(shown)),
        "legend": "".join(
            f'<span class="k{i}">{html.escape(label)}</span>' for i, label in enumerate(class_labels())
        ),
        "text": "\n".join(_chunk(shown, chunk) for chunk in _chunks(shown)),
        "page": _json(shown),
        "figures": _figures(shown, attribution),
    }
    return fill(read_template("vaezip.show"), parts).encode()


def _summary(shown: Shown) -> str:
    return f"{shown.sizes()}; model {printable(shown.model)}, {shown.methods()}"


def _kinds(shown: Shown) -> Iterator[str]:
    for row in shown.kinds():
        each, share = row.bits / row.characters, 100 * row.bits / max(shown.costs.text_bits, 1e-9)
        yield _row(row.kind, row.characters, f"{row.bits:.1f}", f"{each:.3f}", f"{share:.1f} %")


def _account(shown: Shown) -> Iterator[str]:
    for item in shown.items():
        yield _row(item.name, item.tenths(), "")
    for name, size in shown.sums():
        yield _row(name, f"{8 * size:.1f}", size).replace("<tr>", '<tr class="sum">')


def _row(*cells: object) -> str:
    return "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _path(strip: NDArray[np.float64]) -> str:
    """The chart's outline: a column for each mean, the highest as high as the chart."""
    heights = _HEIGHT * (1 - strip / max(strip, default=1.0)) if strip.any() else np.full(len(strip), _HEIGHT)
    return f"M0 {_HEIGHT}" + "".join(f"V{height:.1f}h1" for height in heights.tolist()) + f"V{_HEIGHT}Z"


def _dearest(shown: Shown) -> Iterator[str]:
    characters, bits = shown.characters, shown.line_bits()
    for index in shown.dearest_lines(_DEAREST):
        first, end = characters.lines[index : index + 2].tolist()
        excerpt = html.escape("".join(characters.shown[first : min(end, first + _EXCERPT)]).strip())
        place = f'<a href="#b{characters.offsets[first]}">line {index + 1}</a>'
        yield f'<li>{place} <span class="faint">{bits[index]:.1f} bits</span> {excerpt}</li>'


class _Chunk(NamedTuple):
    """Characters from `first` to `end`; `line`, counted from 1, is the first one's; `rest`: begun before."""

    first: int
    end: int
    line: int
    rest: bool


def _chunks(shown: Shown) -> Iterator[_Chunk]:
    """Some lines together, or a part of a very long one."""
    bounds = shown.characters.lines.tolist()
    index, count = 0, len(bounds) - 1
    while index < count:
        end = index + 1
        limit = bounds[index] + _CHUNK_CHARACTERS
        while end < min(count, index + _CHUNK_LINES) and bounds[end + 1] <= limit:
            end += 1
        for first in range(bounds[index], bounds[end], _CHUNK_CHARACTERS):
            last = min(bounds[end], first + _CHUNK_CHARACTERS)
            yield _Chunk(first, last, index + 1, first > bounds[index])
        index = end


def _chunk(shown: Shown, chunk: _Chunk) -> str:
    text = html.escape("".join(shown.characters.shown[chunk.first : chunk.end]), quote=False)
    rest = " data-rest" if chunk.rest else ""
    return f'<div class="chunk" data-first="{chunk.first}" data-line="{chunk.line}"{rest}>{text}</div>'


def _json(shown: Shown) -> str:
    """The data of the script beside the figures; no `<` in it could end the element."""
    blocks = [
        {"offset": block.offset, "method": block.method, "text": _in_words(number, block)}
        for number, block in enumerate(shown.costs.blocks, 1)
    ]
    known = {
        "bytes": len(shown.data),
        "characters": len(shown.characters.shown),
        "unit": _UNIT,
        "classes": CLASSES,
        "blocks": blocks,
    }
    return json.dumps(known).replace("<", "\\u003c")


def _in_words(number: int, block: BlockCosts) -> str:
    if block.method == "stored":
        return f"block {number} is stored: nothing predicts, and every byte takes 8 bits"
    z = "null" if block.method == "null" else f"{' '.join(map(str, block.z))} ({block.latent_bits:.1f} bits)"
    return f"block {number}: latent {z}, preset {block.preset} of the mixer"


def _figures(shown: Shown, attribution: Attribution) -> str:
    """Columns, little-endian, packed, in the order in which the script takes them."""
    characters = shown.characters
    units = [len(piece) + sum(c > "\uffff" for c in piece) for piece in characters.shown]  # of UTF-16
    columns = (
        np.diff(characters.offsets).astype("<u4"),
        np.array(units, "<u4"),
        _fixed(shown.costs.bits),
        _fixed(attribution.network_bits),
        attribution.match_length.astype("<u2"),
        attribution.expected,
        attribution.context << 4 | attribution.followed,
        np.frombuffer(shown.data, np.uint8),
    )
    return base64.b64encode(zlib.compress(b"".join(column.tobytes() for column in columns), 9)).decode()


def _fixed(bits: NDArray[np.float64]) -> NDArray[np.uint16]:
    fixed: NDArray[np.uint16] = np.round(np.nan_to_num(bits) * _UNIT).astype("<u2")
    return fixed
