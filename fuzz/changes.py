"""Inputs: changes of the tiny model that a few bytes describe, and frames damaged by chance."""

from __future__ import annotations

import hashlib
import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from vaezip import container
from vaezip.byteio import ByteReader
from vaezip.container import Block, Method
from vaezip.tensors import read_tensors

TINY = Path(__file__).resolve().parent.parent / "tests" / "data" / "tiny.vzm"
_FINGERPRINT = hashlib.sha256(TINY.read_bytes()).digest()  # in full: a forged size may need more of it
PIECE = 8  # bytes that describe one change of a tensor
_KINDS = [np.float32, np.uint32, np.int32, np.int16, np.int8, np.uint8]

# What tensors are filled with: what bounds are made of, and what lies just beyond them.
_POWERS = [1 << bits for bits in (0, 6, 7, 8, 10, 11, 12, 14, 15, 16, 18, 20, 22, 24, 29, 30, 31)]
PALETTE = [0, *(sign * (power - less) for power in _POWERS for sign in (1, -1) for less in (0, 1))]

Tensors = dict[str, np.ndarray]


def opened() -> tuple[Tensors, dict[str, str], dict[str, Any]]:
    """The tiny model's tensors, metadata and sizes, to be changed."""
    tensors, metadata = read_tensors(TINY.read_bytes())
    return (
        {name: value.copy() for name, value in tensors.items()},
        metadata,
        json.loads(metadata["architecture"]),
    )


def with_header(change: bytes) -> bytes:
    """The tiny model's file, a part of its header replaced: where (2 bytes), how much (1), and by what."""
    file = TINY.read_bytes()
    length = int.from_bytes(file[:8], "little")
    header, at = file[8 : 8 + length], int.from_bytes(change[:2], "little") % length
    removed = change[2] if len(change) > 2 else 0
    header = header[:at] + change[3:] + header[at + removed :]
    return len(header).to_bytes(8, "little") + header + file[8 + length :]


def change(tensors: Tensors, sizes: dict[str, Any], piece: bytes) -> None:
    """Change one tensor or size: which (1 byte), how (4 bits), where (2 bytes) and by what (4 bytes)."""
    how, at = piece[1] % 16, int.from_bytes(piece[2:4], "little")
    number = int.from_bytes(piece[4:8], "little", signed=True)
    if piece[1] & 16:
        number = PALETTE[number % len(PALETTE)]
    names = sorted(name for name in tensors if not name.startswith(("training.", "self_test.")))
    if not names:
        return
    name = names[piece[0] % len(names)]
    value = tensors[name]
    wrapped = np.array([number & 0xFFFFFFFF], np.uint32).astype(f"u{value.itemsize}").view(value.dtype)[0]
    if how < 6:
        value.flat[at * 65537 % value.size] = wrapped
    elif how < 9:
        value.fill(wrapped)
    elif how == 9:
        value[at % len(value)] = wrapped
    elif how == 10:
        np.add(value, wrapped, out=value, casting="unsafe")
    elif how == 11:
        noise = np.random.default_rng(at).integers(0, 256, value.nbytes, np.uint8)
        tensors[name] = noise.view(value.dtype).reshape(value.shape)
    elif how == 12:
        with np.errstate(invalid="ignore"):
            tensors[name] = value.astype(_KINDS[at % len(_KINDS)])
    elif how == 13:
        tensors[name] = value[: max(1, len(value) - 1 - at % 3)] if at & 1 else value.reshape(-1)
    elif how == 14:
        del tensors[name]
    else:
        key = sorted(sizes)[at % len(sizes)]
        sizes[key] = [number % 24] * (at >> 8 & 7) if isinstance(sizes[key], list) else number % 600


def damaged(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Some bytes changed, removed or put in, or parts of others: never a whole one, which would be intact."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        length = min(rng.choice((1, 1, 2, 4, 8, 30)), len(data) // 2)
        kind = rng.randrange(7)
        if kind == 0 and data:
            place = at % len(data)
            data = data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        elif kind == 1:
            data = data[:at] + rng.randbytes(length) + data[at + length :]
        elif kind == 2:
            data = data[:at] + data[at + length :]
        elif kind == 3:
            data = data[:at] + rng.randbytes(length) + data[at:]
        elif kind == 4:
            data = data[:at]
        elif kind == 5:
            other = rng.choice(others)
            begin = rng.randrange(len(other))
            data = data[:at] + other[begin : begin + min(length, len(other) // 2)] + data[at + length :]
        else:
            data = data[:at] + rng.choice((b"\0", b"\xff")) * length + data[at + length :]
    return data


def forged(rng: random.Random, data: bytes) -> bytes:
    """A frame with a field or payload changed, and headers, index and their checksums right again."""
    reader = ByteReader(io.BytesIO(data))
    header = container.read_header(reader)
    assert header is not None
    blocks = list(container.read_blocks(reader, header))
    if not blocks:
        return data
    at = rng.randrange(len(blocks))
    blocks[at] = _forged_block(rng, blocks[at])
    if header.is_short:
        return container.short_frame(_FINGERPRINT, blocks[0])
    assert header.block_size is not None
    head = container.frame_header(_FINGERPRINT, header.block_size, header.content_size)
    index, parts = container.Index(len(head)), [head]
    for block in blocks:
        parts.append(container.encode_block(block))
        index.add(block)
    return b"".join([*parts, index.to_bytes()])


def _forged_block(rng: random.Random, block: Block) -> Block:
    kind = rng.randrange(4)
    if kind == 0:  # never empty: nothing but the header's checksum vouches for nothing
        size = rng.choice(
            (1, block.size + 1, max(1, block.size - 1), rng.randrange(1, 400), 1 << 14, 1 << 24)
        )
        return block._replace(size=size)
    if kind == 1 and block.payload:
        return block._replace(payload=damaged(rng, block.payload, [block.payload]))
    if kind == 2:
        method = rng.choice(list(Method))
        return block._replace(method=method, preset=0 if method == Method.STORED else block.preset)
    return block._replace(preset=rng.randrange(4)) if block.method != Method.STORED else block
