"""Outputs appear whole or not at all, over nothing that is not theirs."""

from __future__ import annotations

import errno
import os
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, Run

import vaezip
from vaezip import outputs
from vaezip.errors import FileError
from vaezip.files import Source, open_source

AS_ROOT = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may do this")


def write(
    path: Path,
    *,
    overwrite: bool = False,
    named: bool = True,
    like: Source | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> list[str]:
    """Publish a file that holds b"new"; returns the warnings."""
    warnings: list[str] = []
    with outputs.open_target(path, overwrite=overwrite, named=named, like=like, warn=warnings.append) as sink:
        sink.write(b"new")
        meanwhile()
    return warnings


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refuse(number: int) -> Callable[..., None]:
    def refused(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


APPEARING: dict[str, Callable[[Path], object]] = {
    "a file": lambda path: path.write_bytes(b"precious"),
    "a link to a file": lambda path: (
        path.with_name("other").write_bytes(b"precious"),
        path.symlink_to("other"),
    ),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("appear", APPEARING.values(), ids=APPEARING.keys())
@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_what_appears_during_the_work_stays(
    appear: Callable[[Path], object], links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:  # as on FAT
        monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    path = tmp_path / "x"
    with pytest.raises(FileError, match="has appeared meanwhile"):
        write(path, meanwhile=lambda: appear(path))
    (tmp_path / "twin").mkdir()
    appear(tmp_path / "twin" / "x")
    assert stat.S_IFMT(path.lstat().st_mode) == stat.S_IFMT((tmp_path / "twin" / "x").lstat().st_mode)
    if path.is_file():
        assert path.read_bytes() == b"precious"
    assert set(names(tmp_path)) <= {"x", "other", "twin"}


@pytest.mark.parametrize("appear", APPEARING.values(), ids=APPEARING.keys())
def test_what_is_there_before_the_work_stays(appear: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "x"
    appear(path)
    before = names(tmp_path)
    with pytest.raises(FileError):
        write(path, named=False)
    assert names(tmp_path) == before


def test_without_links_a_file_appears_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refuse(errno.EOPNOTSUPP))
    write(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert names(tmp_path) == ["x"]
    monkeypatch.setattr(os, "replace", refuse(errno.EIO))
    with pytest.raises(FileError, match="cannot write"):
        write(tmp_path / "y")
    assert names(tmp_path) == ["x"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="nothing tells the names of open files")
def test_where_a_name_has_a_number_and_no_second_name_a_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some FUSE file systems, where whatever is moved to a name gets that name's inode number."""
    numbers: dict[str, os.stat_result] = {}

    def lstat(path: str, look: Callable[[str], os.stat_result] = os.lstat) -> os.stat_result:
        return numbers.setdefault(str(path), look(path))

    def fstat(descriptor: int, look: Callable[[int], os.stat_result] = os.fstat) -> os.stat_result:
        return numbers.setdefault(os.readlink(f"/proc/self/fd/{descriptor}"), look(descriptor))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refuse(errno.EPERM))
        patch.setattr(os, "lstat", lstat)
        patch.setattr(os, "fstat", fstat)
        for name in ("x", "y"):
            write(tmp_path / name)
    outputs.discard_temporaries()
    assert names(tmp_path) == ["x", "y"]
    assert (tmp_path / "x").read_bytes() == b"new"


def test_of_two_writers_one_wins_and_the_other_hears_it(tmp_path: Path) -> None:
    barrier, outcomes = threading.Barrier(4), []

    def work(number: int) -> None:
        try:
            with outputs.open_target(tmp_path / "x", overwrite=False) as sink:
                sink.write(b"%d" % number)
                barrier.wait()
            outcomes.append(number)
        except FileError:
            outcomes.append(-1)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = (outcome for outcome in outcomes if outcome >= 0)
    assert (tmp_path / "x").read_bytes() == b"%d" % winner
    assert names(tmp_path) == ["x"]


def test_a_link_that_was_named_is_followed_and_a_derived_one_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("made")
    write(tmp_path / "link", overwrite=True)
    write(tmp_path / "dangling", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == (tmp_path / "made").read_bytes() == b"new"
    (tmp_path / "real").write_bytes(b"old")
    write(tmp_path / "link", overwrite=True, named=False)
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"old"


@pytest.mark.parametrize("call", ["fchmod", "utime", "fchown"])
@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EIO])
def test_what_cannot_be_set_is_a_warning(
    call: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if call == "fchown" and os.geteuid() != 0:
        pytest.skip("only root changes owners")
    source = tmp_path / "source"
    source.write_bytes(b"old")
    if call == "fchown":
        os.chown(source, 12345, 12346)
    monkeypatch.setattr(os, call, (refused := refuse(number)))
    monkeypatch.setattr(os, "supports_fd", os.supports_fd | {refused})
    with open_source(str(source)) as like:
        warnings = write(tmp_path / "x", like=like)
    assert (tmp_path / "x").read_bytes() == b"new"
    assert len(warnings) == (2 if call == "fchown" else 1)
    for warning in warnings:
        assert warning.startswith(f"{tmp_path}/x: cannot set the ")


@AS_ROOT
def test_owner_and_group_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"old")
    source.chmod(0o640)
    os.chown(source, 12345, 12346)
    with open_source(str(source)) as like:
        assert not write(tmp_path / "x", like=like)
    status = (tmp_path / "x").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (12345, 12346, 0o640)


@AS_ROOT
@pytest.mark.parametrize(
    ("mode", "narrowed"), [(0o640, 0o600), (0o660, 0o600), (0o664, 0o644), (0o604, 0o600), (0o755, 0o755)]
)
def test_a_group_that_cannot_be_kept_does_not_hand_its_rights_on(
    mode: int, narrowed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"old")
    os.chown(source, 0, 12346)
    source.chmod(mode)
    monkeypatch.setattr(os, "fchown", refuse(errno.EPERM))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with open_source(str(source)) as like:
        warnings = write(tmp_path / "x", like=like)
    assert (tmp_path / "x").stat().st_mode & 0o777 == narrowed
    assert len(warnings) == (mode != narrowed)


def access_list(user: int, rights: int) -> bytes:
    """acl(5) as Linux keeps it: nothing for the group, some rights for one more user."""
    entries = ((1, 6, -1), (2, rights, user), (4, 0, -1), (16, rights, -1), (32, 0, -1))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)


@pytest.mark.parametrize("kept", [True, False])
def test_a_list_of_access_rights_is_kept_or_nobody_else_has_any(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, name = tmp_path / "source", "system.posix_acl_access"
    source.write_bytes(b"old")
    try:
        os.setxattr(source, name, access_list(1000, 4))
    except (AttributeError, OSError):
        pytest.skip("no such lists here")
    if not kept:
        monkeypatch.setattr(os, "setxattr", refuse(errno.EOPNOTSUPP))
    with open_source(str(source)) as like:
        warnings = write(tmp_path / "x", like=like)
    if kept:
        assert os.getxattr(tmp_path / "x", name) == os.getxattr(source, name)
        assert not warnings
    else:
        assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
        assert len(warnings) == 1


def test_permissions_are_those_at_the_end(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"old")
    source.chmod(0o644)
    with open_source(str(source)) as like:
        write(tmp_path / "x", like=like, meanwhile=lambda: source.chmod(0o600))
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["/dev/stdout", "link"])
def test_what_standard_output_is_is_not_replaced(name: str, tmp_path: Path) -> None:
    if not os.path.exists("/dev/stdout") or not os.path.exists("/proc/self/fd"):
        pytest.skip("no such names here")
    (tmp_path / "a").write_bytes(b"text")
    (tmp_path / "link").symlink_to("/proc/self/fd/1")
    command = f"{{ echo hi; {sys.executable} -m vaezip compress -o {name} a -m {TINY}; echo bye; }} > out"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    out = (tmp_path / "out").read_bytes()
    assert out.startswith(b"hi\n")
    assert out.endswith(b"bye\n")
    assert vaezip.decompress(out[3:-4], model=TINY) == b"text"


def test_a_link_that_leads_in_a_circle_is_no_place_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FileError, match="Too many levels"):
        write(tmp_path / "loop", overwrite=True)


@pytest.mark.parametrize("call", ["fsync", "close"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_loses_data_is_an_error_and_nothing_appears(
    call: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose() -> None:
        monkeypatch.setattr(os, call, refuse(number))

    with pytest.raises(FileError, match="cannot write"):
        write(tmp_path / "x", meanwhile=lose)
    monkeypatch.undo()
    assert names(tmp_path) == []


def test_a_temporary_file_that_was_exchanged_is_not_published(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "victim").chmod(0o600)

    def exchange() -> None:
        (temporary,) = tmp_path.glob(".vaezip-*.tmp")
        temporary.unlink()
        temporary.symlink_to("victim")

    with pytest.raises(FileError, match="replaced its temporary file"):
        write(tmp_path / "x", overwrite=True, meanwhile=exchange)
    assert not (tmp_path / "x").exists()
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert any(path.is_symlink() for path in tmp_path.iterdir())  # not ours to remove


def test_proc_pipes_and_devices_are_read_as_by_others(run: Run, tmp_path: Path) -> None:
    if not os.path.exists("/proc/version"):
        pytest.skip("no /proc here")
    version = Path("/proc/version").read_bytes()
    assert vaezip.decompress(run("compress", "-c", "/proc/version").stdout, model=TINY) == version
    assert run("compress", "-o", "v.vz", "/proc/version").returncode == 0
    assert vaezip.decompress((tmp_path / "v.vz").read_bytes(), model=TINY) == version
    os.mkfifo(tmp_path / "fifo")
    for arguments in (("-c",), ("-o", "f.vz")):
        feeding = threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(b"from a pipe",))
        feeding.start()
        result = run("compress", "fifo", *arguments)
        feeding.join()
        assert result.returncode == 0, result.stderr
        blob = result.stdout or (tmp_path / "f.vz").read_bytes()
        assert vaezip.decompress(blob, model=TINY) == b"from a pipe"
    passed_over = run("compress", "fifo", "/dev/null")
    assert passed_over.returncode == 2
    assert passed_over.stderr.count(b"is not a regular file, skipped") == 2
    assert run("compress", "/proc/version", "-o", "/dev/null").returncode == 0
    (tmp_path / "a").write_bytes(b"text")
    kept = run("compress", "--rm", "a", "-o", "/dev/null")
    assert (kept.returncode, (tmp_path / "a").exists()) == (2, True)
    command = f"{sys.executable} -m vaezip compress -c <(echo from a process) -m {TINY}"
    blob = subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout
    assert vaezip.decompress(blob, model=TINY) == b"from a process\n"


def test_without_links_a_signal_leaves_no_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(source: str, target: str) -> None:  # as the handler of a signal does just then
        outputs.discard_temporaries()
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    monkeypatch.setattr(os, "replace", end)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "x")
    assert names(tmp_path) == []
