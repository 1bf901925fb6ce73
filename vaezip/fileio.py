"""Files compressed, decompressed, tested or listed: `files`, `outputs` and `stream` put together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypedDict

from vaezip.block import DEFAULT_BLOCK_SIZE
from vaezip.byteio import ByteReader, ByteWriter
from vaezip.dictionaries.known import KnownDictionary, known_dictionaries
from vaezip.errors import FormatError, LimitError, SkippedError
from vaezip.files import Source, named_errors, open_input
from vaezip.known_models import ChosenModel, KnownModel, known_models
from vaezip.levels import Level
from vaezip.listing import list_frames
from vaezip.messages.codec import MessageCodec
from vaezip.messages.texts import MAX_TEXT
from vaezip.meter import Ticker
from vaezip.naming import make_folders
from vaezip.outputs import Sink, Warn, open_target, standard_output
from vaezip.stream import Sizes, compress_stream, decompress_stream

_MANY = 16  # models, or dictionaries, in one file; no more are told


class MessageFormat(NamedTuple):
    """The form of a file that is a message."""

    check_bytes: int = 0  # of a checksum
    armour: str | None = None  # letters instead of bytes


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options for all files of a command."""

    model: ChosenModel = field(default_factory=ChosenModel)
    dictionary: str | None = None  # to compress with; a file to decompress must be made with it
    block_size: int = DEFAULT_BLOCK_SIZE
    threads: int = 1
    max_output_size: int | None = None  # bytes of one file
    message: MessageFormat | None = None  # instead of frames
    overwrite: bool = False
    remove: bool = False
    warn: Warn = lambda message: None  # called with a line on what did not quite work

    def at(self, level: Level) -> Options:
        """These options with what a level chooses; a model that is given remains, and goes before it."""
        return replace(self, model=self.model._replace(usual=level.model), block_size=level.block_size)


class Target(NamedTuple):
    """The target of an output."""

    path: str
    named: bool  # by the user, and not derived from the input's name
    make_folders: bool = False  # those that it lies in, if there are none


def compress_file(
    source: str | None, target: Target | None, options: Options, progress: Ticker | None = None
) -> Sizes:
    """Compress a file into another; None is standard input or output.

    A VaezipError begins with the name of the file that it concerns.
    """

    def work(data: Source, sink: Sink) -> Sizes:
        if options.message is not None:
            return _write_message(data, sink, options, options.message)
        return compress_stream(
            data,
            sink,
            model=options.model.to_write,
            dictionary=options.dictionary,
            block_size=options.block_size,
            threads=options.threads,
            progress=progress,
        )

    return transform_file(source, target, options, work)


def decompress_file(
    source: str | None, target: Target | None, options: Options, progress: Ticker | None = None
) -> Sizes:
    """Decompress a file into another; None is standard input or output.

    A VaezipError begins with the name of the file that it concerns.
    """

    def work(data: Source, sink: Sink) -> Sizes:
        if options.message is not None:
            return _read_message(data, sink, options, options.message)
        return decompress_stream(
            data,
            sink,
            model=options.model.to_read(),
            dictionary=options.dictionary,
            max_output_size=options.max_output_size,
            threads=options.threads,
            progress=progress,
        )

    return transform_file(source, target, options, work)


def check_file(source: str | None, options: Options, progress: Ticker | None = None) -> Sizes:
    """Decompress a file, None for standard input, and drop the result; errors as `decompress_file`."""
    with opened(source, any_kind=True) as data:
        return decompress_stream(
            data,
            None,
            model=options.model.to_read(),
            dictionary=options.dictionary,
            max_output_size=options.max_output_size,
            threads=options.threads,
            progress=progress,
        )


def _write_message(data: Source, sink: Sink, options: Options, message: MessageFormat) -> Sizes:
    reader, writer = ByteReader(data), ByteWriter(sink)
    content = reader.read_some(MAX_TEXT + 1)
    codec = _codec(options, message)
    armour = message.armour
    writer.write(codec.encode(content) if armour is None else codec.encode_text(content, armour).encode())
    return Sizes(len(content), writer.position)


def _read_message(data: Source, sink: Sink, options: Options, message: MessageFormat) -> Sizes:
    reader, writer = ByteReader(data), ByteWriter(sink)
    content, codec = reader.read_some(2 * MAX_TEXT), _codec(options, message)
    if reader.read_some(1):
        raise FormatError("damaged message: longer than any message")
    if message.armour is None:
        text = codec.decode(content)
    else:
        text = codec.decode_text(content.decode("ascii", "replace").strip("\r\n"), message.armour)
    if options.max_output_size is not None and len(text) > options.max_output_size:
        raise LimitError(f"the output would be larger than {options.max_output_size} bytes")
    writer.write(text)
    return Sizes(len(content), writer.position)


def _codec(options: Options, message: MessageFormat) -> MessageCodec:
    return MessageCodec(options.model.to_write, options.dictionary, check_bytes=message.check_bytes)


class Mention(TypedDict):
    """A model, or a dictionary, that a file names."""

    fingerprint: str  # its beginning, in hexadecimal; 8 bytes, of a short text 1
    name: str | None  # of the first such one at hand


class Summary(NamedTuple):
    """A line of `vaezip list`, on one file; sizes in bytes."""

    name: str
    frames: int
    blocks: int
    compressed: int
    content: int
    models: list[Mention]
    dictionaries: list[Mention]


def summarise_file(source: str | None) -> Summary:
    """Sizes, models and dictionaries of a file, None for standard input, without decoding it; errors as
    above."""
    frames = blocks = compressed = content = 0
    models: dict[bytes, None] = {}  # beginnings of fingerprints, in the order in which they come
    dictionaries: dict[bytes, None] = {}
    with opened(source, any_kind=True) as data:
        for frame in list_frames(data):
            frames += 1
            blocks += frame.blocks
            compressed += frame.compressed_size
            content += frame.content_size
            if frame.fingerprint and len(models) < _MANY:
                models[frame.fingerprint] = None
            if frame.dictionary is not None and len(dictionaries) < _MANY:
                dictionaries[frame.dictionary] = None
    return Summary(
        source or "-",
        frames,
        blocks,
        compressed,
        content,
        [_mention(prefix, known_models()) for prefix in models],
        [_mention(prefix, known_dictionaries()) for prefix in dictionaries],
    )


def _mention(prefix: bytes, known: Iterator[KnownModel] | Iterator[KnownDictionary]) -> Mention:
    names = (one.name for one in known if one.fingerprint.startswith(prefix))
    return {"fingerprint": prefix.hex(), "name": next(names, None)}


def transform_file(
    source: str | None, target: Target | None, options: Options, work: Callable[[Source, Sink], Sizes]
) -> Sizes:
    """Have `work` make a file of another, as `options` say; None is standard input or output.

    A VaezipError begins with the name of the file that it concerns.
    """
    if target is None:
        with opened(source, any_kind=True) as data:
            return work(data, standard_output())
    with opened(source, any_kind=target.named) as data:
        if target.make_folders:
            make_folders(os.path.dirname(target.path), os.path.dirname(source or ""))
        with open_target(
            target.path,
            overwrite=options.overwrite,
            named=target.named,
            like=data if source is not None else None,
            warn=options.warn,
        ) as sink:
            sizes = work(data, sink)
    if options.remove and sink.is_safe:
        try:
            data.remove(sizes.read)
        except SkippedError as error:
            options.warn(str(error))
    elif options.remove:
        options.warn(f"{source}: not removed, since {target.path} is not known to be on a disk")
    return sizes


@contextmanager
def opened(source: str | None, *, any_kind: bool) -> Iterator[Source]:
    """Open an input; put its name in front of errors that do not begin with one."""
    name = "standard input" if source is None else source
    with named_errors(name), open_input(source, any_kind=any_kind) as data:
        yield data
