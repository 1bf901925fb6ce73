"""The map as SVG, a mark for each file near those that it is like, and below it the tree."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Sequence

import numpy as np

from vaezip.errors import printable
from vaezip.map.atlas import Atlas
from vaezip.map.layout import Floats

# The picture's style, light or dark as the reader's system is
STYLE = """
svg { --back: #fff; --front: #1b1b1b; --faint: #6a6a6a; --rule: #bbb; }
.k0 { --k: #3f6fd0; } .k1 { --k: #d95f02; } .k2 { --k: #2a9d4f; } .k3 { --k: #c2409b; }
.k4 { --k: #b08900; } .k5 { --k: #17959e; } .k6 { --k: #8659c4; } .k7 { --k: #d43d3d; }
.k8 { --k: #84733f; } .k9 { --k: #7a7f8c; }
@media (prefers-color-scheme: dark) {
  svg { --back: #161616; --front: #e6e6e6; --faint: #9a9a9a; --rule: #555; }
  .k0 { --k: #7fa2f0; } .k1 { --k: #f09a55; } .k2 { --k: #62c983; } .k3 { --k: #e682c8; }
  .k4 { --k: #dfb93c; } .k5 { --k: #56c7cf; } .k6 { --k: #b594e8; } .k7 { --k: #f27a7a; }
  .k8 { --k: #bfae77; } .k9 { --k: #aeb3bf; }
}
.back { fill: var(--back); }
text { font: 12px system-ui, sans-serif; fill: var(--front); }
text.k { fill: var(--k); }
text.faint { fill: var(--faint); }
path.k { fill: var(--k); fill-opacity: 0.8; }
.branches { fill: none; stroke: var(--rule); }
"""
COLOURS = 10
_SHAPES = (
    "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z",
    "m-4 -4h8v8h-8z",
    "m0 -5.5l5 9h-10z",
    "m0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z",
)
_SIDE, _MARGIN = 560, 20  # of the map, in pixels
_LEGEND, _ROW = 340, 16  # how wide it is; how high a line of it or of the tree is
_TREE = 240  # how wide it is, without names
_NAME = 80  # characters of a file's


def picture(atlas: Atlas) -> str:
    """The whole SVG, a file of its own."""
    return "\n".join(elements(atlas, alone=True)) + "\n"


def elements(atlas: Atlas, *, alone: bool) -> Iterator[str]:
    """The SVG, line by line; alone: with its style, and with names that a pointer shows without a script."""
    height = _SIDE + _ROW * (len(atlas.entries) + 2)
    size = f'width="{_SIDE + _LEGEND}" height="{height}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE + _LEGEND} {height}" {size}>'
    if alone:
        yield f"<style>{STYLE}</style>"
    yield f'<rect class="back" {size}/>'
    names = labels([entry.name for entry in atlas.entries])
    kinds = {folder: _kind(number) for number, folder in enumerate(atlas.folders)}
    for number, (x, y) in enumerate(_on_map(atlas.places).tolist()):
        title = f"<title>{_text(names[number])}</title>" if alone else ""
        shape, colour = kinds[atlas.entries[number].folder]
        yield f'<path class="k {colour}" data-file="{number}" d="M{x:.1f} {y:.1f}{shape}">{title}</path>'
    yield from _legend(atlas, kinds)
    yield f'<path class="branches" d="{_branches(atlas)}"/>'
    for row, number in enumerate(atlas.tree.order):
        at = f'x="{_TREE + _MARGIN}" y="{_height(row) + 4:.0f}"'
        colour = kinds[atlas.entries[number].folder][1]
        yield f'<text class="k {colour}" data-file="{number}" {at}>{_text(names[number])}</text>'
    yield "</svg>"


def labels(names: Sequence[str]) -> list[str]:
    """Names in one line, without the folder that all of them lie in, and not too long."""
    shared = os.path.commonprefix(names)  # noqa: RUF071 (what may be half a folder's name is cut off)
    parts = [name[shared.rfind(os.sep) + 1 :] for name in names]
    return [part if len(part) <= _NAME else "…" + part[1 - _NAME :] for part in map(printable, parts)]


def _text(text: str) -> str:
    return html.escape(printable(text), quote=False)


def _kind(folder: int) -> tuple[str, str]:
    """The shape of a folder's marks, and the class of their colour."""
    return _SHAPES[folder // COLOURS % len(_SHAPES)], f"k{folder % COLOURS}"


def _on_map(places: Floats) -> Floats:
    """The places on the map, in pixels, filling it one way or the other."""
    low, high = places.min(axis=0), places.max(axis=0)
    scale = (_SIDE - 2 * _MARGIN) / max(float((high - low).max()), 1e-9)
    moved: Floats = _SIDE / 2 + (places - (low + high) / 2) * scale
    return moved


def _legend(atlas: Atlas, kinds: dict[str, tuple[str, str]]) -> Iterator[str]:
    rows = (_SIDE - 2 * _MARGIN) // _ROW - 1
    for row, folder in enumerate(atlas.folders[:rows]):
        (shape, colour), y = kinds[folder], _MARGIN + _ROW * (row + 1)
        yield f'<path class="k {colour}" d="M{_SIDE + 10} {y}{shape}"/>'
        yield f'<text x="{_SIDE + 22}" y="{y + 4}">{_text(folder)}</text>'
    if len(atlas.folders) > rows:
        y = _MARGIN + _ROW * (rows + 1) + 4
        yield f'<text class="faint" x="{_SIDE + 22}" y="{y}">and {len(atlas.folders) - rows} more</text>'


def _height(row: float) -> float:
    """The height of a row of the tree."""
    return _SIDE + _ROW * (row + 1)


def _branches(atlas: Atlas) -> str:
    """The tree's lines: from right to left, as one comes together after the other."""
    merges = atlas.tree.merges
    x = [_MARGIN + _TREE - 8.0] * len(atlas.entries)
    x += [_MARGIN + (_TREE - 16) * (1 - place / len(merges)) for place in range(1, len(merges) + 1)]
    rows = atlas.tree.at_each(np.argsort(atlas.tree.order).astype(np.float64)).tolist()
    parts = []
    for merge, own in zip(merges, x[len(atlas.entries) :], strict=True):
        ends = [(x[child], _height(rows[child])) for child in (merge.one, merge.other)]
        parts.append("M{:.1f} {:.1f}H{:.1f}V{:.1f}H{:.1f}".format(*ends[0], own, *ends[1][::-1]))
    return "".join(parts)
