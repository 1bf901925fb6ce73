"""vaezip and other compressors, and what one makes of a text in how much time."""

from __future__ import annotations

import gzip
import importlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from vaezip import stream
from vaezip.bench.huffman import huffman_compress, huffman_decompress
from vaezip.bench.lzw import lzw_compress, lzw_decompress
from vaezip.bench.measurement import Measurement
from vaezip.errors import IntegrityError
from vaezip.model import Model, load_model

_ENGLISH = b"""Speed depends on the machine and on the model, and hardly on what a text says. These sentences
are here so that there is one at hand: plain English, with a comma now and then, and a full stop at the end.
"""


class Compressor(NamedTuple):
    """A name and two functions; `decompress` is told the size, since some formats do not store it."""

    name: str
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]


def model_speed(path: str, size: int = 32 << 10) -> float:
    """Bytes per second that one core compresses with a model, of so many: two sentences, over and over."""
    model = load_model(path)
    text = (_ENGLISH * (1 + size // len(_ENGLISH)))[:size]
    began = time.perf_counter()
    stream.compress(text, model=model)
    return size / (time.perf_counter() - began)


def compressors(models: Mapping[str, Model]) -> list[Compressor]:
    """vaezip with each of `models`, called as there; what is there of others; and two ancestors."""
    return [
        *itertools.starmap(_vaezip, models.items()),
        *_installed(),
        Compressor("gzip -9", lambda d: gzip.compress(d, 9), lambda d, _: gzip.decompress(d)),
        Compressor("LZW (1984)", lzw_compress, lambda d, _: lzw_decompress(d)),
        Compressor("Huffman (1952)", huffman_compress, lambda d, _: huffman_decompress(d)),
    ]


def _vaezip(name: str, model: Model) -> Compressor:
    return Compressor(
        name,
        lambda d: stream.compress(d, model=model),
        lambda d, _: stream.decompress(d, model=model),
    )


def _installed() -> Iterator[Compressor]:
    if pyppmd := _module("pyppmd"):
        yield Compressor("PPMd H -o6", lambda d: _ppmd(pyppmd, d), lambda d, n: _unppmd(pyppmd, d, n))
    if brotli := _module("brotli"):
        yield Compressor(
            "brotli -q 11", lambda d: brotli.compress(d, quality=11), lambda d, _: brotli.decompress(d)
        )
    if zstd := _module("zstandard"):
        yield Compressor(
            "zstd --ultra -22",
            lambda d: zstd.ZstdCompressor(level=22).compress(d),
            lambda d, _: zstd.ZstdDecompressor().decompress(d),
        )
    if lzma := _module("lzma"):  # Python can be built without it, and without bz2
        xz = lzma.PRESET_EXTREME | 9
        yield Compressor("xz -9e", lambda d: lzma.compress(d, preset=xz), lambda d, _: lzma.decompress(d))
    if bz2 := _module("bz2"):
        yield Compressor("bzip2 -9", lambda d: bz2.compress(d, 9), lambda d, _: bz2.decompress(d))


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _ppmd(pyppmd: Any, data: bytes) -> bytes:
    encoder = pyppmd.Ppmd7Encoder(max_order=6, mem_size=16 << 20)
    return bytes(encoder.encode(data) + encoder.flush())


def _unppmd(pyppmd: Any, data: bytes, size: int) -> bytes:
    decoder = pyppmd.Ppmd7Decoder(max_order=6, mem_size=16 << 20)
    text = decoder.decode(data, size)
    while len(text) < size:  # its range coder may want a byte more than the encoder wrote
        text += decoder.decode(b"\0", size - len(text))
    return bytes(text)


def measure(compressor: Compressor, name: str, text: bytes) -> Measurement:
    """Compress and decompress once, timed; raises IntegrityError if the text does not come back."""
    began = time.perf_counter()
    compressed = compressor.compress(text)
    middle = time.perf_counter()
    try:
        back = compressor.decompress(compressed, len(text))
    except Exception as error:  # whatever others raise
        raise IntegrityError(f"{name}: {compressor.name} does not give the text back: {error}") from error
    end = time.perf_counter()
    if back != text:
        raise IntegrityError(f"{name}: {compressor.name} does not give the text back")
    return Measurement(compressor.name, name, len(text), len(compressed), middle - began, end - middle)
