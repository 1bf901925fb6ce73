"""Texts written for the tests: in ten languages, of several kinds, and what can be made of them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"


def noise(size: int) -> bytes:
    """Bytes that do not compress, the same everywhere."""
    parts = (hashlib.sha256(number.to_bytes(4, "little")).digest() for number in range(-(-size // 32)))
    return b"".join(parts)[:size]


@cache
def texts() -> dict[str, bytes]:
    """Name and content: the files of tests/data/texts, and others that are made of them."""
    files = {path.stem: path.read_bytes() for path in sorted((DATA / "texts").glob("*.txt"))}
    together = b"\n".join(files.values())
    return {
        **files,
        "empty": b"",
        "letter": b"v",
        "noise": noise(1000),
        "utf-16": files["greek"].decode().encode("utf-16-le"),
        "latin-1": files["german"].decode().encode("cp1252"),
        "numbers": b"".join((number**3).to_bytes(4, "little") for number in range(500)),
        "together": together,
        "thrice": together + noise(2000) + together[::-1] + together,
    }
