"""`vaezip pack`, `get`, `unpack` and `test`: packs and files."""

from __future__ import annotations

import dataclasses
import io
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import NamedTuple

from vaezip.byteio import ByteReader, ByteWriter
from vaezip.errors import FileError, FormatError, LimitError, SkippedError, VaezipError, one_line
from vaezip.fileio import opened
from vaezip.files import Source, named_errors, open_source, version
from vaezip.known_models import ChosenModel
from vaezip.messages.texts import MAX_TEXT
from vaezip.meter import Ticker
from vaezip.naming import Guard, make_folders
from vaezip.outputs import Sink, open_output, open_target
from vaezip.pack.coder import record_coder
from vaezip.pack.layout import (
    MAGIC,
    NAMED,
    UNORDERED,
    UNTERMINATED,
    Header,
    pack_bytes,
    read_header,
    read_segments,
)
from vaezip.pack.names import decode_name, encode_name, file_name, record_name
from vaezip.pack.packing import check_size, new_header, segments_of
from vaezip.pack.records import Records
from vaezip.pack.unordered import Record

if sys.platform != "win32":
    import fcntl

Complain = Callable[[VaezipError], object]
Progress = Callable[[int], AbstractContextManager[Ticker]]
"""Begins to show how many of so many records are done."""


class Packing(NamedTuple):
    """How to make a pack; see `vaezip.pack_records`."""

    model: ChosenModel  # the usual one: for a new pack; what is added to has its own
    dictionary: str | None
    dictionary_size: int | None
    group: int
    unordered: bool
    separator: int | None  # byte that ends a record; None: every file is one, and its name is the record's
    append: bool  # to the pack that is there
    overwrite: bool


class Reading(NamedTuple):
    """How to read a pack; see `vaezip.Records`."""

    model: ChosenModel = ChosenModel()
    dictionary: str | None = None
    max_output_size: int | None = None  # bytes


class Packed(NamedTuple):
    """What was packed."""

    records: int
    read: int  # bytes
    written: int  # bytes of the whole file


def pack_files(
    sources: Sequence[str | None], target: str, how: Packing, complain: Complain, progress: Progress
) -> Packed:
    """Write a pack of the records of files; None is standard input.

    complain: called for what is passed over, a folder for example. Raises FileError, and as `pack_records`.
    """
    if how.separator is None:
        records, ended = _named(sources, complain), True
    else:
        records, ended = _split(sources, bytes([how.separator]), complain)
    with _locked(target) if how.append else nullcontext() as before:
        return _write_pack(records, ended, target, how, before, progress)


def _write_pack(
    records: Sequence[Record],
    ended: bool,
    target: str,
    how: Packing,
    before: Source | None,
    progress: Progress,
) -> Packed:
    there = _Existing(target, how) if how.append else None
    header = _new_header(records, how) if there is None else there.header
    models = how.model.to_write if there is None else how.model.to_read()
    if records:
        flags = header.flags & ~UNTERMINATED | (0 if ended or header.flags & UNORDERED else UNTERMINATED)
        header = dataclasses.replace(header, flags=flags)
    with named_errors(target):
        coder = record_coder(header, models, how.dictionary)
        with open_target(target, overwrite=how.overwrite or how.append, like=before, times=False) as sink:
            writer = ByteWriter(sink)
            with progress(len(records)) as tick:
                segments = segments_of(records, header, coder, tick)
                if there is not None:
                    segments = itertools.chain(there.segments, segments)
                for part in pack_bytes(header, segments):
                    writer.write(part)
            if there is not None:
                there.check_unchanged()
    return Packed(len(records), sum(len(text) for record in records for text in record), writer.position)


def get_records(path: str, which: Sequence[str], how: Reading) -> Iterator[bytes]:
    """Records of a pack, by name, or by number from 0; each with what ends it. Raises FileError."""
    with _open_pack(path, how) as pack:
        end = b"" if pack.header.flags & NAMED else bytes([pack.header.separator])
        for one in which:
            try:
                record = _record(pack, one)
            except IndexError as error:
                raise FileError(f"{path}: there is no record {one or repr(one)}") from error
            yield record + end


def get_names(path: str, end: bytes, how: Reading) -> Iterator[bytes]:
    """The names of a pack's records, each with what ends it. Raises FileError if they have none."""
    with _open_pack(path, how) as pack:
        if not pack.header.flags & NAMED:
            raise FileError(f"{path}: its {len(pack)} records have no names")
        yield from (encode_name(name) + end for name in pack.names())


def _record(pack: Records, which: str) -> bytes:
    """By name, or else by number; raises IndexError."""
    with suppress(KeyError, ValueError):
        return pack[decode_name(encode_name(which))]  # whatever the system has made of the letters
    if not re.fullmatch("-?[0-9]{1,20}", which):
        raise IndexError("neither a name nor a number")
    return pack[int(which)]


def unpack_file(
    path: str,
    target: str | None,
    folder: str | None,
    overwrite: bool,
    how: Reading,
    complain: Complain,
    progress: Progress,
    others: Sequence[str] = (),
) -> None:
    """Write all records of a pack: into one file (None: standard output), or files of a folder.

    complain: called for every file that cannot be written; the others are. others: files that are read
    besides, which no output may replace. Raises FileError, LimitError and as `Records`.
    """
    inputs = [path, *others]
    with _open_pack(path, how) as pack:
        if bool(pack.header.flags & NAMED) != (folder is not None):
            what = (
                "were files: --output-dir says where to"
                if folder is None
                else "have no names: -o says where to"
            )
            raise FileError(f"{path}: its records {what}")
        with progress(len(pack)) as tick:
            if folder is not None:
                guard = Guard(inputs)
                for name, content in _files(pack, how.max_output_size, tick):
                    try:
                        with named_errors(path):
                            _write_file(name, content, folder, overwrite, guard)
                    except VaezipError as error:
                        complain(error)
            else:
                with open_output(target, inputs=inputs, overwrite=overwrite) as sink:
                    _write_records(pack, sink, how.max_output_size, tick)


def is_pack(path: str) -> bool:
    """Whether this is a file that begins as packs do."""
    if os.path.isfile(path):  # a pipe would lose what is read
        with suppress(VaezipError), open_source(path) as data:
            return ByteReader(data).read_some(len(MAGIC) - 1) == MAGIC[:-1]
    return False


def check_pack(path: str, how: Reading, progress: Progress) -> None:
    """Decode all records, and compare all checksums; errors as `unpack_file`."""
    with _open_pack(path, how) as pack, progress(len(pack)) as tick:
        for _ in _lines(pack, how.max_output_size):
            tick(1)


class _Existing:
    """The pack that is added to."""

    def __init__(self, path: str, how: Packing) -> None:
        self._path = path
        with open_source(path) as data, named_errors(path):
            self._version = version(data.status)
            content = ByteReader(data).read_all()
            self.header = read_header(io.BytesIO(content))
            found = read_segments(io.BytesIO(content), self.header)
        if bool(self.header.flags & NAMED) != (how.separator is None) or (
            self.header.separator != (how.separator or 0)
        ):
            raise FileError(f"{path}: its records are of another kind (--records)")
        if how.dictionary is not None and not self.header.external:
            raise FileError(f"{path}: has a dictionary of its own, or none, so that -D means nothing")
        self.segments = [(segment, content[segment.at : segment.at + segment.size]) for segment in found]

    def check_unchanged(self) -> None:
        """Raise FileError if somebody has written it meanwhile who does not lock it."""
        if version(os.stat(self._path)) != self._version:
            raise FileError(f"{self._path}: has changed meanwhile, and was left as it is")


@contextmanager
def _locked(path: str) -> Iterator[Source | None]:
    """The pack that is added to, once nobody else adds to it, so that what two add is kept."""
    if sys.platform == "win32":  # where no file can be replaced while it is open
        yield None
    else:
        while True:
            with open_source(path) as data:
                with suppress(OSError):  # a file system may know none
                    fcntl.flock(data.fileno(), fcntl.LOCK_EX)
                with named_errors(path):
                    is_there = os.path.samestat(data.status, os.stat(path))  # and not replaced meanwhile
                if is_there:
                    yield data
                    return


def _new_header(records: Sequence[Record], how: Packing) -> Header:
    return new_header(
        records,
        model=how.model.to_write,
        dictionary=how.dictionary,
        dictionary_size=how.dictionary_size,
        group=how.group,
        separator=how.separator or 0,
        named=how.separator is None,
        unordered=how.unordered,
    )


@contextmanager
def _open_pack(path: str, how: Reading) -> Iterator[Records]:
    most = {} if how.max_output_size is None else {"max_segment_size": how.max_output_size}
    models = how.model.to_read()
    with named_errors(path):
        try:
            pack = Records(path, model=models, dictionary=how.dictionary, **most)
        except io.UnsupportedOperation as error:
            raise FileError(f"{path}: a pack has to be a file that can be read anywhere") from error
        with pack:
            yield pack


def _write_records(pack: Records, sink: Sink, most: int | None, tick: Ticker) -> None:
    writer = ByteWriter(sink)
    for line in _lines(pack, most):
        writer.write(line)
        tick(1)


def _lines(pack: Records, most: int | None) -> Iterator[bytes]:
    """All records, each with what ends it; raises LimitError before there are more bytes than that."""
    total, end = 0, b"" if pack.header.flags & NAMED else bytes([pack.header.separator])
    last = len(pack) - 1 if pack.header.flags & UNTERMINATED else -1
    for number, content in enumerate(pack):
        line = content + (b"" if number == last else end)
        total += len(line)
        _check_limit(total, most)
        yield line


def _files(pack: Records, most: int | None, tick: Ticker) -> Iterator[Record]:
    """Names and contents of the records that were files; raises LimitError as `_lines`."""
    total, numbers = 0, pack.numbers()
    for number, (name, content) in enumerate(pack.records()):
        if number == numbers[decode_name(name)]:
            total += len(content)
            _check_limit(total, most)
            yield name, content
        tick(1)


def _write_file(encoded: bytes, content: bytes, folder: str, overwrite: bool, guard: Guard) -> None:
    name = decode_name(encoded)
    try:
        path = os.path.join(folder, file_name(encoded))
    except ValueError as error:
        raise FormatError(one_line(f"cannot unpack {name!r}: {error}")) from error
    make_folders(os.path.dirname(path), "")
    guard.check(path)
    with open_target(path, overwrite=overwrite, named=False) as sink:
        ByteWriter(sink).write(content)
    guard.add(path, name)


def _check_limit(size: int, most: int | None) -> None:
    if most is not None and size > most:
        raise LimitError(f"the output would be larger than {most} bytes")


def _named(sources: Sequence[str | None], complain: Complain) -> list[Record]:
    """A record for each file, its name without what leads out of a folder."""
    records: dict[bytes, bytes] = {}
    for source in sources:
        if source is None:
            raise FileError("standard input: has no name, which a record needs that is a file")
        try:
            with opened(source, any_kind=False) as data:
                content = ByteReader(data).read_some(MAX_TEXT + 1)
        except SkippedError as error:
            complain(error)
            continue
        try:
            name = record_name(source)
        except ValueError as error:
            raise FileError(f"{source}: its name is not Unicode") from error
        if name in records:
            raise FileError(f"{source}: another file has the same name in the pack")
        check_size((name, content), source)
        records[name] = content
    return [*records.items()]


def _split(sources: Sequence[str | None], separator: bytes, complain: Complain) -> tuple[list[Record], bool]:
    """The records of files, one after the other; whether the last one was ended by the separator."""
    records: list[Record] = []
    ended = True
    for source in sources:
        try:
            with opened(source, any_kind=True) as data:
                content = ByteReader(data).read_all()
        except SkippedError as error:
            complain(error)
            continue
        if not content:  # and so it ends no record, and begins none
            continue
        *lines, rest = content.split(separator)
        ended = not rest
        for number, line in enumerate(lines if ended else [*lines, rest]):
            which = f"line {number + 1}" if separator == b"\n" else f"record {number}"
            check_size((line,), f"{source or 'standard input'}: {which}")
            records.append((line,))
    return records, ended
