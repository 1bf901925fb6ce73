"""`.vz` frames as bytes (docs/format.md): headers, blocks, index. Knows nothing of networks.

A frame holds one block in a short form, whose whole overhead is a few bytes, or any number of blocks with
an end mark and an index. Skippable frames hold what no reader has to know. Frames can be concatenated.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple
from zlib import crc32

from vaezip.arguments import whole_number
from vaezip.byteio import ByteReader
from vaezip.errors import FormatError, IntegrityError, LimitError, TruncatedError, VersionError
from vaezip.numerals import encode_number, fold, read_number, unfold

MAGIC = 0xF6  # "v" with the high bit set: never in UTF-8
WITH_DICTIONARY = 0xF7  # instead, where the fingerprint of a dictionary follows that of the model
VERSION = 1
_LAST_VERSION = 7  # whose header may have another form
SKIPPABLE = b"\xf5vzx"  # begins a frame that every reader passes over
_KIN = {b"\xf5vzp": "a pack: vaezip get and vaezip unpack read it", b"\xf5vzd": "a dictionary: -D takes it"}
_CODED = 0xF0  # + kind, 8 to 15, never in UTF-8 either: stands for magic and descriptor of a coded block
EMPTY = "the input is empty: not a .vz file"
MAX_BLOCK_SIZE = 16 << 20
_LARGEST_HEADER = 36  # bytes of a header of a frame of blocks: 2, numbers of 5 and 9, twice 8, 4
_LARGEST_EXCESS = 15  # bytes that a block takes beyond its content: kind, two numbers of 5, 4 of the payload
_MOST_NUMBERS = (1 << 32) - 20  # bytes of an index's sizes, so that the length of the index has 4 bytes
_PIECE = 1 << 16  # bytes of an index that are read at once
_NAMED_BRIEFLY = 16 << 10  # bytes of content: up to this, a short frame names model and dictionary by a byte

_LAYOUT_BLOCKS = 0  # other layouts: the short form, its one block coded with that method
_CRITICAL = 0x10
_END = 0


class Method(IntEnum):
    """The ways in which a block can be coded."""

    STORED = 1  # as it is, followed by its CRC-32
    VAE = 2  # ANS words; the text given a latent, and the latent
    VAE_NULL = 3  # ANS words; the text given the null latent


_METHODS = frozenset(map(int, Method))


class Block(NamedTuple):
    """One coded block: `size` bytes of content in `payload`."""

    method: Method
    size: int
    payload: bytes
    preset: int = 0  # of the mixer; 0 if stored


@dataclass(frozen=True)
class Header:
    """A frame's header. `block_size` is None in the short form, and of a skippable frame."""

    fingerprint: bytes  # of the model file's SHA-256, 8 bytes or 1 (see _named); none if skippable
    dictionary: bytes | None  # as much of the dictionary's fingerprint; None if there is none
    block_size: int | None
    content_size: int | None
    encoded_size: int  # bytes of the header itself
    _single: tuple[Method, int, int] | None = None  # short form: method, preset and payload size
    _skipped: int | None = None  # skippable frame: bytes to be passed over

    @property
    def is_short(self) -> bool:
        """True if the frame is in the short form: one block, no index."""
        return self._single is not None


def short_frame(fingerprint: bytes, block: Block, dictionary: bytes | None = None) -> bytes:
    """A whole frame in the short form."""
    kind = _kind(block)
    if dictionary is None and block.method != Method.STORED:
        lead = bytes([_CODED | kind])
    else:
        lead = bytes([_magic(dictionary), VERSION << 5 | kind])
    named = _named(short=True, size=block.size)
    header = lead + _sizes(block) + fingerprint[:named] + (dictionary or b"")[:named]
    return header + _check(header)[:1] + block.payload


def _named(*, short: bool, size: int) -> int:
    """By how many bytes of their fingerprints a frame names its model and its dictionary.

    size: of the content, if the frame is in the short form.
    """
    return 1 if short and size <= _NAMED_BRIEFLY else 8


def _magic(dictionary: bytes | None) -> int:
    return MAGIC if dictionary is None else WITH_DICTIONARY


def frame_header(
    fingerprint: bytes, block_size: int, content_size: int | None, dictionary: bytes | None = None
) -> bytes:
    """The header of a frame of blocks."""
    header = bytes([_magic(dictionary), VERSION << 5 | _LAYOUT_BLOCKS << 2])
    header += encode_number(block_size) + encode_number(0 if content_size is None else content_size + 1)
    header += fingerprint[:8] + (dictionary or b"")[:8]
    return header + _check(header)


def encode_block(block: Block) -> bytes:
    """A block of a frame of blocks, with its own small header."""
    return bytes([_kind(block)]) + _sizes(block) + block.payload


def _sizes(block: Block) -> bytes:
    """Size of the content; that of the payload follows from it if the block is stored."""
    content = encode_number(block.size)
    if block.method == Method.STORED:
        return content
    return content + encode_number(fold(len(block.payload) - _expected_size(block.size)))


def _expected_size(size: int) -> int:
    """Of the payload of so many bytes of text: its difference from that mostly fits into a byte."""
    return size // 5


class Index:
    """The index behind the last block: an end mark, the sizes of all blocks, so that readers can seek, and a
    checksum of all payloads, so that no block stands in another's place."""

    def __init__(self, header_size: int) -> None:
        self._header_size = header_size
        self._blocks = self._content_size = self._check = 0
        self._numbers = bytearray()  # as they are written: a file may have millions of blocks

    def add(self, block: Block) -> None:
        """Note the next block; raises LimitError if there is no room for it."""
        encoded_size = 1 + len(_sizes(block)) + len(block.payload)
        self._blocks += 1
        self._content_size += block.size
        self._numbers += encode_number(block.size) + encode_number(encoded_size)
        if len(self._numbers) > _MOST_NUMBERS:
            raise LimitError("a frame has no room for more blocks: larger ones need less")
        # To a CRC, all texts with their own CRC behind them are alike: so that of a stored block is left out.
        is_stored = block.method == Method.STORED
        self._check = crc32(memoryview(block.payload)[: -4 if is_stored else None], self._check)

    def content_size(self) -> int:
        """Bytes of content of all blocks."""
        return self._content_size

    def to_bytes(self) -> bytes:
        """The end of the frame."""
        body = bytes([_END]) + encode_number(self._header_size) + encode_number(self._blocks) + self._numbers
        body += self._check.to_bytes(4, "little")
        body += _check(body)
        return body + len(body).to_bytes(4, "little")


class Extents(NamedTuple):
    """The sizes in an index, in bytes: of the frame's header, and of every block's content and coded form."""

    header_size: int
    sizes: array[int]
    encoded_sizes: array[int]  # each has at most _LARGEST_EXCESS more than the content


def read_index(first: bytes, reader: ByteReader, length: int, room: int) -> Extents:
    """Read an index.

    first: its first bytes, which have been read; length: bytes from end mark to check, both included; room:
    bytes before it, in which all blocks lie. Raises FormatError if this is no index, and reads no more than
    it takes to see that: `length` may be anything.
    """
    if first[:1] != bytes([_END]):
        raise FormatError("damaged index")
    index = _IndexReader(first, reader, length - 4)
    header_size, count = read_number(index), read_number(index)
    if header_size > _LARGEST_HEADER or 2 * count > length:
        raise FormatError("damaged index")
    extents, room = Extents(header_size, array("I"), array("I")), room - header_size
    for _ in range(count):
        size, encoded_size = read_number(index), read_number(index)
        room -= encoded_size
        if not 0 < size <= MAX_BLOCK_SIZE or not 0 < encoded_size <= size + _LARGEST_EXCESS or room < 0:
            raise FormatError("damaged index")
        extents.sizes.append(size)
        extents.encoded_sizes.append(encoded_size)
    index.read(4)  # the checksum of the payloads, for who has read these
    if index.position != length - 4 or reader.read(4) != index.check.to_bytes(4, "little"):
        raise FormatError("damaged index")
    return extents


class _IndexReader:
    """Reads an index up to its check piece by piece, as it is asked for, and has the CRC of the pieces."""

    def __init__(self, first: bytes, reader: ByteReader, size: int) -> None:
        """first: its first bytes, of which one needs no reading; size: all of them."""
        self._piece, self.position, self.check = io.BytesIO(first[1:]), 1, crc32(first)
        self._reader, self._rest = reader, size - len(first)

    def read(self, n: int) -> bytes:
        data = self._piece.read(n)
        if len(data) < n:
            piece = self._reader.read(min(self._rest, _PIECE))
            self._rest -= len(piece)
            self._piece, self.check = io.BytesIO(piece), crc32(piece, self.check)
            data += self._piece.read(n - len(data))
        if len(data) < n:
            raise FormatError("damaged index")
        self.position += n
        return data


def check_block_size(size: int) -> None:
    """Raise ValueError for a size that no frame may have, TypeError for what is none."""
    if not 1 <= whole_number(size, "block size") <= MAX_BLOCK_SIZE:
        raise ValueError(f"block size must be 1 to {MAX_BLOCK_SIZE}")


def read_frames(reader: ByteReader) -> Iterator[Header]:
    """The headers of all frames to the end of the stream, each once all before it has been read.

    Raises as `read_header`, and TruncatedError if there is none.
    """
    while (header := read_header(reader)) is not None:
        yield header
    if not reader.position:
        raise TruncatedError(EMPTY)


def read_header(reader: ByteReader) -> Header | None:
    """The next frame's header, or None at the end of the stream.

    Raises FormatError if this is no frame or its header is damaged, VersionError if it is intact but
    needs a newer version, LimitError if its blocks are larger than any writer makes them.
    """
    offset = reader.position
    lead = reader.read_some(1)
    if not lead:
        return None
    abbreviated = lead[0] >= _CODED | Method.VAE << 2
    if lead == SKIPPABLE[:1]:
        magic = lead + reader.read(len(SKIPPABLE) - 1)
        if magic == SKIPPABLE:
            skipped, encoded_size = read_number(reader), reader.position - offset
            if encoded_size + skipped >= 1 << 32:
                raise FormatError("damaged header: a frame that is too long")
            return Header(b"", None, None, 0, encoded_size, _skipped=skipped)
        if magic in _KIN and not offset:
            raise FormatError(f"not a .vz file, but {_KIN[magic]}")
        if magic not in _KIN and magic[:3] == SKIPPABLE[:3]:
            raise VersionError("made by a newer vaezip: update vaezip to read it")
    if lead[0] not in (MAGIC, WITH_DICTIONARY) and not abbreviated:
        raise FormatError(
            "not a .vz file" if offset == 0 else "the data after the last frame are not a .vz frame"
        )
    # This byte may begin a text that is not UTF-8, so the first header's damage may be no damage.
    damage = "damaged header" if offset else "not a .vz file, or its header is damaged"
    recorder = _Recorder(reader, lead)
    descriptor = VERSION << 5 | lead[0] & 15 if abbreviated else recorder.read(1)[0]
    version, layout = descriptor >> 5, descriptor >> 2 & 3
    if version == 0:
        raise FormatError(damage)
    if version == _LAST_VERSION:
        raise VersionError("not a .vz file, or made by a newer vaezip: update vaezip to read it")
    short = layout != _LAYOUT_BLOCKS
    block_size = read_number(recorder, damage)  # in the short form, the size of its one block
    second = 0 if layout == Method.STORED else read_number(recorder, damage)
    fingerprint = recorder.read(_named(short=short, size=block_size))
    dictionary = recorder.read(len(fingerprint)) if lead[0] == WITH_DICTIONARY else None
    check = reader.read(1 if short else 4)
    # Versions up to 6 keep this form of header, so that damage and novelty can be told apart.
    if check != _check(recorder.data)[: len(check)]:
        raise FormatError(damage)
    if version > VERSION or descriptor & _CRITICAL:
        raise VersionError(f"made by a newer vaezip (format {version}): update vaezip to read it")
    if block_size > MAX_BLOCK_SIZE:
        raise LimitError(f"the blocks are larger than {MAX_BLOCK_SIZE >> 20} MiB")
    encoded_size = reader.position - offset
    if short:
        method, preset = _method_and_preset(descriptor & 15)
        single = method, preset, _payload_size(method, block_size, second)
        return Header(fingerprint, dictionary, None, block_size, encoded_size, single)
    if block_size == 0:
        raise FormatError("damaged header: blocks of no bytes")
    return Header(fingerprint, dictionary, block_size, second - 1 if second else None, encoded_size, None)


def _kind(block: Block) -> int:
    """Method and preset in four bits."""
    return block.method << 2 | block.preset


def _method_and_preset(kind: int) -> tuple[Method, int]:
    method, preset = kind >> 2, kind & 3
    if method not in _METHODS or (method == Method.STORED and preset):
        raise FormatError("damaged block: unknown method")
    return Method(method), preset


def _payload_size(method: Method, size: int, folded: int) -> int:
    if method == Method.STORED:
        return size + 4
    payload_size = _expected_size(size) + unfold(folded)
    if not 0 <= payload_size <= size + 4:  # if larger, it would have been stored
        raise FormatError("damaged block: impossible size")
    return payload_size


def read_blocks(reader: ByteReader, header: Header) -> Iterator[Block]:
    """The blocks of the frame whose header has just been read, up to and including its end.

    Raises FormatError, or its subclass TruncatedError, for damage.
    """
    index = Index(header.encoded_size)
    while (block := read_block(reader, header, index)) is not None:
        yield block
        if header.is_short:
            return


def read_block(reader: ByteReader, header: Header, index: Index) -> Block | None:
    """The next block of a frame, which `index` takes note of; None after the end of a frame of blocks.

    A frame in the short form ends with its one block, a skippable one has none. Raises FormatError, or its
    subclass TruncatedError, for damage.
    """
    if header._skipped is not None:
        reader.skip(header._skipped)
        if int.from_bytes(reader.read(4), "little") != header.encoded_size + header._skipped:
            raise FormatError("damaged skippable frame: its sizes disagree")
        return None
    if header._single is not None:
        method, preset, payload_size = header._single
        return Block(method, header.content_size or 0, reader.read(payload_size), preset)
    kind = reader.read(1)[0]
    if kind == _END:
        _read_end(reader, header, index)
        return None
    (method, preset), size = _method_and_preset(kind), read_number(reader)
    if not 0 < size <= (header.block_size or 0):
        raise FormatError("damaged block: impossible size")
    payload_size = _payload_size(method, size, 0 if method == Method.STORED else read_number(reader))
    block = Block(method, size, reader.read(payload_size), preset)
    index.add(block)
    return block


def _read_end(reader: ByteReader, header: Header, index: Index) -> None:
    expected = index.to_bytes()
    if bytes([_END]) + reader.read(len(expected) - 1) != expected:
        raise FormatError("damaged frame: its index is that of other blocks")
    if header.content_size not in (None, index.content_size()):
        raise FormatError("damaged frame: it does not hold as many bytes as its header says")


def stored(content: bytes) -> Block:
    """A stored block."""
    return Block(Method.STORED, len(content), content + crc32(content).to_bytes(4, "little"))


def stored_content(block: Block) -> bytes:
    """The content of a stored block; raises IntegrityError if its checksum disagrees."""
    content, check = block.payload[:-4], block.payload[-4:]
    if crc32(content).to_bytes(4, "little") != check:
        raise IntegrityError("checksum mismatch: the data are damaged")
    return content


class _Recorder:
    """Reads, and keeps what it has read, for the header's checksum."""

    def __init__(self, reader: ByteReader, data: bytes) -> None:
        """data: what has been read of the header."""
        self._reader = reader
        self.data = data

    def read(self, n: int) -> bytes:
        part = self._reader.read(n)
        self.data += part
        return part


def _check(data: bytes) -> bytes:
    return crc32(data).to_bytes(4, "little")
