"""`vaezip bench`: sizes and speeds beside other compressors, and where the bits of a block go."""

from __future__ import annotations

import copy
import gzip
import importlib
import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip import ans, bitsback, stream
from vaezip.block import DEFAULT_BLOCK_SIZE, encode_block
from vaezip.engine import load_engine
from vaezip.errors import FileError, IntegrityError
from vaezip.huffman import huffman_compress, huffman_decompress
from vaezip.lzw import lzw_compress, lzw_decompress
from vaezip.model import Model, load_model
from vaezip.network.ops import Int32, Linear
from vaezip.show.attribution import network_costs
from vaezip.show.costs import METHODS

_TICK = 1e-9  # seconds; no clock tells less
_MOST = 1e15  # bytes or seconds


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

    @property
    def compress_speed(self) -> float:
        """Bytes of text per second."""
        return self.content / max(_TICK, self.compress_seconds)

    @property
    def decompress_speed(self) -> float:
        """Bytes of text per second."""
        return self.content / max(_TICK, self.decompress_seconds)


class Total(NamedTuple):
    """One compressor on several files."""

    sums: Measurement
    ratio: float  # of text to compressed data, geometric mean of the files


def totals(measurements: Sequence[Measurement]) -> list[Total]:
    """Over the files that every compressor has been measured on; the smallest sum first."""
    groups: dict[str, list[Measurement]] = {}
    for m in measurements:
        groups.setdefault(m.compressor, []).append(m)
    common = set.intersection(*({m.name for m in group} for group in groups.values())) if groups else set()
    found = []
    for compressor, group in groups.items():
        if own := [m for m in group if m.name in common]:
            sums = Measurement(
                compressor,
                f"all {len(own)} files",
                sum(m.content for m in own),
                sum(m.compressed for m in own),
                sum(m.compress_seconds for m in own),
                sum(m.decompress_seconds for m in own),
            )
            found.append(Total(sums, math.exp(fmean(math.log(m.content / m.compressed) for m in own))))
    return sorted(found, key=lambda total: total.sums.compressed)


def read_measurements(data: bytes, name: str) -> list[Measurement]:
    """The measurements that `vaezip bench --json` has written; raises FileError, which says `name`."""
    try:
        found = [Measurement(**row) for row in json.loads(data)]
        if found and all(map(_is_sound, found)):
            return found
    except (TypeError, ValueError, RecursionError):
        pass
    raise FileError(f"{name}: holds no measurements as vaezip bench --json writes them")


def _is_sound(m: Measurement) -> bool:
    names, sizes, seconds = m[:2], m[2:4], m[4:]
    return (
        all(isinstance(name, str) for name in names)
        and all(type(size) is int and 0 < size < _MOST for size in sizes)
        and all(type(second) in (int, float) and 0 <= second < _MOST for second in seconds)
    )


def model_speed(path: str, size: int = 32 << 10) -> float:
    """Bytes per second that one core compresses of an English text of so many bytes with a model."""
    model = load_model(path)
    text = (__doc__ or "").encode() * (1 + size // 50)
    began = time.perf_counter()
    stream.compress(text[:size], model=model)
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


class Account(NamedTuple):
    """The bits of a coded block by what they are spent on: information contents by the exact model."""

    x_bits: float  # -log2 p(x|z)
    z_bits: float  # -log2 p(z)
    posterior_bits: float  # -log2 q(z|x): what bits-back would return on a full stack


def account(model: Model, block: bytes, encoded: bitsback.Encoded, preset: int) -> Account:
    """The account of a block that `bitsback.encode` has coded with a preset of the mixer."""
    x = np.frombuffer(block, np.uint8)
    intervals = model.predictor(encoded.z, preset, len(x)).intervals(x)
    x_bits = -float(np.log2(intervals[:, 1] / ans.TOTAL).sum())
    if encoded.posterior is None:
        return Account(x_bits, 0.0, 0.0)
    return Account(x_bits, *model.latent.information(encoded.z, encoded.posterior))


class Ablation(NamedTuple):
    """The bits of a text by what they are spent on, summed over its blocks, and what else it could cost."""

    name: str
    content: int  # bytes
    x_bits: float  # of the text given z
    z_bits: float  # of z under the prior
    returned_bits: int  # that popping z took off the checksum again
    latent_bytes: int  # coded with bits-back ...
    no_bits_back_bytes: int  # ... with the most likely z instead of a drawn one, nothing given back ...
    null_bytes: int  # ... and with the null latent ...
    fixed_preset_bytes: int  # ... and the mixer's first preset, too; payloads, checksums counted
    kept: str  # what `compress` keeps: latent, null or stored, of most blocks


def ablate(model: Model, name: str, text: bytes, block_size: int = DEFAULT_BLOCK_SIZE) -> Ablation:
    """Code `text` with bits-back, without, with the null latent, and without any choice."""
    kept: Counter[str] = Counter()
    x_bits = z_bits = 0.0
    returned = drawn = mode = null = fixed = 0
    for at in range(0, max(1, len(text)), block_size):
        block = text[at : at + block_size]
        preset = bitsback.PresetChoice(model, block[: bitsback.PROBE_BYTES]).preset
        encoded = bitsback.encode(model, block, latent=False, preset=preset)
        null += len(encoded.payload)
        fixed += len(bitsback.encode(model, block, latent=False, preset=0).payload)
        if bitsback.can_carry_latent(model, len(block)):
            encoded = bitsback.encode(model, block, latent=True, preset=preset)
            bits = account(model, block, encoded, preset)
            x_bits, z_bits = x_bits + bits.x_bits, z_bits + bits.z_bits
            returned, drawn = returned + encoded.returned_bits, drawn + len(encoded.payload)
            mode += _without_bits_back(model, block, preset)
        kept[METHODS[encode_block(model, block).method]] += 1
    sums = x_bits, z_bits, returned, drawn, mode, null, fixed
    return Ablation(name, len(text), *sums, kept.most_common(1)[0][0])


def _without_bits_back(model: Model, block: bytes, preset: int) -> int:
    """Payload bytes if z is the posterior's mode, and nothing comes back."""
    x = np.frombuffer(block, np.uint8)
    stack = ans.AnsStack(bitsback.checksum(block))
    z = model.latent.posterior(*model.encoder(x)).candidates[:, 0]
    stack.push_intervals(model.predictor(z, preset, len(x)).intervals(x))
    model.latent.push_prior(stack, z)
    return len(stack.to_bytes())


class Shares(NamedTuple):
    """Information in bits by network and mixer, each alone and both, with null latent and first preset."""

    name: str
    content: int  # bytes
    network_bits: float  # by the network's probabilities as they are
    mixer_bits: float  # by the mixer, if the network says that all bytes are equally likely
    both_bits: float


def shares(model: Model, name: str, text: bytes, block_size: int = DEFAULT_BLOCK_SIZE) -> Shares:
    """Predict `text` by the network alone, the mixer alone, and both."""
    silent = copy.copy(model.decoder)
    silent.head = _silent_head(model.architecture.width)
    mixer_alone = load_engine(silent, model.mixer)
    z, network, mixer, both = model.latent.null(), 0.0, 0.0, 0.0
    for at in range(0, len(text), block_size):
        x = np.frombuffer(text[at : at + block_size], np.uint8)
        network += network_bits(model, x, z)
        for_mixer, for_both = (
            engine.predictor(z, 0, len(x)).intervals(x)[:, 1] for engine in (mixer_alone, model.engine)
        )
        mixer -= float(np.log2(for_mixer / ans.TOTAL).sum())
        both -= float(np.log2(for_both / ans.TOTAL).sum())
    return Shares(name, len(text), network, mixer, both)


def _silent_head(width: int) -> Linear:
    tensors: dict[str, NDArray[np.generic]] = {
        "head.weight": np.zeros((256, width), np.int8),
        "head.multiplier": np.zeros(256, np.int32),
        "head.bias": np.zeros(256, np.int32),
        "head.shift": np.zeros(2, np.int32),
    }
    return Linear(tensors, "head", 256, width)


def network_bits(model: Model, x: NDArray[np.uint8], z: Int32) -> float:
    """-log2 p(x|z) of a block, uint8 (n,), by the decoder network alone; z: int32 (latents,), grid steps."""
    return float(network_costs(model, x, z).sum())
