"""Records that are added to a pack, also by several at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import TINY, Run
from test_packs import LINES, opened, packed, packing

import vaezip
from vaezip.pack.fileio import pack_files


def test_nothing_that_is_added_changes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"one\ntwo")
    (tmp_path / "empty").touch()
    assert run("pack", "-m", TINY, "lines", "-o", "a.vzp").returncode == 0
    before = (tmp_path / "a.vzp").read_bytes()
    assert run("pack", "-m", TINY, "--append", "empty", "-o", "a.vzp").returncode == 0
    assert (tmp_path / "a.vzp").read_bytes() == before
    assert run("unpack", "-m", TINY, "a.vzp").stdout == b"one\ntwo"


@pytest.mark.skipif(sys.platform == "win32", reason="there, one of them fails")
def test_several_at_once_may_append(tmp_path: Path) -> None:
    (tmp_path / "a.vzp").write_bytes(packed(LINES[:3]))
    adding = packing(append=True)

    def add(number: int) -> None:
        source = tmp_path / str(number)
        source.write_bytes(LINES[number])
        pack_files([str(source)], str(tmp_path / "a.vzp"), adding, print, lambda _: nullcontext([].append))

    with ThreadPoolExecutor() as threads:
        list(threads.map(add, range(3, 9)))
    assert sorted(opened((tmp_path / "a.vzp").read_bytes())) == sorted(LINES[:9])


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="nothing tells which files are open")
def test_on_windows_a_pack_is_not_open_while_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, the system would refuse it."""
    source, pack = tmp_path / "lines", tmp_path / "a.vzp"
    source.write_bytes(LINES[3])
    pack.write_bytes(packed(LINES[:3]))
    is_open: list[bool] = []

    def replace(temporary: str, path: str, move: Callable[[str, str], None] = os.replace) -> None:
        is_open.append(any(os.path.realpath(one) == path for one in Path("/proc/self/fd").iterdir()))
        move(temporary, path)

    monkeypatch.setattr("os.replace", replace)
    monkeypatch.setattr("vaezip.pack.fileio.sys", SimpleNamespace(platform="win32"))
    pack_files([str(source)], str(pack), packing(append=True), print, lambda _: nullcontext([].append))
    assert list(opened(pack.read_bytes())) == LINES[:4]
    assert is_open == [False]


def replace(pack: Path) -> None:
    pack.with_name("other").write_bytes(packed(LINES[:9]))
    os.replace(pack.with_name("other"), pack)


def write_unseen(pack: Path) -> None:
    """In place, with the size and the time that it had."""
    before, content = pack.stat(), pack.read_bytes()
    pack.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    while pack.stat().st_ctime_ns == before.st_ctime_ns:  # which clocks tell in milliseconds
        os.utime(pack, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda pack: pack.write_bytes(packed(LINES[:9])),
    "replaced": replace,
    "written, and as large and as old as before": write_unseen,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_pack_that_has_changed_meanwhile_is_left_as_it_is(
    change: Callable[[Path], object], tmp_path: Path
) -> None:
    source, pack = tmp_path / "lines", tmp_path / "lines.vzp"
    source.write_bytes(LINES[0])
    pack.write_bytes(packed(LINES[:3]))
    changed = b""

    @contextmanager
    def progress(count: int) -> Iterator[Callable[[int], object]]:
        nonlocal changed
        change(pack)  # by somebody who does not lock it
        changed = pack.read_bytes()
        yield [].append

    with pytest.raises(vaezip.FileError, match="has changed meanwhile"):
        pack_files([str(source)], str(pack), packing(append=True), print, progress)
    assert pack.read_bytes() == changed != packed(LINES[:3])
    assert sorted(tmp_path.iterdir()) == [source, pack]
