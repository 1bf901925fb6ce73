"""The records of a pack: read one by one, by number or by name; and packs made of records."""

from __future__ import annotations

import itertools
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, overload

from vaezip.dictionaries.dictionary import MAX_TEXT as MAX_DICTIONARY
from vaezip.dictionaries.dictionary import Dictionary, DictionaryLike, loaded_dictionary, make_dictionary
from vaezip.dictionaries.known import dictionaries
from vaezip.dictionaries.selection import choose_texts
from vaezip.errors import FormatError, LimitError
from vaezip.known_models import ModelLike, loaded, models
from vaezip.messages.range_coder import RangeDecoder, RangeEncoder
from vaezip.messages.texts import MAX_TEXT, NO_DICTIONARY, Decoder, Interval, TextCoder
from vaezip.mixing.predictor import Predictor
from vaezip.model import Model
from vaezip.pack import layout
from vaezip.pack.layout import MAX_RECORDS, NAMED, UNORDERED, Header, Segment
from vaezip.pack.unordered import Record, StackDecoder, decode_set, encode_set
from vaezip.stream import compress, decompress

_LINE = ord("\n")
_SEGMENT = 1 << 14  # records of an ordered segment
_USUAL_DICTIONARY = 32 << 10  # bytes of text, or an eighth of the records


class RecordCoder:
    """Records to bytes and back, some of them together."""

    def __init__(self, model: Model, dictionary: Dictionary | None, texts_per_record: int) -> None:
        dictionary = NO_DICTIONARY if dictionary is None else dictionary
        self._primed, self._texts = dictionary.primed(model), TextCoder(dictionary)
        self._texts_per_record = texts_per_record

    def encode(self, records: Sequence[Record]) -> bytes:
        """The payload of a group; raises LimitError if it has more than 65536 bytes."""
        encoder = RangeEncoder()
        for symbols in self._symbols(records):
            encoder.push_all(symbols)
        return encoder.to_bytes()

    def decode(self, payload: bytes, count: int) -> list[Record]:
        """Inverse of `encode`, of so many records; raises FormatError."""
        texts = self.decode_texts(payload, count * self._texts_per_record)
        size = self._texts_per_record
        return [tuple(texts[at : at + size]) for at in range(0, len(texts), size)]

    def decode_texts(self, payload: bytes, count: int) -> list[bytes]:
        """The first texts of a group: names and contents; raises FormatError."""
        with self._primed.predictor() as predictor:
            return self._pop(predictor, RangeDecoder(payload), count)

    def encode_set(self, records: Sequence[Record]) -> bytes:
        """Of records whose order does not matter."""
        return encode_set(records, lambda record: list(itertools.chain(*self._symbols([record]))))

    def decode_set(self, data: bytes, count: int, most: int) -> list[Record]:
        """Inverse of `encode_set`, in an order of their own.

        Raises FormatError, and LimitError as soon as there are more than `most` bytes.
        """
        left = most

        def pop(decoder: StackDecoder) -> Record:
            nonlocal left
            with self._primed.predictor() as predictor:
                record = self._pop(predictor, decoder, self._texts_per_record)
            left -= sum(map(len, record))
            if left < 0:
                raise LimitError(f"the records have more than {most} bytes")
            return tuple(record)

        return decode_set(data, count, pop)

    def _pop(self, predictor: Predictor, decoder: Decoder, count: int) -> list[bytes]:
        texts, left = list[bytes](), MAX_TEXT
        for _ in range(count):
            texts.append(self._texts.pop(predictor, decoder, left))
            left -= len(texts[-1]) + 1
        return texts

    def _symbols(self, records: Sequence[Record]) -> list[list[Interval]]:
        texts = list(itertools.chain(*records))
        if sum(len(text) + 1 for text in texts) > MAX_TEXT + 1:
            raise LimitError(f"records that are coded together (--group) have {MAX_TEXT} bytes at most")
        with self._primed.predictor() as predictor:
            return [self._texts.symbols(predictor, text) for text in texts]


class Records(Sequence[bytes]):
    """The records of a pack, read when they are asked for; one reading thread at a time."""

    def __init__(
        self,
        file: str | os.PathLike[str] | IO[bytes],
        *,
        model: ModelLike = None,
        dictionary: DictionaryLike = None,
        max_segment_size: int = layout.MAX_CONTENT,
    ) -> None:
        """file: a path, or a binary stream that can seek, which is not closed.

        model, dictionary: the only ones to use; by default those which the pack names. max_segment_size:
        bytes that records without an order may have, which are decoded together; reading them raises
        LimitError if they have more. Raises OSError if the file cannot be opened, FormatError (or
        VersionError, TruncatedError) if it is no pack, ModelMismatchError, DictionaryError.
        """
        self._most = max_segment_size
        self._is_ours = isinstance(file, (str, bytes, os.PathLike))
        self._file: IO[bytes] = open(file, "rb") if isinstance(file, (str, bytes, os.PathLike)) else file  # noqa: SIM115
        try:
            self._file.seek(0)
            self.header = layout.read_header(self._file)
            self._segments = layout.read_segments(self._file, len(self.header.to_bytes()))
            self._ends = list(itertools.accumulate(segment.records for segment in self._segments))
            self._coder = record_coder(self.header, model, dictionary)
        except BaseException:
            self.close()
            raise
        self._payloads: tuple[int, Sequence[bytes | memoryview]] = -1, []  # of one segment
        self._decoded: tuple[int, list[Record]] = -1, []
        self._numbers: dict[str, int] | None = None  # by name

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if it was given by its path."""
        if self._is_ours:
            self._file.close()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, which: int | str) -> bytes: ...
    @overload
    def __getitem__(self, which: slice) -> list[bytes]: ...
    def __getitem__(self, which: int | str | slice) -> bytes | list[bytes]:
        """By number, or by name: KeyError if there is none of that name, IndexError if there are fewer.

        Raises FormatError if the pack is damaged.
        """
        if isinstance(which, slice):
            return [self[number] for number in range(*which.indices(len(self)))]
        if isinstance(which, str):
            return self[self._by_name()[which]]
        number = which + len(self) if which < 0 else which
        if not 0 <= number < len(self):
            raise IndexError("there are fewer records")
        return self.record(number)[-1]

    def __iter__(self) -> Iterator[bytes]:
        return (record[-1] for record in self.records())

    def names(self) -> list[str]:
        """Of all records, each once; empty if they have none. Of several of one name, the last one counts."""
        return list(self._by_name()) if self.header.flags & NAMED else []

    def records(self) -> Iterator[Record]:
        """All of them: (content,), or (name, content)."""
        return map(self.record, range(len(self)))

    def record(self, number: int) -> Record:
        """One of them."""
        index = bisect_right(self._ends, number)
        segment, number = self._segments[index], number - (self._ends[index - 1] if index else 0)
        group = self.header.group
        if self.header.flags & UNORDERED:
            if self._decoded[0] != index:
                body = layout.read_body(self._file, segment)
                self._decoded = index, self._coder.decode_set(body, segment.records, self._most)
            return self._decoded[1][number]
        payloads, at = self._segment_payloads(index, segment), number // group
        key = (index << 32) + at
        if self._decoded[0] != key:
            count = min(group, segment.records - at * group)
            self._decoded = key, self._coder.decode(bytes(payloads[at]), count)
        return self._decoded[1][number % group]

    def _segment_payloads(self, index: int, segment: Segment) -> Sequence[bytes | memoryview]:
        if self._payloads[0] != index:
            groups = -(-segment.records // self.header.group)
            self._payloads = index, layout.payloads_of(layout.read_body(self._file, segment), groups)
        return self._payloads[1]

    def _by_name(self) -> dict[str, int]:
        if not self.header.flags & NAMED:
            raise KeyError("the records of this pack have no names")
        if self._numbers is None:
            self._numbers = {os.fsdecode(name): number for number, name in enumerate(self._names())}
        return self._numbers

    def _names(self) -> Iterator[bytes]:
        """Of all records; of those that are coded alone, without their contents."""
        if self.header.flags & UNORDERED or self.header.group > 1:
            yield from (record[0] for record in self.records())
            return
        for index, segment in enumerate(self._segments):
            for payload in self._segment_payloads(index, segment):
                yield self._coder.decode_texts(bytes(payload), 1)[0]


def record_coder(header: Header, model: ModelLike = None, dictionary: DictionaryLike = None) -> RecordCoder:
    """For the records of a pack; raises ModelMismatchError, DictionaryError, FormatError."""
    known = next(models(model).matching(header.fingerprint))
    read: Dictionary | None = None
    if header.external:
        read = next(dictionaries(dictionary).matching(header.external))
    elif header.dictionary:
        text = decompress(header.dictionary, model=known, max_output_size=MAX_DICTIONARY)
        if not text.endswith(bytes([header.terminator])) or not 1 <= header.ended <= 250:
            raise FormatError("damaged pack: its dictionary")
        read = Dictionary(text, header.terminator, header.ended)
    return RecordCoder(known, read, header.texts_per_record)


def new_header(
    records: Sequence[Record],
    *,
    model: ModelLike = None,
    dictionary: DictionaryLike = None,
    dictionary_size: int | None = None,
    group: int = 1,
    separator: int = 0,
    named: bool = False,
    unordered: bool = False,
) -> Header:
    """For a pack of such records. Raises ModelError, DictionaryError, ValueError.

    dictionary: one that lies elsewhere; else one is made of the records, of `dictionary_size` bytes of text,
    and becomes part of the pack. group: records that are coded together: they are smaller, and each takes as
    long to read as all. separator: what follows each record where they come from.
    """
    if not 1 <= group <= layout.MAX_GROUP:
        raise ValueError(f"group must be 1 to {layout.MAX_GROUP}")
    known = loaded(model)
    if dictionary is not None and dictionary_size is not None:
        raise ValueError("a pack has either a dictionary that lies elsewhere or one that is made for it")
    if dictionary_size is not None and not 0 <= dictionary_size <= MAX_DICTIONARY:
        raise ValueError(f"dictionary_size must be 0 to {MAX_DICTIONARY}")
    flags = (NAMED if named else 0) | (UNORDERED if unordered else 0)
    read, made = None, None
    if dictionary is not None:
        read = loaded_dictionary(dictionary)
    else:
        contents = [record[-1] for record in records]
        size = (
            min(_USUAL_DICTIONARY, sum(map(len, contents)) // 8)
            if dictionary_size is None
            else dictionary_size
        )
        if chosen := choose_texts(contents, size):
            made = make_dictionary(chosen)
    terminator, ended = (made.terminator, made.ended) if made else (0, 0)
    frame = compress(made.text, model=known) if made else b""
    external = read.fingerprint[:8] if read else b""
    return Header(flags, separator, known.fingerprint[:8], group, terminator, ended, frame, external)


def segments_of(records: Sequence[Record], header: Header, coder: RecordCoder) -> Iterator[bytes]:
    """The segments of a pack; raises LimitError for records that are too long."""
    if header.flags & UNORDERED:
        for part in _parts(records):
            yield layout.segment_bytes(len(part), coder.encode_set(part))
        return
    step = _SEGMENT // header.group * header.group
    for at in range(0, len(records), step):
        part, group = records[at : at + step], header.group
        payloads = [coder.encode(part[i : i + group]) for i in range(0, len(part), group)]
        yield layout.segment_bytes(len(part), layout.ordered_body(payloads))


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """As many at once as a reader takes."""
    begin = size = 0
    for at, record in enumerate(records):
        size += sum(map(len, record))
        if size > layout.MAX_CONTENT or at - begin == MAX_RECORDS:
            yield records[begin:at]
            begin, size = at, sum(map(len, record))
    yield records[begin:]


def check_name(name: bytes) -> None:
    """Raise ValueError for a name under which no record can be unpacked."""
    parts = name.split(b"/")
    if b"\0" in name or not {b"", b".", b".."}.isdisjoint(parts):
        raise ValueError("the name of a record is that of a file below some folder")


def pack_records(
    records: Iterable[bytes] | dict[str, bytes],
    *,
    model: ModelLike = None,
    dictionary: DictionaryLike = None,
    dictionary_size: int | None = None,
    group: int = 1,
    unordered: bool = False,
) -> bytes:
    """A pack of records, or of records by name, each of 65536 bytes at most; `Records` reads it.

    dictionary: one that lies elsewhere, and is needed to read the pack; else one is made of the records, of
    `dictionary_size` bytes of text, and becomes part of it. group: how many records are coded together: it
    makes them smaller, and reading one of them takes as long as reading all. unordered: they come back in an
    order of their own, and take log2 n! bits less.

    Raises ModelError, DictionaryError, LimitError, ValueError.
    """
    if isinstance(records, dict):
        rows: list[Record] = [(os.fsencode(name), _flat(content)) for name, content in records.items()]
        for name, _ in rows:
            check_name(name)
    else:
        rows = [(_flat(record),) for record in records]
    header = new_header(
        rows,
        model=model,
        dictionary=dictionary,
        dictionary_size=dictionary_size,
        group=group,
        separator=0 if isinstance(records, dict) else _LINE,
        named=isinstance(records, dict),
        unordered=unordered,
    )
    coder = record_coder(header, model, dictionary)
    return header.to_bytes() + b"".join(segments_of(rows, header, coder))


def _flat(record: bytes) -> bytes:
    return bytes(memoryview(record))
