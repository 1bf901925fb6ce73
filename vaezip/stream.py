"""Compress and decompress: bytes to bytes, or stream to stream, block by block."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from vaezip import bitsback, container
from vaezip.container import Block, ByteReader, Header, Method
from vaezip.errors import LimitError, ModelMismatchError, TruncatedError
from vaezip.model import Model, load_model

DEFAULT_BLOCK_SIZE = 64 << 10
# Up to this size a block is coded with the null latent as well, and the smaller result kept: beyond it
# the few bits that a latent costs cannot matter, and coding twice would take twice the time.
_TRY_BOTH = 16 << 10
_LANES = 32  # blocks decoded side by side ...
_BATCH_BYTES = 4 << 20  # ... unless they are large

ModelLike = Model | str | Path | None
Ticker = Callable[[int], object]


class Sizes(NamedTuple):
    """Bytes read and bytes written (or, where nothing is written, decoded)."""

    read: int
    written: int


def compress(
    data: bytes | bytearray | memoryview, *, model: ModelLike = None, block_size: int = DEFAULT_BLOCK_SIZE
) -> bytes:
    """The `.vz` frame of `data`.

    model: a loaded model, a path or the name of a shipped one; the standard model by default. Raises
    ModelError if it cannot be used, ValueError for a block size outside 1 .. 16 MiB.
    """
    sink = io.BytesIO()
    compress_stream(io.BytesIO(data), sink, model=model, block_size=block_size, content_size=len(data))
    return sink.getvalue()


def decompress(
    data: bytes | bytearray | memoryview, *, model: ModelLike = None, max_output_size: int | None = None
) -> bytes:
    """The content of all frames of `data`.

    Raises FormatError (or TruncatedError, VersionError) if it is not a whole `.vz`, ModelMismatchError
    if it needs another model, IntegrityError if a checksum disagrees, and LimitError, before decoding
    any further, if the output would exceed `max_output_size` bytes.
    """
    sink = io.BytesIO()
    decompress_stream(io.BytesIO(data), sink, model=model, max_output_size=max_output_size)
    return sink.getvalue()


def compress_stream(
    source: BinaryIO,
    sink: BinaryIO,
    *,
    model: ModelLike = None,
    block_size: int = DEFAULT_BLOCK_SIZE,
    content_size: int | None = None,
    progress: Ticker | None = None,
) -> Sizes:
    """Compress everything that `source` yields into one frame.

    content_size: number of bytes to come, if known (a pipe's is not). progress: called with the number
    of bytes read since the last call. Raises as `compress`, TruncatedError if `source` does not hold
    what `content_size` says, and whatever `source` and `sink` raise.
    """
    if not 1 <= block_size <= container.MAX_BLOCK_SIZE:
        raise ValueError(f"block size must be 1 to {container.MAX_BLOCK_SIZE}")
    model = _loaded(model)
    reader = ByteReader(source)
    content, after = reader.read_some(block_size), reader.read_some(block_size)
    written = 0

    def write(part: bytes) -> None:
        nonlocal written
        sink.write(part)
        written += len(part)

    if not after:
        write(container.short_frame(model.fingerprint, encode_block(model, content)))
        _tick(progress, len(content))
    else:
        header = container.frame_header(model.fingerprint, block_size, content_size)
        index = container.Index(len(header))
        write(header)
        while content:
            encoded = container.encode_block(encode_block(model, content))
            index.add(len(content), len(encoded))
            write(encoded)
            _tick(progress, len(content))
            content, after = after, reader.read_some(block_size)
        write(index.to_bytes())
    if content_size not in (None, reader.position):
        raise TruncatedError("the input changed while it was read")
    return Sizes(reader.position, written)


def decompress_stream(
    source: BinaryIO,
    sink: BinaryIO | None,
    *,
    model: ModelLike = None,
    max_output_size: int | None = None,
    progress: Ticker | None = None,
) -> Sizes:
    """Decompress all frames of `source` into `sink` (None: only check them).

    progress: called with the number of bytes of `source` consumed since the last call. Raises as
    `decompress`.
    """
    reader = ByteReader(source)
    written = ticked = 0
    while (header := container.read_header(reader)) is not None:
        for blocks in _batches(container.read_blocks(reader, header)):
            written += sum(block.size for block in blocks)
            if max_output_size is not None and written > max_output_size:
                raise LimitError(f"the output would be larger than {max_output_size} bytes")
            for content in decode_blocks(model, header.fingerprint, blocks):
                if sink is not None:
                    sink.write(content)
            _tick(progress, reader.position - ticked)
            ticked = reader.position
        _tick(progress, reader.position - ticked)
        ticked = reader.position
    if not reader.position:
        raise TruncatedError("the input is empty: not a .vz file")
    return Sizes(reader.position, written)


class Listing(NamedTuple):
    """One frame, as `list_frames` found it without decoding."""

    header: Header
    compressed_size: int
    content_size: int
    blocks: dict[Method, int]  # how many blocks of each method


def list_frames(source: BinaryIO) -> Iterator[Listing]:
    """Sizes and block counts of every frame of `source`; raises FormatError as `decompress` does."""
    reader = ByteReader(source)
    start = 0
    while (header := container.read_header(reader)) is not None:
        counts, size = dict.fromkeys(Method, 0), 0
        for block in container.read_blocks(reader, header):
            counts[block.method] += 1
            size += block.size
        yield Listing(header, reader.position - start, size, counts)
        start = reader.position
    if not start:
        raise TruncatedError("the input is empty: not a .vz file")


def encode_block(model: Model, content: bytes) -> Block:
    """The smallest block for `content`, of the methods worth trying."""
    blocks = [container.stored(content)]
    for method in methods_to_try(model, len(content)):
        payload = bitsback.encode(model, content, latent=method == Method.VAE).payload
        blocks.append(Block(method, len(content), payload))
    return min(blocks, key=lambda block: len(block.payload))


def methods_to_try(model: Model, size: int) -> list[Method]:
    """Which methods `encode_block` tries for a block of that size, beside storing it."""
    if not size:
        return []
    if not bitsback.can_carry_latent(model, size):
        return [Method.VAE_NULL]
    return [Method.VAE, Method.VAE_NULL] if size <= _TRY_BOTH else [Method.VAE]


def decode_blocks(model: ModelLike, fingerprint: bytes, blocks: list[Block]) -> list[bytes]:
    """The contents of blocks of a frame that names its model by `fingerprint`; raises as `decompress`."""
    contents: dict[int, bytes] = {}
    coded = [i for i, block in enumerate(blocks) if block.method != Method.STORED]
    if coded:
        loaded = _loaded(model)
        if not loaded.fingerprint.startswith(fingerprint):
            raise ModelMismatchError(
                f"made with another model: needs {fingerprint.hex()}…, "
                f"not {loaded.name} ({loaded.fingerprint[: len(fingerprint)].hex()}…)"
            )
        lanes = [
            bitsback.Coded(blocks[i].payload, blocks[i].size, blocks[i].method == Method.VAE) for i in coded
        ]
        contents.update(zip(coded, bitsback.decode(loaded, lanes), strict=True))
    for i, block in enumerate(blocks):
        if block.method == Method.STORED:
            contents[i] = container.stored_content(block)
    return [contents[i] for i in range(len(blocks))]


def _batches(blocks: Iterator[Block]) -> Iterator[list[Block]]:
    batch: list[Block] = []
    for block in blocks:
        batch.append(block)
        if len(batch) == _LANES or sum(b.size for b in batch) >= _BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _loaded(model: ModelLike) -> Model:
    return model if isinstance(model, Model) else load_model(model)


def _tick(progress: Ticker | None, amount: int) -> None:
    if progress is not None:
        progress(amount)
