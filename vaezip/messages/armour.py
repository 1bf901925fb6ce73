"""Bytes as letters, for channels that carry nothing else: URLs, QR codes, text messages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import NamedTuple

from vaezip.errors import FormatError

_BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


class Armour(NamedTuple):
    """A way to write bytes as letters."""

    encode: Callable[[bytes], str]
    decode: Callable[[str], bytes]
    """Raises ValueError for letters that cannot be."""


def _base64url_encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _base64url_decode(text: str) -> bytes:
    padded = text + "=" * (-len(text) % 4)
    data = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    if _base64url_encode(data) != text:  # + and /, padding, or bits that are no byte's
        raise ValueError("no bytes are written like that")
    return data


def _base45_encode(data: bytes) -> str:
    """RFC 9285: two bytes are three letters, the lowest digit first; one byte is two."""
    letters = []
    for at in range(0, len(data), 2):
        pair = data[at : at + 2]
        value = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            value, digit = divmod(value, 45)
            letters.append(_BASE45[digit])
    return "".join(letters)


def _base45_decode(text: str) -> bytes:
    data = bytearray()
    for at in range(0, len(text), 3):
        letters = text[at : at + 3]
        value = sum(_BASE45.index(letter) * 45**i for i, letter in enumerate(letters))
        if len(letters) == 1 or value >= 1 << 8 * (len(letters) - 1):
            raise ValueError("no bytes are written like that")
        data += value.to_bytes(len(letters) - 1, "big")
    return bytes(data)


ARMOURS = {
    "base64url": Armour(_base64url_encode, _base64url_decode),
    "base45": Armour(_base45_encode, _base45_decode),
}
"""base64url: RFC 4648, without padding. base45: RFC 9285, in the letters that QR codes have in few bits."""


def encode_armour(data: bytes, armour: str) -> str:
    """Letters for bytes; raises ValueError for an unknown armour."""
    return _armour(armour).encode(data)


def decode_armour(text: str, armour: str) -> bytes:
    """Inverse of `encode_armour`; raises FormatError for what cannot be of that armour, or TypeError."""
    if not isinstance(text, str):
        raise TypeError(f"letters are a str, not {type(text).__name__}")
    try:
        return _armour(armour).decode(text)
    except (ValueError, binascii.Error) as error:
        if armour not in ARMOURS:
            raise
        raise FormatError(f"damaged message: this is not {armour}") from error


def _armour(name: str) -> Armour:
    if name not in ARMOURS:
        raise ValueError(f"armour must be one of {', '.join(ARMOURS)}")
    return ARMOURS[name]
