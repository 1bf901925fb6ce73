"""Any bytes as characters that can be shown, one by one: where each begins, of which kind it is, its line."""

from __future__ import annotations

import itertools
import unicodedata
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

KINDS = (
    "letters",
    "digits",
    "punctuation",
    "blanks",
    "line ends",
    "control characters",
    "bytes above 127",  # that are no UTF-8
)
_LETTER, _DIGIT, _PUNCTUATION, _BLANK, _LINE_END, _CONTROL, _BYTE = range(len(KINDS))
_CATEGORIES = {"L": _LETTER, "M": _LETTER, "N": _DIGIT, "P": _PUNCTUATION, "S": _PUNCTUATION, "Z": _BLANK}
_JOINER = 0x200D  # of emoji, ZWJ
_ESCAPES = 0xDC00  # where Python puts bytes that are no UTF-8 (PEP 383)


class Characters(NamedTuple):
    """The m characters of a text of n bytes: code points, with the marks that combine with them, or bytes."""

    offsets: NDArray[np.int64]  # where each begins, in bytes, and the end of the text: int64 (m + 1,)
    kinds: NDArray[np.uint8]  # an index of KINDS for each: uint8 (m,)
    # The way each is shown: as itself, tab and newline too; as by `cat -v`; unseen ones as <U+202E>
    shown: list[str]
    # The character that each line begins with, and m: int64 (lines + 1,); a line's end belongs to it
    lines: NDArray[np.int64]

    def sums(self, bits: NDArray[np.float64]) -> NDArray[np.float64]:
        """The bits of each character, given those of each byte: float64 (m,)."""
        return _sums(bits, self.offsets)

    def line_sums(self, bits: NDArray[np.float64]) -> NDArray[np.float64]:
        """The bits of each line, given those of each byte: float64 (lines,)."""
        return _sums(bits, self.offsets[self.lines])


def split_characters(data: bytes) -> Characters:
    """The characters of UTF-8, and bytes where it is none."""
    text = data.decode("utf-8", "surrogateescape")
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)
    lengths = np.where(
        codes >> 8 == _ESCAPES >> 8, 1, 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
    )
    points, which = np.unique(codes, return_inverse=True)
    shown, kinds, marks = zip(*map(_describe, points.tolist()), strict=True) if len(points) else ((), (), ())
    combining, kind_of = np.array(marks, bool)[which], np.array(kinds, np.uint8)[which]
    firsts = np.flatnonzero(~_joined(codes, combining, kind_of))
    pieces = [shown[i] for i in which.tolist()]
    if len(firsts) < len(codes):
        bounds = [*firsts.tolist(), len(codes)]
        pieces = ["".join(pieces[a:b]) for a, b in itertools.pairwise(bounds)]
    for i in np.flatnonzero(combining[firsts]).tolist():  # with nothing to combine with
        pieces[i] = "◌" + pieces[i]
    offsets = np.append(np.cumsum(lengths)[firsts] - lengths[firsts], len(data)).astype(np.int64)
    newlines = np.flatnonzero(codes[firsts] == ord("\n")) + 1
    lines = np.unique(np.concatenate([[0], newlines, [len(firsts)]])).astype(np.int64)
    return Characters(offsets, kind_of[firsts], pieces, lines)


def _sums(bits: NDArray[np.float64], bounds: NDArray[np.int64]) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(bits)])
    sums: NDArray[np.float64] = np.diff(total[bounds])
    return sums


def _joined(
    codes: NDArray[np.int64], marks: NDArray[np.bool_], kinds: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Flags of the code points that belong to the character before them."""
    joined = np.zeros(len(codes), bool)
    visible = kinds <= _PUNCTUATION
    joined[1:] = (marks[1:] & visible[:-1]) | ((codes[:-1] == _JOINER) & visible[1:])
    return joined


def _describe(code: int) -> tuple[str, int, bool]:
    """The way a code point is shown, its kind, and true if it combines with the one before it."""
    if code >> 8 == _ESCAPES >> 8:
        return "M-" + _caret(code - _ESCAPES - 128), _BYTE, False
    if code < 128 and (character := chr(code)) in "\t\n\r":
        return "^M" if character == "\r" else character, _BLANK if character == "\t" else _LINE_END, False
    if code < 32 or code == 127:
        return _caret(code), _CONTROL, False
    category = unicodedata.category(chr(code))
    if code == _JOINER:
        return chr(code), _LETTER, True
    if category in ("Zl", "Zp") or category[0] not in _CATEGORIES:
        return f"<U+{code:04X}>", _CONTROL, False
    return chr(code), _CATEGORIES[category[0]], category[0] == "M"


def _caret(byte: int) -> str:
    """A byte below 128 as `cat -v` shows it."""
    return f"^{chr(byte ^ 64)}" if byte < 32 or byte == 127 else chr(byte)
