"""The block codec: bytes and a model <-> ANS words, with bits-back coding (Townsend et al. 2019).

To code a block x with latent z (arXiv:1901.04866): pop z from the stack with q(z|x), push x with
p(x|z), push z with p(z). Decoding pops z and x, then pushes z back with q(z|x): so the bits that chose z
are not lost, and z costs KL(q || p) alone. The first latent is drawn from what a block must carry
anyway: its checksum lies at the bottom of the stack, and must be there again after decoding.
"""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

import numpy as np

from vaezip.ans import AnsStack
from vaezip.errors import FormatError, IntegrityError
from vaezip.latent import Posterior
from vaezip.meter import Ticker
from vaezip.mixing.parameters import STARTS
from vaezip.model import Model
from vaezip.network.ops import Int32

LOOK = 4096  # bytes: which start suits a block shows at its beginning
_STEP = 4096  # bytes between two looks at what Python has to do: to tell of progress, to be interrupted
_SHORT = 1024  # bytes; a block up to this size is safe enough with a checksum of 24 bits


class Coded(NamedTuple):
    """A block to decode: its payload, its length in bytes, whether it carries a latent, the mixer's start."""

    payload: bytes
    size: int
    latent: bool
    start: int


class Encoded(NamedTuple):
    """A coded block, and how its latent was chosen."""

    payload: bytes
    z: Int32  # (latents,), grid steps
    posterior: Posterior | None  # None: z is the null latent
    returned_bits: int  # by so much popping z made the stack shorter


def choose_start(model: Model, block: bytes) -> tuple[int, Int32]:
    """The start of the mixer with which a block's beginning takes the fewest bits, of equals the first.

    A latent, too, but a discrete one, with as few values as fit into a header's spare bits: so the best of
    them is the encoder's choice, and costs nothing. Returned with the intervals of the bytes looked at,
    int32 (n, 2), with this start and the null latent.
    """
    intervals = model.engine.compare(model.latent.null(), np.frombuffer(block[:LOOK], np.uint8))

    def bits(start: int) -> int:
        stack = AnsStack(checksum(block))
        stack.push_intervals(intervals[:, start])
        return stack.bits()

    best = min(range(STARTS), key=bits)
    return best, intervals[:, best]


def encode(
    model: Model,
    block: bytes,
    *,
    latent: bool,
    start: int,
    looked: Int32 | None = None,
    tick: Ticker | None = None,
) -> Encoded:
    """Code one block, with a latent or the null latent, and a start of the mixer.

    looked: the intervals that came with this start from `choose_start`; they may save predicting again.
    tick: called with numbers of bytes that have been coded.
    """
    x = np.frombuffer(block, np.uint8)
    stack = AnsStack(checksum(block))
    before = stack.bits()
    z, q = model.latent.null(), None
    if latent:
        q = model.latent.posterior(*model.encoder(x))
        z = model.latent.pop_posterior(stack, q)
    returned = before - stack.bits()
    if looked is None or latent or len(looked) < len(x):
        stack.push_intervals(model.predictor(z, start, len(x)).encode(x, tick))
    else:
        stack.push_intervals(looked)
    if latent:
        model.latent.push_prior(stack, z)
    return Encoded(stack.to_bytes(), z, q, returned)


def checksum(block: bytes) -> int:
    """What lies at the bottom of a block's stack: its CRC-32, of a short block the low 24 bits."""
    return crc32(block) if len(block) > _SHORT else crc32(block) & 0xFFFFFF


def can_carry_latent(model: Model, size: int) -> bool:
    """Whether a block of that size is long enough for the encoder to see anything."""
    return size >= model.encoder.least_bytes


def decode(model: Model, block: Coded, tick: Ticker | None = None) -> bytes:
    """Inverse of `encode`.

    tick: called with numbers of bytes that have been decoded.
    Raises IntegrityError if the checksum disagrees, FormatError if no encoder can have written the payload.
    """
    if block.latent and not can_carry_latent(model, block.size):
        raise FormatError("damaged block: too short to carry a latent")
    stack = AnsStack.from_bytes(block.payload)
    z = model.latent.pop_prior(stack) if block.latent else model.latent.null()
    text = _pop_text(model, stack, block, z, tick)
    intact = True
    if block.latent:
        q = model.latent.posterior(*model.encoder(np.frombuffer(text, np.uint8)))
        intact = model.latent.push_posterior(stack, z, q)
    if not intact or stack.single() != checksum(text):
        raise IntegrityError("checksum mismatch: the data are damaged, or were coded with another model")
    return text


def _pop_text(model: Model, stack: AnsStack, block: Coded, z: Int32, tick: Ticker | None) -> bytes:
    if not block.size:  # a file may have millions of empty frames, and a predictor is large
        return b""
    find = model.predictor(z, block.start, block.size).find
    text = bytearray()
    while left := block.size - len(text):
        text += stack.pop_bytes(find, min(left, _STEP))
        if tick is not None:
            tick(min(left, _STEP))
    return bytes(text)
