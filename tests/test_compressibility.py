"""What is worth coding is told from what is encrypted or compressed already."""

from __future__ import annotations

import base64
import random
import zlib

import pytest
from conftest import TINY
from texts import texts

import vaezip
from vaezip.compressibility import looks_compressible

LEAST = 20_000  # bytes; shorter blocks are coded in any case
PAGE = texts()["english"] + texts()["python"] + texts()["russian"]
TEXT = texts()["together"] * 3


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def words(size: int, count: int) -> bytes:
    """Words of random bytes: their counts are even, and only repeats tell them from noise."""
    generator = random.Random(1)
    vocabulary = [generator.randbytes(size) for _ in range(count)]
    return b"".join(generator.choices(vocabulary, k=LEAST // size))


STRUCTURED = {
    "text": TEXT,
    "base64": base64.b64encode(noise(LEAST)),
    "base85": base64.b85encode(noise(LEAST)),
    "hexadecimal": noise(LEAST).hex().encode(),
    "utf-16": TEXT.decode().encode("utf-16"),
    "many signs": bytes.join(b"", (chr(0x4E00 + i * i % 3001).encode("utf-16-le") for i in range(LEAST))),
    "gb18030": (texts()["chinese"] * 80).decode().encode("gb18030"),
    "noise that comes twice, far apart": noise(64 << 10) * 2,
    "noise of which a little comes twice": noise(100_000) + noise(1000),
    "words of random bytes": words(6, 300),
    "short words of random bytes": words(4, 300),
    "lists of numbers": b"".join(number.to_bytes(4, "little") for number in range(LEAST // 4)),
    "text enciphered with a short key": bytes(a ^ b for a, b in zip(TEXT, noise(100) * 300, strict=False)),
    "a page within noise": noise(LEAST) + PAGE + noise(LEAST, 2),
    "a page after much noise": noise(500_000) + PAGE,
    "noise with headers": b"".join(PAGE[:100] + noise(2000, seed) for seed in range(9)),
}


@pytest.mark.parametrize("name", STRUCTURED)
def test_what_has_structure_is_coded(name: str) -> None:
    assert len(STRUCTURED[name]) >= LEAST * 3 // 4
    assert looks_compressible(STRUCTURED[name])


@pytest.mark.parametrize("size", [LEAST, 65_537, 512 << 10, 1 << 20])
def test_noise_is_stored(size: int) -> None:
    assert not any(looks_compressible(noise(size, seed)) for seed in range(3))


@pytest.mark.parametrize("level", [1, 9])
def test_compressed_text_is_stored(level: int) -> None:
    generator = random.Random(2)
    vocabulary = [generator.randbytes(generator.randint(1, 9)).hex() for _ in range(20_000)]
    compressed = zlib.compress(" ".join(generator.choices(vocabulary, k=100_000)).encode(), level)
    assert len(compressed) > LEAST
    assert not looks_compressible(compressed)
    assert not looks_compressible(noise(50_000) + compressed)


def test_what_repeats_a_dictionary_is_coded() -> None:
    dictionary = noise(60_000, 7)
    assert looks_compressible(noise(LEAST) + dictionary[30_000:31_000], dictionary)
    assert not looks_compressible(noise(LEAST), dictionary * 2)  # its own repeats are no reason
    assert not any(looks_compressible(noise(LEAST), dictionary[:size]) for size in range(20))
    assert looks_compressible(TEXT, dictionary)


def test_noise_is_stored_after_a_dictionary_without_coding_it(monkeypatch: pytest.MonkeyPatch) -> None:
    dictionary = vaezip.make_dictionary([PAGE, noise(3000)])
    after = {"model": TINY, "dictionary": dictionary}
    assert len(vaezip.compress(noise(LEAST) + PAGE + noise(3000), **after)) < LEAST + 200 + len(PAGE) // 2
    monkeypatch.setattr("vaezip.block.bitsback.encode", None)
    assert vaezip.decompress(frame := vaezip.compress(noise(LEAST, 1), **after)) == noise(LEAST, 1)
    assert len(frame) < LEAST + 40
