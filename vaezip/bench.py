"""`vaezip bench`: sizes and speeds beside other compressors, and where the bits of a block go."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from vaezip import ans, bitsback, stream
from vaezip.container import Method
from vaezip.errors import IntegrityError
from vaezip.lzw import lzw_compress, lzw_decompress
from vaezip.model import Model


class Compressor(NamedTuple):
    """A name and two functions; `decompress` is told the size, since some formats do not store it."""

    name: str
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]


class Measurement(NamedTuple):
    """One compressor on one text; sizes in bytes, times in seconds."""

    compressor: str
    name: str
    content: int
    compressed: int
    compress_seconds: float
    decompress_seconds: float

    @property
    def bits_per_byte(self) -> float:
        """Bits of compressed data per byte of text."""
        return 8 * self.compressed / max(1, self.content)


def compressors(model: Model) -> list[Compressor]:
    """vaezip, the standard library's, those of the extra `bench` that are installed, and two ancestors."""
    xz = lzma.PRESET_EXTREME | 9
    return [
        Compressor(
            "vaezip",
            lambda d: stream.compress(d, model=model),
            lambda d, _: stream.decompress(d, model=model),
        ),
        *_installed(),
        Compressor("xz -9e", lambda d: lzma.compress(d, preset=xz), lambda d, _: lzma.decompress(d)),
        Compressor("bzip2 -9", lambda d: bz2.compress(d, 9), lambda d, _: bz2.decompress(d)),
        Compressor("gzip -9", lambda d: gzip.compress(d, 9), lambda d, _: gzip.decompress(d)),
        Compressor("LZW (1984)", lzw_compress, lambda d, _: lzw_decompress(d)),
        Compressor("Huffman (1952)", ans.huffman_compress, lambda d, _: ans.huffman_decompress(d)),
    ]


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
    start = time.perf_counter()
    compressed = compressor.compress(text)
    middle = time.perf_counter()
    back = compressor.decompress(compressed, len(text))
    end = time.perf_counter()
    if back != text:
        raise IntegrityError(f"{name}: {compressor.name} does not give the text back")
    return Measurement(compressor.name, name, len(text), len(compressed), middle - start, end - middle)


class Ablation(NamedTuple):
    """Where the bits of a text go, summed over its blocks; information contents by the exact model."""

    name: str
    content: int  # bytes
    x_bits: float  # of the text given z
    z_bits: float  # of z under the prior
    returned_bits: int  # that popping z took off the checksum again
    latent_bytes: int  # coded with bits-back ...
    no_bits_back_bytes: int  # ... with the most likely z instead of a drawn one, nothing given back ...
    null_bytes: int  # ... and with the null latent; payloads, the 4-byte checksum of a block counted
    kept: str  # what `compress` keeps: latent, null or stored, of most blocks


def ablate(model: Model, name: str, text: bytes, block_size: int = stream.DEFAULT_BLOCK_SIZE) -> Ablation:
    """Code `text` with bits-back, without, and with the null latent."""
    kept: Counter[str] = Counter()
    x_bits = z_bits = 0.0
    returned = drawn = mode = null = 0
    for at in range(0, max(1, len(text)), block_size):
        block = text[at : at + block_size]
        sizes = {Method.STORED: len(block) + 4}
        sizes[Method.VAE_NULL] = len(bitsback.encode(model, block, latent=False).payload)
        null += sizes[Method.VAE_NULL]
        if bitsback.can_carry_latent(model, len(block)):
            account = bitsback.encode(model, block, latent=True)
            sizes[Method.VAE] = len(account.payload)
            x_bits, z_bits = x_bits + account.x_bits, z_bits + account.z_bits
            returned, drawn = returned + account.returned_bits, drawn + len(account.payload)
            mode += len(bitsback.encode(model, block, latent=True, bits_back=False).payload)
        tried = [Method.STORED, *stream.methods_to_try(model, len(block))]
        kept[_KEPT[min(tried, key=lambda method: sizes[method])]] += 1
    return Ablation(name, len(text), x_bits, z_bits, returned, drawn, mode, null, kept.most_common(1)[0][0])


_KEPT = {Method.VAE: "latent", Method.VAE_NULL: "null", Method.STORED: "stored"}
