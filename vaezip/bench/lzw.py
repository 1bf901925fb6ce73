"""LZW (Welch 1984), as Unix `compress` did it: for history's sake, in the benchmark only."""

from __future__ import annotations

_MAX_BITS = 16
_CLEAR = 256  # not a string: the next code after the 256 single bytes


def lzw_compress(data: bytes) -> bytes:
    """Codes of 9 to 16 bits, the dictionary frozen when it is full."""
    table = {bytes([i]): i for i in range(256)}
    size, bits, held, out = _CLEAR, 0, 0, bytearray()
    word = b""
    for value in data:
        longer = word + bytes([value])
        if longer in table:
            word = longer
            continue
        width = _width(size)
        held |= table[word] << bits
        bits += width
        while bits >= 8:
            out.append(held & 255)
            held >>= 8
            bits -= 8
        if size < 1 << _MAX_BITS:
            table[longer] = size
            size += 1
        word = bytes([value])
    if word:
        held |= table[word] << bits
        bits += _width(size)
    return bytes(out) + held.to_bytes((bits + 7) // 8, "little")


def lzw_decompress(data: bytes) -> bytes:
    """Inverse of `lzw_compress`."""
    table = [bytes([i]) for i in range(256)]
    held = bits = 0
    out: list[bytes] = []
    stream = iter(data)
    while True:
        # The encoder's dictionary is one entry ahead, but for the first code and a full one.
        width = _width(min(len(table) + bool(out), 1 << _MAX_BITS))
        while bits < width:
            value = next(stream, None)
            if value is None:
                return b"".join(out)
            held |= value << bits
            bits += 8
        code = held & ((1 << width) - 1)
        held >>= width
        bits -= width
        if out and len(table) < 1 << _MAX_BITS:
            known = table[code] if code < len(table) else out[-1]
            table.append(out[-1] + known[:1])
        out.append(table[code])


def _width(size: int) -> int:
    return max(9, min(_MAX_BITS, size.bit_length()))
