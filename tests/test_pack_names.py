"""Names of records: the same on every machine, and no way out of the folder that they are unpacked into."""

from __future__ import annotations

import ntpath
import posixpath
from collections import ChainMap, UserDict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from conftest import TINY, Run
from hypothesis import given
from hypothesis import strategies as st
from test_packs import opened, packed

from vaezip.pack.coder import record_coder
from vaezip.pack.layout import pack_bytes
from vaezip.pack.names import decode_name, encode_name, file_name, record_name
from vaezip.pack.packing import new_header, segments_of


def hostile(records: list[tuple[bytes, ...]], **options: Any) -> bytes:
    """A pack of records that are looked at by nobody."""
    header = new_header(records, model=TINY, dictionary_size=0, **options)
    return b"".join(pack_bytes(header, segments_of(records, header, record_coder(header, TINY))))


def test_no_record_leads_out_of_the_folder(run: Run, tmp_path: Path) -> None:
    env = {"VAEZIP_MODEL_PATH": str(TINY.parent)}
    for name in ("../evil", "/tmp/evil", "a/../../evil", "", "a//b", "."):
        with pytest.raises(ValueError, match="below some folder"):
            packed({name: b"content"})
        (tmp_path / "x.vzp").write_bytes(hostile([(name.encode(), b"content")], named=True))
        result = run("unpack", "x.vzp", "--output-dir", "there", env=env)
        assert (result.returncode, result.stderr.count(b"\n")) == (1, 1)
    assert not (tmp_path / "evil").exists()
    assert not list(tmp_path.glob("there/**/*"))


@pytest.mark.parametrize(
    "name",
    [
        "..\\..\\evil.txt",
        "a\\b",
        "C:\\evil",
        "C:evil",
        "C:/evil",
        "a:stream",
        "a/b:stream",
        "\\\\server\\share",
        "NUL",
        "con.txt",
        "a/Aux",
        "COM1 .x",
        "lpt9/b",
        "COM¹",
        "CONIN$",
        ".. ",
        ".../x",
        "a. /x",
        "ends.",
    ],
)
def test_no_record_leads_out_of_the_folder_on_windows(name: str) -> None:
    assert file_name(name.encode(), posixpath) == name
    with pytest.raises(ValueError, match="something else"):
        file_name(name.encode(), ntpath)


def test_names_of_files_are_the_same_everywhere() -> None:
    for name in ("a", "a/b c/.d", "größer/日本", "console/com0/nul_/x.con", "a\udcff", "-", "..a/b..c"):
        encoded = encode_name(name)
        assert decode_name(encoded) == file_name(encoded, posixpath) == name
        assert file_name(encoded, ntpath) == name.replace("/", "\\")
        for path in (posixpath, ntpath):
            assert record_name(file_name(encoded, path), path) == encoded
    for file in ("C:\\a\\b", "..\\a\\.\\b", "C:a/b", "\\\\server\\share\\a\\b", "x\\..\\a\\b"):
        assert record_name(file, ntpath) == b"a/b"
    for file in ("/a/b", "../a/./b", "a//b", "x/../a/b"):
        assert record_name(file, posixpath) == b"a/b"
    for path in (posixpath, ntpath):
        for name in (b"../evil", b"/evil", b"", b"a//b", b".", b"a/..", b"nul\0"):
            with pytest.raises(ValueError, match="below some folder"):
                file_name(name, path)


@pytest.mark.parametrize(
    ("links", "records"),
    [
        ({"there/a": "b"}, ["a/x", "b/x"]),
        ({"there/a": "b", "there/c": "b"}, ["c/x", "d/x", "a/x"]),
        ({"there/b/c": "../a"}, ["a/x", "b/c/x"]),
    ],
)
def test_no_record_takes_the_place_of_another(
    links: dict[str, str], records: list[str], run: Run, tmp_path: Path
) -> None:
    """Not even with -f, and where folders are links."""
    (tmp_path / "there" / "b").mkdir(parents=True)
    (tmp_path / "there" / "b" / "x").write_bytes(b"older")
    for name, folder in links.items():
        (tmp_path / name).symlink_to(folder)
    (tmp_path / "x.vzp").write_bytes(packed({name: name.encode() for name in records}))
    result = run("unpack", "-m", TINY, "x.vzp", "-f", "--output-dir", "there")
    first, *_, last = records
    said = f"vaezip: there/{last}: is also the output of {first}, refused\n"
    assert (result.returncode, result.stderr.decode()) == (1, said)
    assert (tmp_path / "there" / first).read_bytes() == first.encode()


def test_what_cannot_be_unpacked_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    """So that what was interrupted can be completed."""
    names = ["a/x", "../out", "b/x", "c/x", "a/y"]
    (tmp_path / "x.vzp").write_bytes(hostile([(name.encode(), name.encode()) for name in names], named=True))
    (tmp_path / "there" / "a").mkdir(parents=True)
    (tmp_path / "there" / "a" / "x").write_bytes(b"older")
    (tmp_path / "there" / "b").write_bytes(b"no folder")
    result = run("unpack", "-m", TINY, "x.vzp", "--output-dir", "there")
    said = result.stderr.decode().splitlines()
    assert (result.returncode, len(said)) == (1, 3), said
    for line, words in zip(
        said, ("there/a/x: already exists", "x.vzp: cannot unpack", "there/b: "), strict=True
    ):
        assert line.startswith("vaezip: " + words)
    assert (tmp_path / "there" / "a" / "x").read_bytes() == b"older"
    for name in ("c/x", "a/y"):
        assert (tmp_path / "there" / name).read_bytes() == name.encode()
    assert not (tmp_path / "out").exists()


def test_names_with_newlines_can_be_told_apart(run: Run, tmp_path: Path) -> None:
    names = ["two\nlines", "one", "größer", "-0"]
    (tmp_path / "x.vzp").write_bytes(packed({name: name.encode() for name in names}))
    for options, end in (("--names",), "\n"), (("-0", "--names"), "\0"), (("--names", "--null"), "\0"):
        shown = run("get", "-m", TINY, "x.vzp", *options).stdout.decode()
        assert shown == "".join(name + end for name in names)
    assert run("get", "-m", TINY, "x.vzp", "--", *names).stdout.decode() == "".join(names)


def test_any_mapping_gives_names() -> None:
    names = {"one": b"1", "two": b"22"}
    for mapping in (MappingProxyType(names), UserDict(names), ChainMap({}, names)):
        assert packed(mapping, dictionary_size=0) == packed(names, dictionary_size=0)
        pack = opened(packed(mapping, dictionary_size=0))
        assert {name: pack[name] for name in pack.names()} == names


@pytest.mark.parametrize("name", [7, b"one", None])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    for mapping in ({name: b"1"}, MappingProxyType({"one": b"1", name: b"1"})):
        with pytest.raises(TypeError, match=f"^the name of a record is a str, not {type(name).__name__}$"):
            packed(mapping, dictionary_size=0)


@given(st.binary(max_size=12))
def test_every_name_comes_back(name: bytes) -> None:
    assert encode_name(decode_name(name)) == name


def test_names_do_not_depend_on_the_machine(run: Run, tmp_path: Path) -> None:
    """But those of files may be written in another way on each."""
    name = "größer"
    data = packed({name: b"content"})
    assert opened(data).record(0) == (name.encode(), b"content")
    (tmp_path / "x.vzp").write_bytes(data)
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert run("get", "-m", TINY, "x.vzp", name, env=env).stdout == b"content"
    with pytest.raises(ValueError, match="surrogates"):
        packed({"\ud800": b"content"})
