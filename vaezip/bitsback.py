"""The block codec: bytes and a model <-> ANS words, with bits-back coding (Townsend et al. 2019).

To code a block x with latent z (arXiv:1901.04866): pop z from the stack with q(z|x), push x with
p(x|z), push z with p(z). Decoding pops z and x, then pushes z back with q(z|x): so the bits that chose z
are not lost, and z costs KL(q || p) alone. The first latent is drawn from what a block must carry
anyway: its 32-bit checksum lies at the bottom of the stack, and must be there again after decoding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from vaezip.ans import TOTAL, AnsStack, quantise
from vaezip.errors import IntegrityError
from vaezip.model import Model
from vaezip.network.decoder import Style
from vaezip.network.features import ContextState, context_rows
from vaezip.network.ops import Int32

_CHUNK = 2048  # positions that the decoder network runs at once


class Coded(NamedTuple):
    """A block to decode: its payload, its length in bytes, and whether it carries a latent."""

    payload: bytes
    size: int
    latent: bool


@dataclass(frozen=True)
class Account:
    """Where the bits of a coded block went; information contents are those of the exact model."""

    x_bits: float  # -log2 p(x|z)
    z_bits: float  # -log2 p(z)
    posterior_bits: float  # -log2 q(z|x): what bits-back would return on a full stack
    returned_bits: int  # what it did return: by so much popping z made the stack shorter
    payload: bytes

    @property
    def ideal_bits(self) -> float:
        """The negative ELBO sample and the checksum."""
        return self.x_bits + self.z_bits - self.posterior_bits + 32


def encode(model: Model, block: bytes, *, latent: bool, bits_back: bool = True) -> Account:
    """Code one block, with a latent or the null latent.

    `bits_back=False` takes the posterior's mode instead of drawing from it: what z would cost otherwise
    (the payload is then not one that `decode` reads).
    """
    x = np.frombuffer(block, np.uint8)
    stack = AnsStack(crc32(block))
    z = model.latent.null()
    z_bits = posterior_bits = 0.0
    before = stack.bits()
    if latent:
        q = model.latent.posterior(*model.encoder(x))
        z = model.latent.pop_posterior(stack, q) if bits_back else q.candidates[:, 0]
        z_bits, posterior_bits = model.latent.information(z, q)
    returned = before - stack.bits()
    x_bits = 0.0
    chunks = list(_likelihoods(model, x, z))
    for at, frequencies in reversed(chunks):
        part = x[at : at + len(frequencies)].astype(np.int32)
        x_bits -= float(np.log2(frequencies[np.arange(len(part)), part] / TOTAL).sum())
        stack.push(part, frequencies)
    if latent:
        model.latent.push_prior(stack, z)
    return Account(x_bits, z_bits, posterior_bits, returned, stack.to_bytes())


def can_carry_latent(model: Model, size: int) -> bool:
    """Whether a block of that size is long enough for the encoder to see anything."""
    return size >= model.encoder.least_bytes


def decode(model: Model, blocks: Sequence[Coded]) -> list[bytes]:
    """Decode blocks side by side, one lane each, byte by byte.

    Raises IntegrityError if a block's checksum disagrees, FormatError if no encoder can have written it.
    """
    stacks = [AnsStack.from_bytes(b.payload) for b in blocks]
    null = model.latent.null()
    z = np.stack(
        [model.latent.pop_prior(s) if b.latent else null for s, b in zip(stacks, blocks, strict=True)]
    )
    texts = _pop_text(model, stacks, [b.size for b in blocks], z)
    for block, stack, latent, text in zip(blocks, stacks, z, texts, strict=True):
        if block.latent:
            q = model.latent.posterior(*model.encoder(np.frombuffer(text, np.uint8)))
            intact = model.latent.push_posterior(stack, latent, q)
        else:
            intact = True
        if not intact or stack.single() != crc32(text):
            raise IntegrityError("checksum mismatch: the data are damaged, or were coded with another model")
    return texts


def _likelihoods(model: Model, x: NDArray[np.uint8], z: Int32) -> Iterator[tuple[int, Int32]]:
    """Frequency rows (n, 256) of x given z, with the position of the first, chunk by chunk."""
    rows = context_rows(model.architecture, x[None])
    seen = np.zeros((1, len(x)), np.uint8)
    seen[0, 1:] = x[:-1]
    style = model.decoder.style(z[None])
    state = style.start
    for at in range(0, len(x), _CHUNK):
        part = slice(at, at + _CHUNK)
        logits, state = model.decoder(seen[:, part], rows[:, part], style, state)
        yield at, quantise(model.decoder.exponentials(logits[0]))


def _pop_text(model: Model, stacks: list[AnsStack], sizes: list[int], z: Int32) -> list[bytes]:
    """Pop the text of every lane; a lane that has all its bytes drops out."""
    texts = [bytearray() for _ in stacks]
    lanes = [i for i in range(len(stacks)) if sizes[i]]
    everywhere = model.decoder.style(z)
    contexts = ContextState(model.architecture, len(stacks))
    style, state = everywhere, everywhere.start
    last = np.zeros(len(stacks), np.uint8)
    active = np.arange(len(stacks))
    while lanes:
        if len(lanes) < len(active):
            keep = np.isin(active, lanes)
            active, last, state = active[keep], last[keep], state[keep]
            style = Style(*(part[keep] for part in style))
            contexts = contexts.select(keep)
        logits, state = model.decoder(last[:, None], contexts.rows()[:, None], style, state)
        frequencies = quantise(model.decoder.exponentials(logits[:, 0]))
        for k, lane in enumerate(lanes):
            byte = int(stacks[lane].pop(frequencies[k : k + 1])[0])
            texts[lane].append(byte)
            last[k] = byte
            if not byte and not stacks[lane].bits():  # an empty stack yields nothing but zeros from here on
                texts[lane].extend(bytes(sizes[lane] - len(texts[lane])))
        contexts.push(last)
        lanes = [i for i in lanes if len(texts[i]) < sizes[i]]
    return [bytes(t) for t in texts]
