"""Post-training quantisation: from the trained float VAE to the exact network of a model file.

Weights get one scale per output; tables one each, which may cut off a few of their largest values;
activations one per channel (the largest value seen on calibration text), folded into the weights that read
them. Latents that carry no information are dropped, the others get a grid whose step is near their typical
posterior scale, and a prior fitted to the posteriors of the training text.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vaezip import ans
from vaezip.coder import TOTAL
from vaezip.latent import PHASES, Latent, offsets
from vaezip.mixing.parameters import MixerParameters
from vaezip.model import serialise
from vaezip.network.architecture import Architecture
from vaezip.network.decoder import EXP_ENTRIES, LOGIT_UNIT, MODULATION_SHIFT, OUT_SHIFT
from vaezip.network.encoder import CONV2_MAX, POOL_SHIFT, Encoder
from vaezip.network.ops import ACTIVATION_MAX, GATE_BITS, GATE_ENTRIES, NORM_BITS, RESIDUAL_BOUND, VALUE_BITS
from vaezip.training.data import Corpus, SegmentSource
from vaezip.training.evaluate import inputs_of, posterior
from vaezip.training.mixer_practice import learned_parameters, practice_texts
from vaezip.training.vae import Layer, Vae

Array = NDArray[Any]

ACTIVE_NATS = 0.05  # a latent whose mean KL is below this is dropped
_STEP = 1.25  # grid step, in units of a latent's median posterior scale
_FURTHEST = 24  # the prior reaches that many grid steps to either side
_REACH = 8  # ... and a posterior that many from its mean
_SCALES = 16  # posterior scales, a quarter octave apart
LEAST_SCALE = 0.2  # the smallest of them, in grid steps
_PRIOR_SMOOTHING = 0.02  # share of the standard normal in the fitted prior
_BYTE_MAX = (1 << 15) - 1
_TABLE_SHARES = (1.0, 0.84, 0.71, 0.6, 0.5, 0.42)  # of a table's largest value, that its integers reach
_LEAST_OUT = 0.125  # |o h| <= 1; a channel that stays below this keeps the step of one that reaches it
_PER_SEGMENT = ("encoder.hidden", "encoder.mean", "encoder.log_scale")  # maps used once per segment
_SEGMENTS = 400  # pieces of text that the scales and the prior are fitted to ...
_LEAST_SEGMENTS = 48  # ... and of a small corpus
_SEGMENT_BYTES = 4096
_FIRST = 200  # pieces of training text that a new mixer practises on, before the validation text


class Grid(NamedTuple):
    """The latents that are kept, and their grid."""

    active: Array  # indices of the kept latents
    step: Array  # float (kept,)


def quantise(
    vae: Vae,
    corpus: Corpus,
    info: dict[str, str],
    seed: int = 0,
    before: MixerParameters | None = None,
    *,
    practice_seconds: float = math.inf,
    stage: Callable[[str], object] = lambda _: None,
) -> bytes:
    """The bytes of a model file.

    Calibrated on the training text. The mixer practises on the validation text last, since how far the
    network is to be trusted shows best where it has not been; one that is trained already, `before`, has no
    other practice. practice_seconds: what there is time for. stage: called with what is done next.
    """
    stage("quantising the network")
    segments, practice = calibration_texts(corpus, seed, practised=before is not None)
    noise = torch.Generator().manual_seed(seed)
    maxima, mean, log_scale = _calibrate(vae, segments, noise)
    grid = _grid(mean, log_scale)
    a = dataclasses.replace(vae.a, latents=len(grid.active))
    tensors = {
        **_decoder(vae, maxima, grid),
        **_encoder(vae, maxima, grid),
        "latent.prior": _normal_prior(grid),
        "latent.posterior": _posterior_table(),
    }
    tensors["latent.prior"] = _fitted_prior(a, tensors, segments)
    stage("practising the mixer")
    tensors |= learned_parameters(a, tensors, practice, seed, before, practice_seconds)
    return serialise(a, tensors, info)


def calibration_texts(corpus: Corpus, seed: int, *, practised: bool) -> tuple[list[Array], list[Array]]:
    """Texts to fit prior and scales to, and those that a mixer, `practised` or not, practises on."""
    rng = np.random.default_rng(seed)
    source = SegmentSource(corpus.train)
    count = min(_SEGMENTS, _LEAST_SEGMENTS + corpus.train_bytes // _SEGMENT_BYTES)
    segments = [source.draw(rng, _SEGMENT_BYTES) for _ in range(count)]
    practice = practice_texts(corpus.validation, rng)
    return segments, practice if practised else [*practice_texts(corpus.train, rng, _FIRST), *practice]


@torch.no_grad()
def _calibrate(
    vae: Vae, segments: list[Array], noise: torch.Generator
) -> tuple[dict[str, Array], Array, Array]:
    """Largest input of every linear map per channel (and conv2's output), and the segments' posteriors."""
    seen_maxima: dict[str, list[Tensor]] = defaultdict(list)  # per segment

    def note(name: str, x: Tensor) -> None:
        seen_maxima[name].append(x.flatten(0, -2).abs().amax(0))

    handles = [
        module.register_forward_pre_hook(lambda _, inputs, name=name: note(name, inputs[0]))
        for name, module in vae.named_modules()
        if isinstance(module, nn.Linear)
    ]
    handles.append(
        vae.encoder.conv2.register_forward_hook(
            lambda _, inputs, out: note("encoder.conv2.out", torch.relu(out))
        )
    )
    means, log_scales = [], []
    for segment in segments:
        q = posterior(vae, segment)
        means.append(q.mean[0].numpy())
        log_scales.append(q.log_scale[0].numpy())
        seen, rows = inputs_of(vae, segment)
        z = q.sample(torch.randn(q.mean.shape, generator=noise))
        vae.decoder(seen[:, None], rows[:, None], z, vae.decoder.initial_state(z))
    for handle in handles:
        handle.remove()
    maxima = {name: torch.stack(values).amax(0).numpy() for name, values in seen_maxima.items()}
    for name in _PER_SEGMENT:  # one odd segment must not take all the others' resolution
        usual = 1.5 * torch.stack(seen_maxima[name]).quantile(0.9, dim=0).numpy()
        maxima[name] = np.where(usual > 0, np.minimum(usual, maxima[name]), maxima[name])
    return maxima, np.stack(means), np.stack(log_scales)


def _grid(mean: Array, log_scale: Array) -> Grid:
    kl = (0.5 * (mean**2 + np.exp(2 * log_scale) - 1) - log_scale).mean(axis=0)
    active = np.flatnonzero(kl >= ACTIVE_NATS)
    if not len(active):  # a model needs one latent, even if it is idle
        active = np.array([kl.argmax()])
    return Grid(active, _STEP * np.exp(np.median(log_scale[:, active], axis=0)))


def _normal_prior(grid: Grid) -> Array:
    """int32 (kept, 2 * _FURTHEST + 1): the standard normal on the grid."""
    points = np.arange(-_FURTHEST, _FURTHEST + 1) * grid.step[:, None]
    return _table(np.exp(-0.5 * points**2))


def _fitted_prior(a: Architecture, tensors: dict[str, Array], segments: list[Array]) -> Array:
    """The mean of the exact encoder's posteriors, with a little of the prior that is there already.

    If no segment is long enough for the encoder, that prior itself: there is no latent to fit it to.
    """
    encoder, latent = Encoder(a, tensors), Latent(a, tensors)
    total = np.zeros(tensors["latent.prior"].shape, np.int64)
    for segment in segments:
        if len(segment) >= encoder.least_bytes:
            q = latent.posterior(*encoder(segment))
            np.add.at(total, (np.arange(a.latents)[:, None], q.candidates + _FURTHEST), q.frequencies)
    if not total.any():
        return tensors["latent.prior"]
    normal = tensors["latent.prior"] / TOTAL
    return _table(
        (1 - _PRIOR_SMOOTHING) * total / total.sum(axis=1, keepdims=True) + _PRIOR_SMOOTHING * normal
    )


def _posterior_table() -> Array:
    """int32 (_SCALES, PHASES, 2 * _REACH + 1): discretised Gaussians, from the mode outwards."""
    scale = LEAST_SCALE * 2 ** (np.arange(_SCALES) / 4)
    phase = (np.arange(PHASES) - PHASES // 2) / PHASES
    distance = offsets(_REACH) - phase[:, None]
    p = np.exp(-0.5 * (distance / scale[:, None, None]) ** 2)
    return _table(p.reshape(-1, p.shape[-1])).reshape(p.shape)


def _residual_unit(byte: Array, writes: Iterable[tuple[Array, Array]]) -> float:
    """The number of integer steps that make 1 in the residual stream; a power of two, as its bounds allow.

    byte: the bytes' vectors; writes: weight and bias of all else that is added to the stream, the inputs
    being integers. Normalisation makes the integer network indifferent to the unit.
    """
    bound = 0.0
    for weight, bias in writes:
        integers, scale = _integers(weight)
        bound += float((np.abs(integers).sum(axis=1) * ACTIVATION_MAX * scale + np.abs(bias)).max())
    most = min((0.98 * RESIDUAL_BOUND - _BYTE_MAX) / bound, _BYTE_MAX / np.abs(byte).max())
    return 2.0 ** min(12, math.floor(math.log2(most)))


def _table(p: Array) -> Array:
    """Frequencies from probabilities (rows, n), which need not be normalised."""
    return ans.quantise(np.round(p / p.max(axis=-1, keepdims=True) * (1 << 24)).astype(np.int64))


def _linear(name: str, weight: Array, bias: Array, unit: Array | float) -> dict[str, Array]:
    """Tensors of an exact `Linear`: weight (out, in) from integer inputs to real outputs, which come in
    units of 1 / `unit` (a scalar, or one per output)."""
    weight, bias = weight.astype(np.float64), bias.astype(np.float64)
    integers, scale = _integers(weight)
    bound = np.abs(integers).sum(axis=1) * ACTIVATION_MAX
    pre = max(0, int(bound.max()).bit_length() - 16)
    factor, addend = scale * unit * 2**pre, bias * unit
    largest = ((bound / 2**pre + 2) * np.abs(factor) + np.abs(addend) + 1).max()
    shift = min(30, 29 - math.ceil(math.log2(largest)))
    multiplier = np.round(factor * 2**shift)
    # What `>> pre` floors away is half a unit less 2**-pre on average.
    rounding = 2**shift / 2 + multiplier * (1 - 2.0**-pre) / 2
    return {
        f"{name}.weight": integers.astype(np.int8),
        f"{name}.multiplier": multiplier.astype(np.int32),
        f"{name}.bias": np.round(addend * 2**shift + rounding).astype(np.int32),
        f"{name}.shift": np.array([pre, shift], np.int32),
    }


def _integers(weight: Array) -> tuple[Array, Array]:
    """A weight (out, in) as whole numbers up to 127, and their scale (out,)."""
    scale = np.maximum(np.abs(weight).max(axis=1), 1e-12) / ACTIVATION_MAX
    return np.round(weight / scale[:, None]), scale


def _int8(values: Array, step: float) -> NDArray[np.int8]:
    return np.clip(np.round(values / step), -ACTIVATION_MAX, ACTIVATION_MAX).astype(np.int8)


def _table_step(table: Array) -> float:
    """One int8 step of a table: where the squares of what rounding and cutting off take away are least."""
    largest = max(float(np.abs(table).max()), 1e-12) / ACTIVATION_MAX
    steps = [largest * share for share in _TABLE_SHARES]
    return min(steps, key=lambda step: float(np.square(_int8(table, step) * step - table).sum()))


def _norm_table(width: int) -> Array:
    """The table of `RmsNorm`; entries below 256 are never read."""
    table = np.zeros(1024, np.int32)
    table[256:] = np.round(np.sqrt(width / ((np.arange(256, 1024) + 0.5) / 1024)) * 1024)
    return table


def _numpy(t: Tensor) -> Array:
    return t.detach().double().numpy()


def _decoder(vae: Vae, maxima: dict[str, Array], grid: Grid) -> dict[str, Array]:
    decoder, a = vae.decoder, vae.a
    layers = [layer for layer in decoder.layers if isinstance(layer, Layer)]
    # One int8 step of what a layer's second maps read.
    out_steps = [
        np.maximum(maxima[f"decoder.layers.{i}.out"], _LEAST_OUT) / ACTIVATION_MAX for i in range(a.layers)
    ]
    up_steps = [
        np.maximum(maxima[f"decoder.layers.{i}.down"], 1e-3) / ACTIVATION_MAX for i in range(a.layers)
    ]
    # One int8 step of every normalised activation; no finer than its scale's 14 bits can express.
    sites = [f"layers.{i}.{part}" for i in range(a.layers) for part in ("gates", "up")] + ["head"]
    step = np.stack([maxima[f"decoder.{s}"] for s in sites]) / ACTIVATION_MAX
    step = np.maximum(np.maximum(step, np.abs(_numpy(decoder.scale)) / 100), 1e-6)
    tensors = {
        **_residual_stream(vae, layers, out_steps, up_steps),
        **_modulation(vae, step, grid),
        **_functions(a.width),
        **_linear(
            "decoder.head", _numpy(decoder.head.weight) * step[-1], _numpy(decoder.head.bias), LOGIT_UNIT
        ),
        "training.norm_step": step.astype(np.float32),
        "training.up_step": np.stack(up_steps).astype(np.float32),
        "training.latent_step": grid.step.astype(np.float32),
    }
    for i, layer in enumerate(layers):
        name, gates, up = f"decoder.layers.{i}", layer.gates, layer.up
        out_scale = np.round(2.0 ** (OUT_SHIFT - VALUE_BITS) / out_steps[i])
        tensors[f"{name}.out_scale"] = out_scale.astype(np.int32)
        weights = _numpy(gates.weight) * step[2 * i], _numpy(up.weight) * step[2 * i + 1]
        tensors |= _linear(f"{name}.gates", weights[0], _numpy(gates.bias), 1 << GATE_BITS)
        tensors |= _linear(f"{name}.up", weights[1], _numpy(up.bias), 1 / up_steps[i])
    return tensors


def _residual_stream(
    vae: Vae, layers: list[Layer], out_steps: list[Array], up_steps: list[Array]
) -> dict[str, Array]:
    """All that is added to the residual stream: bytes, tables, and the last map of each layer's halves."""
    decoder, a = vae.decoder, vae.a
    tables, byte = _numpy(decoder.tables), _numpy(decoder.byte.weight)
    by_context = np.split(tables, a.table_offsets[1:-1])
    table_scale = np.array([_table_step(table) for table in by_context])
    integers = [_int8(table, step) for table, step in zip(by_context, table_scale, strict=True)]
    features = _numpy(decoder.features.weight) * np.repeat(table_scale, a.table_dim)
    writes = {"features": (features, np.zeros(a.width))}
    for i, layer in enumerate(layers):
        writes[f"layers.{i}.out"] = _numpy(layer.out.weight) * out_steps[i], _numpy(layer.out.bias)
        writes[f"layers.{i}.down"] = _numpy(layer.down.weight) * up_steps[i], _numpy(layer.down.bias)
    unit = _residual_unit(byte, writes.values())
    tensors: dict[str, Array] = {
        "decoder.tables": np.concatenate(integers),
        "decoder.tags": decoder.tags.numpy(),
        "decoder.byte": np.round(byte * unit).astype(np.int16),
        "training.residual_unit": np.array([unit], np.float32),
        "training.table_step": table_scale.astype(np.float32),
    }
    for name, (weight, bias) in writes.items():
        tensors |= _linear(f"decoder.{name}", weight, bias, unit)
    return tensors


def _modulation(vae: Vae, step: Array, grid: Grid) -> dict[str, Array]:
    """What z sets; `step` is one int8 step of every normalised activation, (sites, width)."""
    decoder, latents, z_step = vae.decoder, len(grid.active), grid.step[:, None, None]
    per_scale, per_shift = 2.0 ** (MODULATION_SHIFT - NORM_BITS) / step, 2.0**MODULATION_SHIFT / step
    scale, shift, start = _numpy(decoder.scale), _numpy(decoder.shift), _numpy(decoder.start)
    z_scale = _numpy(decoder.z_scale)[grid.active] * z_step * scale
    z_shift = _numpy(decoder.z_shift)[grid.active] * z_step
    z_start = _numpy(decoder.z_start)[grid.active] * z_step
    return {
        "decoder.scale": np.round(scale * per_scale).astype(np.int32),
        "decoder.shift": np.round(shift * per_shift + 2 ** (MODULATION_SHIFT - 1)).astype(np.int32),
        "decoder.z_scale": _int16(z_scale * per_scale).reshape(latents, -1),
        "decoder.z_shift": np.round(z_shift * per_shift).astype(np.int32).reshape(latents, -1),
        "decoder.start": _int16(start * (1 << GATE_BITS)),
        "decoder.z_start": _int16(z_start * (1 << GATE_BITS)).reshape(latents, -1),
    }


def _int16(values: Array) -> NDArray[np.int16]:
    return np.clip(np.round(values), -32767, 32767).astype(np.int16)


def _functions(width: int) -> dict[str, Array]:
    """The decoder's functions as tables."""
    position = (np.arange(GATE_ENTRIES) - GATE_ENTRIES // 2) / (1 << GATE_BITS)
    return {
        "decoder.norm": _norm_table(width),
        "decoder.sigmoid": np.round(2**VALUE_BITS / (1 + np.exp(-position))).astype(np.int32),
        "decoder.tanh": np.round(2**VALUE_BITS * np.tanh(position)).astype(np.int32),
        "decoder.exp": np.round(np.exp(-np.arange(EXP_ENTRIES) / LOGIT_UNIT) * 2**24).astype(np.int32),
    }


def _encoder(vae: Vae, maxima: dict[str, Array], grid: Grid) -> dict[str, Array]:
    encoder, a = vae.encoder, vae.a
    byte = _numpy(encoder.byte.weight)
    byte_step = np.abs(byte).max() / ACTIVATION_MAX

    def steps(name: str) -> Array:  # one int8 step of that map's inputs
        step: Array = np.maximum(maxima[f"encoder.{name}"], 1e-4) / ACTIVATION_MAX
        return step

    # A channel of conv1 meets the `patch` positions of conv2's kernel with one scale.
    first = steps("conv2").reshape(a.patch, -1).max(axis=0)
    second = np.maximum(maxima["encoder.conv2.out"].max(), 1e-4) / CONV2_MAX
    pooled, hidden = np.maximum(steps("hidden"), 0.02 / ACTIVATION_MAX), steps("mean")
    scale_unit = 4 / math.log(2)
    scale_bias = _numpy(encoder.log_scale.bias)[grid.active] - 0.5 - np.log(LEAST_SCALE * grid.step)
    return {
        "encoder.byte": np.round(byte / byte_step).astype(np.int8),
        **_linear(
            "encoder.conv1", _numpy(encoder.conv1.weight) * byte_step, _numpy(encoder.conv1.bias), 1 / first
        ),
        **_linear(
            "encoder.conv2",
            _numpy(encoder.conv2.weight) * np.tile(first, a.patch),
            _numpy(encoder.conv2.bias),
            1 / second,
        ),
        "encoder.norm": _norm_table(a.encoder_width),
        "encoder.pool": np.round(2.0 ** (POOL_SHIFT - NORM_BITS) / pooled).astype(np.int32),
        **_linear(
            "encoder.hidden", _numpy(encoder.hidden.weight) * pooled, _numpy(encoder.hidden.bias), 1 / hidden
        ),
        **_linear(
            "encoder.mean",
            _numpy(encoder.mean.weight)[grid.active] * hidden,
            _numpy(encoder.mean.bias)[grid.active],
            PHASES / grid.step,
        ),
        **_linear(
            "encoder.log_scale",
            _numpy(encoder.log_scale.weight)[grid.active] * hidden,
            scale_bias,
            scale_unit,
        ),
        "training.encoder.byte": np.array(byte_step, np.float32).reshape(1),
        "training.encoder.conv1": first.astype(np.float32),
        "training.encoder.conv2": np.array(second, np.float32).reshape(1),
        "training.encoder.pooled": pooled.astype(np.float32),
        "training.encoder.hidden": hidden.astype(np.float32),
    }
