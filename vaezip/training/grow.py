"""A wider or deeper network that begins where a trained one is (Chen et al. 2016, arXiv:1511.05641).

What is added hardly changes the function at first: new channels of the residual stream are small, weights
that read new hidden units are zero, new layers add nothing. All of it learns from there.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from vaezip.errors import ModelError
from vaezip.network.architecture import Architecture
from vaezip.training.vae import Decoder, Layer, Vae

_WRITES = 0.05  # size of what writes to a new channel of the residual stream, against a fresh network's
_READS = 0.3  # ... and of what reads it


def grow(vae: Vae, a: Architecture) -> Vae:
    """`vae` with the sizes `a`.

    Raises ModelError unless only width and layers differ, and neither shrinks.
    """
    old = vae.a
    if a == old:
        return vae
    if dataclasses.replace(a, width=old.width, layers=old.layers) != old:
        raise ModelError("of a trained model, only width and layers can be changed")
    if a.width < old.width or a.layers < old.layers:
        raise ModelError(f"a trained model can only grow; this one has {old.layers} layers of {old.width}")
    grown = Vae(a)
    grown.encoder = vae.encoder
    with torch.no_grad():
        _fill_decoder(grown.decoder, vae.decoder)
    return grown


def _fill_decoder(to: Decoder, old: Decoder) -> None:
    width, last = old.a.width, 2 * old.a.layers
    to.tables, to.tags = old.tables, old.tags
    for writes in (to.byte, to.features):
        writes.weight.mul_(_WRITES)
    to.head.weight[:, width:].mul_(_READS)
    for mine, theirs in (
        (to.byte.weight, old.byte.weight),
        (to.features.weight, old.features.weight),
        (to.head.weight, old.head.weight),
        (to.head.bias, old.head.bias),
        (to.start, old.start),
    ):
        _fill(mine, theirs)
    layers = _layers(to)
    for layer, source in zip(layers, _layers(old), strict=False):
        _fill_layer(layer, source, width)
    for added in layers[old.a.layers :]:
        for linear in (added.out, added.down):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
    for per_latent in (to.z_shift, to.z_start):
        nn.init.zeros_(per_latent)
    _fill(to.z_start, old.z_start)
    more = (width / to.a.width) ** 0.5  # channels, which share the mean square that all are divided by
    for mine, theirs in ((to.scale, more * old.scale), (to.shift, old.shift)):
        _fill(mine, theirs[:last])
        _fill(mine[-1:], theirs[-1:])
    for mine, theirs in ((to.z_scale, old.z_scale), (to.z_shift, old.z_shift)):
        _fill(mine, theirs[:, :last])
        _fill(mine[:, -1:], theirs[:, -1:])


def _fill_layer(to: Layer, old: Layer, width: int) -> None:
    """width: that of the old layer."""
    gates, bias = to.gates.weight.view(3, -1, to.gates.in_features), to.gates.bias.view(3, -1)
    bias[0, width:] = torch.linspace(-1, 5, bias.shape[1] - width)  # time constants as of a new layer
    for reads in (to.gates, to.up):
        reads.weight[:, width:].mul_(_READS)
    _fill(gates, old.gates.weight.view(3, width, width))
    _fill(bias, old.gates.bias.view(3, width))
    _fill(to.up.weight, old.up.weight)
    _fill(to.up.bias, old.up.bias)
    for writes, theirs in ((to.out, old.out), (to.down, old.down)):
        writes.weight.mul_(_WRITES)
        writes.weight[:width].zero_()
        nn.init.zeros_(writes.bias)
        _fill(writes.weight, theirs.weight)
        _fill(writes.bias, theirs.bias)


def _layers(decoder: Decoder) -> list[Layer]:
    return [layer for layer in decoder.layers if isinstance(layer, Layer)]


def _fill(to: Tensor, old: Tensor) -> None:
    """Copy into the first corner."""
    to[tuple(slice(n) for n in old.shape)] = old
