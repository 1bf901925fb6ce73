"""Dictionaries: made of samples, stored, found, and read before a text of their kind."""

from __future__ import annotations

import io
import json
import pickle
import random
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, Run
from hypothesis import given, settings
from hypothesis import strategies as st

import vaezip
from vaezip import engine
from vaezip.dictionaries import known
from vaezip.dictionaries.dictionary import MAX_DICTIONARY
from vaezip.dictionaries.selection import choose_texts
from vaezip.engine import load_engine

LINES = [
    b'{"id": %d, "state": "%s", "load": 0.%d}' % (i, b"busy" if i % 3 else b"idle", i % 97)
    for i in range(200)
]
DICTIONARY = vaezip.make_dictionary(LINES[:60], "states")
TEXT = b"\n".join(LINES[100:140])


# Choosing, storing


def test_the_samples_that_tell_most_are_chosen() -> None:
    odd = [bytes(random.Random(i).randbytes(30)) for i in range(50)]
    chosen = choose_texts([*odd, *LINES], 2000)
    assert sum(len(text) + 1 for text in chosen) <= 2000
    assert len(chosen) > 40
    assert not set(chosen) & set(odd)
    assert choose_texts([*odd, *LINES], 2000) == chosen
    assert choose_texts(LINES[:3], 10_000) == choose_texts(LINES[:3] * 2, 10_000)
    assert choose_texts([b"", b"x" * 100], 50) == []


def test_of_too_many_samples_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaezip.dictionaries.selection._MOST", len(b"".join(LINES)) // 4)
    chosen = choose_texts(LINES, 100_000)
    assert 40 < len(chosen) < 60
    assert set(chosen) < set(LINES)
    assert choose_texts(LINES, 100_000) == chosen


def test_texts_are_bytes() -> None:
    with pytest.raises(TypeError, match="bytes-like"):
        vaezip.make_dictionary(["text"])  # type: ignore[list-item]
    assert vaezip.make_dictionary(iter([b"a"])) == vaezip.make_dictionary([b"a"])


def test_a_dictionary_ends_its_texts_with_what_they_do_not_have() -> None:
    assert DICTIONARY.terminator == ord("\n")
    assert DICTIONARY.texts() == LINES[:60]
    paragraphs = vaezip.make_dictionary([b"two\nlines", b"and\ntwo more"])
    assert paragraphs.terminator == 0
    assert paragraphs.texts() == [b"two\nlines", b"and\ntwo more"]


@pytest.mark.parametrize(("texts", "said"), [([], "needs texts"), ([bytes(MAX_DICTIONARY)], "at most")])
def test_what_no_dictionary_can_be_made_of(texts: list[bytes], said: str) -> None:
    with pytest.raises(vaezip.DictionaryError, match=said):
        vaezip.make_dictionary(texts)


@pytest.mark.parametrize(
    ("text", "terminator", "ended"),
    [(b"", 10, 9), (b"a", 10, 9), (b"a\n", 10, 0), (b"a\n", 10, 251), (bytes(MAX_DICTIONARY + 1), 0, 9)],
)
def test_what_no_dictionary_can_be(text: bytes, terminator: int, ended: int) -> None:
    with pytest.raises(ValueError, match=r"dictionary has|ended must"):
        vaezip.Dictionary(text, terminator, ended)


def test_a_dictionary_is_stored_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "states.vzd"
    path.write_bytes(DICTIONARY.to_bytes())
    assert vaezip.load_dictionary(path) == DICTIONARY
    assert vaezip.load_dictionary(str(path)).fingerprint == DICTIONARY.fingerprint
    assert pickle.loads(pickle.dumps(DICTIONARY)) == DICTIONARY
    assert len(path.read_bytes()) < len(DICTIONARY.text) / 2


def test_a_dictionary_comes_back_from_its_bytes() -> None:
    blob, many = DICTIONARY.to_bytes(), vaezip.make_dictionary([b"two\nlines", b"one"], "many")
    for data in (blob, bytearray(blob), memoryview(blob)):
        assert vaezip.Dictionary.from_bytes(data) == DICTIONARY
    back = vaezip.Dictionary.from_bytes(many.to_bytes(), "other")
    assert (back.texts(), back.terminator, back.name) == ([b"two\nlines", b"one"], 0, "other")
    with pytest.raises(vaezip.DictionaryError, match="not a dictionary"):
        vaezip.Dictionary.from_bytes(b"something")


def test_dictionaries_of_one_content_are_equal() -> None:
    same, other = vaezip.make_dictionary(LINES[:60], "renamed"), vaezip.make_dictionary(LINES[:59], "states")
    assert (same == DICTIONARY, other == DICTIONARY, DICTIONARY.__eq__("states")) == (
        True,
        False,
        NotImplemented,
    )
    assert len({DICTIONARY, same, other}) == 2


def test_models_and_dictionaries_are_shown_without_what_is_in_them(tiny: vaezip.Model) -> None:
    beginning = DICTIONARY.fingerprint[:4].hex()
    size = len(DICTIONARY.text)
    assert repr(DICTIONARY) == f"<Dictionary 'states', {size} bytes of text, fingerprint {beginning}…>"
    assert repr(tiny) == f"<Model 'tiny', fingerprint {tiny.fingerprint[:4].hex()}…>"


def test_a_damaged_dictionary_is_refused() -> None:
    data = DICTIONARY.to_bytes()
    for at in range(len(data)):
        with pytest.raises(vaezip.DictionaryError):
            vaezip.Dictionary.from_bytes(data[:at])
        with pytest.raises(vaezip.DictionaryError):
            vaezip.Dictionary.from_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
    with pytest.raises(vaezip.DictionaryError, match="newer"):
        vaezip.Dictionary.from_bytes(sealed(data[:4] + b"\x02" + data[5:-4]))


def sealed(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (b"\n\x64", zlib.compress(bytes(1 << 28) + b"\n", 9)),  # 256 MB
        (b"\n\x64", zlib.compress(b"no end")),
        (b"\n\x64", zlib.compress(b"line\n") + b"more"),
        (b"\n\x64", zlib.compress(b"line\n")[:-1]),
        (b"\n\x64", b"line\n"),
        (b"\n\x00", zlib.compress(b"line\n")),
        (b"\n\xfb", zlib.compress(b"line\n")),
        (b"\n", b""),
    ],
)
def test_a_hostile_dictionary_is_refused(parameters: bytes, text: bytes) -> None:
    with pytest.raises(vaezip.DictionaryError, match="damaged"):
        vaezip.Dictionary.from_bytes(sealed(b"\xf5vzd\x01" + parameters + text))


@given(st.binary(max_size=60))
def test_other_files_are_no_dictionaries(data: bytes) -> None:
    for seal in (data, sealed(b"\xf5vzd\x01" + data)):
        with pytest.raises(vaezip.DictionaryError):
            vaezip.Dictionary.from_bytes(seal)


# Frames


@settings(deadline=None, max_examples=25)
@given(st.binary(max_size=300), st.integers(1, 400))
def test_every_text_comes_back(data: bytes, block_size: int) -> None:
    frame = vaezip.compress(data, model=TINY, dictionary=DICTIONARY, block_size=block_size)
    assert vaezip.decompress(frame, model=TINY, dictionary=DICTIONARY) == data


def test_texts_of_its_kind_become_shorter() -> None:
    line = LINES[150]
    without = len(vaezip.compress(line, model=TINY))
    frame = vaezip.compress(line, model=TINY, dictionary=DICTIONARY)
    assert len(frame) < 0.75 * without
    with pytest.raises(vaezip.DictionaryError, match=f"needs {frame[5:6].hex()}…"):  # it says which
        vaezip.decompress(frame, model=TINY)
    with pytest.raises(vaezip.DictionaryError, match="not other"):
        vaezip.decompress(frame, model=TINY, dictionary=vaezip.make_dictionary([b"x"], "other"))


def test_frames_with_and_without_one_go_together() -> None:
    options = {"model": TINY, "block_size": 500, "threads": 2}
    blob = vaezip.compress(TEXT, dictionary=DICTIONARY, **options) + vaezip.compress(TEXT, **options)
    blob += vaezip.compress(b"", dictionary=DICTIONARY, **options)
    assert vaezip.decompress(blob, model=TINY, dictionary=DICTIONARY) == TEXT * 2
    with vaezip.open(io.BytesIO(blob), model=TINY, dictionary=DICTIONARY) as file:
        file.seek(len(TEXT) - 700)
        assert file.read(1000) == (TEXT * 2)[len(TEXT) - 700 :][:1000]
    decompressor = vaezip.VaezipDecompressor(model=TINY, dictionary=DICTIONARY)
    assert decompressor.decompress(blob) == TEXT
    compressor = vaezip.VaezipCompressor(dictionary=DICTIONARY, **options)
    frame = compressor.compress(TEXT) + compressor.flush()
    assert vaezip.decompress(frame, model=TINY, dictionary=DICTIONARY) == TEXT


def test_a_dictionary_is_looked_for_once_for_all_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "states.vzd").write_bytes(DICTIONARY.to_bytes())
    monkeypatch.setenv("VAEZIP_MODEL_PATH", str(tmp_path))
    looked: list[int] = []
    real = known.known_dictionaries
    monkeypatch.setattr(known, "known_dictionaries", lambda: (looked.append(1), real())[1])
    frame = vaezip.compress(TEXT, model=TINY, dictionary="states", block_size=300)
    assert vaezip.decompress(frame, model=TINY) == TEXT
    assert len(looked) == 1


def test_long_blocks_have_tables_of_their_own_size() -> None:
    text = b"\n".join(LINES * 2)
    assert len(text) > 9000
    for block_size in (4096, 5000, len(text)):  # the format says how large tables are
        frame = vaezip.compress(text, model=TINY, dictionary=DICTIONARY, block_size=block_size)
        assert vaezip.decompress(frame, model=TINY, dictionary=DICTIONARY) == text
    block = text[:5000]
    model = vaezip.load_model(TINY)
    straight = model.predictor(model.latent.null(), 0, len(DICTIONARY.text) + len(block))
    straight.intervals(np.frombuffer(DICTIONARY.text, np.uint8))
    with DICTIONARY.primed(model).predictor(len(block)) as primed:
        x = np.frombuffer(block, np.uint8)
        assert (primed.intervals(x) == straight.intervals(x)).all()


@pytest.mark.parametrize("name", engine.available())
def test_frames_are_the_same_with_every_engine(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few = vaezip.make_dictionary(LINES[:8])
    expected = vaezip.compress(TEXT[:60], model=TINY, dictionary=few, block_size=40)
    monkeypatch.setenv("VAEZIP_ENGINE", name)
    tiny = vaezip.load_model(TINY)
    model = tiny.__class__(**{**vars(tiny), "engine": load_engine(tiny.decoder, tiny.mixer)})
    other = vaezip.make_dictionary(LINES[:8])  # which no other engine has read
    assert vaezip.compress(TEXT[:60], model=model, dictionary=other, block_size=40) == expected
    assert vaezip.decompress(expected, model=model, dictionary=other) == TEXT[:60]


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_damaged_frame_is_told(at: int, change: int) -> None:
    frame = bytearray(vaezip.compress(LINES[150], model=TINY, dictionary=DICTIONARY))
    frame[at % len(frame)] ^= change
    with pytest.raises(vaezip.VaezipError):
        vaezip.decompress(frame, model=TINY, dictionary=DICTIONARY)


# The command line


def test_a_dictionary_on_the_command_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_bytes(b"\n".join(LINES[:100]) + b"\n")
    (tmp_path / "new.json").write_bytes(LINES[150])
    made = run("dict", "old.json", "-o", "states.vzd", "--size", "2K")
    assert (made.returncode, made.stdout) == (0, b"")
    assert b"of 100 samples" in made.stderr
    made = run("dict", "old.json", "-o", "-", "--size", "2K")
    assert (made.returncode, made.stdout) == (0, (tmp_path / "states.vzd").read_bytes())
    (tmp_path / "-").write_bytes((tmp_path / "old.json").read_bytes())  # which is no output
    assert run("dict", "./-", "-o", "-", "--size", "2K").stdout == made.stdout
    assert len(vaezip.load_dictionary(tmp_path / "states.vzd").text) <= 2048
    assert run("dict", "old.json", "-o", "states.vzd").returncode == 1  # there is one
    assert run("-m", TINY, "-D", "states.vzd", "new.json").returncode == 0
    assert (tmp_path / "new.json.vz").stat().st_size < len(vaezip.compress(LINES[150], model=TINY))
    assert run("-dc", "-m", TINY, "-D", "states.vzd", "new.json.vz").stdout == LINES[150]
    assert run("test", "-m", TINY, "-D", "states.vzd", "new.json.vz").returncode == 0
    needed = run("-dc", "-m", TINY, "new.json.vz")
    assert (needed.returncode, needed.stdout) == (1, b"")
    assert b"made with a dictionary" in needed.stderr

    folder = tmp_path / "mine"  # where it is found
    folder.mkdir()
    (tmp_path / "states.vzd").rename(folder / "states.vzd")
    (folder / "bad.vzd").write_bytes(b"no dictionary")
    env = {"VAEZIP_MODEL_PATH": str(folder)}
    assert run("-dc", "-m", TINY, "new.json.vz", env=env).stdout == LINES[150]
    assert run("-c", "-m", TINY, "-D", "states", "new.json", env=env).returncode == 0
    (row,) = json.loads(run("list", "--json", "new.json.vz", env=env).stdout)
    assert [mention["name"] for mention in row["dictionaries"]] == ["states"]
    assert b"+states" in run("list", "new.json.vz", env=env).stdout
    assert b"states" in run("models", env=env).stdout


def test_whole_files_are_samples_if_one_says_so(run: Run, tmp_path: Path) -> None:
    for i, line in enumerate(LINES[:5]):
        (tmp_path / f"{i}.json").write_bytes(line + b"\n")
    names = [f"{i}.json" for i in range(5)]
    assert run("dict", "--files", *names, "-o", "states.vzd").returncode == 0
    made = vaezip.load_dictionary(tmp_path / "states.vzd")
    assert sorted(made.texts()) == sorted(line + b"\n" for line in LINES[:5])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "-o", "x.vzd"), b"nowhere: "),
        (("empty", "-o", "x.vzd"), b"all samples are empty"),
        (("lines", "-o", "x.vzd", "--size", "3"), b"longer than the dictionary"),
        (("lines", "-o", "lines"), b"is also an input"),
        (("lines",), b"-o"),
    ],
)
def test_what_makes_no_dictionary_is_said_in_a_line(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], said: bytes
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "lines").write_bytes(b"some lines\nof text\n")
    result = run("dict", *arguments)
    assert (result.returncode, result.stdout) == (1, b"")
    assert said in result.stderr
    assert result.stderr.count(b"\n") == 1
    assert not (tmp_path / "x.vzd").exists()
