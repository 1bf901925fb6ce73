"""`vaezip show` in a terminal: lines of text, coloured by what each character costs."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator

from vaezip.errors import printable
from vaezip.show.account import Shown, class_labels, cost_classes

# Background and text of each class, of 256 colours: neither light nor dark, since terminals are either.
_COLOURS = (None, (66, 231), (72, 16), (143, 16), (178, 16), (208, 16), (160, 231))
_LONG_BYTES, _LONG_LINES = 8192, 200  # beyond which a text is not shown as a whole unless asked
_DEAREST = 12  # lines
_BARS = "▁▂▃▄▅▆▇█"
_GUTTER = 17  # columns before a line's text
_VISIBLE = {"\n": "↵", "\t": "→   "}
_JOINER = "\u200d"


def terminal_lines(shown: Shown, *, colours: bool, columns: int, whole: bool = False) -> Iterator[str]:
    """The lines to print.

    columns: of the terminal. whole: the text itself, however long it is.
    """
    yield f"{printable(shown.name)}: {shown.sizes()}"
    yield f"model {printable(shown.model)}, {shown.methods()}"
    count = len(shown.characters.lines) - 1
    text = _Text(shown, colours)
    yield ""
    if whole or (len(shown.data) <= _LONG_BYTES and count <= _LONG_LINES):
        yield "  line      bits"
        yield from (text.line(index) for index in range(count))
    else:
        yield from _strip(shown, columns)
        yield from ("", f"The dearest of {count} lines; --all shows them all.", "  line      bits")
        yield from (text.line(index, columns - _GUTTER) for index in shown.dearest_lines(_DEAREST))
    if colours:
        labels = (_painted(f" {label} ", kind) for kind, label in enumerate(class_labels()))
        yield from ("", "Bits of a character:" + "".join(labels))
    yield from ("", *_kinds(shown), "", *_account(shown))


class _Text:
    """The text, line by line."""

    def __init__(self, shown: Shown, colours: bool) -> None:
        self._characters = shown.characters
        self._classes = cost_classes(shown.characters.sums(shown.costs.bits)).tolist()
        self._bits = shown.line_bits().tolist()
        self._colours = colours

    def line(self, index: int, room: int | None = None) -> str:
        """A line behind its number and sum, cut to so many columns."""
        first, end = self._characters.lines[index : index + 2].tolist()
        pieces = [_VISIBLE.get(piece, piece) for piece in self._characters.shown[first:end]]
        fitting = len(pieces) if room is None else _fitting(pieces, room)
        cut = "…" if fitting < len(pieces) else ""
        classes = self._classes[first : first + fitting] if self._colours else [0] * fitting
        runs = itertools.groupby(zip(classes, pieces, strict=False), lambda pair: pair[0])
        painted = (_painted("".join(piece for _, piece in run), kind) for kind, run in runs)
        return f"{index + 1:6} {self._bits[index]:9.1f} {''.join(painted)}{cut}"


def _painted(text: str, kind: int) -> str:
    """Text in the colours of a class."""
    if (colours := _COLOURS[kind]) is None:
        return text
    background, foreground = colours
    return f"\x1b[38;5;{foreground};48;5;{background}m{text}\x1b[0m"


def _fitting(pieces: list[str], room: int) -> int:
    """The number of pieces that fit into so many columns, the last kept for the mark of a cut."""
    ends = list(itertools.accumulate(map(_width, pieces)))
    return len(pieces) if not ends or ends[-1] <= room else sum(end < room for end in ends)


def _width(piece: str) -> int:
    """Columns that a character takes."""
    if _JOINER in piece:
        return 2
    visible = (c for c in piece if unicodedata.category(c) not in ("Mn", "Me"))
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in visible)


def _strip(shown: Shown, columns: int) -> Iterator[str]:
    means = shown.strip(max(1, columns))
    highest = max(float(means.max()), 1e-9)
    levels = (means / highest * len(_BARS)).astype(int).clip(0, len(_BARS) - 1)
    each = -(-len(shown.data) // len(means))
    yield f"Bits per byte along the file, 0 to {highest:.2f}, {each} bytes a column:"
    yield "".join(_BARS[level] for level in levels.tolist())


def _kinds(shown: Shown) -> Iterator[str]:
    total = shown.costs.text_bits
    yield f"{'kind':20} {'characters':>10} {'bits':>12} {'bits each':>10} {'share':>7}"
    for row in shown.kinds():
        share = f"{100 * row.bits / max(total, 1e-9):.1f} %"
        each = f"{row.bits / row.characters:.3f}"
        yield f"{row.kind:20} {row.characters:10} {row.bits:12.1f} {each:>10} {share:>7}"


def _account(shown: Shown) -> Iterator[str]:
    yield f"{'in the file':20} {'bytes':>10} {'bits':>12}"
    for item in shown.items():
        yield f"{item.name:20} {'':10} {item.tenths():>12}"
    for name, size in shown.sums():
        yield f"{name:20} {size:10} {8 * size:12.1f}"
