"""The model file: one safetensors file with the integer program of encoder, decoder and latent tables.

Its metadata hold the architecture and, for people, name and history; docs/network.md lists the tensors. A
`.vz` names the model it needs by the first bytes of the SHA-256 of the model file.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from vaezip.data_files import MODELS, DataFile, shipped_files
from vaezip.engine import Engine, load_engine
from vaezip.errors import ModelError, one_line
from vaezip.latent import Latent
from vaezip.mixing.parameters import PRESETS, MixerParameters
from vaezip.network.architecture import Architecture
from vaezip.network.decoder import Decoder
from vaezip.network.encoder import Encoder
from vaezip.network.ops import Int32, require, tensor
from vaezip.tensors import Tensors, read_json, read_tensors, write_tensors

if TYPE_CHECKING:  # the reference is loaded where there is no kernel
    from vaezip.mixing.predictor import Predictor

MODEL_FORMAT = 1
DEFAULT = "standard"
LARGE = "large"
_SELF_TEST_BYTES = 64
_KEPT = 4  # models


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A loaded model: all that compressing and decompressing need. Those of one content are equal."""

    name: str
    """The name of its file, without `.vzm`."""
    fingerprint: bytes
    """SHA-256 of the file."""
    architecture: Architecture
    encoder: Encoder
    decoder: Decoder
    latent: Latent
    mixer: MixerParameters
    engine: Engine
    info: dict[str, str]
    """The file's metadata."""
    source: str | None = None
    """A shipped model's name or an absolute path; None if made of bytes."""

    def predictor(self, z: Int32, preset: int, size: int) -> Predictor:
        """The predictor of a block of `size` bytes; z: int32 (latents,), grid steps; preset: of the mixer."""
        return self.engine.predictor(z, preset, size)

    def __eq__(self, other: object) -> bool:
        return self.fingerprint == other.fingerprint if isinstance(other, Model) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"<Model {self.name!r}, fingerprint {self.fingerprint[:4].hex()}…>"

    def __reduce__(self) -> tuple[Callable[[str, bytes], Model], tuple[str, bytes]]:
        """A pickle says which file it is; unpickling loads that, and raises ModelError if it has changed."""
        if self.source is None:
            raise pickle.PicklingError(
                f"{self.name}: a model that does not come from a file cannot be pickled"
            )
        return _load_again, (self.source, self.fingerprint)


def load_model(which: str | os.PathLike[str] | None = None) -> Model:
    """The model of that path or name, shipped or in one of the user's folders; the standard one by default.

    A few are kept, each as long as its file stays what it is. Raises ModelError if there is none, or if it
    is damaged or breaks a bound that exactness rests on.
    """
    with DataFile(DEFAULT if which is None else which, MODELS) as file:
        with _kept_lock:
            version, model = _kept.get(file.source, (None, None))
        if model is None or version != file.version:
            model = parse_model(file.read(), file.name, file.source)
        with _kept_lock:
            _kept[file.source] = file.version, model
            _kept.move_to_end(file.source)
            while len(_kept) > _KEPT:
                _kept.popitem(last=False)
    return model


_kept: OrderedDict[str, tuple[tuple[int, ...], Model]] = OrderedDict()  # by source, the latest used last
_kept_lock = threading.Lock()


def _load_again(source: str, fingerprint: bytes) -> Model:
    model = load_model(source)
    if model.fingerprint != fingerprint:
        raise ModelError(one_line(f"{source}: the file has changed since the model was pickled"))
    return model


def shipped_models() -> list[str]:
    """Names of the models that come with the package."""
    return list(shipped_files(MODELS))


def read_model_file(which: str | os.PathLike[str]) -> bytes:
    """The bytes of a model file, given its path or name; raises ModelError."""
    with DataFile(which, MODELS) as file:
        return file.read()


def parse_model(data: bytes, name: str, source: str | None = None) -> Model:
    """Build the model from its file's bytes, and where they come from; raises ModelError, as `load_model`."""
    try:
        tensors, info = read_tensors(data)
        _check_version(info.get("format", ""))
        a = Architecture.from_json(read_json(info.get("architecture", "{}")))
        model = _build(a, tensors, one_line(name), hashlib.sha256(data).digest(), info, source)
        _self_test(model, tensors)
    except ModelError as error:
        raise ModelError(one_line(f"{source or name}: {error}")) from error
    return model


def _check_version(version: str) -> None:
    if version != str(MODEL_FORMAT):
        later = version.isascii() and version.isdigit() and int(version[:9]) > MODEL_FORMAT
        kind = "a newer" if later else "not a vaezip"
        raise ModelError(f"{kind} model (format {version or 'missing'}, this vaezip reads {MODEL_FORMAT})")


def _build(
    a: Architecture,
    tensors: Tensors,
    name: str,
    fingerprint: bytes,
    info: dict[str, str],
    source: str | None = None,
) -> Model:
    decoder = Decoder(a, tensors)
    mixer = MixerParameters(tensors)
    encoder, latent = Encoder(a, tensors), Latent(a, tensors)
    engine = load_engine(decoder, mixer)
    return Model(name, fingerprint, a, encoder, decoder, latent, mixer, engine, info, source)


def self_test_value(model: Model, text: NDArray[np.uint8]) -> int:
    """CRC-32 of all integers that encoder and predictor make of `text`, uint8 (64,)."""
    z = np.ones(model.architecture.latents, np.int32)
    rows = model.predictor(z, PRESETS - 1, len(text)).intervals(text)
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
    return write_tensors({**tensors, "self_test.text": text, "self_test.value": value}, metadata)
