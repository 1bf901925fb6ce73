"""Compress and decompress: bytes to bytes, or stream to stream, block by block."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from vaezip import container
from vaezip.arguments import Buffer, buffer, whole_number
from vaezip.at_hand import AtHand
from vaezip.block import DEFAULT_BLOCK_SIZE, blocks_in_step, decode_blocks
from vaezip.byteio import ByteReader, ByteWriter, Readable, Writable
from vaezip.container import Block, Header
from vaezip.dictionaries.dictionary import DictionaryLike, loaded_dictionary
from vaezip.errors import LimitError, TruncatedError, VaezipError
from vaezip.frame_encoder import FrameEncoder
from vaezip.known_models import ModelLike, Models, loaded
from vaezip.meter import Meter, Part, Ticker
from vaezip.workers import batches, in_order, thread_count


class Sizes(NamedTuple):
    """Bytes read and bytes written (or, where nothing is written, decoded)."""

    read: int
    written: int


def compress(
    data: Buffer,
    *,
    model: ModelLike = None,
    dictionary: DictionaryLike = None,
    block_size: int = DEFAULT_BLOCK_SIZE,
    threads: int = 1,
) -> bytes:
    """The `.vz` frame of `data`.

    model: a loaded model, or the path or name of one; the standard model by default. dictionary: likewise, of
    texts of the same kind; none by default. block_size: bytes of text that are coded as one. threads: how
    many blocks to work on at once, 0 for one per core; the frame is the same. Raises ModelError if the model
    cannot be used, DictionaryError likewise, ValueError for a block size outside 1 .. 16 MiB.
    """
    sink, size = io.BytesIO(), buffer(data).nbytes
    compress_stream(
        io.BytesIO(data),
        sink,
        model=model,
        dictionary=dictionary,
        block_size=block_size,
        threads=threads,
        content_size=size,
    )
    return sink.getvalue()


def decompress(
    data: Buffer,
    *,
    model: ModelLike = None,
    dictionary: DictionaryLike = None,
    max_output_size: int | None = None,
    threads: int = 1,
) -> bytes:
    """The content of all frames of `data`.

    model, dictionary: the only ones to use; by default those which the frame names, among all at hand.
    threads: as in `compress`.

    Raises FormatError (or TruncatedError, VersionError) if it is not a whole `.vz`, ModelMismatchError
    if it needs another model, DictionaryError if it needs another dictionary, IntegrityError if a checksum
    disagrees, and LimitError, before decoding any further, if the output would exceed `max_output_size`
    bytes.
    """
    sink = io.BytesIO()
    decompress_stream(
        io.BytesIO(data if isinstance(data, bytes) else buffer(data)),  # BytesIO takes None for empty
        sink,
        model=model,
        dictionary=dictionary,
        max_output_size=max_output_size,
        threads=threads,
    )
    return sink.getvalue()


def compress_stream(
    source: Readable,
    sink: Writable,
    *,
    model: ModelLike = None,
    dictionary: DictionaryLike = None,
    block_size: int = DEFAULT_BLOCK_SIZE,
    threads: int = 1,
    content_size: int | None = None,
    progress: Ticker | None = None,
) -> Sizes:
    """Compress everything that `source` yields into one frame.

    source, sink: any binary streams; of a raw or non-blocking one, all is read, and all is written.
    content_size: number of bytes to come, if known (a pipe's is not). progress: called with the number
    of bytes coded since the last call, every few thousand, by any thread but one at a time. Raises as
    `compress`, TruncatedError if `source` holds less than `content_size` says, VaezipError as soon as it
    holds more, and whatever `source` and `sink` raise; what `sink` has got then is no whole frame.
    """
    if content_size is not None and whole_number(content_size, "content size") < 0:
        raise ValueError("content size must not be negative")
    reader, writer = ByteReader(source), ByteWriter(sink)
    dictionary = None if dictionary is None else loaded_dictionary(dictionary)
    encoder = FrameEncoder(loaded(model), block_size, threads, content_size, progress, dictionary)
    try:
        while data := reader.read_some(block_size):
            if content_size is not None and reader.position > content_size:
                raise VaezipError(f"the input is longer than was said: {content_size} bytes")
            for part in encoder.feed(data):
                writer.write(part)
        if content_size is not None and reader.position < content_size:
            raise TruncatedError(
                f"the input is shorter than was said: {reader.position} of {content_size} bytes"
            )
        for part in encoder.finish():
            writer.write(part)
    finally:
        encoder.close()
    return Sizes(reader.position, writer.position)


def decompress_stream(
    source: Readable,
    sink: Writable | None,
    *,
    model: ModelLike | Models = None,
    dictionary: DictionaryLike = None,
    max_output_size: int | None = None,
    threads: int = 1,
    progress: Ticker | None = None,
) -> Sizes:
    """Decompress all frames of `source` into `sink` (None: only check them).

    source, sink: any binary streams; of a raw or non-blocking one, all is read, and all is written.
    progress: called with the number of bytes of `source` that have been decoded since the last call, as by
    `compress_stream`. Raises as `decompress`, and whatever `source` and `sink` raise.
    """
    if max_output_size is not None and whole_number(max_output_size, "largest output size") < 0:
        raise ValueError("largest output size must not be negative")
    workers = thread_count(threads)
    reader, writer = ByteReader(source), None if sink is None else ByteWriter(sink)
    meter, written = Meter(progress), 0
    at_hand = AtHand.of(model, dictionary)
    for header in container.read_frames(reader):
        blocks = _limited(container.read_blocks(reader, header), max_output_size, written)
        decode = functools.partial(_decode, at_hand, header, meter)
        in_step = functools.partial(blocks_in_step, at_hand, header)
        for content in _contents(decode, blocks, in_step, workers):
            if writer is not None:
                writer.write(content)
            written += len(content)
        meter.add(reader.position - meter.total)
    return Sizes(reader.position, written)


def _contents(
    decode: Callable[[Sequence[Block]], Iterator[bytes]],
    blocks: Iterator[Block],
    in_step: Callable[[Block], int],
    workers: int,
) -> Iterator[bytes]:
    if workers == 1:
        return itertools.chain.from_iterable(map(decode, batches(blocks, in_step)))
    return itertools.chain.from_iterable(in_order(lambda block: list(decode([block])), blocks, workers))


def _decode(at_hand: AtHand, header: Header, meter: Meter, blocks: Sequence[Block]) -> Iterator[bytes]:
    part = Part(meter, sum(len(block.payload) for block in blocks), sum(block.size for block in blocks))
    yield from decode_blocks(at_hand, header, blocks, part.tick)
    part.finish()


def _limited(blocks: Iterator[Block], limit: int | None, before: int) -> Iterator[Block]:
    """Raises LimitError before a block would take the output beyond its limit."""
    total = before
    for block in blocks:
        total += block.size
        if limit is not None and total > limit:
            raise LimitError(f"the output would be larger than {limit} bytes")
        yield block
