"""Which files are taken, and where outputs go: folders, lists of names, suffixes, a folder for outputs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import TINY, Run
from hypothesis import given
from hypothesis import strategies as st
from shell import ends

import vaezip
from vaezip.naming import Naming, is_suffix


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with texts at several depths, one that is compressed already, links, and a pipe."""
    top = tmp_path / "top"
    for name in ("a", "sub/b", "sub/deep er/c", ".hidden/d"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(name.encode())
    (top / "done.vz").write_bytes(vaezip.compress(b"done", model=TINY))
    (top / "link").symlink_to("a")
    (top / "circle").symlink_to("../top")
    (top / "elsewhere").symlink_to("..")
    os.mkfifo(top / "pipe")
    return top


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


TEXTS = [".hidden/d", "a", "sub/b", "sub/deep er/c"]


def test_a_folder_is_compressed_and_decompressed(sh: Run, tree: Path) -> None:
    ends(sh("vaezip -r --rm top"), 0)
    assert files(tree) == sorted(["done.vz", *(f"{name}.vz" for name in TEXTS)])
    ends(sh("vaezip -tr top && vaezip -lr top | wc -l"), 0, b"7\n")
    ends(sh("vaezip -dr --rm top"), 0)
    assert files(tree) == sorted(["done", *TEXTS])
    for name in TEXTS:
        assert (tree / name).read_bytes() == name.encode()


def test_without_r_a_folder_is_passed_over(sh: Run, tree: Path) -> None:
    for mode in ("", "-dc", "-t"):
        ends(sh(f"vaezip {mode} top"), 2, b"", "top: is a directory, skipped (-r takes the files in it)")
    ends(sh("vaezip -r top/a"), 0)
    assert files(tree) == sorted(["a.vz", "done.vz", *TEXTS])


def test_links_are_followed_where_they_are_named_and_nowhere_else(sh: Run, tree: Path) -> None:
    ends(sh("ln -s top named && vaezip -r named"), 0)
    assert len(files(tree)) == 2 * len(TEXTS) + 1
    assert not (tree / "link.vz").exists()


def test_a_folder_that_cannot_be_read_stops_no_other(sh: Run, tree: Path) -> None:
    """A locked one; and for root, who can read it, one whose path is too long."""
    name = "n" * 250
    locked = f"mkdir -m 0 top/locked; cd top; for i in {{1..17}}; do mkdir {name}; cd {name}; done; cat x"
    assert sh(locked).returncode == 1
    result = sh("vaezip -r top; code=$?; chmod -R u+rwx top; rm -rf top/n*; exit $code")
    assert result.returncode == 1
    for line in result.stderr.splitlines():
        assert line.startswith(b"vaezip: top/")
        assert line.endswith((b"Permission denied", b"File name too long"))
    assert {f"{name}.vz" for name in TEXTS} < set(files(tree))


def test_folders_nested_without_end_are_walked(sh: Run, tmp_path: Path) -> None:
    ends(sh("deep=top/$(printf 'd/%.0s' {1..1200}) && mkdir -p $deep && echo text > $deep/a"), 0)
    ends(sh("vaezip -r top --output-dir there && find there -name a.vz | wc -l; rm -rf top there"), 0, b"1\n")


def test_packs_and_dictionaries_pass_over_what_vaezip_has_written(sh: Run, tree: Path) -> None:
    for name in ("x.vzp", "x.VZD", "x.vzm", "sub/y.vz"):
        (tree / name).write_bytes(b"damaged")
    ends(
        sh(
            "vaezip pack -q -r --records files -o top/own.vzp top && vaezip pack -fqr --records files top -o top/own.vzp"
        ),
        0,
    )
    ends(sh("vaezip unpack top/own.vzp --output-dir back"), 0)
    assert files(tree.parent / "back" / "top") == TEXTS
    ends(sh("vaezip dict -q --files -r top -o x.vzd && grep -c damaged x.vzd"), 1, b"0\n")
    for command in ("pack -o y.vzp", "dict -o y.vzd"):
        ends(sh(f"vaezip {command} -S .x top/a"), 1, b"", "No such option")


def test_a_pack_of_nothing_that_could_be_read_is_not_written(sh: Run, tree: Path) -> None:
    ends(sh("vaezip pack top top/sub -o x.vzp"), 2, b"", "is a directory", "is a directory")
    ends(
        sh("vaezip pack --records files top/pipe -o x.vzp"),
        2,
        b"",
        "is not a regular file, skipped",
        "not written",
    )
    ends(sh("vaezip pack missing -o x.vzp"), 1, b"", "missing: No such file")
    assert not (tree.parent / "x.vzp").exists()
    ends(sh("vaezip pack -q top top/a -o x.vzp; vaezip get x.vzp 0"), 0, b"a\n")


def test_outputs_mirror_the_paths_of_their_inputs(sh: Run, tree: Path, tmp_path: Path) -> None:
    ends(sh("vaezip -r top --output-dir out/put"), 0)
    assert files(tmp_path / "out") == sorted(f"put/top/{name}.vz" for name in TEXTS)
    ends(sh("cd out && vaezip -dr put --output-dir ../back"), 0)
    assert files(tmp_path / "back" / "put" / "top") == TEXTS
    ends(sh("cd top && vaezip -r ../top/sub ./a --output-dir ../up"), 0)
    assert files(tmp_path / "up") == ["a.vz", "top/sub/b.vz", "top/sub/deep er/c.vz"]
    ends(sh('vaezip -r "$PWD"/top/sub --output-dir whole'), 0)
    assert (tmp_path / "whole" / str(tree).lstrip("/") / "sub" / "b.vz").is_file()


def test_without_r_outputs_lie_in_one_folder(sh: Run, tree: Path, tmp_path: Path) -> None:
    ends(sh("vaezip top/a top/sub/b --output-dir=out && vaezip -d out/*.vz --output-dir out"), 0)
    assert files(tmp_path / "out") == ["a", "a.vz", "b", "b.vz"]


def test_two_inputs_never_write_one_output(sh: Run, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a").write_text(folder)
    for force in ("", "-f"):
        ends(
            sh(f"vaezip {force} x/a y/a --output-dir out"),
            1,
            b"",
            "out/a.vz: is also the output of x/a, refused",
        )
        ends(sh("vzcat out/a.vz && rm out/a.vz"), 0, b"x")
    ends(sh("vaezip x/a y/a -f --output-dir out; cp out/a.vz out/a.VZ"), 0, b"", "refused")
    ends(
        sh("ln -s out other; vaezip -df out/a.vz other/a.VZ"),
        1,
        b"",
        "other/a: is also the output of out/a.vz",
    )
    ends(sh("vaezip -rf x ./x/a --output-dir there"), 1, b"", "there/x/a.vz: is also the output of x/a")
    ends(sh("vaezip -rf x y --output-dir out && vzcat out/x/a.vz out/y/a.vz"), 0, b"xy")


def test_new_folders_let_nobody_in_who_could_not_reach_the_input(sh: Run, tree: Path, tmp_path: Path) -> None:
    (tree / "sub").chmod(0o700)
    (tree / "sub" / "deep er").chmod(0o555)
    ends(sh("umask 022; vaezip -r top --output-dir out"), 0)
    modes = [
        (tmp_path / "out" / name).stat().st_mode & 0o777 for name in ("top", "top/sub", "top/sub/deep er")
    ]
    assert modes == [0o755, 0o700, 0o755]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can choose a group")
def test_another_group_gets_only_what_everybody_has(sh: Run, tree: Path, tmp_path: Path) -> None:
    os.chown(tree / "sub", -1, 12345)
    (tree / "sub").chmod(0o775)
    os.chown(tree / ".hidden", -1, 12345)
    (tree / ".hidden").chmod(0o750)
    (tree / "sub" / "deep er").chmod(0o750)
    ends(sh("umask 022; vaezip -r top --output-dir out"), 0)
    names = ("sub", ".hidden", "sub/deep er")
    modes = [(tmp_path / "out" / "top" / name).stat().st_mode & 0o777 for name in names]
    assert modes == [0o755, 0o700, 0o750]


def test_folders_for_outputs_that_cannot_be_made_or_make_no_sense(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    for options, problem in (
        ("a --output-dir a", "is a file"),
        ("a --output-dir a/b", "a: cannot make the folder: File exists"),
        ("a --output-dir /proc/x", "/proc/x: cannot make the folder"),
        (f"a --output-dir {'n' * 300}", "cannot make the folder: File name too long"),
        ("a --output-dir ''", "--output-dir needs the name of a folder"),
        ("a --output-dir out -c", "--output-dir does not go with standard input or output"),
        ("- --output-dir out", "--output-dir does not go with standard input or output"),
        ("a --output-dir out -o x", "-o names the output of one input"),
        ("-r a -o x", "-o names the output of one input"),
        ("-t a --output-dir out", "--output-dir does not go with --test"),
        ("-l a -o x", "-o does not go with --list"),
        ("missing --output-dir out", "missing: No such file"),
    ):
        ends(sh(f"vaezip {options}"), 1, b"", problem)
    assert os.listdir(tmp_path) == ["a"]


def test_file_lists_and_names_are_combined(sh: Run, tmp_path: Path) -> None:
    for name in ("a", "b", "c d", "-"):
        (tmp_path / name).write_text(name)
    (tmp_path / "list").write_text("b\n\nc d\n-")
    ends(sh("vaezip a --filelist list -c | vaezip -d"), 0, b"abc d-")
    ends(sh("printf 'b\\n' | vaezip --filelist list --filelist - -c a | vaezip -d"), 0, b"abc d-b")
    ends(sh("vaezip --filelist <(echo a) -c | vaezip -d"), 0, b"a")
    ends(sh("printf 'a\\0c d' | vaezip -0 --filelist - -v -c 2>&1 >/dev/null | wc -l"), 0, b"2\n")


def test_a_list_without_names_means_nothing_and_not_standard_input(sh: Run, tmp_path: Path) -> None:
    for mode in ("", "-d", "-t", "-l", "-r --output-dir out", "--rm"):
        ends(sh(f"vaezip {mode} --filelist /dev/null", input=b"text"), 0)
    ends(sh("mkdir empty && vaezip -r empty", input=b"text"), 0)
    assert os.listdir(tmp_path) == ["empty"]


def test_lists_that_cannot_be_used(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    for options, problem in (
        ("a --filelist missing", "missing: No such file"),
        ("a --filelist .", ".: is a directory"),
        ("a -0", "-0 is about the names in a --filelist"),
        ("- --filelist -", "standard input can be read but once"),
        ("--filelist <(printf 'a\\0b')", "has NUL bytes, and no name has (with -0, names end in one)"),
        ("--filelist <(echo a) -o x", "-o names the output of one input"),
        ("--filelist <(echo missing)", "missing: No such file"),
    ):
        result = sh(f"vaezip {options}", input=b"")
        assert result.returncode in (1, 2), options
        assert result.stderr.decode().count("\n") == 1, options
        assert problem in result.stderr.decode()
    assert os.listdir(tmp_path) == ["a"]


def test_names_in_lists_may_be_any_bytes(sh: Run, tmp_path: Path) -> None:
    every = bytes(byte for byte in range(1, 256) if byte not in b"./\n")
    names = [b"\n\n\n", b"---", b"   ", b"\\\\", b"\r", *(every[first::9] for first in range(9))]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    for environment in ("", "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"):
        assert sh(f"{environment} vaezip -0 --filelist - --rm", input=b"\0".join(names)).stderr == b""
        back = b"\n".join(name + b".vz" for name in names if name != b"\n\n\n")
        assert sh(f"{environment} vaezip -d --filelist - --rm", input=back).stderr == b""
        ends(sh("vaezip -d --rm -- $'\\n\\n\\n.vz'"), 0)
        assert sorted(os.listdir(os.fsencode(tmp_path))) == sorted(names)


def test_another_suffix_holds_in_both_directions(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    ends(sh("vaezip -S .packed a && rm a && vaezip -d --suffix=.packed a.packed && cat a"), 0, b"text")
    ends(sh("vaezip -S .packed a.packed"), 2, b"", "already has the suffix .packed")
    ends(sh("vaezip -d a.packed"), 2, b"", "does not end in .vz")
    ends(sh("vaezip -r -S -x . && ls"), 0, b"a\na-x\na.packed\na.packed-x\n")
    ends(sh("vaezip -trv -S .packed . && vaezip -trv ."), 0, b"./a.packed: ok\n")


@pytest.mark.parametrize("suffix", ["", ".", "..", "...", "/", "a/b", ".vz/", "/vz"])
def test_what_is_no_suffix_is_refused(suffix: str, sh: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    for mode in ("", "-d", "-tr"):
        ends(sh(f'vaezip {mode} a -S "$1"', suffix), 1, b"", "is not the end of a file's name, such as .vz")
    assert os.listdir(tmp_path) == ["a"]


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=8)


@given(
    path=NAMES, suffix=NAMES.filter(is_suffix), mirror=st.booleans(), folder=st.sampled_from([None, "out"])
)
def test_outputs_stay_in_their_folder_and_names_come_back(
    path: str, suffix: str, mirror: bool, folder: str | None
) -> None:
    naming = Naming(suffix=suffix, folder=folder, mirror=mirror)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaezip.naming._refuse_nothing", lambda source: None)  # as if there were such a file
        try:
            target = naming.compressed(path)
        except vaezip.VaezipError:
            return
        beside = Naming(suffix=suffix).decompressed(target)
    assert target.endswith(suffix)
    if folder is not None:
        inside = os.path.normpath(target)
        assert inside.startswith("out" + os.sep)
    assert os.path.basename(beside) == os.path.basename(path)
