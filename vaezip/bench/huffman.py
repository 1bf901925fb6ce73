"""Huffman coding (1952) by byte counts: for history's sake, in the benchmark only."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping


def huffman_compress(data: bytes) -> bytes:
    """The number of different bytes, these bytes, their counts (4 bytes each), and the coded bytes."""
    counts = dict(sorted(Counter(data).items()))
    codes = _codes(counts)
    table = len(counts).to_bytes(2, "little") + bytes(counts)
    table += b"".join(count.to_bytes(4, "little") for count in counts.values())
    bits = "1" + "".join([codes[byte] for byte in data])
    bits += "0" * (-len(bits) % 8)
    return table + int(bits, 2).to_bytes(len(bits) // 8, "big")


def huffman_decompress(data: bytes) -> bytes:
    """Inverse of `huffman_compress`."""
    used = int.from_bytes(data[:2], "little")
    counts = {
        byte: int.from_bytes(data[2 + used + 4 * i : 6 + used + 4 * i], "little")
        for i, byte in enumerate(data[2 : 2 + used])
    }
    bytes_of = {code: byte for byte, code in _codes(counts).items()}
    coded = data[2 + 5 * used :]
    text, code = bytearray(), ""
    for bit in f"{int.from_bytes(coded, 'big'):0{8 * len(coded)}b}"[1:]:
        code += bit
        if code in bytes_of:
            text.append(bytes_of[code])
            code = ""
    return bytes(text[: sum(counts.values())])


def _codes(counts: Mapping[int, int]) -> dict[int, str]:
    """The code of every byte: its bits, as text."""
    codes = dict.fromkeys(counts, "" if len(counts) > 1 else "0")
    heap = [(count, byte, [byte]) for byte, count in counts.items()]
    heapq.heapify(heap)
    while len(heap) > 1:
        rarest, next_rarest = heapq.heappop(heap), heapq.heappop(heap)
        for bit, (_, _, members) in (("0", rarest), ("1", next_rarest)):
            for byte in members:
                codes[byte] = bit + codes[byte]
        both = rarest[0] + next_rarest[0], rarest[1], rarest[2] + next_rarest[2]
        heapq.heappush(heap, both)
    return codes
