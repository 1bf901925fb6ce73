"""The records of a pack: read one by one, by number or by name."""

from __future__ import annotations

import os
import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, overload

from vaezip.arguments import FilePath, whole_number
from vaezip.byteio import Seekable, check_binary
from vaezip.copying import NotCopied
from vaezip.dictionaries.dictionary import DictionaryLike
from vaezip.errors import FormatError, IntegrityError, LimitError
from vaezip.files import open_named
from vaezip.known_models import ModelLike, Models
from vaezip.pack import layout
from vaezip.pack.coder import record_coder
from vaezip.pack.layout import NAMED, PASSED_OVER, UNORDERED, Payloads, Segment
from vaezip.pack.names import decode_name
from vaezip.pack.unordered import Record

MAX_NAMES = 256 << 20
"""Bytes of memory for the names of a pack's records."""
_ENTRY = 150  # bytes that a name takes beside itself


class Records(NotCopied, Sequence[bytes]):
    """The records of a pack, read when they are asked for; one reading thread at a time."""

    def __init__(
        self,
        file: FilePath | Seekable,
        *,
        model: ModelLike | Models = None,
        dictionary: DictionaryLike = None,
        max_segment_size: int = layout.MAX_CONTENT,
    ) -> None:
        """file: a path, or a binary stream that can seek, which is not closed.

        model, dictionary: the only ones to use; by default those which the pack names. max_segment_size:
        bytes that records without an order may have, which are decoded together, each text (a name or a
        content) counting for one more; reading them raises LimitError if they have more. Raises OSError if
        the file cannot be opened, FormatError (or VersionError, TruncatedError) if it is no pack,
        ModelMismatchError, DictionaryError.
        """
        self._most = whole_number(max_segment_size, "max_segment_size")
        self._is_closed = False
        self._is_ours = isinstance(file, (str, bytes, os.PathLike))
        if not self._is_ours:
            check_binary(file, "read")
        self._file: Any = open_named(file, "rb") if isinstance(file, (str, bytes, os.PathLike)) else file
        try:
            self._file.seek(0)
            self.header = layout.read_header(self._file)
            segments = layout.read_segments(self._file, self.header)
            self._segments = [segment for segment in segments if segment.records != PASSED_OVER]
            self._coder = record_coder(self.header, model, dictionary)
        except BaseException:
            self.close()
            raise
        self._payloads: tuple[int, Payloads | None] = -1, None  # of the segment with that record
        self._decoded: tuple[int, list[Record]] = -1, []  # from that record on
        self._numbers: dict[str, int] | None = None  # by name

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if it was given by its path; nothing can be read any more."""
        self._is_closed = True
        if self._is_ours:
            self._file.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError("the pack has been closed")

    def __len__(self) -> int:
        self._check_open()
        return self._segments[-1].first + self._segments[-1].records if self._segments else 0

    @overload
    def __getitem__(self, which: int | str) -> bytes: ...
    @overload
    def __getitem__(self, which: slice) -> list[bytes]: ...
    def __getitem__(self, which: int | str | slice) -> bytes | list[bytes]:
        """By number, or by name: KeyError if there is none of that name, IndexError if there are fewer.

        Raises FormatError if the pack is damaged, IntegrityError if the record was decoded with all others of
        its segment, which are not what was packed, and LimitError if there are too many names to find one.
        """
        if isinstance(which, slice):
            return [self[number] for number in range(*which.indices(len(self)))]
        if isinstance(which, str):
            return self[self.numbers()[which]]
        return self.record(which)[-1]

    def __contains__(self, what: object) -> bool:
        """Whether a record has that name (str), or that content; raises as `[]`."""
        self._check_open()
        if isinstance(what, str):
            return bool(self.header.flags & NAMED) and what in self.numbers()
        return super().__contains__(what)

    def __iter__(self) -> Iterator[bytes]:
        return (record[-1] for record in self.records())

    def names(self) -> list[str]:
        """Of all records, each once; empty if they have none. Of several of one name, the last one counts."""
        self._check_open()
        return list(self.numbers()) if self.header.flags & NAMED else []

    def records(self) -> Iterator[Record]:
        """All of them: (content,), or (name, content).

        Raises FormatError if the pack is damaged, and IntegrityError, before a segment's last records, if
        its records are not those that were packed.
        """
        self._check_open()
        for segment in self._segments:
            check, end = 0, segment.first + segment.records
            for first in range(segment.first, end, self._step(segment)):
                group = self._group(segment, first)
                if len(group) < segment.records:  # else `_group` has compared it
                    check = self._coder.check(group, check)
                    if first + len(group) == end:
                        layout.check_records(segment, check)
                yield from group
                del group  # so that memory holds one part at a time, here as in `_group`

    def record(self, number: int) -> Record:
        """One of them, of that number, as in `[]`; raises IndexError if there are fewer."""
        number = whole_number(number, "a record's number")
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError("there are fewer records")
        segment = self._segments[bisect_right(self._segments, number, key=lambda one: one.first) - 1]
        first = number - (number - segment.first) % self._step(segment)
        return self._group(segment, first)[number - first]

    def _step(self, segment: Segment) -> int:
        """How many records are coded together."""
        return segment.records if self.header.flags & UNORDERED else self.header.group

    def _group(self, segment: Segment, first: int) -> list[Record]:
        """Records that are coded together, from the first one on."""
        self._check_open()
        if self._decoded[0] != first:
            self._decoded = -1, []
            count = min(self._step(segment), segment.first + segment.records - first)
            group = self._decode(segment, first, count)
            if count == segment.records:
                layout.check_records(segment, self._coder.check(group))
            self._decoded = first, group
        return self._decoded[1]

    def _decode(self, segment: Segment, first: int, count: int) -> list[Record]:
        """Records of a segment that are coded together."""
        if self.header.flags & UNORDERED:
            body = layout.read_body(self._file, segment)
            with _telling(first, count):
                return self._coder.decode_set(body, count, self._most)
        payload = self._segment_payloads(segment)[(first - segment.first) // self.header.group]
        with _telling(first, count):
            return self._coder.decode(payload, count)

    def _segment_payloads(self, segment: Segment) -> Payloads:
        first, payloads = self._payloads
        if payloads is None or first != segment.first:
            self._payloads = -1, None
            groups = -(-segment.records // self.header.group)
            body = layout.read_body(self._file, segment)
            with _telling(segment.first, segment.records):
                payloads = Payloads(body, groups)
            self._payloads = segment.first, payloads
        return payloads

    def numbers(self) -> Mapping[str, int]:
        """By name, the number of the last record of that name; raises KeyError if they have none."""
        self._check_open()
        if not self.header.flags & NAMED:
            raise KeyError("the records of this pack have no names")
        if self._numbers is None:
            numbers, left = dict[str, int](), MAX_NAMES
            for number, name in enumerate(map(decode_name, self._names())):
                left -= sys.getsizeof(name) + _ENTRY
                if left < 0:
                    raise LimitError(
                        f"the names of the records take more than {MAX_NAMES >> 20} MB of memory"
                    )
                numbers[name] = number
            self._numbers = numbers
        return self._numbers

    def _names(self) -> Iterator[bytes]:
        """Of all records; of those that are coded alone, without their contents."""
        if self.header.flags & UNORDERED or self.header.group > 1:
            yield from (record[0] for record in self.records())
            return
        for segment in self._segments:
            payloads = self._segment_payloads(segment)
            for number in range(segment.records):
                with _telling(segment.first + number, 1):
                    (name,) = self._coder.decode_texts(payloads[number], 1)
                yield name


@contextmanager
def _telling(first: int, count: int) -> Iterator[None]:
    """Say of which records an error is."""
    try:
        yield
    except (FormatError, IntegrityError) as error:
        which = layout.numbers(first, count)
        raise FormatError(f"damaged pack: {which} cannot be decoded") from error
