"""What the standard library's tests ask of gzip's and lzma's file objects, asked of `vaezip.open`.

Written after test_gzip.py and test_lzma.py of CPython (the classes FileTestCase, OpenTestCase, TestGzip).
"""

from __future__ import annotations

import array
import io
import itertools
import os
import pathlib
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY

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


def test_every_file_that_ends_early_raises(blob: bytes) -> None:
    for cut in range(1, len(blob)):
        with pytest.raises(EOFError):
            opened(blob[:cut]).read()


def test_a_part_before_the_damage_can_be_read(blob: bytes) -> None:
    file = vaezip.open(Unseekable(blob[:-40]), model=TINY)
    assert file.read(500) == TEXT[:500]
    with pytest.raises(EOFError):
        file.read()
    with pytest.raises(EOFError):  # again, since this is not the end of the content
        file.read()
    damaged = bytearray(blob)
    damaged[len(blob) // 2] ^= 0x55
    file = opened(bytes(damaged))
    for _ in range(2):
        with pytest.raises(OSError, match=r"damaged|block"):
            file.read()
    file.seek(-500, io.SEEK_END)
    assert file.read() == TEXT[-500:]
    with pytest.raises(OSError, match="last frame"):
        opened(blob + b"junk").read()


def test_errors_name_the_file(blob: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.vz"
    path.write_bytes(blob[:-50])
    for act in (vaezip.VaezipFile.read, lambda file: file.seek(0, io.SEEK_END)):
        with vaezip.VaezipFile(path, model=TINY) as file, pytest.raises(EOFError, match=r"notes\.vz: "):
            act(file)


def test_seeking(blob: bytes) -> None:
    file = opened(blob)
    for offset, whence, there in (
        (1700, io.SEEK_SET, 1700), (3, io.SEEK_SET, 3), (20, io.SEEK_CUR, 23), (-10, io.SEEK_CUR, 13),
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


def test_an_error_below_leaves_the_file_closed(tmp_path: Path) -> None:
    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            raise OSError("no space left")

    file = vaezip.open(Full(), "wb", model=TINY)  # type: ignore[arg-type]
    file.write(b"text")
    with pytest.raises(OSError, match="no space left"):
        file.close()
    assert file.closed
    file.close()


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


class Interrupted(io.BytesIO):
    """Raises something once, at the n-th read or write."""

    def __init__(self, data: bytes, at: int, error: BaseException) -> None:
        super().__init__(data)
        self._at, self._error = at, error

    def _count(self) -> None:
        self._at -= 1
        if self._at == 0:
            raise self._error

    def read(self, size: int | None = -1, /) -> bytes:
        self._count()
        return super().read(size)

    def write(self, data: Any, /) -> int:
        self._count()
        return super().write(data)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("for once"), MemoryError()])
@pytest.mark.parametrize("at", [1, 4, 9, 14])
def test_what_interrupts_reading_is_not_the_end(blob: bytes, at: int, error: BaseException) -> None:
    file = vaezip.VaezipFile(Interrupted(blob, at, error), model=TINY)
    with pytest.raises(type(error)):
        file.read()
    before = file.tell()
    assert file.read() == TEXT[before:]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("for once"), MemoryError()])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_file_that_was_not_written_whole_never_looks_so(at: int, error: BaseException) -> None:
    below = Interrupted(b"", at, error)
    with pytest.raises(type(error)), vaezip.VaezipFile(below, "w", model=TINY, block_size=500) as file:
        file.writelines(TEXT.splitlines(keepends=True))
    with pytest.raises(vaezip.FormatError):
        vaezip.decompress(below.getvalue(), model=TINY)
    file = vaezip.VaezipFile(Interrupted(b"", 1, error), "w", model=TINY, block_size=500)
    with pytest.raises(type(error)):
        file.write(TEXT)
    with pytest.raises(OSError, match="nothing can be added"):
        file.write(b"more")
    with pytest.raises(OSError, match="not complete"):
        file.close()


@pytest.mark.parametrize(
    "options",
    [{"model": "nosuch"}, {"block_size": 0}, {"threads": -1}, {"encoding": "nosuch"}, {"newline": "x"}],
)
def test_wrong_options_leave_a_file_alone(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "old.vz").write_bytes(b"precious")
    options = {"model": TINY} | options
    mode = "t" if {"encoding", "newline"} & set(options) else "b"
    for name, modes in (("old.vz", "wa"), ("new.vz", "xw")):
        for kind in modes:
            with pytest.raises((ValueError, LookupError, vaezip.ModelError)):
                vaezip.open(tmp_path / name, kind + mode, **options)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("old.vz", b"precious")]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_file_that_nobody_closes_is_whole_at_the_end(tmp_path: Path, threads: int) -> None:
    script = f"""
import sys, vaezip
file = vaezip.open(sys.argv[1], "wb", model={str(TINY)!r}, threads={threads}, block_size=400)
file.write({TEXT!r})
"""
    path = tmp_path / "left.vz"
    subprocess.run([sys.executable, "-c", script, path], check=True, capture_output=True)
    assert vaezip.decompress(path.read_bytes(), model=TINY) == TEXT


def test_an_index_that_does_not_fit_is_damage(tiny: Model) -> None:
    """Whatever it says: seeking never gives what reading on would not."""
    from vaezip import container

    header = container.frame_header(tiny.fingerprint, 500, None)
    block = container.encode_block(container.stored(b"hello"))
    extents = [
        [(5, 0)] * 3 + [(5, len(block))], [(2**63, 0), (2**63, 0)], [(0, 0)] * 9, [(501, len(block))],
        [(5, len(block) + 1)], [(4, len(block))], [(5, 2**64 - 1)], [],
    ]  # fmt: skip
    for entries in extents:
        index = container.Index(len(header))
        for size, encoded_size in entries:
            index.add(size, encoded_size)
        data = header + block + index.to_bytes()
        for act in (
            vaezip.VaezipFile.read,
            lambda file: (file.seek(0, io.SEEK_END), file.seek(0), file.read()),
        ):
            with pytest.raises(vaezip.FormatError):
                act(opened(data))
    with pytest.raises(vaezip.FormatError):
        list(vaezip.list_frames(io.BytesIO(header + block + container.Index(1).to_bytes())))


def test_a_decompressor_stays_where_it_failed(blob: bytes) -> None:
    damaged = bytearray(blob)
    damaged[len(blob) // 2] ^= 0x55
    for data in (bytes(damaged), b"junk" + blob):
        decompressor = vaezip.VaezipDecompressor(model=TINY)
        for _ in range(3):
            with pytest.raises(OSError, match=r"damaged|block|not a"):
                decompressor.decompress(data)
        assert not decompressor.eof


def test_seeking_costs_a_block_whatever_the_threads(blob: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from vaezip import fileobject

    decoded: list[object] = []
    real = fileobject.decode_block
    monkeypatch.setattr(fileobject, "decode_block", lambda *what: (decoded.append(what), real(*what))[1])
    file = opened(blob, threads=4)
    for place in (1700, 20, 1100):
        file.seek(place)
        assert file.read1(1) == TEXT[place : place + 1]
    assert len(decoded) == 3


@pytest.mark.parametrize("model", [123, b"abc", [], True])
def test_what_is_no_model_is_a_type_error(model: Any, blob: bytes) -> None:
    for act in (
        lambda: vaezip.decompress(blob, model=model),
        lambda: vaezip.compress(b"", model=model),
        lambda: vaezip.open(io.BytesIO(blob), model=model).read(),
    ):
        with pytest.raises(TypeError):
            act()
