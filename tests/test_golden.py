"""Files of every released format version decode for ever, and are written as they were; tests/data/README.md lists them.

`python tests/test_golden.py` makes them anew, which is right only before a release, or for a new version.
"""

from __future__ import annotations

import hashlib
import io
import json
from bisect import bisect
from collections.abc import Callable, Iterator
from itertools import chain, product
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import pytest

import vaezip
from vaezip import bitsback, container, numerals
from vaezip.byteio import ByteReader
from vaezip.container import Method
from vaezip.mixing.parameters import PRESETS
from vaezip.pack.coder import record_coder
from vaezip.pack.layout import PASSED_OVER, new_segment, pack_bytes
from vaezip.pack.packing import new_header, segments_of

DATA = Path(__file__).parent / "data"
TINY = DATA / "tiny.vzm"
DICTIONARY = DATA / "format-1.vzd"
TEXT = (DATA / "golden.txt").read_bytes()


def _noise(size: int) -> bytes:
    digests = (hashlib.sha256(i.to_bytes(1 + i // 256, "little")).digest() for i in range(size // 32 + 1))
    return b"".join(digests)[:size]


NOISE = _noise(320)


class Case(NamedTuple):
    """A golden file: what it holds, how it is written, and with what it is read."""

    content: bytes
    write: Callable[[], bytes]
    dictionary: Path | None = None


def cases() -> dict[str, Case]:
    """All golden files that hold frames, by name."""
    latent = (DATA / "golden-latent.txt").read_bytes()
    alone = {
        "empty": (b"", 100),
        "one-byte": (b"v", 100),
        "latent": (latent, 2000),
        "null-latent": (TEXT, 4096),
        "stored": (NOISE, 1000),
        "longer": (_noise(16385), 1 << 20),
        "blocks": (TEXT + NOISE + TEXT[:7], 300),
        "latent-blocks": (latent + TEXT[:20], len(latent)),
    }
    after_a_dictionary = {
        "dictionary": (TEXT[:300], 200),
        "dictionary-short": (TEXT[:100], 200),
        "dictionary-stored": (NOISE[:40], 200),
        "dictionary-blocks": (TEXT[:60] + NOISE[:60], 60),
    }
    cases = {name: Case(content, _writer(content, size)) for name, (content, size) in alone.items()}
    for name, (content, size) in after_a_dictionary.items():
        cases[name] = Case(content, _writer(content, size, dictionary=DICTIONARY), DICTIONARY)
    kinds = b"".join(map(_kind_content, range(2 * PRESETS)))
    return {
        **cases,
        "piped": Case(TEXT[:200], _piped),
        "kinds": Case(kinds, lambda: b"".join(_kinds())),
        "foreign": Case(kinds + TEXT[:200], _foreign),
        "skippable": Case(TEXT[:50], _among_skippable),
    }


def _writer(content: bytes, block_size: int, **options: Any) -> Callable[[], bytes]:
    return lambda: vaezip.compress(content, model=TINY, block_size=block_size, **options)


def _piped() -> bytes:
    """Several blocks, of which the header could not know how many would come."""
    compressor = vaezip.VaezipCompressor(model=TINY, block_size=64)
    return compressor.compress(TEXT[:200]) + compressor.flush()


def _kind_content(number: int) -> bytes:
    return TEXT[40 * number :][: 60 + number]


def _kinds() -> Iterator[bytes]:
    """A frame of each first byte from F8 to FF: with and without a latent, and with every preset."""
    model = vaezip.load_model(TINY)
    for number, (method, preset) in enumerate(product((Method.VAE, Method.VAE_NULL), range(PRESETS))):
        content = _kind_content(number)
        block = bitsback.encode(model, content, latent=method == Method.VAE, preset=preset).block
        yield container.short_frame(model.fingerprint, block)


def _foreign() -> bytes:
    """What vaezip does not write, but reads: short headers in their longer form, and ignorable flags."""
    written, blocks = b"", _piped()
    for frame in _kinds():
        header = bytes([container.MAGIC, 32 + frame[0] % 16]) + frame[1:4]
        written += header + _crc(header)[:1] + frame[5:]
    flagged = bytes([blocks[0], blocks[1] | 3]) + blocks[2:12]
    return written + flagged + _crc(flagged) + blocks[16:]


def _among_skippable() -> bytes:
    written = vaezip.compress(TEXT[:50], model=TINY)
    return skippable(b"a note") + written + skippable(b"") + skippable(written)


def skippable(content: bytes) -> bytes:
    """A frame that readers pass over; vaezip writes none."""
    frame = container.SKIPPABLE + numerals.encode_number(len(content)) + content
    return frame + len(frame).to_bytes(4, "little")


def _crc(data: bytes) -> bytes:
    return crc32(data).to_bytes(4, "little")


MESSAGE_OPTIONS: dict[str, dict[str, Any]] = {
    "alone": {},
    "checked": {"check_bytes": 3},
    "after a dictionary": {"dictionary": DICTIONARY},
}
MESSAGES = {
    "Check channel 5": "ended",
    "It was the best of times.": "ended",
    "a line\n": "a line",
    "two\nlines": "counted",
    "größer als 日本": "ended",
    "\x00\xff\xfe": "as it is",
}


def messages() -> dict[str, str]:
    """Golden messages in hexadecimal, by what they say and how."""
    written = {}
    for name, options in MESSAGE_OPTIONS.items():
        codec = vaezip.MessageCodec(TINY, **options)
        written |= {f"{name}: {text}": codec.encode(text.encode()).hex() for text in MESSAGES}
    return written


LINES = [b"alpha 12", b"", b"beta,2", b"beta,2", b"two\nlines", b"a line\n", b"\xff\xfe\x00", b"alpha 13"]
FILES = {"a/one.txt": b"one\n", "two": b"", "three\udcff": b"three\x00", "one": b"one\n"}
PACKS: dict[str, tuple[list[bytes] | dict[str, bytes], dict[str, Any]]] = {
    "in-order": (LINES, {}),
    "in-groups": (LINES, {"group": 3}),
    "in-segments": (LINES, {}),
    "unordered": (LINES, {"unordered": True}),
    "without-a-dictionary": (LINES, {"dictionary_size": 0}),
    "with-another-dictionary": (LINES, {"dictionary": DICTIONARY, "group": 5}),
    "of-files": (FILES, {"group": 3}),
    "of-files-unordered": (FILES, {"unordered": True}),
    "of-nothing": ([], {}),
}


def packs() -> dict[str, bytes]:
    """Golden packs, by name."""
    return {name: _packed(name) for name in PACKS}


def _packed(name: str) -> bytes:
    records, options = PACKS[name]
    if name != "in-segments":
        return vaezip.pack_records(records, model=TINY, **options)
    rows = [(record,) for record in records]
    header = new_header(rows, model=TINY, separator=10, **options)
    coder = record_coder(header, TINY)
    first, second = (segments_of(some, header, coder) for some in (rows[:5], rows[5:]))
    passed_over = new_segment(PASSED_OVER, b"a note", 0)
    return b"".join(pack_bytes(header, chain(first, [passed_over], second)))


def golden() -> dict[str, str]:
    recorded: dict[str, str] = json.loads((DATA / "format-1.json").read_text(encoding="utf-8"))
    return recorded


def golden_file(name: str) -> bytes:
    """A golden file, which nobody has changed."""
    blob = (DATA / f"format-1-{name}").read_bytes()
    assert hashlib.sha256(blob).hexdigest() == golden()[name]
    return blob


@pytest.mark.parametrize("name", cases())
def test_golden_files(name: str) -> None:
    case, blob = cases()[name], golden_file(f"{name}.vz")
    assert vaezip.decompress(blob, model=TINY, dictionary=case.dictionary) == case.content
    assert case.write() == blob


def test_there_is_a_golden_file_of_every_kind_of_frame() -> None:
    found: set[tuple[int, bool, Method | None]] = {
        kind for name in cases() for kind in _kinds_of_frames(golden_file(f"{name}.vz"))
    }
    stored, vae, null = Method
    plain = {(container.MAGIC, short, method) for short in (True, False) for method in Method}
    after_a_dictionary = {
        (container.WITH_DICTIONARY, short, method) for short in (True, False) for method in (stored, null)
    }
    abbreviated = {
        (0xF0 + 4 * method + preset, True, method) for method in (vae, null) for preset in range(PRESETS)
    }
    assert found == plain | after_a_dictionary | abbreviated | {(container.SKIPPABLE[0], False, None)}


def _kinds_of_frames(data: bytes) -> Iterator[tuple[int, bool, Method | None]]:
    """The first byte of each frame, whether it is in the short form, and the method of each of its blocks.

    Of one that has no blocks, there is no method.
    """
    reader = ByteReader(io.BytesIO(data))
    while reader.position < len(data):
        first = data[reader.position]
        header = container.read_header(reader)
        assert header is not None
        methods = [block.method for block in container.read_blocks(reader, header)]
        for method in methods or [None]:
            yield first, header.is_short, method


def test_the_model_of_the_golden_files_is_untouched() -> None:
    assert hashlib.sha256(TINY.read_bytes()).hexdigest() == golden()["model"]


def test_golden_messages() -> None:
    assert messages() == json.loads((DATA / "format-1-messages.json").read_text(encoding="utf-8"))


def test_there_is_a_golden_message_of_every_kind() -> None:
    """The first byte tells (docs/format.md, "Messages"): s units are for ended ones, 4 for lines."""
    shares = dict.fromkeys(MESSAGE_OPTIONS, 200)
    shares["after a dictionary"] = vaezip.load_dictionary(DICTIONARY).ended
    for name, message in messages().items():
        how, text = name.split(": ", 1)
        first, share = int(message[:2], 16), shares[how]
        kind = ("ended", "a line", "counted", "as it is")[bisect((share, share + 4, 255), first)]
        assert kind == MESSAGES[text], name


def test_golden_dictionary() -> None:
    assert vaezip.load_dictionary(DICTIONARY).fingerprint.hex() == golden()["dictionary"]


@pytest.mark.parametrize("name", PACKS)
def test_golden_packs(name: str) -> None:
    (records, options), blob = PACKS[name], golden_file(f"{name}.vzp")
    with vaezip.Records(io.BytesIO(blob), model=TINY, dictionary=options.get("dictionary")) as pack:
        if isinstance(records, dict):
            assert {record: pack[record] for record in pack.names()} == records
        else:
            assert list(pack) == (sorted(records) if options.get("unordered") else records)
    assert _packed(name) == blob


if __name__ == "__main__":
    lines = TEXT.splitlines()
    made = vaezip.make_dictionary([b"It was the worst of times.", b"Check channel 7", *lines])
    DICTIONARY.write_bytes(made.to_bytes())
    files = {f"{name}.vz": case.write() for name, case in cases().items()}
    files |= {f"{name}.vzp": data for name, data in packs().items()}
    digests = {"model": hashlib.sha256(TINY.read_bytes()).hexdigest(), "dictionary": made.fingerprint.hex()}
    for key, written in files.items():
        (DATA / f"format-1-{key}").write_bytes(written)
        digests[key] = hashlib.sha256(written).hexdigest()
    for key, record in (("-messages", messages()), ("", digests)):
        text = json.dumps(record, indent=2) + "\n"
        (DATA / f"format-1{key}.json").write_text(text, encoding="utf-8", newline="\n")
