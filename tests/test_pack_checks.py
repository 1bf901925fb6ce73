"""What is told by the checksum of a segment's records, where that of its bytes tells nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY
from test_packs import DICTIONARY, LINES, opened, packed

import vaezip
from vaezip.pack.coder import RecordCoder, record_coder
from vaezip.pack.fileio import Reading, unpack_file
from vaezip.pack.layout import pack_bytes, read_header
from vaezip.pack.packing import segments_of


@pytest.mark.parametrize(
    "options",
    [{}, {"group": 4}, {"group": 50}, {"unordered": True}, {"dictionary": DICTIONARY}],
    ids=lambda options: " ".join(options) or "alone",
)
@pytest.mark.parametrize("named", [False, True])
def test_records_that_are_not_what_was_packed_are_told(
    options: dict[str, Any], named: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As where memory is bad, or the kernel miscompiled: no checksum of what is coded tells that."""
    records = {f"{i:02d}": line for i, line in enumerate(LINES[:20])} if named else LINES[:20]
    path, there = tmp_path / "x.vzp", tmp_path / "there"
    path.write_bytes(packed(records, **options))
    dictionary, data = options.get("dictionary"), path.read_bytes()

    def wrong(decode: Callable[..., list[tuple[bytes, ...]]]) -> Callable[..., list[tuple[bytes, ...]]]:
        return lambda *arguments: [
            tuple(text.replace(b'"id": 17', b'"id": 71') for text in record) for record in decode(*arguments)
        ]

    assert len(list(opened(data, dictionary=dictionary))) == 20
    for name in ("decode", "decode_set"):
        monkeypatch.setattr(RecordCoder, name, wrong(getattr(RecordCoder, name)))
    pack = opened(data, dictionary=dictionary)
    seen = []
    with pytest.raises(vaezip.IntegrityError, match=r"records 0 to 19 cannot be decoded to what was packed"):
        seen.extend(pack.records())
    is_one = options.get("unordered") or options.get("group", 1) > 20
    assert len(seen) == (0 if is_one else 20 - options.get("group", 1))
    if is_one:
        with pytest.raises(vaezip.IntegrityError):
            pack[3]
    else:
        assert pack[3] == LINES[3]  # by itself, no record has a checksum
    (tmp_path / "d.vzd").write_bytes(DICTIONARY.to_bytes())
    reading = Reading(str(TINY), dictionary=str(tmp_path / "d.vzd") if dictionary else None)
    target, folder = (None, str(there)) if named else (str(there), None)
    with pytest.raises(vaezip.IntegrityError, match=r"x\.vzp: checksum mismatch"):
        unpack_file(str(path), target, folder, False, reading, lambda _: nullcontext([].append))
    assert there.exists() <= named


def test_records_of_several_segments_have_a_checksum_each() -> None:
    header = read_header(io.BytesIO(packed([], dictionary_size=0)))
    coder = record_coder(header, TINY)
    (one, first), (two, second) = (next(segments_of([(text,)] * 2, header, coder)) for text in (b"ab", b"ba"))
    swapped = one._replace(checks=one.checks[:4] + two.checks[4:])
    pack = opened(b"".join(pack_bytes(header, [(two, second), (swapped, first), (two, second)])))
    seen = []
    with pytest.raises(vaezip.IntegrityError, match="records 2 to 3"):
        seen.extend(pack)
    assert seen == [b"ba", b"ba", b"ab"]
    assert [pack[number] for number in (1, 3, 5)] == [b"ba", b"ab", b"ba"]
