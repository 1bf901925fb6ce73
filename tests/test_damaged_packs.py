"""Packs that are damaged, cut off, put together of others, or forged: each is refused, none takes more than it may."""

from __future__ import annotations

import dataclasses
import io
import tracemalloc
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from conftest import TINY
from hypothesis import given, settings
from hypothesis import strategies as st
from test_golden import skippable
from test_packs import DICTIONARY, LINES, opened, packed, packing

import vaezip
from vaezip.ans import AnsStack
from vaezip.messages.range_coder import RangeEncoder
from vaezip.messages.texts import MAX_TEXT
from vaezip.pack.coder import record_coder
from vaezip.pack.fileio import pack_files
from vaezip.pack.layout import (
    MAX_GROUP,
    MAX_RECORDS,
    NAMED,
    PASSED_OVER,
    UNORDERED,
    UNTERMINATED,
    new_segment,
    ordered_body,
    pack_bytes,
    read_header,
)
from vaezip.pack.packing import segments_of
from vaezip.pack.unordered import encode_set


def forged(*bodies: tuple[int, bytes], unordered: bool = False, what: bytes = b"") -> bytes:
    """A pack of segments of so many records, in which anything may lie, as if these had been packed."""
    header = read_header(io.BytesIO(packed([], dictionary_size=0, unordered=unordered)))
    return b"".join(pack_bytes(header, (new_segment(*body, crc32(what)) for body in bodies)))


def test_a_damaged_pack_is_told() -> None:
    for options in ({}, {"unordered": True}, {"group": 4}):
        data = packed(LINES[:20], **options)
        for at in range(0, len(data), 7):
            damaged = bytearray(data)
            damaged[at] ^= 1 << at % 8
            with pytest.raises(vaezip.VaezipError):
                list(opened(bytes(damaged)))
        for size in range(5, len(data), 11):
            with pytest.raises(vaezip.TruncatedError):
                opened(data[:size])


def test_a_pack_ends_where_it_says_and_is_whole() -> None:
    """Its segments are all there, in their order, behind the header that they were made for."""
    header = read_header(io.BytesIO(packed([], dictionary_size=0)))
    coder = record_coder(header, TINY)
    one, two = (next(segments_of([(text,)], header, coder)) for text in (b"ab", b"ba"))
    begin, first, second, end = pack_bytes(header, [one, two])
    assert list(opened(begin + first + second + end)) == [b"ab", b"ba"]
    assert len(first) == len(second)
    for cut in (begin, begin + first, begin + first + second, begin + first + second + end[:-1]):
        with pytest.raises(vaezip.TruncatedError):
            opened(cut)
    other, *_ = pack_bytes(dataclasses.replace(header, separator=0), [one, two])
    for segments in (first, second + first, first + first, first + second + second):
        with pytest.raises(vaezip.FormatError, match="its segments are not those"):
            opened(begin + segments + end)
    with pytest.raises(vaezip.FormatError, match="its segments are not those"):
        opened(other + first + second + end)
    for more in (b"\0", second, begin + end):
        with pytest.raises(vaezip.FormatError, match="something follows"):
            opened(begin + first + second + end + more)


NO_TEXT = b"\xfe" + b"\xff" * 7  # its first symbol is that with which no text begins


def test_damage_is_said_to_be_the_packs_and_where_it_is() -> None:
    header = read_header(io.BytesIO(packed([], dictionary_size=0)))
    coder = record_coder(header, TINY)
    good = coder.encode([(b"good",)])
    begin, first, second, end = pack_bytes(
        header,
        [
            new_segment(2, ordered_body([good, good]), crc32(b"good\ngood\n")),
            new_segment(2, ordered_body([good, NO_TEXT]), 0),
        ],
    )
    pack = opened(begin + first + second + end)
    assert [pack[number] for number in range(3)] == [b"good"] * 3
    with pytest.raises(vaezip.FormatError, match=r"^damaged pack: record 3 cannot be decoded$"):
        pack[3]
    grouped = dataclasses.replace(header, group=2)
    segments = [new_segment(5, ordered_body([coder.encode([(b"a",), (b"b",)]), NO_TEXT, good]), 0)]
    with pytest.raises(vaezip.FormatError, match=r"^damaged pack: records 2 to 3 cannot be decoded$"):
        list(opened(b"".join(pack_bytes(grouped, segments))))
    with pytest.raises(vaezip.FormatError, match=r"^damaged pack: records 0 to 8 cannot be decoded$"):
        list(opened(forged((9, b"\xff" * 9), unordered=True)))
    with pytest.raises(vaezip.FormatError, match=r"^damaged pack: records 0 to 1 cannot be decoded$"):
        list(opened(forged((2, b"\xff\x01"))))  # sizes that go on beyond the body
    body = second[:-1] + bytes([second[-1] ^ 1])
    with pytest.raises(vaezip.FormatError, match=r"^damaged pack: the checksum of records 2 to 3 disagrees$"):
        list(opened(begin + first + body + end))
    for at in (0, 6):
        head = second[:at] + bytes([second[at] ^ 1]) + second[at + 1 :]
        with pytest.raises(
            vaezip.FormatError, match=r"^damaged pack: the header of the segment .* record 2$"
        ):
            opened(begin + first + head + end)
    with pytest.raises(vaezip.FormatError, match=r"^damaged pack: the header of the segment .* record 2$"):
        opened(begin + first + b"\xfc\0\0" + second[1:] + end)  # a number that nobody writes like that


@pytest.mark.parametrize(
    "frame",
    [
        b"no frame",
        vaezip.compress(b"a dictionary\n" * 9, model=TINY)[:-1],
        vaezip.compress(b"a dictionary\n" * 9, model="standard"),
        vaezip.compress(bytes(1 << 19), model=TINY),
        vaezip.compress(b"a dictionary\n", model=TINY) + vaezip.compress(b"of two frames\n", model=TINY),
        vaezip.compress(b"a dictionary\n", model=TINY) + skippable(b"note"),
        skippable(b"note") + vaezip.compress(b"a dictionary\n", model=TINY),
        vaezip.compress(b"a dictionary\n", model=TINY) + b"\0",
        vaezip.compress(DICTIONARY.text, model=TINY, dictionary=DICTIONARY),
        b"",
    ],
    ids=[
        "foreign",
        "damaged",
        "of another model",
        "too large",
        "two frames",
        "something behind it",
        "something before it",
        "a zero behind it",
        "after another dictionary",
        "none",
    ],
)
def test_a_dictionary_that_cannot_be_read_is_said_to_be_the_packs(
    frame: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "states.vzd").write_bytes(DICTIONARY.to_bytes())
    monkeypatch.setenv("VAEZIP_MODEL_PATH", str(tmp_path))  # another dictionary is at hand
    header = read_header(io.BytesIO(packed([], dictionary_size=0)))
    changed = dataclasses.replace(header, dictionary=frame, terminator=10, ended=20)
    with pytest.raises(vaezip.FormatError, match=r"^damaged pack: its (dictionary|header)$"):
        opened(b"".join(pack_bytes(changed, [])))


def test_the_unit_that_is_no_texts_is_refused() -> None:
    """The last one of how a text ends, in a message the byte FF: docs/format.md, "Messages"."""
    no_text = (255 << 16, 1 << 16)
    encoder = RangeEncoder()
    encoder.push(*no_text)
    ordered = forged((1, ordered_body([encoder.to_bytes()])))
    unordered = forged((1, encode_set([(b"",)], lambda _: [no_text])), unordered=True)
    for data in (ordered, unordered):
        with pytest.raises(vaezip.FormatError, match="damaged pack: record 0 cannot be decoded") as raised:
            list(opened(data))
        assert "no text begins" in str(raised.value.__cause__)
    with pytest.raises(vaezip.FormatError, match="no text begins"):
        vaezip.MessageCodec(TINY).decode(NO_TEXT)


def test_nothing_hides_behind_the_records_of_a_group() -> None:
    coder = record_coder(read_header(io.BytesIO(packed([], dictionary_size=0))), TINY)
    good = coder.encode([(b"good",)])
    assert opened(forged((1, ordered_body([good])), what=b"good\n"))[0] == b"good"
    for more in (b"\0", b"\1", bytes(9) + b"\1", b"X" * 1000, good):
        pack = opened(forged((2, ordered_body([good, good + more]))))
        assert pack[0] == b"good"
        with pytest.raises(vaezip.FormatError, match="damaged pack: record 1 cannot be decoded"):
            pack[1]


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=40), st.integers(0, 50), st.booleans())
def test_whatever_lies_in_a_segment_is_refused_or_bounded(body: bytes, count: int, unordered: bool) -> None:
    with suppress(vaezip.VaezipError):
        pack = opened(forged((count, body), unordered=unordered))
        assert sum(map(len, pack)) <= count * MAX_TEXT


def test_what_decodes_to_too_much_is_refused() -> None:
    many = packed([b"x" * 3000] * 10, unordered=True, dictionary_size=0)
    with pytest.raises(vaezip.LimitError, match="more than 10000 bytes"):
        opened(many, max_segment_size=10_000)[0]
    empty, named = packed([b""] * 500, unordered=True), packed({"n": b"12", "m": b"34"}, unordered=True)
    for pack, size in ((many, 10 * 3001), (empty, 500), (named, 2 * (2 + 3))):
        assert len(list(opened(pack, max_segment_size=size))) == len(opened(pack))
        with pytest.raises(vaezip.LimitError, match=f"more than {size - 1} bytes"):
            list(opened(pack, max_segment_size=size - 1))
    coder = record_coder(read_header(io.BytesIO(packed([], dictionary_size=0))), TINY)
    payload = coder.encode([(b"y" * MAX_TEXT,)])
    with pytest.raises(vaezip.FormatError):  # more than can be coded together
        coder.decode(payload, 2)
    for call in (lambda: packed([5]), lambda: packed(b"abc"), lambda: packed(["text"])):
        with pytest.raises(TypeError):
            call()
    for options in (
        {"dictionary_size": -1},
        {"dictionary": DICTIONARY, "dictionary_size": 9},
        {"group": 0},
        {"group": 2, "unordered": True},
    ):
        with pytest.raises(ValueError, match=r"dictionary|group"):
            packed(LINES[:3], **options)


@pytest.mark.parametrize("options", [{}, {"group": 2}, {"unordered": True}], ids=str)
def test_a_segment_that_is_nothing_to_a_reader_is_passed_over(
    options: dict[str, Any], tmp_path: Path
) -> None:
    """Wherever it stands; but it is in its place, and stays there when something is appended."""
    data = packed(LINES[:5], dictionary_size=0, **options)
    header = read_header(io.BytesIO(data))
    coder = record_coder(header, TINY)
    first, second = (next(segments_of([(line,)] * 2, header, coder)) for line in LINES[:2])
    notes = [new_segment(PASSED_OVER, body, 0) for body in (b"", b"vzzza note", bytes(5000))]
    lines = [LINES[0]] * 2 + [LINES[1]] * 2
    for order in ([0, 1, 2, first, second], [first, 0, 1, second, 2], [first, second, 2, 1, 0]):
        segments = [notes[one] if isinstance(one, int) else one for one in order]
        begin, *parts, end = pack_bytes(header, segments)
        pack = opened(begin + b"".join(parts) + end)
        assert (list(pack), [pack[number] for number in range(4)], len(pack)) == (lines, lines, 4)
        at = next(at for at, one in enumerate(order) if isinstance(one, int))
        for others in (parts[:at] + parts[at + 1 :], [*parts[:at], parts[at], *parts[at:]]):
            with pytest.raises(vaezip.FormatError, match="its segments are not those"):
                opened(begin + b"".join(others) + end)
        (tmp_path / "x.vzp").write_bytes(begin + b"".join(parts) + end)
        (tmp_path / "more").write_bytes(b"one more\n")
        pack_files(
            [str(tmp_path / "more")],
            str(tmp_path / "x.vzp"),
            packing(append=True),
            print,
            lambda _: nullcontext([].append),
        )
        content = (tmp_path / "x.vzp").read_bytes()
        assert content.startswith(begin + b"".join(parts))
        assert list(opened(content)) == [*lines, b"one more"]
    assert list(opened(b"".join(pack_bytes(header, notes)))) == []
    with pytest.raises(vaezip.FormatError, match="where there are none"):
        opened(b"".join(pack_bytes(header, [new_segment(PASSED_OVER, b"", 12345)])))


def test_a_segment_of_too_many_records_is_refused() -> None:
    with pytest.raises(vaezip.LimitError):
        opened(forged((MAX_RECORDS + 2, b"")))
    with pytest.raises(vaezip.FormatError, match=f"records 0 to {MAX_RECORDS - 1} cannot be decoded"):
        list(opened(forged((MAX_RECORDS, b"x"))))
    with pytest.raises(vaezip.LimitError, match="65536"):
        packed([bytes(MAX_TEXT + 1)])
    with pytest.raises(vaezip.VaezipError, match="not a pack"):
        opened(b"no pack")
    with pytest.raises(vaezip.ModelMismatchError):
        vaezip.Records(io.BytesIO(packed(LINES[:3])), model="standard")


def peak(work: Callable[[], object]) -> int:
    """Bytes of memory that Python holds at once for some work, which raises FormatError or LimitError."""
    tracemalloc.start()
    with pytest.raises((vaezip.FormatError, vaezip.LimitError)):
        work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_what_a_pack_declares_takes_no_more_memory_than_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """As SECURITY.md has it: for a segment, its records and the names, a bound each."""
    count = 1 << 14
    payloads = opened(forged((count, ordered_body([b""] * count))))
    assert peak(lambda: payloads[0]) < 80 * count  # of 80 MB for 2^20 records
    segments = forged(*[(1, b"\0")] * 1000)
    assert peak(lambda: opened(segments)[0]) < 500_000  # 220 bytes each, and what else there is
    monkeypatch.setattr("vaezip.pack.layout.MAX_SEGMENTS", 999)
    assert peak(lambda: opened(segments)) < 500_000
    header = read_header(io.BytesIO(packed({})))
    payload = record_coder(header, TINY).encode([(b"n" * 6000, b"")])
    names = opened(b"".join(pack_bytes(header, [new_segment(300, ordered_body([payload] * 300), 0)])))
    assert names[0] == b""
    monkeypatch.setattr("vaezip.pack.records.MAX_NAMES", 1 << 15)
    assert peak(names.names) < 1 << 20
    assert peak(lambda: names["n"]) < 1 << 20


def test_a_pack_has_no_more_segments_than_a_reader_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaezip.pack.layout.MAX_SEGMENTS", 3)
    most = forged(*[(1, b"\0")] * 3)
    assert len(opened(most)) == 3
    with pytest.raises(vaezip.LimitError, match="3 segments at most"):
        forged(*[(1, b"\0")] * 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"group": 0},
        {"group": MAX_GROUP + 1},
        {"external": b"short"},
        {"external": bytes(9)},
        {"external": bytes(8), "dictionary": b"and one of its own"},
        {"dictionary": bytes((1 << 20) + 1)},
        {"dictionary": vaezip.compress(b"no end", model=TINY), "terminator": 10, "ended": 0},
        {"dictionary": b"no frame"},
        {"terminator": 10},
        {"ended": 200},
        {"external": DICTIONARY.fingerprint[:8], "terminator": 10, "ended": 20},
        {"flags": UNORDERED, "group": 2},
        {"flags": UNORDERED | UNTERMINATED},
        {"flags": NAMED | UNTERMINATED, "separator": 0},
        {"flags": NAMED},  # with a separator
        {"flags": UNTERMINATED},  # without records
    ],
    ids=lambda changes: " ".join(changes),
)
def test_a_header_that_no_writer_makes_is_refused(changes: dict[str, Any]) -> None:
    header = read_header(io.BytesIO(packed([], dictionary_size=0)))
    with pytest.raises(vaezip.FormatError):
        opened(b"".join(pack_bytes(dataclasses.replace(header, **changes), [])), dictionary=DICTIONARY)


def test_what_writers_make_of_headers_is_read() -> None:
    for records in ([], LINES[:5], {}, {"name": b"content"}):
        for options in ({}, {"unordered": True}, {"group": 3}):
            for more in ({}, {"dictionary": DICTIONARY}, {"dictionary_size": 0}):
                pack = opened(packed(records, **options, **more), dictionary=more.get("dictionary"))
                assert len(pack) == len(records)


def test_packs_of_newer_versions_are_told_from_damage() -> None:
    data = packed([], dictionary_size=0)
    header = read_header(io.BytesIO(data))
    flagged = dataclasses.replace(header, flags=8).to_bytes()
    for newer in (data[:4] + b"\x02" + data[5:], flagged):
        with pytest.raises(vaezip.VersionError, match="newer"):
            opened(newer)
    with pytest.raises(vaezip.FormatError, match="damaged"):  # without a matching check
        opened(flagged[:-1] + bytes([flagged[-1] ^ 1]))


@pytest.mark.parametrize("left", [1, 2, 12345, (1 << 32) - 1, 1 << 40])
def test_what_is_left_on_the_stack_is_told(left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if it is less than a bit."""
    coder = record_coder(read_header(io.BytesIO(packed([], dictionary_size=0))), TINY)
    data = left.to_bytes(8, "little").rstrip(b"\0")
    assert coder.decode_set(b"", 0, 100) == []
    with pytest.raises(vaezip.FormatError, match="left on the stack"):
        coder.decode_set(data, 0, 100)
    with monkeypatch.context() as patch:
        patch.setattr("vaezip.pack.unordered.AnsStack", lambda: AnsStack.from_bytes(data))
        coded = coder.encode_set([(b"a",), (b"b",)])
    with pytest.raises(vaezip.FormatError, match="left on the stack"):
        coder.decode_set(coded, 2, 100)


@pytest.mark.parametrize(
    "forged",
    [  # texts of 65525 and 11 bytes, the latter with the terminator in it; and of 65525, 11 and none
        "f5767a7001000a3f9b3fa3caefa76e0200000000ac50eadf0228b284f68296dc93f4cd27fe6485bc72e975f780515ed2d88b6108"
        "c8896111d24ee5f919167486a87941deb2f2bb2470ce3d00022bf7c6705d",
        "f5767a7001000a3f9b3fa3caefa76e03000000001c798ae20329cd707b1b3ea34f2bf028fe6485bc72e975f780515ed2d88b6108"
        "c8896111d24ee5f919167486a87941deb2f2bb2470ce3cff0003969f2e1501",
    ],
)
def test_a_group_that_is_a_byte_longer_than_any_may_be_is_refused(forged: str) -> None:
    with pytest.raises(vaezip.FormatError, match="cannot be decoded"):
        list(opened(bytes.fromhex(forged)))
