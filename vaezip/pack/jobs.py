"""`vaezip pack`, `get` and `unpack`: packs and files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from vaezip.byteio import ByteReader, ByteWriter
from vaezip.errors import FileError, FormatError, LimitError
from vaezip.files import open_source, reason
from vaezip.jobs import opened
from vaezip.messages.texts import MAX_TEXT
from vaezip.naming import make_folders
from vaezip.pack.layout import NAMED, UNORDERED, UNTERMINATED
from vaezip.pack.records import Records, new_header, record_coder, segments_of
from vaezip.pack.unordered import Record
from vaezip.publish import Sink, open_target, standard_output


class Packing(NamedTuple):
    """How to make a pack; see `vaezip.pack_records`."""

    model: str | None
    dictionary: str | None
    dictionary_size: int | None
    group: int
    unordered: bool
    separator: int | None  # byte that ends a record; None: every file is one, and its name is the record's
    append: bool  # to the pack that is there
    overwrite: bool


class Packed(NamedTuple):
    """What was packed."""

    records: int
    read: int  # bytes
    written: int  # bytes of the whole file


def pack_files(sources: Sequence[str | None], target: str, how: Packing) -> Packed:
    """Write a pack of the records of files; None is standard input.

    Raises FileError, and as `pack_records`.
    """
    if how.separator is None:
        records, ended = [*map(_named, sources)], True
    else:
        records, ended = _split(sources, bytes([how.separator]))
    before, header = b"", None
    if how.append:
        with open_source(target) as data:
            before = ByteReader(data).read_all()
        with Records(target, model=how.model, dictionary=how.dictionary) as pack:
            header = pack.header
        if bool(header.flags & NAMED) != (how.separator is None) or header.separator != (how.separator or 0):
            raise FileError(f"{target}: its records are of another kind (--records)")
        before = before[len(header.to_bytes()) :]
    else:
        header = new_header(
            records,
            model=how.model,
            dictionary=how.dictionary,
            dictionary_size=how.dictionary_size,
            group=how.group,
            separator=how.separator or 0,
            unordered=how.unordered,
        )
    flags = header.flags & ~UNTERMINATED | (0 if ended or header.flags & UNORDERED else UNTERMINATED)
    header = dataclasses.replace(header, flags=flags)
    coder = record_coder(header, how.model, how.dictionary)
    with open_target(target, overwrite=how.overwrite or how.append) as sink:
        writer = ByteWriter(sink)
        for part in (header.to_bytes(), before, *segments_of(records, header, coder)):
            writer.write(part)
    return Packed(len(records), sum(len(text) for record in records for text in record), writer.position)


def get_records(path: str, which: Sequence[str]) -> Iterator[bytes]:
    """Records of a pack by name, or by number from 0; each with what ends it. Raises FileError."""
    with _open_pack(path) as pack:
        end = b"" if pack.header.flags & NAMED else bytes([pack.header.separator])
        for one in which:
            try:
                record = pack[one if pack.header.flags & NAMED else int(one)]
            except (KeyError, IndexError, ValueError) as error:
                raise FileError(f"{path}: there is no record {one}") from error
            yield record + end


def unpack_file(path: str, target: str | None, folder: str | None, overwrite: bool, most: int | None) -> int:
    """Write all records of a pack: into one file (None: standard output), or files of a folder.

    most: bytes, at most. Returns how many records there were. Raises FileError, LimitError and as `Records`.
    """
    with _open_pack(path) as pack:
        if bool(pack.header.flags & NAMED) != (folder is not None):
            what = (
                "were files: --output-dir says where to"
                if folder is None
                else "have no names: -o says where to"
            )
            raise FileError(f"{path}: its records {what}")
        if folder is not None:
            for name, content in _limited(pack.records(), most):
                _write_file(folder, name, content, overwrite)
            return len(pack)
        if target is None:
            _write_records(pack, standard_output(), most)
            return len(pack)
        with open_target(target, overwrite=overwrite) as sink:
            _write_records(pack, sink, most)
        return len(pack)


def _open_pack(path: str) -> Records:
    try:
        return Records(path)
    except OSError as error:
        if isinstance(error, FormatError) or not error.filename:
            error.args = (f"{path}: {error}",)
            raise
        raise FileError(f"{path}: {reason(error)}") from error


def _write_records(pack: Records, sink: Sink, most: int | None) -> None:
    writer, end = ByteWriter(sink), bytes([pack.header.separator])
    last = len(pack) - 1 if pack.header.flags & UNTERMINATED else -1
    for number, (content,) in enumerate(_limited(pack.records(), most)):
        writer.write(content + (b"" if number == last else end))


def _limited(records: Iterable[Record], most: int | None) -> Iterator[Record]:
    total = 0
    for record in records:
        total += len(record[-1]) + 1
        if most is not None and total > most:
            raise LimitError(f"the output would be larger than {most} bytes")
        yield record


def _write_file(folder: str, name: bytes, content: bytes, overwrite: bool) -> None:
    """A file below a folder, whatever its name says."""
    relative = os.fsdecode(name)
    parts = relative.split(os.sep)
    if not relative or "\0" in relative or os.path.isabs(relative) or not {"", ".", ".."}.isdisjoint(parts):
        raise FormatError("damaged pack: the name of a record leads elsewhere")
    path = os.path.join(folder, relative)
    make_folders(os.path.dirname(path), "")
    with open_target(path, overwrite=overwrite, named=False) as sink:
        ByteWriter(sink).write(content)


def _named(source: str | None) -> Record:
    if source is None:
        raise FileError("standard input: has no name, which a record needs that is a file")
    with opened(source, any_kind=False) as data:
        content = ByteReader(data).read_some(MAX_TEXT + 1)
    if len(content) > MAX_TEXT:
        raise FileError(f"{source}: a record has {MAX_TEXT} bytes at most")
    parts = [part for part in source.split(os.sep) if part not in ("", os.curdir, os.pardir)]
    return os.fsencode(os.sep.join(parts)), content


def _split(sources: Sequence[str | None], separator: bytes) -> tuple[list[Record], bool]:
    """The records of files, one after the other; whether the last one was ended by the separator."""
    records: list[Record] = []
    ended = True
    for source in sources:
        with opened(source, any_kind=True) as data:
            *lines, rest = ByteReader(data).read_all().split(separator)
        records += ((line,) for line in lines)
        ended = not rest
        if rest:
            records.append((rest,))
    for number, (record,) in enumerate(records):
        if len(record) > MAX_TEXT:
            raise FileError(f"record {number}: a record has {MAX_TEXT} bytes at most")
    return records, ended
