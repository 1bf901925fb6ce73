"""The model file: one safetensors file with the integer program of encoder, decoder and latent tables.

Its metadata hold the architecture and, for people, name and history; docs/model.md lists the tensors. A
`.vz` names the model it needs by the first bytes of the SHA-256 of the model file.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from vaezip.engine import Engine, load_engine
from vaezip.errors import ModelError
from vaezip.latent import Latent
from vaezip.mixing.parameters import STARTS, MixerParameters
from vaezip.network.architecture import Architecture
from vaezip.network.decoder import Decoder
from vaezip.network.encoder import Encoder
from vaezip.network.ops import Int32, Tensors, require, tensor

if TYPE_CHECKING:  # the reference is loaded where there is no kernel
    from vaezip.mixing.predictor import Predictor

MODEL_FORMAT = 1
DEFAULT = "standard"
_MAX_FILE = 256 << 20
_SELF_TEST_BYTES = 64


@dataclass(frozen=True)
class Model:
    """A loaded model: all that compressing and decompressing need."""

    name: str
    fingerprint: bytes  # SHA-256 of the file
    architecture: Architecture
    encoder: Encoder
    decoder: Decoder
    latent: Latent
    mixer: MixerParameters
    engine: Engine
    info: dict[str, str]  # the file's metadata

    def predictor(self, z: Int32, start: int, size: int) -> Predictor:
        """Of a block of `size` bytes with that latent, int32 (latents,) in grid steps, and mixer's start."""
        return self.engine.predictor(z, start, size)


def load_model(which: str | Path | None = None) -> Model:
    """The model of that path, or the shipped one of that name; the standard one by default.

    Raises ModelError if there is none, or if it is damaged or breaks a bound that exactness rests on.
    """
    return _load(str(which or DEFAULT))


def shipped_models() -> list[str]:
    """Names of the models that come with the package."""
    files = importlib.resources.files("vaezip.models").iterdir()
    return sorted(f.name.removesuffix(".vzm") for f in files if f.name.endswith(".vzm"))


@lru_cache(maxsize=4)
def _load(which: str) -> Model:
    return parse_model(read_model_file(which), Path(which).stem)


def read_model_file(which: str) -> bytes:
    """The bytes of a model file, given its path or the name of a shipped model; raises ModelError."""
    path = Path(which)
    if which in shipped_models():
        path = Path(str(importlib.resources.files("vaezip.models") / f"{which}.vzm"))
    try:
        if path.stat().st_size > _MAX_FILE:
            raise ModelError(f"{path}: larger than any model of this version")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model: {error.strerror}") from error


def parse_model(data: bytes, name: str) -> Model:
    """Build the model from its file's bytes; raises ModelError, as `load_model` does."""
    try:
        tensors = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        info: dict[str, str] = header.get("__metadata__", {})
        version = int(info.get("format", "0"))
        sizes = json.loads(info.get("architecture", "{}"))
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"{name}: not a vaezip model") from error
    if version != MODEL_FORMAT:
        kind = "a newer" if version > MODEL_FORMAT else "not a vaezip"
        raise ModelError(f"{name}: {kind} model (format {version}, this vaezip reads {MODEL_FORMAT})")
    try:
        model = _build(Architecture.from_json(sizes), tensors, name, hashlib.sha256(data).digest(), info)
        _self_test(model, tensors)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    return model


def _build(a: Architecture, tensors: Tensors, name: str, fingerprint: bytes, info: dict[str, str]) -> Model:
    decoder = Decoder(a, tensors)
    mixer = MixerParameters(tensors)
    engine = load_engine(decoder, mixer)
    return Model(name, fingerprint, a, Encoder(a, tensors), decoder, Latent(a, tensors), mixer, engine, info)


def self_test_value(model: Model, text: NDArray[np.uint8]) -> int:
    """CRC-32 of all integers that encoder and predictor make of `text`, uint8 (64,)."""
    z = np.ones(model.architecture.latents, np.int32)
    rows = model.predictor(z, STARTS - 1, len(text)).encode(text)
    mean, scale = model.encoder(text)
    return crc32(b"".join(x.astype("<i4").tobytes() for x in (rows, mean, scale)))


def _self_test(model: Model, tensors: Tensors) -> None:
    text = tensor(tensors, "self_test.text", np.uint8, _SELF_TEST_BYTES).astype(np.uint8)
    value = tensor(tensors, "self_test.value", np.uint32, 1)
    require(self_test_value(model, text) == int(value[0]), "the self-test does not give the known answer")


def serialise(a: Architecture, tensors: dict[str, np.ndarray], info: dict[str, str]) -> bytes:
    """The bytes of a model file, self-test included; `tensors` are all the others that it needs."""
    metadata = {**info, "format": str(MODEL_FORMAT), "architecture": json.dumps(a.to_json())}
    # A run through words, digits, upper case, multi-byte characters and repeats.
    text = np.frombuffer(
        "Vaezip 2026: the café, the CAFÉ; naïve résumé — 日本, f(x) = x*x + 1\n".encode()[:64], np.uint8
    )
    draft = _build(a, tensors, "", b"", metadata)
    value = np.array([self_test_value(draft, text)], np.uint32)
    return safetensors.numpy.save(
        {**tensors, "self_test.text": text.copy(), "self_test.value": value}, metadata
    )
