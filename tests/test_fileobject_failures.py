"""File objects where something goes wrong: damage, interruption, wrong options; nothing half-written looks whole."""

from __future__ import annotations

import contextlib
import io
import itertools
import random
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from zlib import crc32

import pytest
from conftest import TINY, with_damage
from test_fileobject_behaviour import TEXT, Unseekable, opened

import vaezip
from vaezip import container, numerals
from vaezip.model import Model


@pytest.fixture(scope="module")
def blob(tiny: Model) -> bytes:
    """`TEXT` in several blocks."""
    return vaezip.compress(TEXT, model=tiny, block_size=500)


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
    file = opened(with_damage(blob, 2))
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


def test_an_error_below_leaves_the_file_closed(tmp_path: Path) -> None:
    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            raise OSError("no space left")

    file = vaezip.open(Full(), "wb", model=TINY)
    file.write(b"text")
    with pytest.raises(OSError, match="no space left"):
        file.close()
    assert file.closed
    file.close()
    with pytest.raises(OSError, match="no space left"), vaezip.VaezipFile(Full(), "w", model=TINY) as file:
        file.write(b"text")


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


def test_what_interrupts_reading_a_pipe_ends_it(blob: bytes) -> None:
    """What was being read is lost."""

    class Pipe(Interrupted):
        def seekable(self) -> bool:
            return False

    file = vaezip.VaezipFile(Pipe(blob, 4, KeyboardInterrupt()), model=TINY)
    with pytest.raises(KeyboardInterrupt):
        file.read()
    for _ in range(2):
        with pytest.raises(OSError, match="an earlier read failed or was interrupted"):
            file.read()


class Signal(BaseException):
    """As KeyboardInterrupt, which pytest takes for its own."""


def _interrupted(act: Callable[[], object], at: int) -> bool:
    """Interrupt, as a signal may, where vaezip's `at`-th function is entered; False if there are fewer."""
    left, before = at, sys.gettrace()

    def enter(frame: FrameType, *_: object) -> None:
        nonlocal left
        name = frame.f_code.co_filename  # not of threading: that would leave its locks locked
        left -= name.startswith(str(Path(vaezip.__file__).parent)) or name == contextlib.__file__
        if left == 0:
            raise Signal

    with contextlib.suppress(Signal):
        try:
            sys.settrace(enter)
            act()
        finally:
            sys.settrace(before)
    return left <= 0


NOISE = random.Random(8).randbytes(700)  # which is stored: so decoding calls few functions
ACTS: dict[str, Callable[[Any], object]] = {
    "read": lambda file: file.read(),
    "go on": lambda file: (file.seek(430), file.read(1)),
    "go back": lambda file: (file.seek(20), file.read(1)),
    "end": lambda file: file.seek(0, io.SEEK_END),
    "end and back": lambda file: (file.seek(0, io.SEEK_END), file.seek(250), file.read(1)),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # generators that are dropped
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("before", [0, 150, 500])
@pytest.mark.parametrize("what", ACTS)
def test_wherever_reading_is_interrupted_it_goes_on_where_it_was(
    tiny: Model, what: str, before: int, threads: int
) -> None:
    old, new = (vaezip.compress(part, model=tiny, block_size=100) for part in (NOISE[:500], NOISE[500:]))
    for at in itertools.count(1):
        below = io.BytesIO(old)
        file = vaezip.open(below, model=tiny, threads=threads)
        assert file.read(before) == NOISE[:before]
        place = below.tell()
        below.seek(0, io.SEEK_END)
        below.write(new)
        below.seek(place)
        if not _interrupted(lambda file=file: ACTS[what](file), at):  # type: ignore[misc]
            break
        place = file.tell()
        assert file.read() == NOISE[place:]
        assert file.seek(300) == 300
        assert file.read() == NOISE[300:]
    assert at > 5


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
    [
        {"model": "nosuch"},
        {"dictionary": "nosuch"},
        {"block_size": 0},
        {"threads": -1},
        {"encoding": "nosuch"},
        {"newline": "x"},
    ],
)
def test_wrong_options_leave_a_file_alone(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "old.vz").write_bytes(b"precious")
    options = {"model": TINY} | options
    mode = "t" if {"encoding", "newline"} & set(options) else "b"
    for name, modes in (("old.vz", "wa"), ("new.vz", "xw")):
        for kind in modes:
            with pytest.raises((ValueError, LookupError, vaezip.ModelError, vaezip.DictionaryError)):
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
    header = container.frame_header(tiny.fingerprint, 500, None)
    block = container.encode_block(container.stored(b"hello"))
    extents = [
        [(5, 0)] * 3 + [(5, len(block))], [(2**63, 0), (2**63, 0)], [(0, 0)] * 9, [(501, len(block))],
        [(5, len(block) + 1)], [(4, len(block))], [(5, 2**64 - 1)], [],
    ]  # fmt: skip
    for entries in extents:
        numbers = [len(header), len(entries), *itertools.chain(*entries)]
        index = b"\0" + b"".join(map(numerals.encode_number, numbers)) + crc32(b"hello").to_bytes(4, "little")
        index += crc32(index).to_bytes(4, "little")
        data = header + block + index + len(index).to_bytes(4, "little")
        for act in (
            vaezip.VaezipFile.read,
            lambda file: (file.seek(0, io.SEEK_END), file.seek(0), file.read()),
        ):
            with pytest.raises(vaezip.FormatError):
                act(opened(data))
    with pytest.raises(vaezip.FormatError):
        list(vaezip.list_frames(io.BytesIO(header + block + container.Index(1).to_bytes())))


def test_a_decompressor_stays_where_it_failed(blob: bytes) -> None:
    for data in (with_damage(blob, 2), b"junk" + blob):
        decompressor = vaezip.VaezipDecompressor(model=TINY)
        for _ in range(3):
            with pytest.raises(OSError, match=r"damaged|block|not a"):
                decompressor.decompress(data)
        assert not decompressor.eof


def _fails_twice(decompressor: vaezip.VaezipDecompressor, data: bytes, expected: type[Exception]) -> None:
    for _ in range(2):
        with pytest.raises(expected):
            decompressor.decompress(data)
        assert (decompressor.eof, decompressor.unused_data) == (False, b"")


@pytest.mark.parametrize("size", [100, 4000])
def test_what_could_not_be_decoded_has_not_ended(
    tiny: Model, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a frame of one block, too."""
    frame = vaezip.compress(TEXT[:size], model=tiny, block_size=1000)
    at = len(frame) // 2
    damaged = frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]
    _fails_twice(vaezip.VaezipDecompressor(model=tiny), damaged + b"more", vaezip.IntegrityError)
    _fails_twice(vaezip.VaezipDecompressor(model="standard"), frame, vaezip.ModelMismatchError)
    dictionary = vaezip.make_dictionary([b"some text"])
    other = vaezip.compress(TEXT[:size], model=tiny, dictionary=dictionary)
    _fails_twice(vaezip.VaezipDecompressor(model=tiny), other, vaezip.DictionaryError)

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("vaezip.incremental.decode_block", interrupted)
    decompressor = vaezip.VaezipDecompressor(model=tiny)
    with pytest.raises(KeyboardInterrupt):
        decompressor.decompress(frame)
    _fails_twice(decompressor, b"", vaezip.VaezipError)


def test_a_decompressor_that_was_interrupted_says_so_and_loses_nothing_silently(tiny: Model) -> None:
    frame = vaezip.compress(NOISE, model=tiny, block_size=100)
    first, last = frame[:300], frame[300:]
    for at in itertools.count(1):
        decompressor = vaezip.VaezipDecompressor(model=tiny)
        begin = decompressor.decompress(first)
        if not _interrupted(lambda decompressor=decompressor: decompressor.decompress(last), at):  # type: ignore[misc]
            break
        assert (decompressor.eof, decompressor.unused_data) == (False, b"")
        with contextlib.suppress(vaezip.VaezipError):  # unless nothing had been taken
            assert begin + decompressor.decompress(last) == NOISE
            continue
        for _ in range(2):
            with pytest.raises(vaezip.VaezipError, match="was interrupted"):
                decompressor.decompress(b"")
    assert at > 20


def test_wrong_arguments_take_nothing(tiny: Model) -> None:
    frame = vaezip.compress(TEXT, model=tiny, block_size=500)
    first, last = frame[: len(frame) // 2], frame[len(frame) // 2 :]
    decompressor: Any = vaezip.VaezipDecompressor(model=tiny)
    begin = decompressor.decompress(first)
    for arguments in ((last, 1.5), (last, "all"), (last, None), ("text", -1)):
        with pytest.raises(TypeError):
            decompressor.decompress(*arguments)
    assert begin + decompressor.decompress(last) == TEXT
    assert (decompressor.eof, decompressor.unused_data) == (True, b"")


def test_an_error_that_stays_does_not_grow(tiny: Model) -> None:
    frame = vaezip.compress(TEXT[:100], model=tiny)
    decompressor = vaezip.VaezipDecompressor(model=tiny)
    pipe, file = (vaezip.open(kind(frame + b"junk"), model=tiny) for kind in (Unseekable, io.BytesIO))
    early = opened(frame[:-5])
    for act in (lambda: decompressor.decompress(b"junk"), pipe.read, file.read, early.read):
        lengths = []
        for _ in range(9):
            with pytest.raises(OSError, match=r"not|ends") as caught:
                act()
            lengths.append(len(traceback.extract_tb(caught.value.__traceback__)))
        assert len(set(lengths[1:])) == 1


@pytest.mark.parametrize("model", [123, b"abc", [], True])
def test_what_is_no_model_is_a_type_error(model: Any, blob: bytes) -> None:
    for act in (
        lambda: vaezip.decompress(blob, model=model),
        lambda: vaezip.compress(b"", model=model),
        lambda: vaezip.open(io.BytesIO(blob), model=model).read(),
    ):
        with pytest.raises(TypeError):
            act()


@pytest.mark.parametrize("threads", [1, 3])
def test_flushing_after_an_error_is_an_error(tiny: Model, threads: int) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError("no space left")

    file = vaezip.open(Full(), "wb", model=tiny, block_size=100, threads=threads)
    with pytest.raises(OSError, match="no space left"):
        file.write(TEXT)
    for act in (file.flush, lambda: file.write(b"more"), file.flush):
        with pytest.raises(OSError, match="nothing can be added"):
            act()
    with pytest.raises(OSError, match="not complete"):
        file.close()
