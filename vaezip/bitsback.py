"""The block codec: bytes and a model <-> ANS words, with bits-back coding (Townsend et al. 2019).

To code a block x with latent z (arXiv:1901.04866): pop z from the stack with q(z|x), push x with
p(x|z), push z with p(z). Decoding pops z and x, then pushes z back with q(z|x): so the bits that chose z
are not lost, and z costs KL(q || p) alone. The first latent is drawn from what a block must carry
anyway: its checksum lies at the bottom of the stack, and must be there again after decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from math import isqrt
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from vaezip.ans import AnsStack, pop_bytes
from vaezip.container import Block, Method
from vaezip.dictionaries.priming import Primed
from vaezip.errors import FormatError, IntegrityError
from vaezip.latent import Posterior
from vaezip.meter import Ticker
from vaezip.mixing.parameters import PRESETS
from vaezip.model import Model
from vaezip.network.ops import Int32

PROBE_BYTES = 4096  # the first bytes of a block, by which its preset is chosen
_BIT = 45426  # nats, unit 2**-16
_WIDEST = 24 * _BIT
_ROUND = 32  # bytes, the fewest between two comparisons of the presets
_BEHIND = _BIT // 8  # times the root of the bytes to come: a preset that is so much behind is dropped
_LATENT_PROBE_BYTES = 128  # the first bytes of a block, by which it is judged whether a latent will pay
_STEP = 4096  # bytes that are decoded in one go: after each, progress is told, and Python can be interrupted
_SHORT = 1024  # bytes; a block up to this size is safe enough with a checksum of 24 bits


class Encoded(NamedTuple):
    """A coded block, and how its latent was chosen."""

    block: Block
    z: Int32  # (latents,), grid steps
    posterior: Posterior | None  # None: z is the null latent
    returned_bits: int  # bits that popping z took off the stack


class PresetChoice:
    """The choice of a block's preset: the one with which the first PROBE_BYTES take the fewest bits.

    The preset is a latent, too, but a discrete one, with as few values as fit into a header's spare bits: so
    the best of them is the encoder's choice, and costs nothing. One that falls behind is dropped early.
    """

    def __init__(self, model: Model, block: bytes) -> None:
        self._x = np.frombuffer(block, np.uint8)
        self._comparison = model.engine.comparison(model.latent.null(), len(block))
        presets, nats, rounds = [*range(PRESETS)], np.zeros(PRESETS, np.int64), []
        self._at, end = 0, min(len(block), PROBE_BYTES)  # bytes that are predicted, and are to be
        while self._at < end and len(presets) > 1:
            part = self._x[self._at : min(self._at + max(_ROUND, self._at // 4), end)]
            intervals = self._comparison.intervals_by_preset(part)
            self._at += len(part)
            rounds.append((intervals, tuple(presets)))
            nats += _nats(model, intervals)
            # One that is behind may come to the front again, but the less, the less there is to come.
            left = end - self._at
            limit = nats.min() + (_BIT + isqrt(left) * _BEHIND if left else 0)
            for i in reversed(np.flatnonzero(nats > limit).tolist()):
                self._comparison.drop(i)
                del presets[i]
            nats = nats[nats <= limit]
        for i in reversed(range(1, len(presets))):  # equals
            self._comparison.drop(i)
        self.preset = presets[0]
        self._parts = [intervals[:, presets.index(self.preset)] for intervals, presets in rounds]

    def intervals(self, tick: Ticker | None = None) -> Int32:
        """The intervals of all of the block's bytes with this preset and the null latent, int32 (n, 2)."""
        if tick is not None:
            tick(self._at)
        rest = self._comparison.intervals_by_preset(self._x[self._at :], tick)[:, 0]
        return np.concatenate([*self._parts, rest])


def _nats(model: Model, intervals: Int32) -> NDArray[np.int64]:
    """The cost in nats, up to a constant, of bytes with intervals (n, k, 2): int64 (k,), unit 2**-16."""
    width = intervals[..., 1].astype(np.int64)
    exponent = np.frexp(width)[1].astype(np.int64) - 1  # exact: a width has 24 bits
    log = model.mixer.log.astype(np.int64)
    mantissa = (width << 10 >> exponent) & 1023
    nats: NDArray[np.int64] = np.sum(_WIDEST - exponent * log[1024] - log[mantissa], axis=0)
    return nats


def latent_promises(model: Model, block: bytes, preset: int, null: Int32) -> bool:
    """True if a latent is likely to save what it costs, to judge by the first bytes.

    null: the intervals of the block's bytes with the null latent. What a latent saves grows more slowly than
    the block, since the mixer learns, too; one that promises less than twice its cost seldom keeps that.
    """
    x = np.frombuffer(block, np.uint8)
    stack = AnsStack(checksum(block))
    before = stack.bits()
    z = model.latent.pop_posterior(stack, model.latent.posterior(*model.encoder(x)))
    model.latent.push_prior(stack, z)
    cost = (stack.bits() - before) * _BIT
    given = model.predictor(z, preset, len(x)).intervals(x[:_LATENT_PROBE_BYTES])
    saved = int(_nats(model, null[:_LATENT_PROBE_BYTES, None])[0] - _nats(model, given[:, None])[0])
    return saved * isqrt(max(len(x), _LATENT_PROBE_BYTES)) > 2 * cost * isqrt(_LATENT_PROBE_BYTES)


def encode(
    model: Model,
    content: bytes,
    *,
    latent: bool,
    preset: int,
    intervals: Int32 | None = None,
    tick: Ticker | None = None,
) -> Encoded:
    """Code the content of a block, with a latent or the null latent, and a preset of the mixer.

    intervals: of the content's bytes with the null latent, if they are known. tick: called with numbers of
    bytes that have been predicted.
    """
    x = np.frombuffer(content, np.uint8)
    stack = AnsStack(checksum(content))
    before = stack.bits()
    z, q = model.latent.null(), None
    if latent:
        q = model.latent.posterior(*model.encoder(x))
        z = model.latent.pop_posterior(stack, q)
    returned = before - stack.bits()
    if latent or intervals is None:
        intervals = model.predictor(z, preset, len(x)).intervals(x, tick)
    stack.push_intervals(intervals)
    if latent:
        model.latent.push_prior(stack, z)
    method = Method.VAE if latent else Method.VAE_NULL
    return Encoded(Block(method, len(content), stack.to_bytes(), preset), z, q, returned)


def checksum(block: bytes) -> int:
    """The number at the bottom of a block's stack: its CRC-32, or the low 24 bits of that if it is short."""
    return crc32(block) & (1 << checksum_bits(block)) - 1


def checksum_bits(block: bytes) -> int:
    """The number of bits of a block's checksum."""
    return 32 if len(block) > _SHORT else 24


def can_carry_latent(model: Model, size: int) -> bool:
    """True if a block of that size is long enough for the encoder."""
    return size >= model.encoder.least_bytes


def decode(model: Model, block: Block, tick: Ticker | None = None, primed: Primed | None = None) -> bytes:
    """Inverse of `encode`: the content of a block that is not stored.

    tick: called with numbers of bytes that have been decoded. primed: the model after reading a dictionary,
    if the block was coded so; it has the null latent then, and the first preset.
    Raises IntegrityError if the checksum disagrees, FormatError if no encoder can have written the payload.
    """
    return decode_in_step(model, [block], tick, primed)[0]


def decode_in_step(
    model: Model, blocks: Sequence[Block], tick: Ticker | None = None, primed: Primed | None = None
) -> list[bytes]:
    """As `decode`, of several blocks at once: each weight of the model is read once for a byte of each."""
    with ExitStack() as borrowed:
        decodings = [_Decoding(model, block, primed, borrowed) for block in blocks]
        while rest := [decoding for decoding in decodings if decoding.left]:
            counts = [min(decoding.left, _STEP) for decoding in rest]
            decode_ans = partial(model.engine.decode_ans, [decoding.predictor for decoding in rest])
            texts = pop_bytes([decoding.stack for decoding in rest], counts, decode_ans)
            for decoding, text in zip(rest, texts, strict=True):
                decoding.text += text
            if tick is not None:
                tick(sum(counts))
    return [decoding.finish() for decoding in decodings]


class _Decoding:
    """A block that is being decoded."""

    def __init__(self, model: Model, block: Block, primed: Primed | None, borrowed: ExitStack) -> None:
        self._has_latent = block.method == Method.VAE
        if self._has_latent and not can_carry_latent(model, block.size):
            raise FormatError("damaged block: too short to carry a latent")
        if primed is not None and (self._has_latent or block.preset):
            raise FormatError("damaged block: no encoder has a latent or another preset with a dictionary")
        self._model, self._block = model, block
        self.stack = AnsStack.from_bytes(block.payload)
        self._z = model.latent.pop_prior(self.stack) if self._has_latent else model.latent.null()
        self.text = bytearray()
        if not block.size:  # a file may have millions of empty frames, and a predictor is large
            return
        if primed is None:
            self.predictor = model.predictor(self._z, block.preset, block.size)
        else:
            self.predictor = borrowed.enter_context(primed.predictor(block.size))

    @property
    def left(self) -> int:
        """Bytes that are to be decoded."""
        return self._block.size - len(self.text)

    def finish(self) -> bytes:
        """The text, once all of it has been decoded; its checksum must be what chose the latent."""
        text, latent = bytes(self.text), self._model.latent
        intact = True
        if self._has_latent:
            q = latent.posterior(*self._model.encoder(np.frombuffer(text, np.uint8)))
            intact = latent.push_posterior(self.stack, self._z, q)
        if not intact or self.stack.single() != checksum(text):
            raise IntegrityError("checksum mismatch: the data are damaged, or were coded with another model")
        return text
