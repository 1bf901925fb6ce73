"""Packs made of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from vaezip.arguments import Buffer, buffer, whole_number
from vaezip.dictionaries.dictionary import MAX_DICTIONARY, DictionaryLike, loaded_dictionary, make_dictionary
from vaezip.dictionaries.selection import choose_texts
from vaezip.errors import LimitError, one_line
from vaezip.known_models import ModelLike, loaded
from vaezip.messages.texts import MAX_TEXT
from vaezip.meter import Ticker
from vaezip.pack import layout
from vaezip.pack.coder import RecordCoder, record_coder, too_long
from vaezip.pack.layout import MAX_RECORDS, NAMED, UNORDERED, Header, Segment
from vaezip.pack.names import check_name, decode_name, encode_name
from vaezip.pack.unordered import Record, room
from vaezip.stream import compress

_LINE = ord("\n")
_SEGMENT = 1 << 14  # records of an ordered segment
_EXPANSION = 4  # bytes that one of a text may take, coded: 24 bits at most, and what says its size
_USUAL_DICTIONARY = 32 << 10  # bytes of text, or an eighth of the records


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
    if not 1 <= whole_number(group, "group") <= layout.MAX_GROUP:
        raise ValueError(f"group must be 1 to {layout.MAX_GROUP}")
    if unordered and group != 1:
        raise ValueError("unordered records are all coded together, not in groups")
    model = loaded(model)
    if dictionary is not None and dictionary_size is not None:
        raise ValueError("a pack has either a dictionary that lies elsewhere or one that is made for it")
    if (
        dictionary_size is not None
        and not 0 <= whole_number(dictionary_size, "dictionary_size") <= MAX_DICTIONARY
    ):
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
    frame = compress(made.text, model=model) if made else b""
    external = read.fingerprint[:8] if read else b""
    return Header(flags, separator, model.fingerprint[:8], group, terminator, ended, frame, external)


def segments_of(
    records: Sequence[Record], header: Header, coder: RecordCoder, tick: Ticker = lambda _: None
) -> Iterator[tuple[Segment, bytes]]:
    """The segments of a pack, and their bodies; raises LimitError for records that are too long.

    tick: called with how many more of the records have been coded.
    """
    _check_sizes(records, header.group)
    if header.flags & UNORDERED:
        for part in _parts(records):
            yield layout.new_segment(len(part), coder.encode_set(part, tick), coder.check(sorted(part)))
        return
    for part, payloads in _coded(records, header.group, coder, tick):
        yield layout.new_segment(len(part), layout.ordered_body(payloads), coder.check(part))


def check_size(record: Record, what: str) -> None:
    """Raise LimitError if a record is too long. what: as the message calls it."""
    if too_long([record]):
        alone = len(record) == 1
        limit = f"has {MAX_TEXT} bytes at most" if alone else f"and its name have less than {MAX_TEXT} bytes"
        raise LimitError(f"{one_line(what)}: a record {limit}")


def _check_sizes(records: Sequence[Record], group: int) -> None:
    """Raise LimitError, before any is coded, for the first ones that are too long to be coded together."""
    for at in range(0, len(records), group):
        together = records[at : at + group]
        if too_long(together):
            for number, record in enumerate(together, at):
                check_size(record, _called(number, record))
            which = f"{_called(at, together[0])} and the {len(together) - 1} after it"
            reason = f"are coded together, and take more than {MAX_TEXT} bytes: choose a smaller group"
            raise LimitError(f"{one_line(which)} {reason}")


def _called(number: int, record: Record) -> str:
    """How messages call a record, of those that are packed."""
    return f"record {decode_name(record[0])!r}" if len(record) > 1 else f"record {number}"


def _coded(
    records: Sequence[Record], group: int, coder: RecordCoder, tick: Ticker
) -> Iterator[tuple[Sequence[Record], list[bytes]]]:
    """As many groups at once as a reader takes, and their payloads."""
    begin, size, payloads = 0, 0, list[bytes]()
    for at in range(0, len(records), group):
        together = records[at : at + group]
        payload = coder.encode(together)
        tick(len(together))
        more = len(layout.ordered_body([payload]))
        if at - begin + group > _SEGMENT or size + more > layout.MAX_BODY:
            yield records[begin:at], payloads
            begin, size, payloads = at, 0, []
        payloads.append(payload)
        size += more
    if payloads:
        yield records[begin:], payloads


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """As many at once as a reader takes."""
    most = min(layout.MAX_CONTENT, layout.MAX_BODY // _EXPANSION)
    begin = size = 0
    for at, record in enumerate(records):
        size += room(record)
        if size > most or at - begin == MAX_RECORDS:
            yield records[begin:at]
            begin, size = at, room(record)
    if records:
        yield records[begin:]


def pack_records(
    records: Iterable[Buffer] | Mapping[str, Buffer],
    *,
    model: ModelLike = None,
    dictionary: DictionaryLike = None,
    dictionary_size: int | None = None,
    group: int = 1,
    unordered: bool = False,
) -> bytes:
    """A pack of records, or of records by name, each of 65536 bytes at most; `Records` reads it.

    A name counts, and one byte more for it; so do all records of a group together, with a byte between them.
    dictionary: one that lies elsewhere, and is needed to read the pack; else one is made of the records, of
    `dictionary_size` bytes of text, and becomes part of it. group: how many records are coded together: it
    makes them smaller, and reading one of them takes as long as reading all. unordered: they come back in an
    order of their own, and take log2 n! bits less.

    Raises ModelError, DictionaryError, LimitError, ValueError, and TypeError for other records and names.
    """
    if isinstance(records, Mapping):
        rows: list[Record] = [(_encoded(name), _flat(content)) for name, content in records.items()]
    else:
        rows = [(_flat(record),) for record in records]
    header = new_header(
        rows,
        model=model,
        dictionary=dictionary,
        dictionary_size=dictionary_size,
        group=group,
        separator=0 if isinstance(records, Mapping) else _LINE,
        named=isinstance(records, Mapping),
        unordered=unordered,
    )
    coder = record_coder(header, model, dictionary)
    return b"".join(layout.pack_bytes(header, segments_of(rows, header, coder)))


def _encoded(name: str) -> bytes:
    if not isinstance(name, str):
        raise TypeError(f"the name of a record is a str, not {type(name).__name__}")
    encoded = encode_name(name)
    check_name(encoded)
    return encoded


def _flat(record: Buffer) -> bytes:
    return bytes(buffer(record))
