"""docs/decoder.py, which was made from the documents alone, reads what vaezip writes: so they say all that there is to say."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from conftest import DATA, ROOT, TINY
from test_damaged_packs import forged
from test_golden import DICTIONARY, LINES, MESSAGE_OPTIONS, PACKS, cases, golden_file, skippable
from texts import noise

import vaezip
from vaezip import bitsback, container
from vaezip.model import Model
from vaezip.pack.coder import record_coder
from vaezip.pack.layout import ordered_body, read_header
from vaezip.pack.names import encode_name

SCRIPT = ROOT / "docs" / "decoder.py"
MODELS = [path for path in sorted((ROOT / "models").glob("*.vzm")) if path.stem in vaezip.shipped_models()]


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("decoder", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


decoder = _module()


@pytest.fixture(scope="module")
def alone() -> Any:
    return decoder.Decoder(decoder.Model(TINY.read_bytes()))


@pytest.fixture(scope="module")
def after_a_dictionary(alone: Any) -> Any:
    return decoder.Decoder(alone.model, DICTIONARY.read_bytes())


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """The command, on a machine without vaezip and constriction."""
    barred = "import sys, runpy; del sys.argv[0]; sys.modules |= {'vaezip': None, 'constriction': None}; "
    command = [
        sys.executable,
        "-c",
        barred + "runpy.run_path(sys.argv[0], run_name='__main__')",
        SCRIPT,
        *arguments,
    ]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, env=environment, check=False, timeout=600)


@pytest.mark.parametrize("name", cases())
def test_golden_files_decode(alone: Any, after_a_dictionary: Any, name: str) -> None:
    case = cases()[name]
    reader = after_a_dictionary if case.dictionary else alone
    assert reader.file(golden_file(f"{name}.vz")) == case.content


def test_longer_texts_name_what_they_need_by_more_than_a_byte(
    alone: Any, after_a_dictionary: Any, tiny: Model
) -> None:
    content = noise(16385)
    for reader, dictionary in ((alone, None), (after_a_dictionary, after_a_dictionary.fingerprint)):
        frames = [
            container.short_frame(tiny.fingerprint, container.stored(content[:size]), dictionary)
            for size in (16384, 16385)
        ]
        assert reader.file(b"".join(frames)) == content[:16384] + content


def test_a_dictionary_that_a_file_needs_is_asked_for(alone: Any) -> None:
    with pytest.raises(ValueError, match="dictionary"):
        alone.file(golden_file("dictionary.vz"))


def test_golden_messages_decode(alone: Any, after_a_dictionary: Any) -> None:
    for name, message in json.loads((DATA / "format-1-messages.json").read_text(encoding="utf-8")).items():
        how, text = name.split(": ", 1)
        options = MESSAGE_OPTIONS[how]
        reader = after_a_dictionary if "dictionary" in options else alone
        assert reader.message(bytes.fromhex(message), options.get("check_bytes", 0)) == text.encode(), name


@pytest.mark.parametrize(
    "text", [b"x", b"\n", b"\n\n", b"\xff", b"a\nb", b"a\n" * 20, b"t\t\t1,2\n" * 4 + b"\x00"]
)
def test_messages_of_all_kinds_decode(alone: Any, text: bytes) -> None:
    assert alone.message(vaezip.MessageCodec(TINY, check_bytes=1).encode(text), 1) == text


@pytest.mark.parametrize("path", [TINY, *MODELS], ids=lambda path: path.stem)
def test_the_self_tests_of_models_pass(path: Path) -> None:
    """It leaves them to this test: docs/network.md, "The model file"."""
    model = decoder.Model(path.read_bytes())
    text = model["self_test.text"].astype(np.uint8).tobytes()
    mixer = decoder.Mixer(model, len(text), [1] * model.sizes["latents"], 3)
    intervals = [mixer.code(byte=byte)[1:] for byte in text]
    found = np.concatenate([np.ravel(intervals), *model.encode(text)]).astype("<i4")
    assert crc32(found.tobytes()) == model["self_test.value"][0]


@pytest.mark.parametrize("size", [16, 100, 4096, 5000, 100_000])
def test_the_encoder_network_reads_long_blocks_likewise(
    alone: Any, tiny: Model, prose: bytes, size: int
) -> None:
    block = (prose * 10)[:size]
    expected = tiny.encoder(np.frombuffer(block, np.uint8))
    assert np.array_equal(alone.model.encode(block), expected)


def test_several_frames_decode_and_a_size_may_be_unknown(alone: Any, prose: bytes) -> None:
    parts = [prose[:40], b"", os.urandom(50), prose[40:150]]
    data = b"".join(vaezip.compress(part, model=TINY) for part in parts[:-1])
    compressor = vaezip.VaezipCompressor(model=TINY, block_size=64)
    data += compressor.compress(parts[-1]) + compressor.flush()
    assert alone.file(data) == b"".join(parts)
    with pytest.raises(ValueError, match="not enough"):
        alone.file(b"")


@pytest.mark.parametrize(
    "text",
    [
        b"," * 260 + b"\n" + b"," * 258 + b"\n1,2\n",  # more than 256 fields and columns
        b"\n\n \n\t \tif x:\n    return 'y'\n\n    \t\n",  # indents
        b"abcdefgh ijkl" * 34,  # a match of more than 400 bytes
        bytes(range(0, 256, 2)) * 2,
    ],
    ids=["fields", "indents", "repeats", "all kinds of bytes"],
)
def test_texts_that_reach_far_corners_of_the_mixer_decode(alone: Any, tiny: Model, text: bytes) -> None:
    block = bitsback.encode(tiny, text, latent=False, preset=1).block
    frame = container.short_frame(tiny.fingerprint, block)
    assert alone.file(frame) == text


@pytest.mark.parametrize("name", PACKS)
def test_golden_packs_decode(alone: Any, after_a_dictionary: Any, name: str) -> None:
    records, options = PACKS[name]
    reader = after_a_dictionary if "dictionary" in options else alone
    expected = [[record] for record in records]
    if isinstance(records, dict):
        expected = [[encode_name(name), content] for name, content in records.items()]
    separator = b"\0" if isinstance(records, dict) else b"\n"
    ordered = sorted(expected) if options.get("unordered") else expected
    written = b"".join(text + separator for record in ordered for text in record)
    assert reader.pack(golden_file(f"{name}.vzp")) == written


def _changed(data: bytes) -> Iterator[bytes]:
    """The data with a bit changed here and there, cut off, and with something behind them."""
    for at in range(0, len(data), max(1, len(data) // 24)):
        yield data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
    yield from (data[:-1], data[: len(data) // 2], data + b"\0", data + data[:1])


def test_damaged_data_are_refused_where_there_is_a_checksum(alone: Any, after_a_dictionary: Any) -> None:
    text = b"It was the best of times."
    incompressible = bytes(range(0, 256, 7))
    pack = vaezip.pack_records(LINES[:3], model=TINY, dictionary=DICTIONARY)
    whole: list[tuple[Callable[[bytes], object], bytes]] = [
        (alone.file, vaezip.compress(text, model=TINY)),
        (alone.file, vaezip.compress(text + incompressible, model=TINY, block_size=len(text))),
        (alone.file, vaezip.compress(incompressible, model=TINY)),
        (lambda data: alone.message(data, 3), vaezip.MessageCodec(TINY, check_bytes=3).encode(text)),
        (lambda data: decoder.Decoder(alone.model, data).fingerprint, DICTIONARY.read_bytes()),
        (after_a_dictionary.pack, pack),
    ]
    for read, data in whole:
        content, changes, refused = read(data), list(_changed(data)), 0
        for changed in changes:
            try:
                assert read(changed) == content
            except ValueError:
                refused += 1
        assert refused >= 0.8 * len(changes)


def test_what_is_not_all_there_or_in_its_place_is_refused(alone: Any, tiny: Model) -> None:
    pack, stored = golden_file("in-segments.vzp"), noise(120)
    whole = vaezip.compress(stored, model=tiny, block_size=40)
    text = record_coder(read_header(io.BytesIO(forged())), tiny).encode([(b"a",)])
    assert alone.pack(forged((1, ordered_body([text])), what=b"a\n")) == b"a\n"
    second, third, index = (whole.index(stored[40:80]) - 2 + 46 * i for i in range(3))
    assert alone.file(whole) == stored
    assert alone.file(whole[:-8] + bytes(8)) == stored  # it does not verify the index, and says so
    for read, data, why in [
        (alone.pack, pack[:-7], "not enough"),  # without its end mark
        (alone.pack, pack + b"\0", "more follows"),
        (alone.pack, forged((1, ordered_body([b"\xff"]))), "no text begins so"),
        (alone.pack, forged((1, ordered_body([text])), what=b"b\n"), "checksum"),
        (alone.file, whole[:second] + whole[third:index] + whole[second:third] + whole[index:], "checksum"),
        (alone.file, skippable(b"abc")[:-4] + bytes(4), "checksum"),
    ]:
        with pytest.raises(ValueError, match=why):
            read(data)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_the_command_reads_files_of_shipped_models_without_vaezip(tmp_path: Path, path: Path) -> None:
    texts = [(DATA / "texts" / name).read_bytes()[:200] for name in ("json.txt", "message.txt")]
    file, message = tmp_path / "x.vz", tmp_path / "x.msg"
    file.write_bytes(b"".join(vaezip.compress(text, model=path) for text in texts))
    message.write_bytes(vaezip.MessageCodec(path, check_bytes=2).encode(texts[0][:80]))
    assert _run("file", path, file).stdout == b"".join(texts)
    assert _run("2", path, message).stdout == texts[0][:80]
    file.write_bytes(file.read_bytes()[:2] + b"\0" + file.read_bytes()[3:])
    refused = _run("file", path, file)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr.endswith(b"ValueError: a checksum does not match\n")


def test_the_command_writes_a_packs_records(tmp_path: Path) -> None:
    pack, dictionary = tmp_path / "x.vzp", tmp_path / "x.vzd"
    dictionary.write_bytes(vaezip.make_dictionary(LINES[2:4]).to_bytes())
    pack.write_bytes(vaezip.pack_records(LINES[-2:], model=TINY, dictionary=dictionary))
    assert _run("pack", TINY, pack, dictionary).stdout == LINES[-2] + b"\n" + LINES[-1] + b"\n"
    assert b"dictionary is needed" in _run("pack", TINY, pack).stderr
