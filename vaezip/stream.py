"""Compress and decompress: bytes to bytes, or stream to stream, block by block."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from vaezip import bitsback, container
from vaezip.byteio import ByteReader, ByteWriter, Readable, Writable
from vaezip.container import Block, Header, Method
from vaezip.errors import LimitError, ModelMismatchError, TruncatedError
from vaezip.model import Model, load_model
from vaezip.redundancy import looks_compressible
from vaezip.workers import in_order, thread_count

DEFAULT_BLOCK_SIZE = 512 << 10
# Up to this size a block is coded with the null latent as well, and the smaller result kept: beyond it
# the few bits that a latent costs cannot matter, and coding twice would take twice the time.
_TRY_BOTH = 16 << 10

ModelLike = Model | str | Path | None
Ticker = Callable[[int], object]


class Sizes(NamedTuple):
    """Bytes read and bytes written (or, where nothing is written, decoded)."""

    read: int
    written: int


def compress(
    data: bytes | bytearray | memoryview,
    *,
    model: ModelLike = None,
    block_size: int = DEFAULT_BLOCK_SIZE,
    threads: int = 1,
) -> bytes:
    """The `.vz` frame of `data`.

    model: a loaded model, a path or the name of a shipped one; the standard model by default. threads: how
    many blocks to work on at once, 0 for one per core; the frame is the same. Raises ModelError if the
    model cannot be used, ValueError for a block size outside 1 .. 16 MiB.
    """
    sink, size = io.BytesIO(), memoryview(data).nbytes
    compress_stream(
        io.BytesIO(data), sink, model=model, block_size=block_size, threads=threads, content_size=size
    )
    return sink.getvalue()


def decompress(
    data: bytes | bytearray | memoryview,
    *,
    model: ModelLike = None,
    max_output_size: int | None = None,
    threads: int = 1,
) -> bytes:
    """The content of all frames of `data`.

    threads: how many blocks to work on at once, 0 for one per core.
    Raises FormatError (or TruncatedError, VersionError) if it is not a whole `.vz`, ModelMismatchError
    if it needs another model, IntegrityError if a checksum disagrees, and LimitError, before decoding
    any further, if the output would exceed `max_output_size` bytes.
    """
    sink = io.BytesIO()
    decompress_stream(io.BytesIO(data), sink, model=model, max_output_size=max_output_size, threads=threads)
    return sink.getvalue()


def compress_stream(
    source: Readable,
    sink: Writable,
    *,
    model: ModelLike = None,
    block_size: int = DEFAULT_BLOCK_SIZE,
    threads: int = 1,
    content_size: int | None = None,
    progress: Ticker | None = None,
) -> Sizes:
    """Compress everything that `source` yields into one frame.

    source, sink: any binary streams; of a raw or non-blocking one, all is read, and all is written.
    content_size: number of bytes to come, if known (a pipe's is not). progress: called with the number
    of bytes read since the last call. Raises as `compress`, TruncatedError if `source` does not hold
    what `content_size` says, and whatever `source` and `sink` raise.
    """
    container.check_block_size(block_size)
    if content_size is not None and content_size < 0:
        raise ValueError("content size must not be negative")
    workers = thread_count(threads)
    model = loaded(model)
    reader, writer = ByteReader(source), ByteWriter(sink)
    content, after = reader.read_some(block_size), reader.read_some(block_size)
    if not after:
        writer.write(container.short_frame(model.fingerprint, encode_block(model, content)))
        _tick(progress, len(content))
    else:
        header = container.frame_header(model.fingerprint, block_size, content_size)
        index = container.Index(len(header))
        writer.write(header)
        contents = itertools.chain([content, after], iter(lambda: reader.read_some(block_size), b""))
        encode = functools.partial(encode_block, model)
        for block in in_order(encode, contents, workers):
            encoded = container.encode_block(block)
            index.add(block.size, len(encoded))
            writer.write(encoded)
            _tick(progress, block.size)
        writer.write(index.to_bytes())
    if content_size not in (None, reader.position):
        raise TruncatedError("the input is not of the size that was said")
    return Sizes(reader.position, writer.position)


def decompress_stream(
    source: Readable,
    sink: Writable | None,
    *,
    model: ModelLike = None,
    max_output_size: int | None = None,
    threads: int = 1,
    progress: Ticker | None = None,
) -> Sizes:
    """Decompress all frames of `source` into `sink` (None: only check them).

    source, sink: any binary streams; of a raw or non-blocking one, all is read, and all is written.
    progress: called with the number of bytes of `source` consumed since the last call. Raises as
    `decompress`, and whatever `source` and `sink` raise.
    """
    if max_output_size is not None and max_output_size < 0:
        raise ValueError("largest output size must not be negative")
    workers = thread_count(threads)
    reader, writer = ByteReader(source), None if sink is None else ByteWriter(sink)
    written = ticked = 0
    load = functools.cache(lambda: loaded(model))  # when a block needs it, and the same for all
    while (header := container.read_header(reader)) is not None:
        blocks = _limited(container.read_blocks(reader, header), max_output_size, written)
        decode = functools.partial(decode_block, load, header.fingerprint)
        for content in in_order(decode, blocks, workers):
            if writer is not None:
                writer.write(content)
            written += len(content)
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


def list_frames(source: Readable) -> Iterator[Listing]:
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
    if methods := methods_to_try(model, content):
        start, looked = bitsback.choose_start(model, content)
        for method in methods:
            latent = method == Method.VAE
            coded = bitsback.encode(model, content, latent=latent, start=start, looked=looked)
            blocks.append(Block(method, len(content), coded.payload, start))
    return min(blocks, key=lambda block: len(block.payload))


def methods_to_try(model: Model, content: bytes) -> list[Method]:
    """Which methods `encode_block` tries for a block, beside storing it."""
    if not content:
        return []
    if not bitsback.can_carry_latent(model, len(content)):
        return [Method.VAE_NULL]
    if len(content) <= _TRY_BOTH:
        return [Method.VAE, Method.VAE_NULL]
    return [Method.VAE] if looks_compressible(content) else []


def decode_block(load: Callable[[], Model], fingerprint: bytes, block: Block) -> bytes:
    """The content of a block of a frame that names its model by `fingerprint`; raises as `decompress`.

    load: gives the model, if one is needed.
    """
    if block.method == Method.STORED:
        return container.stored_content(block)
    model = load()
    if not model.fingerprint.startswith(fingerprint):
        raise ModelMismatchError(
            f"made with another model: needs {fingerprint.hex()}…, "
            f"not {model.name} ({model.fingerprint[: len(fingerprint)].hex()}…); -m chooses one"
        )
    coded = bitsback.Coded(block.payload, block.size, block.method == Method.VAE, block.start)
    return bitsback.decode(model, coded)


def _limited(blocks: Iterator[Block], limit: int | None, before: int) -> Iterator[Block]:
    """Raises LimitError before a block would take the output beyond its limit."""
    total = before
    for block in blocks:
        total += block.size
        if limit is not None and total > limit:
            raise LimitError(f"the output would be larger than {limit} bytes")
        yield block


def loaded(model: ModelLike) -> Model:
    """The model that is meant; raises ModelError."""
    return model if isinstance(model, Model) else load_model(model)


def _tick(progress: Ticker | None, amount: int) -> None:
    if progress is not None:
        progress(amount)
