"""Packs: many records in one file, read one by one, in their order or without one."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Run
from hypothesis import given, settings
from hypothesis import strategies as st
from shell import ends

import vaezip
from vaezip import engine
from vaezip.engine import load_engine
from vaezip.known_models import ChosenModel
from vaezip.messages.texts import MAX_TEXT, Interval
from vaezip.pack.fileio import Packing, Reading, pack_files, unpack_file
from vaezip.pack.unordered import decode_set, encode_set

LINES = [
    b'{"id": %d, "state": "%s", "load": 0.%d}' % (i, b"busy" if i % 3 else b"idle", i % 97)
    for i in range(120)
]
DICTIONARY = vaezip.make_dictionary(LINES[:30], "states")


def packed(records: Any, **options: Any) -> bytes:
    return vaezip.pack_records(records, model=TINY, **options)


def packing(**how: Any) -> Packing:
    """Of lines."""
    usual = {"group": 1, "unordered": False, "append": False}
    return Packing(ChosenModel(str(TINY)), None, None, separator=10, overwrite=False, **{**usual, **how})


def opened(data: bytes, **options: Any) -> vaezip.Records:
    return vaezip.Records(io.BytesIO(data), model=TINY, **options)


NAMES = st.text(st.characters(exclude_characters="/\0.", codec="utf-8"), min_size=1, max_size=8)
records = st.lists(
    st.one_of(st.binary(max_size=20), st.sampled_from([*LINES[:5], b"", b"\n", b"a\nb"])), max_size=12
)


@settings(deadline=None, max_examples=30)
@given(records, st.integers(1, 5), st.sampled_from([0, 60, None]))
def test_every_record_comes_back(texts: list[bytes], group: int, dictionary_size: int | None) -> None:
    pack = opened(packed(texts, group=group, dictionary_size=dictionary_size))
    assert list(pack) == texts
    assert len(pack) == len(texts)
    assert [pack[i - len(texts)] for i in range(len(texts))] == texts
    assert pack[1:3] == texts[1:3]
    assert [pack.record(i - len(texts)) for i in range(len(texts))] == [(text,) for text in texts]
    for beyond in (len(texts), -len(texts) - 1, 1 << 40, -1 << 70):
        for read in (pack.__getitem__, pack.record):
            with pytest.raises(IndexError, match="fewer"):
                read(beyond)
    assert all(text in pack for text in texts)
    assert b"no such record" not in pack
    assert "no such name" not in pack


@settings(deadline=None, max_examples=30)
@given(records)
def test_a_set_of_records_comes_back(texts: list[bytes]) -> None:
    assert list(opened(packed(texts, unordered=True))) == sorted(texts)
    assert list(opened(packed(texts[::-1], unordered=True))) == sorted(texts)


@settings(deadline=None, max_examples=15)
@given(st.dictionaries(NAMES, st.binary(max_size=20), max_size=5), st.booleans())
def test_records_have_names(texts: dict[str, bytes], unordered: bool) -> None:
    pack = opened(packed(texts, unordered=unordered))
    assert {name: pack[name] for name in pack.names()} == texts
    assert all(name in pack and content in pack for name, content in texts.items())
    assert "no such name" not in pack
    assert {name: pack.record(number)[1] for name, number in pack.numbers().items()} == texts
    for other in (pack, opened(packed([b"content"]))):
        with pytest.raises(KeyError):
            other["no such name"]


def test_a_dictionary_becomes_part_of_the_pack_or_stays_outside(tmp_path: Path) -> None:
    plain, own = packed(LINES, dictionary_size=0), packed(LINES)
    assert len(own) < 0.8 * len(plain)
    outside = packed(LINES, dictionary=DICTIONARY)
    assert len(outside) < len(own)
    assert list(opened(outside, dictionary=DICTIONARY)) == LINES
    with pytest.raises(vaezip.DictionaryError, match="made with a dictionary"):
        opened(outside)
    (tmp_path / "x.vzp").write_bytes(own)
    with vaezip.Records(tmp_path / "x.vzp", model=TINY) as pack:
        assert pack[77] == LINES[77]


@pytest.mark.parametrize("named", [False, True])
def test_a_closed_pack_is_closed(named: bool) -> None:
    names = {str(number): line for number, line in enumerate(LINES[:4])}
    pack = opened(packed(names if named else LINES[:4]))
    iterator = iter(pack)
    assert (next(iterator), len(pack), pack[0]) == (LINES[0], 4, LINES[0])
    for _ in range(2):
        pack.close()
    for act in (
        len, list, lambda pack: list(reversed(pack)), vaezip.Records.names, vaezip.Records.numbers, lambda pack: pack[0], lambda pack: pack[:2],
        lambda pack: pack["0"], lambda pack: "0" in pack, lambda pack: b"x" in pack, lambda pack: pack.record(1),
        lambda pack: pack.index(LINES[0]), lambda pack: list(pack.records()), lambda _: next(iterator),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="closed"):
            act(pack)


def test_records_that_are_coded_together_are_smaller() -> None:
    sizes = [len(packed(LINES, group=group, dictionary_size=0)) for group in (1, 4, 40)]
    assert sizes == sorted(sizes, reverse=True)
    assert opened(packed(LINES, group=7))[119] == LINES[119]


@pytest.mark.parametrize("count", [2, 3, 10, 100, 1000, 20_000])
def test_an_order_that_is_not_kept_is_not_paid(count: int) -> None:
    """Against theory, log2 n!, with records of four bytes that are all equally likely."""
    random_bytes = random.Random(count)
    texts = [(random_bytes.randbytes(4),) for _ in range(count)]

    def symbols(record: tuple[bytes, ...]) -> list[Interval]:
        return [(byte << 16, 1 << 16) for byte in record[0]]

    def pop(decoder: Any) -> tuple[bytes, ...]:
        found = bytearray()
        for _ in range(4):
            found.append(decoder.quantile() >> 16)
            decoder.pop(found[-1] << 16, 1 << 16)
        return (bytes(found),)

    coded = encode_set(texts, symbols)
    assert decode_set(coded, count, pop) == sorted(texts)
    theory = math.lgamma(count + 1) / math.log(2) / 8
    assert abs(4 * count - len(coded) - theory) < 0.05 * theory + 4


def test_equal_records_cost_next_to_nothing_in_a_set() -> None:
    many = packed([LINES[0]] * 200, unordered=True, dictionary_size=0)
    assert len(many) < len(packed([LINES[0]] * 200, dictionary_size=0))
    assert list(opened(many)) == [LINES[0]] * 200


@pytest.mark.parametrize("name", engine.available())
@pytest.mark.parametrize("unordered", [False, True])
def test_packs_are_the_same_with_every_engine(
    name: str, unordered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = packed(LINES[:8], unordered=unordered, dictionary_size=100)
    monkeypatch.setenv("VAEZIP_ENGINE", name)
    tiny = vaezip.load_model(TINY)
    model = tiny.__class__(**{**vars(tiny), "engine": load_engine(tiny.decoder, tiny.mixer)})
    again = vaezip.pack_records(LINES[:8], model=model, unordered=unordered, dictionary_size=100)
    assert again == expected
    assert sorted(vaezip.Records(io.BytesIO(expected), model=model)) == sorted(LINES[:8])


# The command line


def test_lines_are_packed_got_and_unpacked(run: Run, tmp_path: Path) -> None:
    for end in (b"\n", b""):
        (tmp_path / "a.jsonl").write_bytes(b"\n".join(LINES) + end)
        made = run("pack", "-m", TINY, "-f", "a.jsonl", "-o", "a.vzp")
        assert (made.returncode, made.stdout) == (0, b"")
        assert b"120 records" in made.stderr
        env = {"VAEZIP_MODEL_PATH": str(TINY.parent)}
        assert run("get", "a.vzp", "7", "--", "-1", env=env).stdout == LINES[7] + b"\n" + LINES[119] + b"\n"
        some = run("get", "a.vzp", "-10", "7", "-m", TINY, "-1").stdout
        assert some == b"".join(LINES[number] + b"\n" for number in (110, 7, 119))
        assert run("unpack", "a.vzp", env=env).stdout == b"\n".join(LINES) + end
    (tmp_path / "b.jsonl").write_bytes(b"one more\n")
    added = run("pack", "-m", TINY, "--append", "b.jsonl", "-o", "a.vzp")
    size = (tmp_path / "a.vzp").stat().st_size
    assert (added.returncode, added.stdout) == (0, b"")
    assert added.stderr.endswith(b"a.vzp: 1 records, 8 bytes, added; %d bytes in all\n" % size)
    assert run("get", "a.vzp", "120", env=env).stdout == b"one more\n"
    assert run("unpack", "a.vzp", "-o", "back", env=env).returncode == 0
    assert (tmp_path / "back").read_bytes() == b"\n".join([*LINES, b"one more", b""])
    assert run("unpack", "a.vzp", "--max-output", "1K", env=env).returncode == 1


@pytest.mark.parametrize("end", [b"\n", b"\0"])
def test_an_empty_file_ends_no_record(tmp_path: Path, end: bytes) -> None:
    """Nor does what is passed over."""
    contents = {"two": b"one" + end + b"two", "three": b"three" + end, "empty": b"", "no_text": end}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    pack, back = tmp_path / "x.vzp", tmp_path / "back"
    how = packing()._replace(separator=end[0], overwrite=True)
    for names in (
        ["two"],
        ["two", "empty"],
        ["empty", "two", "empty", "folder", "empty"],
        ["three", "empty", "no_text", "two", "empty"],
        ["three", "empty"],
        ["empty", "empty"],
    ):
        sources = [str(tmp_path / name) for name in names]
        pack_files(sources, str(pack), how, [].append, lambda _: nullcontext([].append))
        unpack_file(
            str(pack),
            str(back),
            None,
            True,
            Reading(ChosenModel(str(TINY))),
            print,
            lambda _: nullcontext([].append),
        )
        assert back.read_bytes() == b"".join(contents.get(name, b"") for name in names)


def test_the_usual_model_is_one_of_those_that_a_pack_may_name(run: Run, tmp_path: Path) -> None:
    usual = {"VAEZIP_MODEL": str(TINY)}
    (tmp_path / "lines").write_bytes(b"one\ntwo\n")
    for name, env in (("own.vzp", usual), ("standard.vzp", {})):
        assert run("pack", "lines", "-o", name, env=env).returncode == 0
        assert run("pack", "--append", "lines", "-o", name, env=usual).returncode == 0
        assert run("get", name, "1", "2", env=usual).stdout == b"two\none\n"
        assert run("unpack", name, env=usual).stdout == b"one\ntwo\n" * 2
    assert run("get", "-m", TINY, "standard.vzp", "1", env=usual).returncode == 1
    assert run("get", "own.vzp", "1").returncode == 1
    broken = {"VAEZIP_MODEL": "missing.vzm"}
    assert run("get", "standard.vzp", "1", env=broken).stdout == b"two\n"
    assert run("unpack", "-m", TINY, "own.vzp", env=broken).returncode == 0
    assert run("pack", "--append", "lines", "-o", "standard.vzp", env=broken).returncode == 0
    for arguments in (("get", "own.vzp", "1"), ("pack", "lines", "-o", "new.vzp")):
        assert b"VAEZIP_MODEL: missing.vzm: " in run(*arguments, env=broken).stderr


@pytest.mark.parametrize("how", [{}, {"group": 7}, {"unordered": True}])
def test_progress_is_told_in_records(tmp_path: Path, how: dict[str, Any]) -> None:
    told: list[int] = []

    @contextmanager
    def progress(count: int) -> Iterator[Callable[[int], object]]:
        told.append(-count)
        yield told.append

    source, pack = tmp_path / "lines", tmp_path / "lines.vzp"
    source.write_bytes(b"\n".join(LINES))
    pack_files([str(source)], str(pack), packing(**how), print, progress)
    unpack_file(
        str(pack), str(tmp_path / "back"), None, False, Reading(ChosenModel(str(TINY))), print, progress
    )
    assert (told.count(-len(LINES)), sum(told)) == (2, 0)


def test_files_are_packed_got_and_unpacked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes" / "old").mkdir(parents=True)
    names = ["notes/a.txt", "notes/0_1", "notes/old/c.txt"]
    for name, line in zip(names, LINES, strict=False):
        (tmp_path / name).write_bytes(line)
    env = {"VAEZIP_MODEL_PATH": str(TINY.parent)}
    assert run("pack", "-m", TINY, "--records", "files", "-r", "notes", "-o", "n.vzp").returncode == 0
    listed = run("get", "n.vzp", "--names", env=env).stdout
    assert sorted(listed.splitlines()) == sorted(name.encode() for name in names)
    got = run("get", "n.vzp", "notes/old/c.txt", "notes/0_1", env=env)
    assert got.stdout == LINES[2] + LINES[1]
    assert run("unpack", "n.vzp", "--output-dir", "there", env=env).returncode == 0
    assert [(tmp_path / "there" / name).read_bytes() for name in names] == LINES[:3]


def test_of_equal_names_the_last_counts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.vz").write_bytes(b"one")  # a name that other commands would pass over
    env = {"VAEZIP_MODEL_PATH": str(TINY.parent)}
    (tmp_path / "folder").mkdir()
    made = run("pack", "-m", TINY, "--records", "files", "a.vz", "folder", "-o", "x.vzp")
    assert made.returncode == 2  # the folder was passed over
    assert run("pack", "-m", TINY, "--records", "files", "a.vz", "./a.vz", "-o", "y.vzp").returncode == 1
    (tmp_path / "a.vz").write_bytes(b"two")
    assert run("pack", "-m", TINY, "--records", "files", "--append", "a.vz", "-o", "x.vzp").returncode == 0
    assert run("get", "x.vzp", "a.vz", "0", env=env).stdout == b"twoone"
    assert run("unpack", "x.vzp", "--output-dir", "there", env=env).returncode == 0
    assert (tmp_path / "there" / "a.vz").read_bytes() == b"two"


def test_a_folder_has_no_lines_and_a_pipe_cannot_be_read_anywhere(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    ends(sh("echo one > lines; vaezip pack -q folder lines -o x.vzp"), 2)
    ends(sh("vaezip unpack x.vzp"), 0, b"one\n")
    ends(sh("cat x.vzp | vaezip unpack /dev/stdin"), 1, b"", "/dev/stdin: a pack has to be a file")


def test_a_pack_may_need_a_dictionary(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d.vzd").write_bytes(DICTIONARY.to_bytes())
    (tmp_path / "a").write_bytes(b"\n".join(LINES[:9]))
    with_dictionary = ("-m", TINY, "-D", "d.vzd")
    assert run("pack", *with_dictionary, "a", "-o", "a.vzp").returncode == 0
    assert run("pack", *with_dictionary, "--append", "a", "-o", "a.vzp").returncode == 0
    assert run("get", *with_dictionary, "a.vzp", "3").stdout == LINES[3] + b"\n"
    assert run("unpack", *with_dictionary, "a.vzp").stdout == b"\n".join(LINES[:9] * 2)
    missing = run("get", "-m", TINY, "a.vzp", "3")
    assert (missing.returncode, missing.stderr.count(b"\n")) == (1, 1)
    assert b"a.vzp: made with a dictionary" in missing.stderr
    assert run("unpack", *with_dictionary, "a.vzp", "--max-output", 5).returncode == 1
    size = len(b"\n".join(LINES[:9] * 2))
    assert run("unpack", *with_dictionary, "a.vzp", "--max-output", size).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pack", "lines"), b"-o"),
        (("pack", "nowhere", "-o", "x.vzp"), b"nowhere"),
        (("pack", "lines", "-o", "x.vzp", "--unordered", "--group", "2"), b"--group"),
        (("pack", "lines", "-o", "lines"), b"is also an input"),
        (("pack", "lines", "-o", "there.vzp"), b"exists"),
        (("pack", "lines", "-o", "-"), b"-o needs the name of a file"),
        (("pack", "--append", "--group", "2", "lines", "-o", "x.vzp"), b"--append"),
        (("pack", "--append", "lines", "-o", "nowhere.vzp"), b"nowhere.vzp"),
        (("pack", "--append", "--records", "nul", "lines", "-o", "there.vzp"), b"another kind"),
        (("get", "lines", "1"), b"not a pack"),
        (("get", "there.vzp"), b"which records"),
        (("get", "there.vzp", "1", "--names"), b"which records"),
        (("get", "there.vzp", "--names"), b"have no names"),
        (("get", "there.vzp", "1", "-0"), b"-0 goes with --names"),
        (("get", "there.vzp", "1", "-1x"), b"-1"),
        (("get", "there.vzp", "one"), b"no record one"),
        (("get", "there.vzp", "5"), b"no record 5"),
        (("get", "there.vzp", "+1"), b"no record +1"),
        (("get", "there.vzp", "0_1"), b"no record 0_1"),
        (("get", "nowhere", "5"), b"nowhere"),
        (("unpack", "lines"), b"lines: not a pack"),
        (("pack", "--append", "-D", "lines", "lines", "-o", "there.vzp"), b"-D means nothing"),
        (("get", "/dev/null", "0"), b"/dev/null: not a pack"),
        (("unpack", "there.vzp", "--output-dir", "x"), b"have no names"),
        (("unpack", "there.vzp", "-o", "x", "--output-dir", "x"), b"-o is for one file"),
        (("unpack", "there.vzp", "--output-dir", ""), b"--output-dir needs the name of a folder"),
        (
            ("pack", "-D", "lines", "--dictionary-size", "1K", "lines", "-o", "x.vzp"),
            b"-D names a dictionary",
        ),
        (("pack", "--records", "files", "-", "-o", "x.vzp"), b"standard input: has no name"),
        (
            ("pack", "--records", "files", "long", "-o", "x.vzp"),
            b"long: a record and its name have less than 65536",
        ),
        (("pack", "long", "-o", "x.vzp"), b"long: line 1: a record has 65536 bytes at most"),
        (
            ("pack", "lines", "third", "-o", "x.vzp"),
            b"vaezip: third: line 3: a record has 65536 bytes at most",
        ),
        (("pack", "--records", "nul", "nul", "-o", "x.vzp"), b"vaezip: nul: record 1: a record has 65536"),
        (
            ("pack", "--group", "3", "--dictionary-size", "0", "lines", "half", "-o", "x.vzp"),
            b"vaezip: x.vzp: record 3 and the 2 after it are coded together, and take more than 65536 bytes: "
            b"choose a smaller group",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], said: bytes
) -> None:
    (tmp_path / "lines").write_bytes(b"some lines\nof text\n")
    (tmp_path / "long").write_bytes(bytes(MAX_TEXT + 1))
    (tmp_path / "third").write_bytes(b"one\n\n" + bytes(MAX_TEXT + 1) + b"\n")
    (tmp_path / "nul").write_bytes(b"one\0" + b"\n" * (MAX_TEXT + 1) + b"\0" + bytes(MAX_TEXT))
    (tmp_path / "half").write_bytes(b"one\n" + (bytes(MAX_TEXT // 2) + b"\n") * 4)
    (tmp_path / "there.vzp").write_bytes(packed([b"one", b"two"]))
    before = (tmp_path / "there.vzp").read_bytes()
    env = {"VAEZIP_MODEL_PATH": str(TINY.parent), "VAEZIP_MODEL": str(TINY)}
    result = run(*arguments, env=env)
    assert (result.returncode, result.stdout) == (1, b"")
    assert said in result.stderr
    assert result.stderr.count(b"\n") == 1
    assert (tmp_path / "there.vzp").read_bytes() == before
    assert not (tmp_path / "x.vzp").exists()
