"""Dequantisation: from a model file back to a float VAE, to train it further.

It is the inverse of `vaezip.training.quantise`, up to rounding. The integer network does not need to know
what one step of its activations means; the model file tells in its tensors `training.*`, so that the network
learns as the original would.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vaezip.errors import ModelError
from vaezip.latent import PHASES
from vaezip.model import Model
from vaezip.network.decoder import LOGIT_UNIT, MODULATION_SHIFT, OUT_SHIFT
from vaezip.network.ops import GATE_BITS, NORM_BITS, VALUE_BITS
from vaezip.tensors import read_tensors
from vaezip.training.quantise import LEAST_SCALE
from vaezip.training.vae import Vae

Array = NDArray[Any]

_LARGEST = 1e6  # weight that a network may have; one that can read has none above some tens


def dequantise(model: Model, data: bytes) -> Vae:
    """The float VAE of a model and its file's bytes; raises ModelError if its `training.*` are damaged."""
    tensors = read_tensors(data).tensors
    vae = Vae(model.architecture)
    damage = f"{model.source or model.name}: what training needs to know is missing or damaged"
    steps: list[Array] = [tensors[name] for name in tensors if name.startswith("training.")]
    if not all((step > 0).all() and np.isfinite(step).all() for step in steps):
        raise ModelError(damage)
    try:
        with np.errstate(all="ignore"):  # what comes of it is looked at
            state = {**_decoder(vae, tensors), **_encoder(vae, tensors)}
        vae.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()})
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(damage) from error
    if not all((p.abs() < _LARGEST).all() for p in vae.parameters()):
        raise ModelError(damage)
    return vae


def _linear(
    tensors: dict[str, Array], name: str, inputs: Array, unit: Array | float, *, bias: bool = True
) -> dict[str, Array]:
    """Float weights of an exact `Linear`: `inputs` is one step of each input, outputs are 1 / `unit`."""
    multiplier = tensors[f"{name}.multiplier"].astype(np.float64)
    pre, shift = (int(n) for n in tensors[f"{name}.shift"])
    scale = multiplier * 2.0 ** -(pre + shift) / unit
    state = {f"{name}.weight": tensors[f"{name}.weight"] * scale[:, None] / inputs}
    if bias:
        rounding = 2**shift / 2 + multiplier * (1 - 2.0**-pre) / 2
        state[f"{name}.bias"] = (tensors[f"{name}.bias"] - rounding) / 2.0**shift / unit
    return state


def _decoder(vae: Vae, t: dict[str, Array]) -> dict[str, Array]:
    a = vae.a
    table_step, step = t["training.table_step"], t["training.norm_step"].astype(np.float64)
    z_step = t["training.latent_step"].astype(np.float64)[:, None, None]
    residual, gate = float(t["training.residual_unit"][0]), float(1 << GATE_BITS)
    sites = 2 * a.layers + 1
    per_scale, per_shift = 2.0 ** (MODULATION_SHIFT - NORM_BITS), 2.0**MODULATION_SHIFT
    scale = t["decoder.scale"] * step / per_scale
    z_scale = t["decoder.z_scale"].reshape(-1, sites, a.width) * step / per_scale / z_step
    row_step = np.repeat(table_step, np.diff(a.table_offsets))[:, None]
    features = np.repeat(table_step, a.table_dim)
    state: dict[str, Array] = {
        "decoder.tables": t["decoder.tables"] * row_step,
        "decoder.tags": t["decoder.tags"],
        "decoder.byte.weight": t["decoder.byte"] / residual,
        **_linear(t, "decoder.features", features, residual, bias=False),
        "decoder.scale": scale,
        "decoder.shift": (t["decoder.shift"] - per_shift / 2) * step / per_shift,
        "decoder.z_scale": z_scale / np.where(np.abs(scale) < 1e-3, 1e-3, scale),
        "decoder.z_shift": t["decoder.z_shift"].reshape(-1, sites, a.width) * step / per_shift / z_step,
        "decoder.start": t["decoder.start"] / gate,
        "decoder.z_start": t["decoder.z_start"].reshape(-1, a.layers, a.width) / gate / z_step,
        **_linear(t, "decoder.head", step[-1], LOGIT_UNIT),
    }
    for i in range(a.layers):
        name = f"decoder.layers.{i}"
        out_step = 2.0 ** (OUT_SHIFT - VALUE_BITS) / t[f"{name}.out_scale"]
        up_step = t["training.up_step"][i].astype(np.float64)
        state |= _linear(t, f"{name}.gates", step[2 * i], gate)
        state |= _linear(t, f"{name}.out", out_step, residual)
        state |= _linear(t, f"{name}.up", step[2 * i + 1], 1 / up_step)
        state |= _linear(t, f"{name}.down", up_step, residual)
    return state


def _encoder(vae: Vae, t: dict[str, Array]) -> dict[str, Array]:
    z_step = t["training.latent_step"].astype(np.float64)
    names = ("byte", "conv1", "conv2", "pooled", "hidden")
    steps = {k: t[f"training.encoder.{k}"].astype(np.float64) for k in names}
    state = {
        "encoder.byte.weight": t["encoder.byte"] * steps["byte"],
        **_linear(t, "encoder.conv1", steps["byte"], 1 / steps["conv1"]),
        **_linear(t, "encoder.conv2", np.tile(steps["conv1"], vae.a.patch), 1 / steps["conv2"]),
        **_linear(t, "encoder.hidden", steps["pooled"], 1 / steps["hidden"]),
        **_linear(t, "encoder.mean", steps["hidden"], PHASES / z_step),
        **_linear(t, "encoder.log_scale", steps["hidden"], 4 / math.log(2)),
    }
    state["encoder.log_scale.bias"] = state["encoder.log_scale.bias"] + 0.5 + np.log(LEAST_SCALE * z_step)
    return state
