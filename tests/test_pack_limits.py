"""How long records, groups and segments of packs may be, for those who write them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from test_packs import LINES, opened, packed

import vaezip
from vaezip.messages.texts import MAX_TEXT
from vaezip.pack.coder import RecordCoder
from vaezip.pack.layout import new_segment


def test_a_set_that_is_too_large_to_decode_at_once_has_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is put in an order of its own."""
    for limit, most in (("layout.MAX_CONTENT", len(b"".join(LINES)) // 3), ("packing.MAX_RECORDS", 50)):
        with monkeypatch.context() as patch:
            patch.setattr(f"vaezip.pack.{limit}", most)
            pack = opened(packed(LINES, unordered=True, dictionary_size=0))
        assert len(pack) == len(LINES)
        assert sorted(pack) == sorted(LINES) != list(pack)


def test_no_writer_makes_a_set_that_readers_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaezip.pack.layout.MAX_CONTENT", 50)
    for texts in ([b""] * 170, [b"a", b"", b"bc"] * 30, [b"d" * 49] * 3):
        pack = opened(packed(texts, unordered=True, dictionary_size=0), max_segment_size=50)
        assert sorted(pack) == sorted(texts)


@pytest.mark.parametrize("options", [{}, {"group": 3}, {"unordered": True}])
@pytest.mark.parametrize("named", [False, True])
def test_no_writer_makes_a_segment_that_readers_refuse(
    options: dict[str, Any], named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts in which nothing repeats take more bytes than they have."""
    monkeypatch.setattr("vaezip.pack.layout.MAX_BODY", 500)
    contents = [random.Random(size).randbytes(size) for size in (*range(60), 1, 0, 0, 90)]
    names = {f"{number:02d}": content for number, content in enumerate(contents)}
    pack = opened(packed(names if named else contents, dictionary_size=0, **options))
    assert sorted(pack) == sorted(contents)
    if not options.get("unordered"):
        assert list(pack) == contents
    with pytest.raises(vaezip.LimitError, match="500 bytes at most"):
        new_segment(1, bytes(501), 0)


def test_records_that_are_too_long_are_named_before_any_is_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    long, half = bytes(MAX_TEXT + 1), bytes(MAX_TEXT // 2)
    monkeypatch.setattr(RecordCoder, "encode", None)
    monkeypatch.setattr(RecordCoder, "encode_set", None)
    alone = "record 4: a record has 65536 bytes at most"
    named = "record '4': a record and its name have less than 65536 bytes"
    for options in ({}, {"group": 3}, {"unordered": True}):
        texts = [*LINES[:4], long, LINES[4]]
        names = {str(number): text[1:] for number, text in enumerate(texts)}
        for records, said in ((texts, alone), (names, named)):
            with pytest.raises(vaezip.LimitError, match=f"^{said}$"):
                packed(records, dictionary_size=0, **options)
    together = "are coded together, and take more than 65536 bytes: choose a smaller group"
    texts = [*LINES[:3], b"", half, half]
    for records, said in (
        (texts, "record 3 and the 2 after it"),
        (
            {f"{'n' * number}\n": text for number, text in enumerate(texts)},
            r"record 'nnn\\n' and the 2 after it",
        ),
    ):
        with pytest.raises(vaezip.LimitError, match=f"^{said} {together}$"):
            packed(records, dictionary_size=0, group=3)


@pytest.mark.parametrize("options", [{}, {"group": 3}, {"unordered": True}], ids=str)
def test_records_may_be_as_long_as_is_said(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, with a name, and together, with a byte between them."""
    monkeypatch.setattr("vaezip.pack.coder.MAX_TEXT", 100)
    group = options.get("group", 1)
    for records in (
        [b"x" * 100],
        {"n": b"x" * 98},
        [b"", b"x" * 98, b""][:group],
        {"n": b"x" * 46, "m": b"x" * 49},
    ):
        pack = opened(packed(records, dictionary_size=0, **options))
        assert sorted(pack) == sorted(records.values() if isinstance(records, dict) else records)
    for records in ([b"x" * 101], {"n": b"x" * 99}):
        with pytest.raises(vaezip.LimitError, match="65536"):
            packed(records, dictionary_size=0, **options)
