"""Where the bits of a text go, and what latents, network and mixer are worth."""

from __future__ import annotations

import copy
from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip import ans, bitsback
from vaezip.block import DEFAULT_BLOCK_SIZE, encode_block
from vaezip.engine import load_engine
from vaezip.information import METHODS, account, bits_of, network_bits
from vaezip.model import Model
from vaezip.network.ops import Linear


class Ablation(NamedTuple):
    """The bits of a text by what they are spent on, summed over its blocks, and what else it could cost."""

    name: str
    content: int  # bytes
    x_bits: float  # of the text given z
    z_bits: float  # of z under the prior
    returned_bits: int  # that popping z took off the checksum again
    latent_bytes: int  # coded with bits-back ...
    no_bits_back_bytes: int  # ... with the most likely z instead of a drawn one, nothing given back ...
    null_bytes: int  # ... and with the null latent ...
    fixed_preset_bytes: int  # ... and the mixer's first preset, too; payloads, checksums counted
    kept: str  # what `compress` keeps: latent, null or stored, of most blocks


def ablate(model: Model, name: str, text: bytes, block_size: int = DEFAULT_BLOCK_SIZE) -> Ablation:
    """Code `text` with bits-back, without, with the null latent, and without any choice."""
    kept: Counter[str] = Counter()
    x_bits = z_bits = 0.0
    returned = drawn = mode = null = fixed = 0
    for at in range(0, max(1, len(text)), block_size):
        block = text[at : at + block_size]
        preset = bitsback.PresetChoice(model, block[: bitsback.PROBE_BYTES]).preset
        encoded = bitsback.encode(model, block, latent=False, preset=preset)
        null += len(encoded.block.payload)
        fixed += len(bitsback.encode(model, block, latent=False, preset=0).block.payload)
        if bitsback.can_carry_latent(model, len(block)):
            encoded = bitsback.encode(model, block, latent=True, preset=preset)
            bits = account(model, block, encoded)
            x_bits, z_bits = x_bits + bits.x_bits, z_bits + bits.z_bits
            returned, drawn = returned + encoded.returned_bits, drawn + len(encoded.block.payload)
            mode += _without_bits_back(model, block, preset)
        kept[METHODS[encode_block(model, block).method]] += 1
    sums = x_bits, z_bits, returned, drawn, mode, null, fixed
    return Ablation(name, len(text), *sums, kept.most_common(1)[0][0])


def _without_bits_back(model: Model, block: bytes, preset: int) -> int:
    """Payload bytes if z is the posterior's mode, and nothing comes back."""
    x = np.frombuffer(block, np.uint8)
    stack = ans.AnsStack(bitsback.checksum(block))
    z = model.latent.posterior(*model.encoder(x)).candidates[:, 0]
    stack.push_intervals(model.predictor(z, preset, len(x)).intervals(x))
    model.latent.push_prior(stack, z)
    return len(stack.to_bytes())


class Shares(NamedTuple):
    """Information in bits by network and mixer, each alone and both, with null latent and first preset."""

    name: str
    content: int  # bytes
    network_bits: float  # by the network's probabilities as they are
    mixer_bits: float  # by the mixer, if the network says that all bytes are equally likely
    both_bits: float


def shares(model: Model, name: str, text: bytes, block_size: int = DEFAULT_BLOCK_SIZE) -> Shares:
    """Predict `text` by the network alone, the mixer alone, and both."""
    silent = copy.copy(model.decoder)
    silent.head = _silent_head(model.architecture.width)
    mixer_alone = load_engine(silent, model.mixer)
    z, network, mixer, both = model.latent.null(), 0.0, 0.0, 0.0
    for at in range(0, len(text), block_size):
        x = np.frombuffer(text[at : at + block_size], np.uint8)
        network += network_bits(model, x, z)
        for_mixer, for_both = (
            engine.predictor(z, 0, len(x)).intervals(x)[:, 1] for engine in (mixer_alone, model.engine)
        )
        mixer += float(bits_of(for_mixer).sum())
        both += float(bits_of(for_both).sum())
    return Shares(name, len(text), network, mixer, both)


def _silent_head(width: int) -> Linear:
    tensors: dict[str, NDArray[np.generic]] = {
        "head.weight": np.zeros((256, width), np.int8),
        "head.multiplier": np.zeros(256, np.int32),
        "head.bias": np.zeros(256, np.int32),
        "head.shift": np.zeros(2, np.int32),
    }
    return Linear(tensors, "head", 256, width)
