"""What is told by the checksum of a segment's records, where that of its bytes tells nothing."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Run
from test_packs import DICTIONARY, LINES, opened, packed

import vaezip
from vaezip.cli import cli
from vaezip.known_models import ChosenModel
from vaezip.pack import layout
from vaezip.pack.coder import RecordCoder, record_coder
from vaezip.pack.fileio import Reading, unpack_file
from vaezip.pack.layout import pack_bytes, read_header, read_segments
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
    reading = Reading(ChosenModel(str(TINY)), dictionary=str(tmp_path / "d.vzd") if dictionary else None)
    target, folder = (None, str(there)) if named else (str(there), None)
    with pytest.raises(vaezip.IntegrityError, match=r"x\.vzp: checksum mismatch"):
        unpack_file(str(path), target, folder, False, reading, print, lambda _: nullcontext([].append))
    assert there.exists() <= named


@pytest.mark.parametrize("options", [{}, {"group": 4}, {"group": 9}, {"unordered": True}], ids=str)
@pytest.mark.parametrize("count", [1, 9])
def test_the_checksum_of_a_segments_records_is_compared_once(
    options: dict[str, Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, seen, compared = packed(LINES[:count], **options), list[tuple[bytes, ...]](), []
    check, compare = RecordCoder.check, layout.check_records

    def checked(self: RecordCoder, records: list[tuple[bytes, ...]], before: int = 0) -> int:
        seen.extend(records)
        return check(self, records, before)

    def compared_once(*arguments: Any) -> None:
        compared.append(arguments)
        compare(*arguments)

    monkeypatch.setattr(RecordCoder, "check", checked)
    monkeypatch.setattr(layout, "check_records", compared_once)
    assert sorted(opened(data)) == sorted(LINES[:count])
    assert (sorted(seen), len(compared)) == (sorted((line,) for line in LINES[:count]), 1)


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


@pytest.mark.parametrize("options", [{}, {"group": 4}, {"unordered": True}])
@pytest.mark.parametrize("named", [False, True])
def test_packs_are_tested_as_files_are(
    run: Run, tmp_path: Path, options: dict[str, Any], named: bool
) -> None:
    records = {str(i): line for i, line in enumerate(LINES[:9])} if named else LINES[:9]
    data = packed(records, **options)
    (tmp_path / "x.vzp").write_bytes(data)
    (tmp_path / "x.vz").write_bytes(vaezip.compress(b"a text", model=TINY))
    test = ("test", "-m", TINY)
    whole = run(*test, "-v", "x.vzp", "x.vz")
    assert (whole.returncode, whole.stdout, whole.stderr) == (0, b"x.vzp: ok\nx.vz: ok\n", b"")
    assert run(*test, "x.vzp").stdout == b""
    size = sum(map(len, LINES[:9])) + (0 if named else 9)
    if not (named and options.get("unordered")):  # of which names are counted, too
        assert run(*test, "--max-output", size, "x.vzp").returncode == 0
    assert run(*test, "--max-output", size - 1, "x.vzp").returncode == 1

    header = read_header(io.BytesIO(data))
    (segment,) = read_segments(io.BytesIO(data), header)
    body = data[segment.at : segment.at + segment.size]
    wrong = segment._replace(checks=segment.checks[:4] + bytes(4))
    damaged = {
        "body": data[: segment.at] + bytes([body[0] ^ 1]) + data[segment.at + 1 :],
        "records": b"".join(pack_bytes(header, [(wrong, body)])),
        "end": data[:-1],
        "beginning": data[:7] + bytes([data[7] ^ 1]) + data[8:],
    }
    for name, content in damaged.items():
        (tmp_path / f"{name}.vzp").write_bytes(content)
    said = run(*test, "-v", *(f"{name}.vzp" for name in damaged), "x.vzp")
    assert (said.returncode, said.stdout, said.stderr.count(b"\n")) == (1, b"x.vzp: ok\n", len(damaged))
    assert all(f"vaezip: {name}.vzp: ".encode() in said.stderr for name in damaged)
    assert b"records.vzp: checksum mismatch: records 0 to 8" in said.stderr


def test_what_begins_like_a_pack_is_tested_as_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d.vzd").write_bytes(DICTIONARY.to_bytes())
    (tmp_path / "any name").write_bytes(packed(LINES[:3], dictionary=DICTIONARY))
    assert run("test", "-m", TINY, "-D", "d.vzd", "any name").returncode == 0
    needed = run("test", "-m", TINY, "any name")
    assert (needed.returncode, needed.stderr.count(b"\n")) == (1, 1)
    assert b"any name: made with a dictionary" in needed.stderr
    (tmp_path / "newer.vzp").write_bytes(b"\xf5vzp\2")
    assert b"newer.vzp: a pack made by a newer vaezip" in run("test", "newer.vzp").stderr
    assert run("test", "-m", TINY, input=packed(LINES[:3])).returncode == 1  # a pack is read from anywhere


class Failing(io.BytesIO):
    """A file on a disk that has lost all but its beginning."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 4:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


def test_a_pack_that_cannot_be_read_is_named_and_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = {"good.vzp": io.BytesIO, "bad.vzp": Failing}
    for name in kinds:
        (tmp_path / name).write_bytes(packed(LINES[:3]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vaezip.pack.records.open_named", lambda path, mode: kinds[path](packed(LINES[:3])))
    for line, shown in (
        ("test -v bad.vzp good.vzp", "good.vzp: ok\n"),
        ("get bad.vzp 0", ""),
        ("unpack bad.vzp -o back", ""),
    ):
        assert cli.main([*line.split(), "-m", str(TINY)], standalone_mode=False) == 1
        said = capsys.readouterr()
        assert (said.out, said.err) == (shown, "vaezip: bad.vzp: Input/output error\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kinds)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that the system cannot read")
def test_a_file_that_cannot_be_read_is_named_whatever_reads_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    memory = "/proc/self/mem"
    for line in (
        *(f"{command} {memory}" for command in ("-c", "-dc", "-t", "-l", "unpack", "show", "bench")),
        f"get {memory} 0",
        f"unpack {memory} -o x",
        f"pack {memory} -o x",
        f"pack --append a -o {memory}",
        f"dict {memory} -o x",
        f"sample --like {memory}",
    ):
        result = run(*line.split(), env={"VAEZIP_MODEL": str(TINY)})
        assert (result.returncode, result.stdout) == (1, b""), line
        assert result.stderr.startswith(f"vaezip: {memory}: ".encode())
        assert result.stderr.endswith(b": Input/output error\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
