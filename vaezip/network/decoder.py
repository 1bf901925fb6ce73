"""The exact decoder: p(x_t | x_<t, z) as an integer program (docs/network.md).

One code runs it both ways: over a whole sequence at once, for compressing, or byte by byte, for
decompressing, over any number of lanes; all arithmetic is on integers, so the ways agree. The C kernel's
twin (kernel/decoder.c) goes byte by byte.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip.network.architecture import Architecture
from vaezip.network.contexts import find_rows
from vaezip.network.ops import (
    ACTIVATION_MAX,
    GATE_ENTRIES,
    NORM_BOUND,
    RESIDUAL_BOUND,
    VALUE_BITS,
    Int32,
    Linear,
    RmsNorm,
    clip_activation,
    gate,
    relu_activation,
    require,
    require_range,
    tensor,
)
from vaezip.tensors import Tensors

STATE_BITS = 24  # unit of the recurrent state: 2**-24
MODULATION_SHIFT = 19
_SCALE_BOUND = (1 << 14) - 1
_SHIFT_BOUND = (1 << 29) - 1
assert NORM_BOUND * _SCALE_BOUND + _SHIFT_BOUND < 1 << 31  # so that modulation needs no more than 32 bits
OUT_SHIFT = 20
_OUT_BOUND = (1 << 15) - 1
LOGIT_UNIT = 64  # logits are in units of 1/64 nat
EXP_ENTRIES = 17 * LOGIT_UNIT  # logits further than 17 nats below the highest count as zero


class Modulation(NamedTuple):
    """Scale and shift of every normalised input, and the first state, as functions of z; one per lane.

    This is feature-wise linear modulation (FiLM; Perez et al. 2018, arXiv:1709.07871). It is constant over a
    block, so it is computed once.
    """

    scale: Int32  # (lanes, sites, H)
    shift: Int32  # (lanes, sites, H)
    initial_state: Int32  # (lanes, layers, H): the recurrent state before the first byte, unit 2**-24


class _Layer:
    def __init__(self, tensors: Tensors, name: str, width: int, expansion: int) -> None:
        self.gates = Linear(tensors, f"{name}.gates", 3 * width, width)
        self.out = Linear(tensors, f"{name}.out", width, width)
        self.up = Linear(tensors, f"{name}.up", expansion * width, width)
        self.down = Linear(tensors, f"{name}.down", width, expansion * width)
        self.out_scale = tensor(tensors, f"{name}.out_scale", np.int32, width).astype(np.int32)
        require_range(f"{name}.out_scale", self.out_scale, -_OUT_BOUND, _OUT_BOUND)


class Decoder:
    """The decoder of a model file's tensors `decoder.*`; raises ModelError if a bound is broken."""

    def __init__(self, a: Architecture, tensors: Tensors) -> None:
        self.architecture = a
        width, sites = a.width, 2 * a.layers + 1
        rows = a.table_offsets[-1]
        self.tables = tensor(tensors, "decoder.tables", np.int8, rows, a.table_dim).astype(
            np.int8, copy=False
        )
        require_range("decoder.tables", self.tables, -ACTIVATION_MAX, ACTIVATION_MAX)
        self.tags = tensor(tensors, "decoder.tags", np.uint8, rows).astype(np.uint8, copy=False)
        self.byte = tensor(tensors, "decoder.byte", np.int16, 256, width).astype(np.int32)
        self.features = Linear(tensors, "decoder.features", width, a.contexts * a.table_dim)
        self.layers = [_Layer(tensors, f"decoder.layers.{i}", width, a.expansion) for i in range(a.layers)]
        self.head = Linear(tensors, "decoder.head", 256, width)
        bound = (1 << 15) + self.features.bound + sum(x.out.bound + x.down.bound for x in self.layers)
        require(bound < RESIDUAL_BOUND, "the residual stream may overflow")

        self._scale = tensor(tensors, "decoder.scale", np.int32, sites, width).astype(np.int64)
        self._shift = tensor(tensors, "decoder.shift", np.int32, sites, width).astype(np.int64)
        self._z_scale = tensor(tensors, "decoder.z_scale", np.int16, a.latents, sites * width).astype(
            np.int64
        )
        self._z_shift = tensor(tensors, "decoder.z_shift", np.int32, a.latents, sites * width).astype(
            np.int64
        )
        self._start = tensor(tensors, "decoder.start", np.int16, a.layers, width).astype(np.int64)
        z_start = tensor(tensors, "decoder.z_start", np.int16, a.latents, a.layers * width)
        self._z_start = z_start.astype(np.int64)

        self.norm = RmsNorm(tensors, "decoder.norm")
        self.sigmoid = tensor(tensors, "decoder.sigmoid", np.int32, GATE_ENTRIES).astype(np.int32)
        self.tanh = tensor(tensors, "decoder.tanh", np.int32, GATE_ENTRIES).astype(np.int32)
        one = 1 << VALUE_BITS
        require_range("decoder.sigmoid", self.sigmoid, 0, one)
        require_range("decoder.tanh", self.tanh, -one, one)
        self.exp = tensor(tensors, "decoder.exp", np.int32, EXP_ENTRIES).astype(np.int64)
        require_range("decoder.exp", self.exp, 0, 1 << 24)
        require(self.exp[0] == 1 << 24, "decoder.exp does not begin with 1")

    def modulation(self, z: NDArray[np.int32]) -> Modulation:
        """The modulation by z, int32 (lanes, latents) in grid steps."""
        lanes, a = len(z), self.architecture
        steps = z.astype(np.int64)
        scale = self._scale + (steps @ self._z_scale).reshape(lanes, *self._scale.shape)
        shift = self._shift + (steps @ self._z_shift).reshape(lanes, *self._shift.shape)
        initial = self._start + (steps @ self._z_start).reshape(lanes, a.layers, a.width)
        h = gate(self.tanh, np.clip(initial, -GATE_ENTRIES, GATE_ENTRIES).astype(np.int32))
        return Modulation(
            np.clip(scale, -_SCALE_BOUND, _SCALE_BOUND).astype(np.int32),
            np.clip(shift, -_SHIFT_BOUND, _SHIFT_BOUND).astype(np.int32),
            h << (STATE_BITS - VALUE_BITS),
        )

    def __call__(
        self, seen: NDArray[np.uint8], slots: NDArray[np.int64], modulation: Modulation, state: Int32
    ) -> tuple[Int32, Int32]:
        """Run over T bytes of each lane.

        seen: uint8 (lanes, T), the byte before each position; slots: int64 (lanes, T, contexts) from
        `contexts`; state: int32 (lanes, layers, H). Returns the logits, int32 (lanes, T, 256) in units of
        1/64 nat, and the state after the last byte.
        """
        found = self.tables[find_rows(self.architecture, slots, self.tags)]
        x = self.byte[seen] + self.features(found.reshape(*seen.shape, -1))
        after = np.empty_like(state)
        for i, layer in enumerate(self.layers):
            u = layer.gates(self._modulated(x, modulation, 2 * i))
            out, after[:, i] = self._recur(u, state[:, i], layer.out_scale)
            x = x + layer.out(out)
            x = x + layer.down(relu_activation(layer.up(self._modulated(x, modulation, 2 * i + 1))))
        return self.head(self._modulated(x, modulation, 2 * len(self.layers))), after

    def exponentials(self, logits: Int32) -> NDArray[np.int64]:
        """exp(logit - highest) in units of 2**-24: int32 (..., 256) -> int64 (..., 256)."""
        below = logits.max(axis=-1, keepdims=True) - logits
        exponentials: NDArray[np.int64] = self.exp[np.minimum(below, EXP_ENTRIES - 1)]
        return exponentials

    def _modulated(self, x: Int32, modulation: Modulation, site: int) -> NDArray[np.int8]:
        """RMSNorm, then scale and shift of that site: int8 (lanes, T, H)."""
        y = self.norm(x) * modulation.scale[:, None, site] + modulation.shift[:, None, site]
        return clip_activation(y >> MODULATION_SHIFT)

    def _recur(self, u: Int32, h: Int32, scale: Int32) -> tuple[NDArray[np.int8], Int32]:
        """h_t = h_(t-1) + (1 - f_t)(c_t - h_(t-1)); out_t = o_t h_t. u: (lanes, T, 3H); h: (lanes, H)."""
        f, c, o = np.split(u, 3, axis=-1)
        move = (1 << VALUE_BITS) - gate(self.sigmoid, f).astype(np.int64)
        target = gate(self.tanh, c).astype(np.int64) << (STATE_BITS - VALUE_BITS)
        wide = h.astype(np.int64)
        states = np.empty(f.shape, np.int64)
        for t in range(f.shape[1]):
            step = target[:, t] - wide
            step *= move[:, t]
            step += 1 << (VALUE_BITS - 1)
            step >>= VALUE_BITS
            wide = np.add(wide, step, out=states[:, t])
        value = (states >> (STATE_BITS - VALUE_BITS)).astype(np.int32)
        out = (gate(self.sigmoid, o) * value) >> VALUE_BITS
        out = (out * scale + (1 << (OUT_SHIFT - 1))) >> OUT_SHIFT
        return clip_activation(out), wide.astype(np.int32)
