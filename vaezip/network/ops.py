"""Integer operations of the exact network: every result is the same on every machine.

Activations are int8, weights int8, sums int32. A matrix product may be carried in float32: as long as
sum(|w|) * max(|a|) < 2**24 for every row, all partial sums are integers that float32 holds exactly, in
any order, with or without fused multiply-add. `Linear` refuses weights that break that bound, or any
other that keeps its int32 arithmetic from overflowing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vaezip.errors import ModelError
from vaezip.tensors import Tensors

Int32 = NDArray[np.int32]

ACTIVATION_MAX = 127
RESIDUAL_BOUND = 1 << 22  # the residual stream stays below this, its sum of squares below 2**53
NORM_BITS = 12  # unit of the normalised residual stream: 2**-12
NORM_BOUND = 3 << 15  # the normalised residual stream stays below this; its largest is 2**16.5 at width 512
GATE_BITS = 8  # unit of a gate's pre-activation: 2**-8, clipped to [-8, 8)
GATE_ENTRIES = 4096
VALUE_BITS = 15  # unit of a gate's value: 2**-15

_PRODUCT_BOUND = 1 << 24
_INT32_BOUND = 1 << 30

# The float32 matrix product that carries the integers; tests put others in its place.
matmul: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]] = np.matmul


def require(condition: bool, what: str) -> None:
    """Raise ModelError unless a model's tensors keep the bound that `what` names."""
    if not condition:
        raise ModelError(f"damaged or unsafe model: {what}")


def tensor(tensors: Tensors, name: str, dtype: type[np.generic], *shape: int) -> NDArray[np.generic]:
    """The tensor of that name, after checking dtype and shape (raises ModelError)."""
    value = tensors.get(name)
    require(value is not None, f"{name} is missing")
    assert value is not None
    require(value.dtype == dtype and value.shape == shape, f"{name} is not {dtype.__name__} {shape}")
    return value


def require_range(name: str, values: NDArray[np.generic], low: int, high: int) -> None:
    """Raise ModelError unless all values are from `low` to `high`.

    (A comparison of magnitudes would not do: that of the least int32 is itself.)
    """
    require(int(values.min()) >= low and int(values.max()) <= high, f"{name} is out of range")


class Linear:
    """An affine map, requantised: ((W a >> pre) * multiplier + bias) >> shift, unit set by the multiplier.

    weight: int8 (out, in); multiplier, bias: int32 (out,); pre and shift: int. The rounding constant
    2**(shift - 1) is part of the bias.
    """

    def __init__(self, tensors: Tensors, name: str, out: int, inputs: int) -> None:
        weight = tensor(tensors, f"{name}.weight", np.int8, out, inputs).astype(np.int8, copy=False)
        multiplier = tensor(tensors, f"{name}.multiplier", np.int32, out).astype(np.int32)
        bias = tensor(tensors, f"{name}.bias", np.int32, out).astype(np.int32)
        shifts = tensor(tensors, f"{name}.shift", np.int32, 2).astype(np.int32)
        self.weight, self.multiplier, self.bias = weight, multiplier, bias
        self.pre, self.shift = (int(s) for s in shifts)
        sums = np.abs(weight.astype(np.int16)).sum(axis=1, dtype=np.int64) * ACTIVATION_MAX
        require(bool((sums < _PRODUCT_BOUND).all()), f"{name} breaks the 2**24 bound")
        require_range(f"{name}.weight", weight, -ACTIVATION_MAX, ACTIVATION_MAX)
        require(0 <= self.pre < 24 and 0 <= self.shift < 31, f"{name} has a shift out of range")
        scaled = ((sums >> self.pre) + 1) * np.abs(multiplier.astype(np.int64)) + np.abs(
            bias.astype(np.int64)
        )
        require(bool((scaled < _INT32_BOUND).all()), f"{name} may overflow 32 bits")
        self.bound = int((scaled >> self.shift).max()) + 1  # of the result's magnitude

    @cached_property
    def _float_weight(self) -> NDArray[np.float32]:
        return np.ascontiguousarray(self.weight.T, np.float32)

    def __call__(self, a: NDArray[np.generic]) -> Int32:
        """int8-valued (..., in) -> int32 (..., out)."""
        with np.errstate(all="ignore"):  # some processors' vector units warn of nothing
            product = matmul(a.reshape(-1, a.shape[-1]).astype(np.float32), self._float_weight).astype(
                np.int32
            )
        y: Int32 = ((product >> self.pre) * self.multiplier + self.bias) >> self.shift
        return y.reshape(*a.shape[:-1], -1)


def clip_activation(x: Int32) -> NDArray[np.int8]:
    """Saturate to [-127, 127]."""
    return np.clip(x, -ACTIVATION_MAX, ACTIVATION_MAX).astype(np.int8)


def relu_activation(x: NDArray[np.integer]) -> NDArray[np.int8]:
    """Saturate to [0, 127]."""
    y: NDArray[np.int8] = np.clip(x, 0, ACTIVATION_MAX).astype(np.int8)
    return y


def gate(table: Int32, x: Int32) -> Int32:
    """A nonlinearity by table: x in units of 2**-8 -> values in units of 2**-15."""
    return table[np.clip(x + GATE_ENTRIES // 2, 0, GATE_ENTRIES - 1)]


class RmsNorm:
    """x / sqrt(mean(x**2)) (Zhang & Sennrich 2019, arXiv:1910.07467), by a table of reciprocal roots.

    x is shifted to 15 bits and its sum of squares to 10, of which the upper three quarters are possible;
    table: int32 (1024,), entry i holds sqrt(H / ((i + 1/2) / 1024)) in units of 2**-10.

    The bound: where entry i is read, the sum of squares is below (i + 1) / 1024 * 2**30 after the shift, and
    no |x| is above its root, rounded up. So |x| * entry < 2**13 * NORM_BOUND is required, which fits 32 bits.
    """

    def __init__(self, tensors: Tensors, name: str) -> None:
        self.table = tensor(tensors, name, np.int32, 1024).astype(np.int32)
        entries = self.table[256:].astype(np.int64)  # the others are never read
        largest = np.ceil(np.sqrt(np.arange(257.0, 1025.0) * 2**20)).astype(np.int64)
        require_range(name, entries * largest, 0, (NORM_BOUND << 13) - (1 << 13))

    def __call__(self, x: Int32) -> Int32:
        """int32 (..., H), |x| < 2**22 -> int32 (..., H) in units of 2**-12."""
        squares = np.square(x, dtype=np.int64).sum(axis=-1, keepdims=True) | 1
        # frexp of an integer below 2**53 is exact: its exponent is the bit length.
        half = (np.frexp(squares.astype(np.float64))[1].astype(np.int32) + 1) // 2
        scaled = np.left_shift(x, np.maximum(15 - half, 0)) >> np.maximum(half - 15, 0)
        twice = 2 * half - 10
        index = (squares << np.maximum(-twice, 0)) >> np.maximum(twice, 0)
        y: Int32 = (scaled * self.table[index] + (1 << 12)) >> 13
        return y
