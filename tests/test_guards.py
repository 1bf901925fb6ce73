"""No output takes the place of a file that the same command reads, by whatever name it is read."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest
from conftest import TINY, Run

LOG = b"".join(b"%d line of a log, status=ok\n" % i for i in range(60))


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """A model and a dictionary, in a folder where they have names, and what was made with them."""
    known = tmp_path / "known"
    known.mkdir()
    shutil.copy(TINY, known / "own.vzm")
    (tmp_path / "log").write_bytes(LOG)
    (tmp_path / "list").write_bytes(b"log\n")
    assert run("dict", "log", "-o", "known/of.vzd").returncode == 0
    env = {"VAEZIP_MODEL_PATH": str(known)}
    assert run("-m", "own", "-D", "of", "-k", "log", env=env).returncode == 0
    assert run("pack", "-m", "own", "-D", "of", "log", "-o", "log.vzp", env=env).returncode == 0
    shutil.copy(tmp_path / "log.vzp", tmp_path / "log.vzp.backup")
    assert (
        run("pack", "-m", "own", "--records", "files", "log.vzp.backup", "-o", "x.vzp", env=env).returncode
        == 0
    )
    (tmp_path / "x.vzp").rename(tmp_path / "log.vzp.backup")  # a pack with a record of its own name
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "-m own -D of log -o known/of.vzd",
        "-m own log -o known/own.vzm",
        "-d log.vz -o known/of.vzd",
        "-d log.vz -o known/own.vzm",
        "-m own --filelist list -S .vz --output-dir .",
        "pack -m own -D of log -o known/of.vzd",
        "pack -m own --filelist list -o list",
        "unpack log.vzp -o known/of.vzd",
        "unpack log.vzp -o known/own.vzm",
        "unpack log.vzp.backup --output-dir .",
        "dict --filelist list --files -o list",
        "show -m own log --html known/own.vzm",
        "map -m own log --html known/own.vzm",
    ],
)
def test_what_is_read_is_not_replaced(folder: Path, run: Run, command: str) -> None:
    (folder / "log.vz").rename(folder / "kept")
    (folder / "log.vz").symlink_to("kept")
    (folder / "list").write_bytes(b"log\n")
    if "-S" in command:
        (folder / "log.vz").unlink()
        (folder / "list").rename(folder / "log.vz")
        command = command.replace("list -S", "log.vz -S")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    refused = run(*command.split(), "-f", env={"VAEZIP_MODEL_PATH": str(folder / "known")})
    assert (refused.returncode, refused.stderr.count(b"\n")) == (1, 1)
    assert b"is also an input" in refused.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_dictionary_at_hand_may_be_made_anew(folder: Path, run: Run) -> None:
    env = {"VAEZIP_MODEL_PATH": str(folder / "known")}
    assert run("dict", "-f", "log", "-o", "known/of.vzd", env=env).returncode == 0


@pytest.mark.parametrize("command", ["pack -f -o log.vzp", "dict -f -o known/of.vzd"])
def test_an_empty_list_makes_nothing(folder: Path, run: Run, command: str) -> None:
    (folder / "none").touch()
    (folder / "empty").mkdir()
    before = (folder / command.split()[-1]).read_bytes()
    for inputs in (("--filelist", "none"), ("-r", "empty")):
        called = run(*command.split(), *inputs)
        assert (called.returncode, called.stderr) == (0, b"")
        assert (folder / command.split()[-1]).read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
def test_what_is_added_to_keeps_its_permissions(folder: Path, run: Run) -> None:
    pack = folder / "log.vzp"
    pack.chmod(0o600)
    os.utime(pack, (1, 1))
    env = {"VAEZIP_MODEL_PATH": str(folder / "known")}
    assert run("pack", "--append", "log", "-o", "log.vzp", env=env).returncode == 0
    assert pack.stat().st_mode & 0o777 == 0o600
    assert pack.stat().st_mtime > 1


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no sockets with names")
def test_a_socket_is_passed_over(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket")
        called = run("pack", "-m", TINY, "--records", "files", "socket", "log", "-o", "s.vzp")
    assert called.returncode == 2
    assert called.stderr.startswith(b"vaezip: socket: is not a regular file, skipped\n")
