"""What appears on a terminal: the progress bar, where there is one, and no binary data."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROSE, ROOT, TINY
from shell import on_terminal

import vaezip


@pytest.fixture
def text(tmp_path: Path, prose: bytes) -> Path:
    path = tmp_path / "notes.txt"
    path.write_bytes(prose[:400])
    return path


@pytest.mark.parametrize(
    "command",
    [
        "compress -c notes.txt",
        "compress notes.txt -o -",
        "compress notes.txt -o /dev/stdout",
        "dict notes.txt -o -",
        "dict notes.txt -o /dev/stdout",
        "pack notes.txt -o /dev/stdout",
    ],
)
def test_no_binary_data_go_to_a_terminal_by_any_name(text: Path, command: str) -> None:
    program, *rest = command.split()
    model = [] if program == "dict" else ["-m", str(TINY)]
    arguments = [sys.executable, "-m", "vaezip", program, *model, *rest]
    refused = on_terminal(arguments, {"stdout"}, cwd=text.parent)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"refusing to write compressed data to a terminal (-f does it)" in refused.stderr
    assert on_terminal([*arguments, "-f"], {"stdout"}, cwd=text.parent).returncode == 0


def test_binary_data_do_not_go_to_a_terminal(text: Path) -> None:
    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "vaezip", "compress", "-c", "notes.txt", "-m", str(TINY)]
    result = subprocess.run(
        command,
        cwd=text.parent,
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert (result.returncode, b"terminal" in result.stderr) == (1, True)
    command[3:5] = ["decompress"]
    result = subprocess.run(
        [*command[:4], "-m", str(TINY)],
        cwd=text.parent,
        stdin=terminal,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, b"terminal" in result.stderr) == (1, True)
    os.close(terminal)
    with contextlib.suppress(OSError):
        assert os.read(main, 100) == b""
    os.close(main)


@pytest.mark.parametrize("columns", [0, 60, 200])
def test_a_bar_shows_on_a_terminal_how_far_a_long_file_is(columns: int, tmp_path: Path) -> None:
    """Also on one that does not know how wide it is, and whatever the environment tells other programs' bars."""
    (tmp_path / "short").write_bytes(b"done before anybody looks")
    (tmp_path / ("long" * 20)).write_bytes((PROSE * 7)[:200_000])
    command = [sys.executable, "-m", "vaezip", "-fT1", "--block-size", "1K", "-m", str(TINY)]
    command += ["short", "long" * 20]
    env = {**os.environ, "TQDM_DISABLE": "1", "TQDM_NCOLS": "many"}
    shown = on_terminal(command, {"stderr"}, columns, cwd=tmp_path, env=env).stdout.decode()
    states = [state for state in shown.split("\r") if state.strip()]
    percent = [int(state.split("%")[0].split()[-1]) for state in states]
    assert len(set(percent)) > 1
    assert percent == sorted(percent)
    for state in states:
        assert re.match(r"2/2 \.\.\.\w*long: +\d+%\|", state)
        assert re.search(r"\[\d\d:\d\d<\d\d:\d\d, +[\d.]+k?B/s\]$", state)
        assert len(state) <= (columns or 80)
    assert shown.endswith("\r" + " " * len(states[-1]) + "\r")


def test_there_is_no_bar_where_nobody_wants_one(text: Path) -> None:
    text.write_bytes(text.read_bytes() * 20)
    command = [sys.executable, "-m", "vaezip", "-fT1", "--block-size", "1K", "-m", str(TINY), "notes.txt"]
    for arguments, streams in (([*command, "-q"], {"stderr", "stdout"}), (command, {"stdout"})):
        result = on_terminal(arguments, streams, cwd=text.parent)
        assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_a_bar_is_not_drawn_into_the_text(tmp_path: Path) -> None:
    """Nor anywhere else while standard output is written to, but with -v, as zstd has it."""
    content = (PROSE * 4)[:150_000].replace(b"\n", b" ")
    (tmp_path / "long.vz").write_bytes(vaezip.compress(content, model=TINY, block_size=1024))
    command = [sys.executable, "-m", "vaezip", "-dcT1", "-m", str(TINY), "long.vz"]
    for arguments in (command, [*command, "-q"]):
        assert on_terminal(arguments, {"stdout", "stderr"}, cwd=tmp_path).stdout == content
        with open(tmp_path / "out", "wb") as out:
            assert on_terminal(arguments, {"stderr"}, cwd=tmp_path, stdout=out).stdout == b""
        assert (tmp_path / "out").read_bytes() == content
    verbose = on_terminal([*command, "-v"], {"stdout", "stderr"}, cwd=tmp_path).stdout
    assert verbose.startswith(content + b"long.vz: ")
    assert b"%|" in on_terminal([*command, "-v"], {"stderr"}, cwd=tmp_path).stdout
    (tmp_path / "long.vzp").write_bytes(vaezip.pack_records([content[:60_000]] * 4, model=TINY))
    unpacking = [sys.executable, "-m", "vaezip", "unpack", "-m", str(TINY), "long.vzp"]
    shown = on_terminal(unpacking, {"stdout", "stderr"}, cwd=tmp_path).stdout
    assert shown == (content[:60_000] + b"\r\n") * 4


def test_a_warning_does_not_run_into_the_bar(tmp_path: Path) -> None:
    """It comes at the end of the work, while there is a bar."""
    (tmp_path / "warn.py").write_text(
        "import sys, time\n"
        "from vaezip.cli.report import Report\n"
        "report = Report(quiet=False)\n"
        "with report.progress(None, 1, 1) as tick:\n"
        "    time.sleep(0.3)\n"
        "    tick(1000)\n"
        "    report.warn('what was meant')\n"
        "sys.exit(report.exit_code)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = on_terminal([sys.executable, str(tmp_path / "warn.py")], {"stderr"}, env=env)
    assert result.returncode == 2
    bar, blank, line = result.stdout.decode().split("\n")[0].split("\r")[1:4]
    assert (bar[:2], blank.strip(), line) == ("-:", "", "vaezip: what was meant")
