"""Files of every released format version decode for ever, and are written as they were.

`python tests/test_golden.py` makes them anew, which is right only before a release, or for a new version.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

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
        "latent": (text[:300], 1000),
        "null-latent": (text, 4096),
        "stored": (noise, 1000),
        "blocks": (text + noise + text[:7], 300),
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


if __name__ == "__main__":
    digests = {"model": hashlib.sha256(TINY.read_bytes()).hexdigest()}
    for key, (data, size) in cases().items():
        written = vaezip.compress(data, model=TINY, block_size=size)
        (DATA / f"format-1-{key}.vz").write_bytes(written)
        digests[key] = hashlib.sha256(written).hexdigest()
    (DATA / "format-1.json").write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8", newline="\n")
