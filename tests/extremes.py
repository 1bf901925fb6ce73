"""Models whose every number lies where a loader draws the line: none of them may make a sum overflow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from conftest import TINY

from vaezip.mixing.parameters import (
    FINAL_ROWS,
    HISTORIES,
    INPUTS,
    MATCH_LENGTHS,
    MATCHES,
    PRESETS,
    SETS,
    STATES,
    WEIGHT_ROWS,
)
from vaezip.network.architecture import Architecture
from vaezip.network.ops import NORM_BOUND
from vaezip.tensors import read_tensors

Tensors = dict[str, np.ndarray]

LARGE = Architecture(
    width=512, layers=2, expansion=8, orders=(1,), word_contexts=1, table_bits=(9, 9), encoder_width=256
)


def _linear(name: str, out: int, inputs: int, rng: np.random.Generator, result: int) -> Tensors:
    """A map with the largest weights, whose results may come up to `result`."""
    most = min(127, ((1 << 24) - 1) // (127 * inputs))
    weight = rng.choice(np.array([-most, most], np.int8), (out, inputs))
    weight[: out // 4] = most  # some rows add up, whatever their inputs' signs are
    total = int(np.abs(weight.astype(np.int64)).sum(axis=1).max()) * 127
    pre, shift = 2, 10
    largest = min((1 << 30) - 1, (result << shift) - (1 << shift) - 1)
    multiplier = (largest // 2) // ((total >> pre) + 1)
    return {
        f"{name}.weight": weight,
        f"{name}.multiplier": rng.choice([-multiplier, multiplier], out).astype(np.int32),
        f"{name}.bias": rng.choice([-(largest // 2), largest // 2], out).astype(np.int32),
        f"{name}.shift": np.array([pre, shift], np.int32),
    }


def largest_norm() -> np.ndarray:
    """The table of the largest entries that a loader takes."""
    reach = np.ceil(np.sqrt(np.arange(257.0, 1025.0) * 2**20)).astype(np.int64)
    entries = ((NORM_BOUND - 1) << 13) // reach
    return np.concatenate([np.full(256, -(1 << 31)), entries]).astype(np.int32)


def extreme_tensors(a: Architecture, *, lone: bool) -> Tensors:
    """All tensors of a model of these sizes, at their bounds; signs are drawn at random.

    lone: only the first channel of the residual stream is in use, so that the norm makes it as large as it can,
    and what the null latent sets is positive.
    """
    rng = np.random.default_rng(0)

    def signed(bound: int, *shape: int) -> np.ndarray:
        return rng.choice([-bound, bound], shape)

    tiny: Mapping[str, np.ndarray] = read_tensors(TINY.read_bytes()).tensors
    tensors = {name: value for name, value in tiny.items() if name.startswith(("mixer.", "latent."))}
    sites, rows, width = 2 * a.layers + 1, a.table_offsets[-1], a.width
    share = (1 << 22) // (2 * a.layers + 2)  # of the residual stream's bound
    tensors |= {
        "latent.prior": np.resize(tiny["latent.prior"], (a.latents, 49)),
        "decoder.tables": signed(127, rows, a.table_dim).astype(np.int8),
        "decoder.tags": rng.integers(0, 256, rows).astype(np.uint8),
        "decoder.byte": signed(32767, 256, width).astype(np.int16),
        "decoder.scale": signed((1 << 31) - 1, sites, width).astype(np.int32),
        "decoder.shift": signed((1 << 31) - 1, sites, width).astype(np.int32),
        "decoder.z_scale": signed(32767, a.latents, sites * width).astype(np.int16),
        "decoder.z_shift": signed((1 << 31) - 1, a.latents, sites * width).astype(np.int32),
        "decoder.start": signed(32767, a.layers, width).astype(np.int16),
        "decoder.z_start": signed(32767, a.latents, a.layers * width).astype(np.int16),
        "decoder.norm": largest_norm(),
        "decoder.sigmoid": rng.choice([0, 1 << 15], 4096).astype(np.int32),
        "decoder.tanh": signed(1 << 15, 4096).astype(np.int32),
        "decoder.exp": rng.choice([0, 1 << 24], 1088).astype(np.int32),
        "encoder.byte": signed(127, 256, a.encoder_width // 4).astype(np.int8),
        "encoder.norm": largest_norm(),
        "encoder.pool": signed((1 << 20) - 1, a.encoder_width).astype(np.int32),
        **_linear("decoder.features", width, a.contexts * a.table_dim, rng, share),
        **_linear("decoder.head", 256, width, rng, 1 << 30),
        **_linear("encoder.conv1", a.encoder_width, a.patch * a.encoder_width // 4, rng, 1 << 30),
        **_linear("encoder.conv2", a.encoder_width, a.patch * a.encoder_width, rng, 1 << 30),
        **_linear("encoder.hidden", a.encoder_width, a.encoder_width, rng, 1 << 30),
        **_linear("encoder.mean", a.latents, a.encoder_width, rng, 1 << 30),
        **_linear("encoder.log_scale", a.latents, a.encoder_width, rng, 1 << 30),
    }
    tensors["decoder.exp"][0] = 1 << 24
    for i in range(a.layers):
        name = f"decoder.layers.{i}"
        tensors |= {
            **_linear(f"{name}.gates", 3 * width, width, rng, 1 << 30),
            **_linear(f"{name}.out", width, width, rng, share),
            **_linear(f"{name}.up", a.expansion * width, width, rng, 1 << 30),
            **_linear(f"{name}.down", width, a.expansion * width, rng, share),
            f"{name}.out_scale": signed(32767, width).astype(np.int32),
        }
    if not lone:
        return tensors | _extreme_mixer(rng)
    for name in ("byte", "scale", "shift"):
        tensors[f"decoder.{name}"] = np.abs(tensors[f"decoder.{name}"])
    tensors["decoder.byte"][:, 1:] = 0
    for name in ("features", *(f"layers.{i}.{part}" for i in range(a.layers) for part in ("out", "down"))):
        for part in ("multiplier", "bias"):
            tensors[f"decoder.{name}.{part}"][1:] = 0
    return tensors | _extreme_mixer(rng)


def _extreme_mixer(rng: np.random.Generator) -> Tensors:
    return {
        "mixer.stretch": rng.choice([-2047, 2047], 4096).astype(np.int16),
        "mixer.squash": rng.choice([1, 65535], 4097).astype(np.int32),
        "mixer.log": rng.choice([0, 1 << 16], 1025).astype(np.int32),
        "mixer.rate": rng.choice([0, 65535], 1024).astype(np.int32),
        "mixer.next": rng.integers(0, 256, (256, 2)).astype(np.uint8),
        "mixer.learning": np.array([1023, 1023, 1 << 20, 1023], np.int32),
        "mixer.weights": rng.choice([-32767, 32767], (WEIGHT_ROWS, INPUTS)).astype(np.int16),
        "mixer.weights_changes": rng.choice([-128, 127], (PRESETS - 1, WEIGHT_ROWS, INPUTS)).astype(np.int8),
        "mixer.final_weights": rng.choice([-32767, 32767], (FINAL_ROWS, SETS)).astype(np.int16),
        "mixer.final_weights_changes": rng.choice([-128, 127], (PRESETS - 1, FINAL_ROWS, SETS)).astype(
            np.int8
        ),
        "mixer.history_map": rng.choice([0, (1 << 32) - 1, 1023], (PRESETS, HISTORIES, STATES)).astype(
            np.uint32
        ),
        "mixer.match_map": rng.choice([0, (1 << 32) - 1, 1023], (PRESETS, MATCHES, MATCH_LENGTHS)).astype(
            np.uint32
        ),
    }
