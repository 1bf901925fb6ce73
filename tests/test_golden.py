"""Files of every released format version decode for ever, and are written as they were.

`python tests/test_golden.py` makes them anew, which is right only before a release, or for a new version.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import vaezip

DATA = Path(__file__).parent / "data"
TINY = DATA / "tiny.vzm"


def cases() -> dict[str, tuple[bytes, int]]:
    """Content and block size of every golden file."""
    text = (DATA / "golden.txt").read_bytes()
    noise = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(10))
    return {
        "empty": (b"", 100),
        "one-byte": (b"v", 100),
        "latent": ((DATA / "golden-latent.txt").read_bytes(), 1000),
        "null-latent": (text, 4096),
        "stored": (noise, 1000),
        "blocks": (text + noise + text[:7], 300),
    }


def messages() -> dict[str, str]:
    """Golden messages in hexadecimal, by what they say and how."""
    texts = [
        "Check channel 5",
        "It was the best of times.",
        "a line\n",
        "two\nlines",
        "größer als 日本",
        "\x00\xff\xfe",
    ]
    written = {}
    for name, options in MESSAGE_OPTIONS.items():
        codec = vaezip.MessageCodec(TINY, **options)
        written |= {f"{name}: {text}": codec.encode(text.encode()).hex() for text in texts}
    return written


MESSAGE_OPTIONS: dict[str, dict[str, Any]] = {
    "alone": {},
    "checked": {"check_bytes": 3},
    "after a dictionary": {"dictionary": DATA / "format-1.vzd"},
}


def golden() -> dict[str, str]:
    recorded: dict[str, str] = json.loads((DATA / "format-1.json").read_text(encoding="utf-8"))
    return recorded


@pytest.mark.parametrize("name", sorted(cases()))
def test_golden_files(name: str) -> None:
    content, block_size = cases()[name]
    blob = (DATA / f"format-1-{name}.vz").read_bytes()
    assert hashlib.sha256(blob).hexdigest() == golden()[name]
    assert vaezip.decompress(blob, model=TINY) == content
    assert vaezip.compress(content, model=TINY, block_size=block_size) == blob


def test_the_model_of_the_golden_files_is_untouched() -> None:
    assert hashlib.sha256(TINY.read_bytes()).hexdigest() == golden()["model"]


def test_golden_messages() -> None:
    assert messages() == json.loads((DATA / "format-1-messages.json").read_text(encoding="utf-8"))


def test_golden_dictionary() -> None:
    dictionary = vaezip.load_dictionary(DATA / "format-1.vzd")
    assert dictionary.fingerprint.hex() == golden()["dictionary"]
    text = (DATA / "golden.txt").read_bytes()[:300]
    blob = (DATA / "format-1-dictionary.vz").read_bytes()
    assert vaezip.decompress(blob, model=TINY, dictionary=dictionary) == text
    assert vaezip.compress(text, model=TINY, dictionary=dictionary, block_size=200) == blob


if __name__ == "__main__":
    digests = {"model": hashlib.sha256(TINY.read_bytes()).hexdigest()}
    for key, (data, size) in cases().items():
        written = vaezip.compress(data, model=TINY, block_size=size)
        (DATA / f"format-1-{key}.vz").write_bytes(written)
        digests[key] = hashlib.sha256(written).hexdigest()
    lines = (DATA / "golden.txt").read_bytes().splitlines()
    made = vaezip.make_dictionary([b"It was the worst of times.", b"Check channel 7", *lines])
    (DATA / "format-1.vzd").write_bytes(made.to_bytes())
    digests["dictionary"] = made.fingerprint.hex()
    content = (DATA / "golden.txt").read_bytes()[:300]
    frame = vaezip.compress(content, model=TINY, dictionary=made, block_size=200)
    (DATA / "format-1-dictionary.vz").write_bytes(frame)
    (DATA / "format-1-messages.json").write_text(
        json.dumps(messages(), indent=2) + "\n", encoding="utf-8", newline="\n"
    )
    (DATA / "format-1.json").write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8", newline="\n")
