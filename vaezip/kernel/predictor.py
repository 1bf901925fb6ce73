"""A model's decoder and mixer in the kernel, and its predictors.

The C code trusts its arguments; the classes that load a model's tensors have checked every size and bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaezip.ans import Decoded
from vaezip.kernel import ffi as _ffi
from vaezip.kernel import lib as _lib
from vaezip.kernel import paths
from vaezip.kernel.ans import KernelCoder
from vaezip.kernel.constants import check
from vaezip.meter import Ticker
from vaezip.mixing.parameters import PRESETS, Learned, MixerParameters
from vaezip.mixing.predictor import RangeState
from vaezip.network.decoder import Decoder
from vaezip.network.ops import Int32, Linear

_CACHE_LINE = 64  # bytes
_CHUNK = 4096  # bytes between two looks at what Python has to do: to be interrupted, to tell of progress


class Kernel:
    """A model's decoder and mixer as the C code wants them."""

    def __init__(self, decoder: Decoder, mixer: MixerParameters, path: str | None = None) -> None:
        """path: one of `paths()`, by default the fastest. EngineError: it is of other sources."""
        check()
        self._keep: list[object] = []  # what the C structures point to
        self.path = path or paths()[0]
        if self.path not in paths():
            raise ValueError(f"no such path on this machine: {self.path} (of {', '.join(paths())})")
        self.decoder = self._decoder(decoder)
        self.tables = self._tables(decoder)
        self.mixers = [self._mixer(mixer, preset) for preset in mixer.presets]
        self.parameters = mixer
        self._modulation = decoder.modulation

    def predictor(self, z: Int32, preset: int, size: int) -> KernelPredictor:
        """See `vaezip.engine.Engine`."""
        return self._predictor(z, [preset], size)

    def comparison(self, z: Int32, size: int) -> KernelPredictor:
        """See `vaezip.engine.Engine`."""
        return self._predictor(z, range(PRESETS), size)

    def decode_ans(
        self,
        predictors: Sequence[KernelPredictor],
        words: Sequence[NDArray[np.uint32]],
        counts: Sequence[int],
    ) -> list[Decoded]:
        """See `vaezip.engine.Engine`."""
        if len(predictors) > _lib.VZ_RUN:
            raise ValueError(f"at most {_lib.VZ_RUN} blocks are decoded in step")
        coders = [KernelCoder(one) for one in words]
        found = [(np.empty(count, np.uint8), np.empty((count, 2), np.int32)) for count in counts]
        done = np.empty(len(counts), np.uint32)
        _lib.vz_predictors_decode_ans(
            [predictor.handle for predictor in predictors],
            [coder.handle for coder in coders],
            len(counts),
            list(counts),
            [_ffi.from_buffer("uint8_t[]", text) for text, _ in found],
            [_ffi.from_buffer("int32_t[]", intervals) for _, intervals in found],
            _ffi.from_buffer("uint32_t[]", done),
        )
        return [(text[:n].tobytes(), rows) for (text, rows), n in zip(found, done.tolist(), strict=True)]

    def _predictor(self, z: Int32, presets: Sequence[int], size: int) -> KernelPredictor:
        arrays = [np.ascontiguousarray(part[0], np.int32) for part in self._modulation(z[None])]
        pointers = [_ffi.from_buffer("int32_t[]", array) for array in arrays]
        mixers = [self.mixers[preset] for preset in presets]
        made = _lib.vz_predictor_new(self.decoder, self.tables, mixers, len(mixers), *pointers, size)
        if made == _ffi.NULL:
            raise MemoryError(f"no memory to code a block of {size} bytes")
        return KernelPredictor(self, made, len(presets))

    def _array(self, values: NDArray[Any], dtype: type[np.generic], kind: str) -> Any:
        array = np.ascontiguousarray(values, dtype)
        self._keep.append(array)
        return _ffi.from_buffer(f"{kind}[]", array)

    def _decoder(self, decoder: Decoder) -> Any:
        a, d = decoder.architecture, _ffi.new("vz_decoder *")
        d.width, d.layers, d.expansion = a.width, a.layers, a.expansion
        d.contexts, d.table_dim = a.contexts, a.table_dim
        index = next(i for i in range(_lib.vz_path_count) if self._name(i) == self.path)
        d.path = _ffi.addressof(_lib.vz_paths, index)
        d.tables = self._array(decoder.tables, np.int8, "int8_t")
        d.byte = self._array(decoder.byte, np.int16, "int16_t")
        d.norm = self._array(decoder.norm.table, np.int32, "int32_t")
        d.sigmoid = self._array(decoder.sigmoid, np.int32, "int32_t")
        d.tanh = self._array(decoder.tanh, np.int32, "int32_t")
        d.exp = self._array(decoder.exp, np.int32, "int32_t")
        self._linear(d.path, d.features, decoder.features)
        self._linear(d.path, d.head, decoder.head)
        for target, layer in zip(d.layer, decoder.layers, strict=False):
            for name in ("gates", "out", "up", "down"):
                self._linear(d.path, getattr(target, name), getattr(layer, name))
            target.down.matrix.sparse = True  # after the rectifier
            target.out_scale = self._array(layer.out_scale, np.int32, "int32_t")
        return d

    @staticmethod
    def _name(index: int) -> str:
        return str(_ffi.string(_lib.vz_paths[index].name).decode())

    def _linear(self, path: Any, target: Any, linear: Linear) -> None:
        """Pads the weights and packs them in the order that the path wants."""
        outputs, inputs = linear.weight.shape
        tile = _lib.VZ_TILE
        padded = np.zeros((-(-outputs // tile) * tile, -(-inputs // tile) * tile), np.int8)
        padded[:outputs, :inputs] = linear.weight
        matrix = target.matrix
        matrix.outputs, matrix.inputs = padded.shape
        matrix.weight = self._array(_aligned(padded.size), np.int8, "int8_t")
        path.pack(_ffi.addressof(matrix), _ffi.from_buffer("int8_t[]", padded))
        target.multiplier = self._array(linear.multiplier, np.int32, "int32_t")
        target.bias = self._array(linear.bias, np.int32, "int32_t")
        target.outputs, target.pre, target.shift = outputs, linear.pre, linear.shift

    def _tables(self, decoder: Decoder) -> Any:
        a, tables = decoder.architecture, _ffi.new("vz_tables *")
        tables.order_count, tables.words = len(a.orders), a.word_contexts
        tables.order = list(a.orders)
        tables.bits = list(a.table_bits)
        tables.offset = a.table_offsets[:-1]
        tables.tags = self._array(decoder.tags, np.uint8, "uint8_t")
        return tables

    def _mixer(self, p: MixerParameters, preset: Learned) -> Any:
        mixer = _ffi.new("vz_mixer_model *")
        for source, name, dtype in (
            (p, "stretch", "int16"),
            (p, "squash", "int32"),
            (p, "log", "int32"),
            (p, "rate", "int32"),
            (p, "next", "uint8"),
            (p, "learning", "int32"),
            (preset, "weights", "int32"),
            (preset, "final_weights", "int32"),
            (preset, "history_map", "uint32"),
            (preset, "match_map", "uint32"),
        ):
            setattr(mixer, name, self._array(getattr(source, name), np.dtype(dtype).type, f"{dtype}_t"))
        return mixer


def _aligned(size: int) -> NDArray[np.int8]:
    """Zeros that begin a cache line, so that none of what is loaded as a whole lies in two."""
    zeros = np.zeros(size + _CACHE_LINE - 1, np.int8)
    begin = -zeros.ctypes.data % _CACHE_LINE
    return zeros[begin : begin + size]


class KernelPredictor:
    """A `vaezip.mixing.predictor.Predictor`, by the first of its presets, and a `Comparison` of all."""

    def __init__(self, kernel: Kernel, made: Any, presets: int) -> None:
        """made: a `vz_predictor *` of so many presets."""
        self._kernel = kernel  # whose memory it uses
        self.handle = _ffi.gc(made, _lib.vz_predictor_free)
        self._presets = presets
        self._interval = _ffi.new("int32_t[2]")

    def intervals(self, text: NDArray[np.uint8], tick: Ticker | None = None) -> Int32:
        """See `Predictor.intervals`."""
        return self.intervals_by_preset(text, tick)[:, 0]

    def intervals_by_preset(self, text: NDArray[np.uint8], tick: Ticker | None = None) -> Int32:
        """See `Comparison.intervals_by_preset`."""
        if len(text) > _lib.vz_predictor_room(self.handle):
            raise ValueError("the text is beyond the block's size, or its first byte has begun")
        intervals = np.empty((len(text), self._presets, 2), np.int32)
        for at in range(0, len(text), _CHUNK):
            part = text[at : at + _CHUNK]
            target = _ffi.from_buffer("int32_t[]", intervals[at:])
            _lib.vz_predictor_intervals(self.handle, _ffi.from_buffer("uint8_t[]", part), len(part), target)
            if tick is not None:
                tick(len(part))
        return intervals

    def drop(self, index: int) -> None:
        """See `Comparison.drop`."""
        if not 0 <= index < self._presets or self._presets == 1:
            raise ValueError("there is no such preset, or no other")
        _lib.vz_predictor_drop(self.handle, index)
        self._presets -= 1

    def symbol(self, quantile: int) -> tuple[int, tuple[int, int]]:
        """See `Predictor.symbol`."""
        interval = self._interval
        return _lib.vz_predictor_symbol(self.handle, quantile, interval), (interval[0], interval[1])

    def decode_range(self, decoder: RangeState, count: int, end: int | None) -> bytes:
        """See `Predictor.decode_range`."""
        if decoder.code >> 64:  # more than any interval holds
            return b""
        data, found = _ffi.from_buffer("uint8_t[]", decoder.data), np.empty(count, np.uint8)
        state = _ffi.new("vz_range *", (decoder.code, decoder.range, data, len(decoder.data), decoder.at))
        last = -1 if end is None else end
        done = _lib.vz_predictor_decode_range(
            self.handle, state, count, last, _ffi.from_buffer("uint8_t[]", found)
        )
        decoder.code, decoder.range, decoder.at = state.code, state.range, state.at
        return found[:done].tobytes()

    def distribution(self) -> Int32:
        """See `Predictor.distribution`."""
        widths = np.zeros(256, np.int32)
        if not _lib.vz_predictor_distribution(self.handle, _ffi.from_buffer("int32_t[]", widths)):
            raise MemoryError("no memory for what changes")
        return widths

    def copy(self, more: int) -> KernelPredictor:
        """See `Predictor.copy`."""
        self._check_between()
        made = _lib.vz_predictor_copy(self.handle, more)
        if made == _ffi.NULL:
            raise MemoryError(f"no memory to code a text of {more} bytes")
        return KernelPredictor(self._kernel, made, 1)

    def mark(self, limit: int) -> None:
        """See `Predictor.mark`."""
        self._check_between()
        if not _lib.vz_predictor_mark(self.handle, limit):
            raise MemoryError("no memory for what changes")

    def _check_between(self) -> None:
        if not _lib.vz_predictor_is_between(self.handle):
            raise ValueError("a byte has begun, or several presets are compared")

    def rewind(self) -> bool:
        """See `Predictor.rewind`."""
        return bool(_lib.vz_predictor_rewind(self.handle))

    def learned(self) -> Learned:
        """See `Predictor.learned`."""
        learned = self._kernel.parameters.presets[0].copy()
        kinds = ("int32_t[]", "int32_t[]", "uint32_t[]", "uint32_t[]")
        pointers = [_ffi.from_buffer(kind, part) for kind, part in zip(kinds, learned, strict=True)]
        _lib.vz_predictor_learned(self.handle, *pointers)
        return learned
