"""vaezip where people work: tar, pipes, the recipes of docs/shell.md, completion by the shells themselves."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT, Run

PAGE = (ROOT / "docs" / "shell.md").read_text(encoding="utf-8")
RECIPES = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL))
SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed"))
    for name in ("bash", "zsh", "fish")
]


def test_tar_packs_and_unpacks_a_thousand_small_files(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for number in range(1000):
        (tmp_path / "folder" / f"{number}.txt").write_text("text\n" if number % 9 == 0 else "")
    packed = sh("tar --use-compress-program='vaezip -T2' -cf x.tar.vz folder")
    assert (packed.returncode, packed.stderr) == (0, b"")
    assert (tmp_path / "x.tar.vz").stat().st_size < 4_000
    unpacked = sh("mkdir there && tar -I vaezip -xvf x.tar.vz -C there && diff -r folder there/folder")
    assert (unpacked.returncode, unpacked.stderr) == (0, b"")
    assert unpacked.stdout.count(b".txt\n") == 1000


def test_tar_lists_an_archive_and_tells_if_it_is_damaged(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(5000))
    assert sh("tar -I vaezip -cf x.tar.vz a && tar -I vaezip -tf x.tar.vz").stdout == b"a\n"
    whole = (tmp_path / "x.tar.vz").read_bytes()
    (tmp_path / "x.tar.vz").write_bytes(whole[:-1])
    torn = sh("tar -I vaezip -tf x.tar.vz")
    assert torn.returncode != 0
    assert b"vaezip: standard input: the file ends too early" in torn.stderr


def test_tar_through_pipes(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"some text")
    for line in ("tar c a | vaezip | vaezip -d | tar xO", "tar -I vaezip -c a | cat | tar -I vaezip -xO"):
        through = sh(line)
        assert (through.returncode, through.stdout) == (0, b"some text"), through.stderr


def test_find_hands_over_names_of_every_kind(sh: Run, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    names = [b"new\nline.log", b"\xff.log", b" .log", b"-v.log", b"other"]
    for name in names:
        (tmp_path / "texts" / os.fsdecode(name)).write_bytes(name)
    assert sh("find texts -name '*.log' -print0 | vaezip -0 --filelist - --rm").returncode == 0
    left = sorted(name + b".vz" if name.endswith(b".log") else name for name in names)
    assert sorted(os.listdir(os.fsencode(tmp_path / "texts"))) == left
    assert sh("find texts -name '*.vz' -print0 | vaezip -d0 --filelist - -c | wc -c").stdout.strip() == b"28"


@pytest.mark.parametrize("shell", SHELLS[:2])
def test_the_recipes_for_looking_into_files_work(shell: str, sh: Run, tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"one\ntwo\nthree\n")
    (tmp_path / "c").write_bytes(b"one\nTwo\n")
    assert sh("vaezip 'a b' c").returncode == 0
    for line, code, out in (
        ("vzgrep tw 'a b.vz' c.vz", 0, b"a b.vz:two\n"),
        ("vzgrep -i -n tw 'a b.vz' c.vz", 0, b"a b.vz:2:two\nc.vz:2:Two\n"),
        ("vzgrep -A1 two 'a b.vz'", 0, b"two\nthree\n"),
        ("cat c.vz | vzgrep one", 0, b"one\n"),
        ("vzgrep -- -v c.vz", 1, b""),
        ("vzgrep four 'a b.vz' c.vz", 1, b""),
        ("vzless 'a b.vz' c.vz", 0, b"one\ntwo\nthree\none\nTwo\n"),
        ("vzdiff 'a b.vz' c.vz | tail -n 1", 0, b"> Two\n"),
        ("less 'a b.vz' | cat", 0, b"one\ntwo\nthree\n"),
        ("less c | cat", 0, b"one\nTwo\n"),
    ):
        if "less" in line and not shutil.which("less"):
            continue
        result = sh(f"{RECIPES}\n{line}", shell=shell)
        assert (result.returncode, result.stdout, result.stderr) == (code, out, b""), line


@pytest.mark.parametrize("shell", SHELLS[:2])
def test_grep_may_leave_early(shell: str, sh: Run, tmp_path: Path) -> None:
    """Whatever a shell's options make of the end of vzcat then."""
    (tmp_path / "long").write_bytes(b"needle\n" + os.urandom(400_000))
    assert sh("vaezip long").returncode == 0
    for line, code, out in (
        ("vzgrep -q needle long.vz", 0, b""),
        ("vzgrep -a -m1 needle long.vz", 0, b"needle\n"),
        ("vzgrep -l needle long.vz", 0, b"long.vz\n"),
        ("vzgrep -q nothing-like-this long.vz", 1, b""),
        ("vzless long.vz", 0, b"needle\n"),
    ):
        for options in ("", "set -o pipefail", "set -e -o pipefail"):
            result = sh(f"less() {{ head -n 1; }}\n{RECIPES}\n{options}\n{line}", shell=shell)
            assert (result.returncode, result.stdout, result.stderr) == (code, out, b""), (options, line)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("vaezip -d no", "notes.txt.vz"),
        ("vaezip -o oth", "other"),
        ("vaezip no", "notes.txt.vz"),
        ("vaezip deco", "decompress"),
        ("vaezip --filel", "--filelist"),
        ("vaezip compress --bl", "--block-size"),
        ("vaezip train --resc", "--rescript"),
        ("vaezip -m stan", "standard"),
        ("vaezip -D no", "notes.txt.vz"),
        ("vaezip train --init stan", "standard"),
        ("vaezip train --teacher lar", "large"),
        ("vaezip bench --models large,stan", "large,standard"),
        ("vaezip --filelist=oth", "--filelist=other"),
        ("vaezip --armour=base4", "--armour=base45"),
        ("vaezip --output-dir=subf", "--output-dir=subfolder"),
        ("vaezip --model=stan", "--model=standard"),
        ("vzcat no", "notes.txt.vz"),
        ("vzcat --max-o", "--max-output"),
    ],
)
@pytest.mark.parametrize("shell", SHELLS)
def test_shells_complete_commands_options_and_files(
    shell: str, typed: str, expected: str, sh: Run, programs: dict[str, str], tmp_path: Path
) -> None:
    for name in ("notes.txt.vz", "other"):
        (tmp_path / name).touch()
    (tmp_path / "subfolder").mkdir()
    folder, program = ROOT / "docs" / "completion" / shell, typed.split()[0]
    if shell == "fish":
        completed = sh(f"source {folder}/{program}.fish; complete -C '{typed}'", shell="fish").stdout.decode()
        assert expected in re.split(r"/?[\t\n]", completed)
        return
    command, begin = {
        "bash": (["bash", "--norc", "--noprofile", "-i"], f"source {folder}/{program}"),
        "zsh": (["zsh", "-f", "-i"], f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D"),
    }[shell]
    keyboard, terminal = pty.openpty()
    env = {**programs, "TERM": "dumb"}
    process = subprocess.Popen(
        command,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=tmp_path,
        env=env,
        start_new_session=True,
    )
    os.close(terminal)
    try:
        os.write(keyboard, f"{begin}; echo rea''dy\n".encode())
        assert "ready" in _screen(keyboard, "ready")
        os.write(keyboard, f"{typed}\t".encode())
        assert expected in _screen(keyboard, expected)
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)


def test_a_call_that_completes_nothing_says_nothing(sh: Run) -> None:
    """Of the variables of bash's script, for example, some are missing."""
    for variables in ("", "COMP_WORDS=vaezip", "COMP_WORDS=vaezip COMP_CWORD=x"):
        for program in ("vaezip", "vzcat"):
            called = sh(f"{variables} _{program.upper()}_COMPLETE=bash_complete {program}")
            assert (called.returncode, called.stdout, called.stderr) == (1, b"", b"")


def _screen(terminal: int, expected: str) -> str:
    """What appears there, until what is expected does."""
    shown, deadline = b"", time.monotonic() + 60
    while expected.encode() not in shown and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 1000)
    return shown.decode(errors="replace")
