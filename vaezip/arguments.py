"""What functions of the library are given: TypeErrors that say what it should have been."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, StrOrBytesPath

Buffer: TypeAlias = "ReadableBuffer"
"""Bytes of any kind: bytes, bytearray, memoryview, array.array, mmap, ..."""
Text: TypeAlias = "ReadableBuffer | str"
FilePath: TypeAlias = "StrOrBytesPath"
"""A file's name, as the built-in `open` takes it."""


def buffer(data: Buffer) -> memoryview:
    """The bytes of a buffer of any shape; raises TypeError for what is none, or has gaps."""
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"a bytes-like object is needed, not {type(data).__name__}") from None
    if not view.c_contiguous:
        raise TypeError("a bytes-like object without gaps is needed: bytes(…) makes a copy that has none")
    return view.cast("B") if view.nbytes else memoryview(b"")


def text_bytes(text: Text) -> bytes:
    """Bytes, or UTF-8 for a str; raises TypeError."""
    return text.encode() if isinstance(text, str) else bytes(buffer(text))


def whole_number(value: int, name: str) -> int:
    """The number that is given; raises TypeError, with the argument's name, for what is none."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}") from None
