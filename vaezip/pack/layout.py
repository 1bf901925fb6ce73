"""A pack as bytes: a header, segments of records and an end mark; no model is needed."""

from __future__ import annotations

import io
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

from vaezip.byteio import ByteReader, Seekable
from vaezip.errors import FormatError, IntegrityError, LimitError, TruncatedError, VersionError
from vaezip.numerals import encode_number, read_number

MAGIC = b"\xf5vzp\x01"
NAMED = 1  # flag: a record is a name and a content
UNORDERED = 2  # flag: records come back in an order of their own
UNTERMINATED = 4  # flag: the last record was not followed by the separator
MAX_SEGMENTS = 1 << 20
"""Segments of a pack."""
MAX_RECORDS = 1 << 20
"""Records of a segment."""
PASSED_OVER = MAX_RECORDS + 1
"""Instead of how many records a segment has: none that readers know of, who pass it over."""
MAX_BODY = 64 << 20
"""Bytes of a segment."""
MAX_GROUP = 1 << 10
"""Records that are coded together."""
MAX_CONTENT = 64 << 20
"""Bytes of the records of an unordered segment, which is decoded as one; each text counts for one more."""
_MAX_FRAME = 1 << 20  # bytes of a dictionary, compressed
_CHECK = 4


@dataclass(frozen=True)
class Header:
    """What holds for all records of a pack."""

    flags: int
    separator: int  # the byte that ended each record where they came from; 0 if they were files
    fingerprint: bytes  # the first 8 bytes of the model's
    group: int  # records that are coded together
    terminator: int  # of the dictionary, as `ended`; see Dictionary
    ended: int
    dictionary: bytes  # its text as a `.vz` of that model; none if there is no dictionary
    external: (
        bytes  # else the first 8 bytes of the fingerprint of the dictionary that is needed, if there is one
    )

    @property
    def texts_per_record(self) -> int:
        """A name and a content, or a content alone."""
        return 2 if self.flags & NAMED else 1

    def to_bytes(self) -> bytes:
        """The beginning of a file."""
        body = MAGIC + bytes([self.flags, self.separator]) + self.fingerprint[:8] + encode_number(self.group)
        body += bytes([self.terminator, self.ended]) + encode_number(len(self.dictionary)) + self.dictionary
        body += encode_number(len(self.external)) + self.external
        return body + _check(body)


class Segment(NamedTuple):
    """Some records, whose bytes are its body; or, of none, the end mark, which is alike."""

    records: int
    size: int  # bytes of the body; of the end mark: records of the pack
    checks: bytes  # of the body, and of the records; of the end mark: of the checks and sizes before it
    at: int = 0  # where a file has the body
    first: int = 0  # number of the first record

    def to_bytes(self) -> bytes:
        """All but the body."""
        head = encode_number(self.records) + encode_number(self.size) + self.checks
        return head + _check(head)[:1]


class _Ending:
    """What the end mark of a pack says, as its segments come: whatever is missing or elsewhere disagrees."""

    def __init__(self, header: bytes) -> None:
        self.records, self._segments, self._check = 0, 0, crc32(header[-_CHECK:])

    def add(self, segment: Segment) -> None:
        """Take one more; raises LimitError."""
        self.records += segment.records if segment.records != PASSED_OVER else 0
        self._segments += 1
        if self._segments > MAX_SEGMENTS:
            raise LimitError(f"a pack has {MAX_SEGMENTS} segments at most: pack its records anew")
        self._check = crc32(segment.to_bytes(), self._check)

    def mark(self) -> Segment:
        return Segment(0, self.records, self._check.to_bytes(4, "little"))


def new_segment(records: int, body: bytes, check: int) -> tuple[Segment, bytes]:
    """A segment, and its body; raises LimitError. check: of the records, see `RecordCoder.check`."""
    if len(body) > MAX_BODY:
        raise LimitError(f"a segment of a pack has {MAX_BODY} bytes at most")
    return Segment(records, len(body), _check(body) + check.to_bytes(_CHECK, "little")), body


def pack_bytes(header: Header, segments: Iterable[tuple[Segment, bytes]]) -> Iterator[bytes]:
    """The bytes of a pack of these segments, in parts; each is given with its body."""
    yield header.to_bytes()
    ending = _Ending(header.to_bytes())
    for segment, body in segments:
        ending.add(segment)
        yield segment.to_bytes() + body
    yield ending.mark().to_bytes()


def ordered_body(payloads: Sequence[bytes]) -> bytes:
    """Sizes of all payloads, then the payloads."""
    return b"".join(encode_number(len(payload)) for payload in payloads) + b"".join(payloads)


class Payloads:
    """Inverse of `ordered_body`; takes 8 bytes for each, beside the body."""

    def __init__(self, body: bytes, count: int) -> None:
        """Raises FormatError unless the body has so many."""
        if count > len(body):
            raise FormatError("damaged pack: more records than bytes")
        reader = ByteReader(io.BytesIO(body))
        self._ends = array("Q")
        end = 0
        for _ in range(count):
            end += read_number(reader)
            self._ends.append(min(end, len(body)))
        if reader.position + end != len(body):
            raise FormatError("damaged pack: impossible sizes")
        self._data = memoryview(body)[reader.position :]

    def __getitem__(self, number: int) -> bytes:
        return bytes(self._data[self._ends[number - 1] if number else 0 : self._ends[number]])


def read_header(file: Seekable) -> Header:
    """The header at a file's beginning.

    Raises FormatError, VersionError if it needs a newer version, TruncatedError.
    """
    reader = _Checked(file, "its header")
    magic = reader.read_some(len(MAGIC))
    if magic[:-1] != MAGIC[:-1]:
        raise FormatError("not a pack of vaezip's")
    if magic != MAGIC:
        raise VersionError("a pack made by a newer vaezip: update vaezip to read it")
    flags, separator = reader.read(2)
    fingerprint, group = reader.read(8), reader.number()
    terminator, ended = reader.read(2)
    dictionary = reader.read(_at_most(reader.number(), _MAX_FRAME))
    external = reader.read(_at_most(reader.number(), 8))
    if reader.read(_CHECK) != _check(reader.data[:-_CHECK]):
        raise FormatError("damaged pack: its header")
    if flags & ~(NAMED | UNORDERED | UNTERMINATED):
        raise VersionError("a pack made by a newer vaezip: update vaezip to read it")
    header = Header(flags, separator, fingerprint, group, terminator, ended, dictionary, external)
    if not _has_a_meaning(header):
        raise FormatError("damaged pack: its header")
    return header


def _has_a_meaning(header: Header) -> bool:
    """Whether all is within its limits, and what says nothing is as writers leave it."""
    named, unordered, unterminated = (header.flags & flag for flag in (NAMED, UNORDERED, UNTERMINATED))
    return (
        1 <= header.group <= (1 if unordered else MAX_GROUP)
        and len(header.external) in (0, 8)
        and not (header.dictionary and header.external)
        and (bool(header.dictionary) or header.terminator == header.ended == 0)
        and not (unterminated and (named or unordered))
        and not (named and header.separator)
    )


def read_segments(file: Seekable, header: Header) -> list[Segment]:
    """All segments of the pack that has this header, also those that are to be passed over.

    Raises FormatError, TruncatedError, LimitError.
    """
    at, end = len(header.to_bytes()), file.seek(0, os.SEEK_END)
    segments, ending = list[Segment](), _Ending(header.to_bytes())
    while (segment := _read_segment(file, at, ending.records)).records:
        if segment.records > PASSED_OVER or segment.size > MAX_BODY:
            raise LimitError("a segment of the pack is larger than any writer makes it")
        if segment.records == PASSED_OVER and any(segment.checks[_CHECK:]):
            raise FormatError("damaged pack: a checksum of records where there are none")
        segments.append(segment)
        ending.add(segment)
        at = segment.at + segment.size
    if segment.to_bytes() != ending.mark().to_bytes() or (header.flags & UNTERMINATED and not ending.records):
        raise FormatError("damaged pack: its segments are not those that its end speaks of")
    if segment.at != end:
        raise FormatError("damaged pack: something follows its end")
    return segments


def _read_segment(file: Seekable, at: int, first: int) -> Segment:
    file.seek(at)
    part = f"the header of the segment that begins with record {first}"
    reader = _Checked(file, part)
    records, size = reader.number(), reader.number()
    checks = reader.read(2 * _CHECK if records else _CHECK)
    if reader.read(1) != _check(reader.data[:-1])[:1]:
        raise FormatError(f"damaged pack: {part}")
    return Segment(records, size, checks, at + reader.position, first)


def read_body(file: Seekable, segment: Segment) -> bytes:
    """A segment's bytes; raises FormatError if they are damaged."""
    file.seek(segment.at)
    body = ByteReader(file).read(segment.size)
    if _check(body) != segment.checks[:_CHECK]:
        which = numbers(segment.first, segment.records)
        raise FormatError(f"damaged pack: the checksum of {which} disagrees")
    return body


def numbers(first: int, count: int) -> str:
    """How messages call so many records."""
    return f"record {first}" if count == 1 else f"records {first} to {first + count - 1}"


def check_records(segment: Segment, check: int) -> None:
    """Raise IntegrityError unless a segment's records, of that checksum, are those that were packed."""
    if check.to_bytes(_CHECK, "little") != segment.checks[_CHECK:]:
        which = numbers(segment.first, segment.records)
        raise IntegrityError(f"checksum mismatch: {which} cannot be decoded to what was packed")


class _Checked(ByteReader):
    """Keeps what it has read of a part of a pack."""

    def __init__(self, file: Seekable, part: str) -> None:
        """part: as messages call it."""
        super().__init__(file)
        self._part = part
        self.data = b""

    def number(self) -> int:
        """The next number; raises FormatError."""
        try:
            return read_number(self)
        except TruncatedError:
            raise
        except FormatError as error:
            raise FormatError(f"damaged pack: {self._part}") from error

    def read_some(self, n: int) -> bytes:
        part = super().read_some(n)
        self.data += part
        return part


def _at_most(size: int, most: int) -> int:
    if size > most:
        raise FormatError("damaged pack: its header")
    return size


def _check(data: bytes) -> bytes:
    return crc32(data).to_bytes(4, "little")
