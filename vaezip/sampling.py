"""Text from the latent space: what the model thinks likely, drawn byte by byte, in integers.

A seed gives the same text on every machine and with every engine. Network and mixer give the widths of the
intervals that a coder would use for the next byte; by these, sharpened by a temperature and cut to the
likeliest, it is drawn. Then the mixer learns from it, as from a text that is coded.

Only text is drawn: whole characters in UTF-8 (RFC 3629), and of control characters none but tab, line feed
and carriage return. What would be anything else leaves its probability to the other bytes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from functools import cache
from math import isqrt
from operator import index
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip.ans import AnsStack
from vaezip.arguments import Text, text_bytes, whole_number
from vaezip.bitsback import PROBE_BYTES, PresetChoice, can_carry_latent
from vaezip.block import DEFAULT_BLOCK_SIZE
from vaezip.container import MAX_BLOCK_SIZE
from vaezip.copying import NotCopied
from vaezip.known_models import ModelLike, loaded
from vaezip.mixing.parameters import PRESETS
from vaezip.model import Model
from vaezip.network.ops import Int32

Int64 = NDArray[np.int64]

LONGEST = 1 << 20  # characters
LONGEST_PROMPT = MAX_BLOCK_SIZE  # bytes
HOTTEST = 100
SHARE = 1000  # temperatures and shares are in thousandths
_MASK = (1 << 64) - 1
_ROOM = (
    1 << 17
)  # bytes: for larger blocks the mixer's tables grow no more, so the length does not change the text
_LOG_BITS = 16


class Origin(NamedTuple):
    """The latent and the preset that a sample begins with."""

    z: Int32  # (latents,), grid steps
    preset: int  # of the mixer


class Sample(NotCopied, Iterator[bytes]):
    """Text, drawn as it is asked for: an iterator of characters, each in UTF-8; see `vaezip.sample`."""

    def __init__(
        self, model: Model, origin: Origin, prompt: bytes, length: int, seed: int, choice: Choice
    ) -> None:
        self.seed = seed
        """The seed: with the same `z`, `preset` and arguments, it gives the same text."""
        self.z: tuple[int, ...] = tuple(origin.z.tolist())
        """The latent, in steps of its grid."""
        self.preset = origin.preset
        """The preset that the mixer began with."""
        self._left, self._choice, self._random = length, choice, Random(seed)
        self._predictor = model.predictor(origin.z, origin.preset, max(_ROOM, len(prompt) + 4 * length))
        if prompt:
            self._predictor.intervals(np.frombuffer(prompt, np.uint8))

    def __next__(self) -> bytes:
        """The next character."""
        if not self._left:
            raise StopIteration
        self._left -= 1
        first = self._draw(_FIRST)
        return bytes([first, *map(self._draw, _continuations(first))])

    def _draw(self, allowed: Int64) -> int:
        """Draw one of these bytes."""
        widths = self._predictor.distribution().astype(np.int64)
        byte = int(allowed[self._choice.draw(widths[allowed], self._random)])
        return self._predictor.symbol(1 + int(widths[:byte].sum()))[0]


def sample(
    *,
    length: int = 1000,
    seed: int | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    prompt: Text = b"",
    like: Text | None = None,
    between: tuple[Text, Text] | None = None,
    steps: int = 5,
    step: int = 0,
    z: Sequence[int] | None = None,
    preset: int | None = None,
    model: ModelLike = None,
) -> Sample:
    """Text that the model thinks likely, drawn as it is asked for: `b"".join(vaezip.sample(seed=1))`.

    length: number of characters, up to 2**20. seed: 0 to 2**64 - 1; the same gives the same text everywhere.
    By default one is drawn: the sample's attribute `seed` says which. temperature: 0 to 100, in thousandths;
    1 is as likely as the model has it, less is less daring, 0 the likeliest byte each time. top_p: above 0
    and up to 1, in thousandths; of the likeliest bytes, only those are drawn that together have this share.
    prompt: a text to go on from, up to 16 MiB, which network and mixer read first, and which is not repeated.

    Where in the latent space to begin, and with which preset of the mixer (`z` and `preset` of the sample say
    it): `like`, a text, has z drawn from its posterior, and the preset with which it compresses best.
    `between`, two texts, takes point `step` (from 0) of `steps` from the posterior mean of one to that of the
    other, and the preset of the nearer one. z: whole numbers, steps of the grid, one for each latent. By
    default, a prompt is what the text is to be like; one that is too short for the encoder leaves z at 0.
    Without a prompt, z is drawn from the prior, and the preset is drawn, too. preset: 0 to 3, whatever the
    others say.

    A str stands for its UTF-8. model: as in `vaezip.compress`. Raises ModelError if the model cannot be used,
    TypeError and ValueError for arguments that make no sense: out of range, contradicting each other, or a
    text to be like that is too short for the encoder.
    """
    choice = Choice(temperature, top_p)
    if not 0 <= whole_number(length, "length") <= LONGEST:
        raise ValueError(f"length must be 0 to {LONGEST} characters")
    if seed is not None and not 0 <= whole_number(seed, "seed") <= _MASK:
        raise ValueError("seed must be 0 to 2**64 - 1")
    if sum(given is not None for given in (like, between, z)) > 1:
        raise ValueError("like, between and z exclude each other: each says what the latent is")
    read = text_bytes(prompt)
    if len(read) > LONGEST_PROMPT:
        raise ValueError(f"prompt must not be longer than {LONGEST_PROMPT >> 20} MiB")
    model = loaded(model)
    chosen = secrets.randbits(32) if seed is None else index(seed)
    if between is not None:
        first, last = map(text_bytes, between)
        origin = _between(model, first, last, whole_number(steps, "steps"), whole_number(step, "step"))
    else:
        # Drawn apart from the text, so that giving z or preset as they were drawn does not change it.
        origin = _origin(model, read, None if like is None else text_bytes(like), z, Random(~chosen & _MASK))
    if preset is not None:
        if not 0 <= whole_number(preset, "preset") < PRESETS:
            raise ValueError(f"preset must be 0 to {PRESETS - 1}")
        origin = origin._replace(preset=index(preset))
    return Sample(model, origin, read, index(length), chosen, choice)


def _origin(
    model: Model, prompt: bytes, like: bytes | None, z: Sequence[int] | None, random: Random
) -> Origin:
    """The origin of a sample, as `sample` says, but for `between`."""
    latents = model.architecture.latents
    bits = AnsStack.from_bytes(random.octets(4 * latents + 16) + b"\1")  # from which a latent is popped
    if like is None and z is None and can_carry_latent(model, len(prompt)):
        like = prompt
    if like is not None:
        return Origin(
            model.latent.pop_posterior(bits, model.latent.posterior(*_encoded(model, like))),
            _preset(model, like),
        )
    preset = _preset(model, prompt) if prompt else random.below(PRESETS)
    if z is None:  # a prompt that is too short for the encoder leaves it at 0
        return Origin(model.latent.null() if prompt else model.latent.pop_prior(bits), preset)
    values, furthest = [*map(index, z)], model.latent.furthest
    if len(values) != latents or not all(-furthest <= value <= furthest for value in values):
        raise ValueError(f"z must be {latents} numbers from {-furthest} to {furthest}")
    return Origin(np.array(values, np.int32), preset)


def _between(model: Model, first: bytes, last: bytes, steps: int, step: int) -> Origin:
    """The origin at a point of the straight line from one posterior mean to another."""
    if steps < 2:
        raise ValueError("steps must be at least 2: the two ends")
    if not 0 <= step < steps:
        raise ValueError("step must be 0 to steps - 1")
    (a, scale), (b, _) = _encoded(model, first), _encoded(model, last)
    a, b, way = a.astype(np.int64), b.astype(np.int64), steps - 1
    mean = (2 * (a * (way - step) + b * step) + way) // (2 * way)
    z = model.latent.posterior(mean.astype(np.int32), scale).candidates[:, 0]
    return Origin(z, _preset(model, first if 2 * step <= way else last))


def _encoded(model: Model, text: bytes) -> tuple[Int32, Int32]:
    """The posterior of its first block: means and scales."""
    if not can_carry_latent(model, len(text)):
        least = model.encoder.least_bytes
        raise ValueError(f"a text of {len(text)} bytes says too little to be like: it takes {least}")
    return model.encoder(np.frombuffer(text[:DEFAULT_BLOCK_SIZE], np.uint8))


def _preset(model: Model, text: bytes) -> int:
    """The preset with which the beginning of a text takes the fewest bits."""
    preset: int = PresetChoice(model, text[:PROBE_BYTES]).preset
    return preset


class Random:
    """Numbers for a seed: SplitMix64 (Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195), as in Java."""

    def __init__(self, seed: int) -> None:
        """seed: 64 bits."""
        self._state = seed

    def bits(self) -> int:
        """The next 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        x = self._state
        x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        x = ((x ^ x >> 27) * 0x94D049BB133111EB) & _MASK
        return x ^ x >> 31

    def below(self, limit: int) -> int:
        """A number from 0 to limit - 1, all as likely, up to one part in 2**24; limit: up to 2**40."""
        return (self.bits() * limit) >> 64

    def octets(self, count: int) -> bytes:
        """Random bytes, so many; a multiple of 8."""
        return b"".join(self.bits().to_bytes(8, "little") for _ in range(count // 8))


class Choice:
    """The way in which one of several things of different widths is drawn."""

    def __init__(self, temperature: float, top_p: float) -> None:
        """See `sample`; raises ValueError."""
        if not 0 <= temperature <= HOTTEST:  # nor NaN
            raise ValueError(f"temperature must be 0 to {HOTTEST}")
        if not 0 < top_p <= 1:
            raise ValueError("top_p must be above 0, and at most 1")
        self._temperature, self._top_p = round(temperature * SHARE), round(top_p * SHARE)

    def draw(self, widths: Int64, random: Random) -> int:
        """The index of one; widths: int64 (n,), 1 to 2**24."""
        if not self._temperature:
            return int(widths.argmax())
        weights = widths if self._temperature == SHARE else sharpened(widths, self._temperature)
        likeliest = np.argsort(-weights, kind="stable")
        up_to = np.cumsum(weights[likeliest])
        count = int(np.searchsorted(up_to * SHARE, up_to[-1] * self._top_p)) + 1
        return int(likeliest[np.searchsorted(up_to, random.below(int(up_to[count - 1])), side="right")])


def sharpened(widths: Int64, temperature: int) -> Int64:
    """Weights in proportion to width ** (1 / temperature), the largest 2**31; those below 1 are 0.

    widths: int64 (n,), 1 to 2**24. temperature: in thousandths, above 0.
    """
    powers = _powers()
    exponent = np.frexp(widths)[1].astype(np.int64) - 1  # exact: a width has 24 bits
    logarithm = (exponent << _LOG_BITS) + np.searchsorted(powers, widths << 31 >> exponent, side="right") - 1
    less = (logarithm.max() - logarithm) * SHARE // temperature
    whole = np.minimum((less + (1 << _LOG_BITS) - 1) >> _LOG_BITS, 63)
    weights: Int64 = powers[-less & ((1 << _LOG_BITS) - 1)] >> whole
    return weights


@cache
def _powers() -> Int64:
    """2 ** (i / 2**16), unit 2**-31, for i from 0: int64 (2**16,), rising; read backwards, logarithms."""
    roots = [1 << 32]  # of 2: of order 1, 2, 4, ...
    for _ in range(_LOG_BITS):
        roots.append(isqrt(roots[-1] << 31))
    powers = np.array([1 << 31], np.uint64)
    for root in reversed(roots[1:]):  # each brings as many steps again, of its size
        powers = np.concatenate([powers, powers * np.uint64(root) >> np.uint64(31)])
    return powers.astype(np.int64)


_FIRST: Int64 = np.array([9, 10, 13, *range(0x20, 0x7F), *range(0xC2, 0xF5)])
_SECOND = {0xC2: (0xA0, 0xBF), 0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}


@cache
def _continuations(first: int) -> list[Int64]:
    """The bytes that may follow the first one of a character, place by place."""
    count = (first >= 0xC2) + (first >= 0xE0) + (first >= 0xF0)
    limits = [_SECOND.get(first, (0x80, 0xBF)), (0x80, 0xBF), (0x80, 0xBF)][:count]
    return [np.arange(low, high + 1) for low, high in limits]
