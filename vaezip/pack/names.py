"""Names of records: the same bytes on every machine; and names of files, which lead nowhere else."""

from __future__ import annotations

import os
import re
from types import ModuleType

from vaezip.naming import parts_below

_DEVICE = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[1-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL
)


def encode_name(name: str) -> bytes:
    """A name as a pack has it: UTF-8, other bytes as they are; raises ValueError."""
    return name.encode("utf-8", "surrogateescape")


def decode_name(name: bytes) -> str:
    """Inverse of `encode_name`, for any bytes."""
    return name.decode("utf-8", "surrogateescape")


def check_name(name: bytes) -> None:
    """Raise ValueError for a name under which no record can be unpacked."""
    parts = name.split(b"/")
    if b"\0" in name or not {b"", b".", b".."}.isdisjoint(parts):
        raise ValueError("the name of a record is that of a file below some folder")


def record_name(file: str, path: ModuleType = os.path) -> bytes:
    """The name of the record that a file becomes, without what leads out of a folder; raises ValueError.

    path: `os.path`, here and in `file_name`, of this machine or of another.
    """
    return encode_name("/".join(parts_below(file, path)))


def file_name(record: bytes, path: ModuleType = os.path) -> str:
    """The name of the file, below some folder, that a record becomes; raises ValueError."""
    check_name(record)
    parts = decode_name(record).split("/")
    if path.sep != "/" and not all(map(_is_plain, parts)):
        raise ValueError("on this machine, that is the name of something else")
    return str(path.join(*parts))


def _is_plain(part: str) -> bool:
    """False for what Windows takes for a path, a drive, a file's stream, a device or a shorter name."""
    return not (re.search(r"[\\:]", part) or part.endswith((".", " ")) or _DEVICE.fullmatch(part))
