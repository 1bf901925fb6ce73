"""vaezip: a lossless text compressor driven by a trained character-level VAE.

>>> import vaezip
>>> blob = vaezip.compress(b"It was the best of times, it was the worst of times.")
>>> vaezip.decompress(blob)
b'It was the best of times, it was the worst of times.'
"""

from __future__ import annotations

from importlib import import_module

from vaezip.errors import (
    CheckpointError,
    CorpusError,
    DeviceError,
    DictionaryError,
    EngineError,
    FileError,
    FormatError,
    IntegrityError,
    LimitError,
    MissingExtraError,
    ModelError,
    ModelMismatchError,
    SkippedError,
    TruncatedError,
    VaezipError,
    VersionError,
)

TYPE_CHECKING = False  # as that of typing, which takes longer to import than all else here
if TYPE_CHECKING:
    from typing import Any

    from vaezip.dictionaries.dictionary import Dictionary, load_dictionary, make_dictionary
    from vaezip.fileobject import VaezipFile, open
    from vaezip.incremental import VaezipCompressor, VaezipDecompressor
    from vaezip.listing import FrameInfo, list_frames
    from vaezip.map.distances import distances
    from vaezip.messages.codec import MessageCodec
    from vaezip.model import Model, load_model, shipped_models
    from vaezip.pack.packing import pack_records
    from vaezip.pack.records import Records
    from vaezip.sampling import Sample, sample
    from vaezip.show.costs import BlockCosts, Costs, measure_costs
    from vaezip.stream import compress, compress_stream, decompress, decompress_stream

__version__ = "0.1.0"

__all__ = [
    "BlockCosts",
    "CheckpointError",
    "CorpusError",
    "Costs",
    "DeviceError",
    "Dictionary",
    "DictionaryError",
    "EngineError",
    "FileError",
    "FormatError",
    "FrameInfo",
    "IntegrityError",
    "LimitError",
    "MessageCodec",
    "MissingExtraError",
    "Model",
    "ModelError",
    "ModelMismatchError",
    "Records",
    "Sample",
    "SkippedError",
    "TruncatedError",
    "VaezipCompressor",
    "VaezipDecompressor",
    "VaezipError",
    "VaezipFile",
    "VersionError",
    "compress",
    "compress_stream",
    "decompress",
    "decompress_stream",
    "distances",
    "list_frames",
    "load_dictionary",
    "load_model",
    "make_dictionary",
    "measure_costs",
    "open",
    "pack_records",
    "sample",
    "shipped_models",
]

_LATE = {
    "Dictionary": "vaezip.dictionaries.dictionary",
    "load_dictionary": "vaezip.dictionaries.dictionary",
    "make_dictionary": "vaezip.dictionaries.dictionary",
    "MessageCodec": "vaezip.messages.codec",
    "Model": "vaezip.model",
    "load_model": "vaezip.model",
    "shipped_models": "vaezip.model",
    "Records": "vaezip.pack.records",
    "pack_records": "vaezip.pack.packing",
    "Sample": "vaezip.sampling",
    "sample": "vaezip.sampling",
    "FrameInfo": "vaezip.listing",
    "list_frames": "vaezip.listing",
    "distances": "vaezip.map.distances",
    "BlockCosts": "vaezip.show.costs",
    "Costs": "vaezip.show.costs",
    "measure_costs": "vaezip.show.costs",
    "compress": "vaezip.stream",
    "compress_stream": "vaezip.stream",
    "decompress": "vaezip.stream",
    "decompress_stream": "vaezip.stream",
    "VaezipCompressor": "vaezip.incremental",
    "VaezipDecompressor": "vaezip.incremental",
    "VaezipFile": "vaezip.fileobject",
    "open": "vaezip.fileobject",
}


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    """Import numpy and the coder only when they are first needed (PEP 562)."""
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
