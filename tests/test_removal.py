"""Inputs go only if they are what was read, and if what was made of them is safe on the disk."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, Run
from test_outputs import names, refuse

import vaezip
from vaezip.errors import SkippedError
from vaezip.files import open_source
from vaezip.known_models import ChosenModel


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_that_cannot_sync_is_a_warning_and_the_input_stays(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vaezip import fileio

    monkeypatch.setattr(os, "fsync", refuse(number))
    (tmp_path / "a").write_bytes(b"text")
    warnings: list[str] = []
    options = fileio.Options(model=ChosenModel(str(TINY)), remove=True, warn=warnings.append)
    fileio.compress_file(str(tmp_path / "a"), fileio.Target(str(tmp_path / "a.vz"), named=False), options)
    assert len(warnings) == 2
    assert "not removed" in warnings[1]
    assert vaezip.decompress((tmp_path / "a.vz").read_bytes(), model=TINY) == b"text"
    assert (tmp_path / "a").read_bytes() == b"text"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


CHANGES: dict[str, Callable[[Path], object]] = {
    "rotated": lambda path: (path.rename(path.with_name("log.1")), path.write_bytes(b"new log")),
    "appended to": lambda path: append(path, b"more"),
    "rewritten in place": lambda path: path.write_bytes(b"TEXT"),
    "touched": lambda path: os.utime(path, ns=(1, 1)),
    "replaced by a link to itself": lambda path: (
        path.rename(path.with_name("log.1")),
        path.symlink_to("log.1"),
    ),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_an_input_that_is_no_longer_what_was_read_stays(
    change: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"text")
    with open_source(str(path)) as source:
        assert source.read() == b"text"
    time.sleep(0.02)  # more than the clock of a file system may stand still
    change(path)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with pytest.raises(SkippedError, match="not removed"):
        source.remove(4)
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_an_input_that_was_not_read_in_full_stays(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"text")
    with open_source(str(path)) as source:
        pass
    with pytest.raises(SkippedError):
        source.remove(3)
    source.remove(4)
    assert not path.exists()


def test_a_log_that_is_rotated_meanwhile_is_not_lost(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"a line of the log\n" * 8_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "vaezip", "compress", "--rm", "app.log", "-m", str(TINY)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )
    while not list(tmp_path.glob("*.tmp")) and process.poll() is None:
        time.sleep(0.01)
    log.rename(tmp_path / "app.log.1")
    log.write_bytes(b"new\n")
    _, message = process.communicate(timeout=600)
    assert process.returncode == 2
    assert message == b"vaezip: app.log: was changed or replaced meanwhile, not removed\n"
    assert log.read_bytes() == b"new\n"
    old = (tmp_path / "app.log.1").read_bytes()
    assert vaezip.decompress((tmp_path / "app.log.vz").read_bytes(), model=TINY) == old


def test_a_file_that_grows_is_taken_as_far_as_it_goes(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"line\n" * 30_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "vaezip", "compress", "app.log", "-m", str(TINY), "--block-size", "64K"],
        cwd=tmp_path,
    )
    while not list(tmp_path.glob("*.tmp")) and process.poll() is None:
        time.sleep(0.01)
    append(log, b"one more\n")
    assert process.wait(timeout=600) == 0
    text = vaezip.decompress((tmp_path / "app.log.vz").read_bytes(), model=TINY)
    assert text in (b"line\n" * 30_000, log.read_bytes())


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_folder_that_cannot_be_synced_is_a_warning_and_the_input_stays(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vaezip import fileio

    real = os.fsync

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    (tmp_path / "a").write_bytes(b"text")
    warnings: list[str] = []
    options = fileio.Options(model=ChosenModel(str(TINY)), remove=True, warn=warnings.append)
    fileio.compress_file(str(tmp_path / "a"), fileio.Target(str(tmp_path / "a.vz"), named=False), options)
    assert [warning.split(": ")[0] for warning in warnings] == [str(tmp_path / "a.vz"), str(tmp_path / "a")]
    assert names(tmp_path) == ["a", "a.vz"]


def test_devices_and_pipes_are_never_removed(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    feeding = threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(b"",))
    feeding.start()
    result = run("compress", "--rm", "fifo", "-o", "x")
    feeding.join()
    assert result.returncode == 2
    assert b"fifo: is not a regular file, not removed" in result.stderr
    assert names(tmp_path) == ["fifo", "x"]
