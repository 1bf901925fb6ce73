"""What the standard library's tests ask of gzip's and lzma's file objects, asked of `vaezip.open`.

Written after test_gzip.py and test_lzma.py of CPython (the classes FileTestCase, OpenTestCase, TestGzip).
"""

from __future__ import annotations

import array
import copy
import io
import itertools
import os
import pathlib
import pickle
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, TINY

import vaezip
from vaezip.model import Model

TEXT = b"".join(b"%d: line after line after line\n" % i for i in range(90))


@pytest.fixture(scope="module")
def blob(tiny: Model) -> bytes:
    """`TEXT` in several blocks."""
    return vaezip.compress(TEXT, model=tiny, block_size=500)


def opened(data: bytes, **options: Any) -> Any:
    return vaezip.open(io.BytesIO(data), model=TINY, **options)


class Unseekable(io.BytesIO):
    """A pipe, as it were."""

    def seekable(self) -> bool:
        return False

    def seek(self, *arguments: int) -> int:
        raise io.UnsupportedOperation("seek")

    def tell(self) -> int:
        raise io.UnsupportedOperation("tell")


@pytest.mark.parametrize("kind", [str, os.fsencode, pathlib.Path])
def test_any_kind_of_path_will_do(tmp_path: Path, kind: Any) -> None:
    path = kind(str(tmp_path / "notes.vz"))
    with vaezip.open(path, "wb", model=TINY) as file:
        assert file.write(TEXT) == len(TEXT)
        assert file.name == (path if isinstance(path, (str, bytes)) else file.name)
    with vaezip.open(path, model=TINY) as file:
        assert file.read() == TEXT
        assert file.fileno() >= 0


@pytest.mark.parametrize("mode", ["", "q", "rw", "r+", "wx", "rx", "a+b", "rbt", "bt", "xw", "rU"])
def test_odd_modes_are_refused(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.vz"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="mode"):
        vaezip.open(path, mode, model=TINY)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("bad", [None, 1.5, (), object()])
def test_what_is_no_file_is_refused(bad: Any) -> None:
    for mode in ("rb", "wb"):
        with pytest.raises(TypeError):
            vaezip.open(bad, mode, model=TINY)


@pytest.mark.parametrize("mode", ["x", "xb", "xt"])
def test_exclusive_creation(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.vz"
    with vaezip.open(path, mode, model=TINY) as file:
        file.write("new" if "t" in mode else b"new")
    with pytest.raises(FileExistsError):
        vaezip.open(path, mode, model=TINY)
    with vaezip.open(path, model=TINY) as file:
        assert file.read() == b"new"


def test_closing_twice_and_working_after_that(blob: bytes) -> None:
    file, below = opened(blob), io.BytesIO(blob)
    for _ in range(2):
        file.close()
    assert file.closed
    for act in (
        file.read, file.read1, file.readline, file.peek, file.tell, file.fileno, file.flush, file.readable,
        file.writable, file.seekable, lambda: file.seek(0), lambda: next(file), lambda: file.write(b"x"),
        lambda: file.readinto(bytearray(3)), file.__enter__,
    ):  # fmt: skip
        with pytest.raises(ValueError, match="closed"):
            act()
    with vaezip.open(below, model=TINY):
        pass
    assert not below.closed  # it was opened by someone else


def test_a_file_that_was_opened_here_is_closed_here(tmp_path: Path) -> None:
    path = tmp_path / "notes.vz"
    file = vaezip.open(path, "wb", model=TINY)
    descriptor = file.fileno()
    file.close()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(descriptor)


def test_what_files_can_do(blob: bytes) -> None:
    reading, writing, pipe = opened(blob), opened(b"", mode="wb"), vaezip.open(Unseekable(blob), model=TINY)
    for file, can in ((reading, (1, 0, 1)), (writing, (0, 1, 0)), (pipe, (1, 0, 0))):
        assert (file.readable(), file.writable(), file.seekable()) == tuple(map(bool, can))
    for act in (
        writing.read, writing.read1, writing.readline, writing.peek, lambda: writing.seek(0),
        lambda: next(writing), lambda: writing.readinto(bytearray(1)),
        lambda: reading.write(b""), lambda: pipe.seek(0, 2), lambda: pipe.seek(-1, 1),
    ):  # fmt: skip
        with pytest.raises(OSError, match=r"reading|writing|seek"):
            act()
    assert isinstance(reading, io.BufferedIOBase)
    assert reading.mode == "rb"
    assert writing.mode == "wb"
    with pytest.raises(io.UnsupportedOperation):
        reading.truncate(0)
    with pytest.raises(io.UnsupportedOperation):
        reading.detach()


@pytest.mark.parametrize("stream", [io.BytesIO, Unseekable])
def test_reading_in_pieces(blob: bytes, stream: Any) -> None:
    for method, size in itertools.product(["read", "read1"], [1, 10, 499, 500, 501, 100_000]):
        file: Any = vaezip.open(stream(blob), model=TINY)
        pieces = iter(lambda file=file, m=method, n=size: getattr(file, m)(n), b"")
        assert b"".join(pieces) == TEXT
        assert file.tell() == len(TEXT)
        assert getattr(file, method)() == b""
    file = vaezip.open(stream(blob), model=TINY)
    assert file.read(0) == file.read1(0) == b""
    assert file.peek()
    assert TEXT.startswith(file.peek(3))
    assert file.read(None) == TEXT
    assert file.peek() == b""
    for act in (
        lambda: file.read("x"),
        lambda: file.read1(()),
        lambda: file.peek("x"),
        lambda: file.seek("x"),
    ):
        with pytest.raises(TypeError):
            act()
    with pytest.raises(TypeError):
        file.tell(0)


def test_reading_into_any_buffer(blob: bytes) -> None:
    file = opened(blob)
    numbers = array.array("I", bytes(4 * 300))
    assert file.readinto(numbers) == 1200
    assert numbers.tobytes() == TEXT[:1200]
    view = memoryview(bytearray(10))[2:8]
    assert file.readinto1(view) == 6
    assert bytes(view) == TEXT[1200:1206]
    rest = bytearray(5000)
    assert file.readinto(rest) == len(TEXT) - 1206
    assert file.readinto(rest) == 0


def test_lines(blob: bytes) -> None:
    assert list(opened(blob)) == TEXT.splitlines(keepends=True)
    assert opened(blob).readlines() == TEXT.splitlines(keepends=True)
    assert opened(blob).readlines(100) == TEXT.splitlines(keepends=True)[:4]
    file = opened(blob)
    assert file.readline(5) + file.readline() == TEXT.splitlines(keepends=True)[0]
    assert file.readline(0) == b""
    assert file.readline(None) == TEXT.splitlines(keepends=True)[1]


def test_several_frames_are_one_content(blob: bytes) -> None:
    empty = vaezip.compress(b"", model=TINY)
    for stream in (io.BytesIO, Unseekable):
        file = vaezip.open(stream(empty + blob + empty + blob), model=TINY)
        assert file.read() == 2 * TEXT
    file = opened(empty + blob + empty + blob)
    assert file.seek(len(TEXT) - 3) == len(TEXT) - 3
    assert file.read(6) == TEXT[-3:] + TEXT[:3]
    assert file.seek(-len(TEXT) - 1, io.SEEK_END) == len(TEXT) - 1
    assert file.read(2) == TEXT[-1:] + TEXT[:1]


def test_no_file_at_all_and_an_empty_text() -> None:
    with pytest.raises(EOFError):
        opened(b"").read()
    empty = opened(vaezip.compress(b"", model=TINY))
    assert empty.read() == b""
    assert empty.seek(0, io.SEEK_END) == 0
    assert list(opened(vaezip.compress(b"", model=TINY))) == []


def test_seeking(blob: bytes) -> None:
    file = opened(blob)
    for offset, whence, there in (
        (1700, io.SEEK_SET, 1700), (3, io.SEEK_SET, 3), (20, io.SEEK_CUR, 23), (-10, io.SEEK_CUR, 13),
        (20_000, io.SEEK_CUR, 20_013), (-20_000, io.SEEK_CUR, 13),
        (-1, io.SEEK_END, len(TEXT) - 1), (0, io.SEEK_END, len(TEXT)), (9999, io.SEEK_SET, 9999),
        (1, io.SEEK_END, len(TEXT) + 1), (501, io.SEEK_SET, 501),
    ):  # fmt: skip
        assert file.seek(offset, whence) == file.tell() == there
        assert file.read(30) == TEXT[there : there + 30]
        file.seek(there)
    assert file.seek(0) == 0
    for offset, whence in ((-1, io.SEEK_SET), (0, 3), (0, -1), (-9999, io.SEEK_END)):
        with pytest.raises((ValueError, OSError)):
            file.seek(offset, whence)
    assert file.read(5) == TEXT[:5]


def test_a_pipe_is_read_on(blob: bytes) -> None:
    file = vaezip.open(Unseekable(blob), model=TINY)
    assert file.seek(1200) == file.tell() == 1200
    assert file.read(20) == TEXT[1200:1220]
    assert file.seek(30, io.SEEK_CUR) == 1250
    with pytest.raises(io.UnsupportedOperation):
        file.seek(1249)
    assert file.seek(1250) == 1250
    assert file.read() == TEXT[1250:]
    assert file.seek(999_999) == len(TEXT)  # there is no more


def test_writing_whatever_is_a_buffer() -> None:
    below = io.BytesIO()
    numbers = array.array("I", [1, 2, 3])
    with vaezip.open(below, "wb", model=TINY, block_size=7) as file:
        for data, size in (
            (b"bytes", 5), (bytearray(b"array"), 5), (memoryview(b"view")[::1], 4), (numbers, 12), (b"", 0)
        ):  # fmt: skip
            assert file.write(data) == size
        assert file.tell() == 26
        file.writelines([b"one", bytearray(b"two")])
        file.flush()
        for bad in ("text", None, 5):
            with pytest.raises(TypeError):
                file.write(bad)
    assert (
        vaezip.decompress(below.getvalue(), model=TINY) == b"bytesarrayview" + numbers.tobytes() + b"onetwo"
    )


def test_nothing_written_makes_an_empty_text(tmp_path: Path) -> None:
    for mode in ("wb", "ab"):
        with vaezip.open(tmp_path / "empty.vz", mode, model=TINY):
            pass
    assert vaezip.open(tmp_path / "empty.vz", model=TINY).read() == b""


def test_text_has_an_encoding_errors_and_line_ends() -> None:
    below = io.BytesIO()
    with vaezip.open(below, "wt", model=TINY, encoding="utf-16-le", newline="\r\n") as file:
        file.write("één\nÜ\n")
    data = below.getvalue()
    assert vaezip.decompress(data, model=TINY) == "één\r\nÜ\r\n".encode("utf-16-le")
    assert opened(data, mode="rt", encoding="utf-16-le", newline="").read() == "één\r\nÜ\r\n"
    assert opened(data, mode="rt", encoding="utf-16-le").readlines() == ["één\n", "Ü\n"]
    assert "�" in opened(data[:], mode="rt", encoding="ascii", errors="replace").read()
    with pytest.raises(UnicodeDecodeError):
        opened(data, mode="rt", encoding="ascii").read()


def test_threads_may_read_different_files_at_once(blob: bytes) -> None:
    results: list[bytes] = []
    workers = [
        threading.Thread(target=lambda: results.append(opened(blob, threads=2).read())) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [TEXT] * 3


def test_tar_files(tmp_path: Path) -> None:
    """As `tarfile` reads and writes them, in a stream and anywhere."""
    (tmp_path / "a.txt").write_bytes(TEXT)
    path = tmp_path / "archive.tar.vz"
    with vaezip.open(path, "wb", model=TINY) as file, tarfile.open(fileobj=file, mode="w|") as tar:
        tar.add(tmp_path / "a.txt", "a.txt")
        tar.add(tmp_path / "a.txt", "b.txt")
    for mode in ("r|", "r:"):
        with vaezip.open(path, model=TINY) as file, tarfile.open(fileobj=file, mode=mode) as tar:
            for member in tar:
                extracted = tar.extractfile(member)
                assert extracted is not None
                assert extracted.read() == TEXT


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_memory_is_bounded_by_blocks_whatever_the_size_of_the_file(tmp_path: Path) -> None:
    """16 MB in and out, of which some are text: measured in a process of its own."""
    script = f"""
import hashlib, re, sys, vaezip
noise, text = hashlib.shake_128(b"noise").digest(1 << 20), {TEXT!r} * 20
with vaezip.open(sys.argv[1], "wb", model={str(TINY)!r}, block_size=1 << 18) as file:
    written = hashlib.sha256()
    for piece in [text, *[noise] * 16, text]:
        file.write(piece)
        written.update(piece)
with vaezip.open(sys.argv[1], model={str(TINY)!r}) as file:
    read = hashlib.sha256()
    while piece := file.read(1 << 18):
        read.update(piece)
assert read.digest() == written.digest()
print(re.search(r"VmHWM: *(\\d+) kB", open("/proc/self/status").read().expandtabs())[1])
"""
    result = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "big.vz"], capture_output=True, check=True, text=True
    )
    assert int(result.stdout) < 150_000


def test_seeking_costs_a_block_whatever_the_threads(blob: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from vaezip import content

    decoded: list[object] = []
    real = content.decode_block
    monkeypatch.setattr(content, "decode_block", lambda *what: (decoded.append(what), real(*what))[1])
    file = opened(blob, threads=4)
    for place in (1700, 20, 1100):
        file.seek(place)
        assert file.read1(1) == TEXT[place : place + 1]
    assert len(decoded) == 3


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_has_a_state_is_not_copied(copied: Callable[[Any], object], blob: bytes) -> None:
    """A copy would share some of it."""
    pack = io.BytesIO(vaezip.pack_records([b"one"], model=TINY))
    for one in (
        vaezip.VaezipCompressor(model=TINY), vaezip.VaezipDecompressor(model=TINY), opened(blob), opened(b"", mode="wb"),
        vaezip.open(io.BytesIO(blob), "rt", model=TINY), vaezip.Records(pack, model=TINY), vaezip.sample(model=TINY),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="pickle"):
            copied(one)


def test_who_names_no_encoding_is_warned_once_and_told_where(tmp_path: Path) -> None:
    """If Python was asked to."""
    script = f"""import vaezip
with vaezip.open("a.vz", "wt", model={str(TINY)!r}) as file: file.write("a")
with vaezip.open("a.vz", "rt", encoding="utf-8") as file: pass
with vaezip.open("a.vz"): pass
print(vaezip.open("a.vz", "rt", model={str(TINY)!r}).read())
"""
    (tmp_path / "script.py").write_text(script)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "script.py"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if "EncodingWarning" in line]
    assert [line.partition(": EncodingWarning")[0].rpartition("script.py")[2] for line in lines] == [
        ":2",
        ":5",
    ]
    assert done.stdout == "a\n"
