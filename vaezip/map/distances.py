"""Distances between texts, by how well one is compressed after the other.

C(y) is what the beginning of a text takes, in bits, and C(y|x) what it takes after another text. Whoever has
read x predicts y better if they are alike, and worse if they are not, having learned what is of no use. A
coder could heed both predictions, that with x and that without; so C(y|x) is what y takes by the one with x
or by the mean of both, whichever is less. Then C(y|x) / C(y) is near 0 if x says all about y, and about 1 if
it says nothing. Where both texts take the same alone, the mean of this and of C(x|y) / C(x) is the normalised
compression distance of Cilibrasi and Vitányi (2005, https://arxiv.org/abs/cs/0312044).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaezip.arguments import Text, text_bytes, whole_number
from vaezip.bitsback import PROBE_BYTES, PresetChoice
from vaezip.coder import TOTAL
from vaezip.known_models import ModelLike, loaded
from vaezip.meter import Meter, Ticker
from vaezip.mixing.predictor import Predictor
from vaezip.model import Model
from vaezip.workers import in_order

Floats = NDArray[np.float64]

SAMPLE_SIZE = 4096  # bytes that are read of each text, unless told otherwise
LEAST_SAMPLE, LARGEST_SAMPLE = 64, 1 << 20
_SHARE = 8  # of the sample is predicted: what one knows of a text shows at its beginning


class Sample(NamedTuple):
    """The beginning of a text."""

    x: NDArray[np.uint8]
    preset: int  # of the mixer, 0 to 3: that which suits the text best
    # Probabilities of the bytes that are to be predicted after other texts, before reading any: float64 (m,)
    probabilities: Floats

    @property
    def bits(self) -> float:
        """The bits of these bytes alone."""
        return float(-np.log2(self.probabilities).sum())


def distances(
    texts: Sequence[Text],
    *,
    model: ModelLike = None,
    sample_size: int = SAMPLE_SIZE,
    threads: int = 1,
    progress: Ticker | None = None,
) -> Floats:
    """The distances between n texts: float64 (n, n), symmetric, 0 on the diagonal.

    0: each says all about the other; 1: neither says anything. It is the mean of C(y|x) / C(y) and
    C(x|y) / C(x), where C(y|x) are the bits that the beginning of y takes after x: normalised compression
    distance (Cilibrasi, Vitányi 2005, https://arxiv.org/abs/cs/0312044). Texts of less than some 250 bytes
    say too little: even their copies are far.

    model: as in `compress`. sample_size: bytes of each text that are read, from its beginning; an eighth of
    them is predicted after the others. threads: 0 is one per core; the distances are the same. progress:
    called with the number of steps done since the last call, n * (n + 1) in all. Raises ValueError if a text
    is empty, or sample_size not 64 to 2**20; ModelError.
    """
    which, meter = loaded(model), Meter(progress)
    samples = measure(which, [*map(text_bytes, texts)], sample_size, threads, meter)
    return symmetric(compare(which, samples, samples, sample_size, threads, meter))


def measure(
    model: Model, texts: Sequence[bytes], sample_size: int, threads: int, meter: Meter
) -> list[Sample]:
    """The sample of each text, which counts as one step; arguments and errors as in `distances`."""
    if not LEAST_SAMPLE <= whole_number(sample_size, "sample_size") <= LARGEST_SAMPLE:
        raise ValueError(f"sample_size must be {LEAST_SAMPLE} to {LARGEST_SAMPLE}")
    if not all(texts):
        raise ValueError("an empty text is neither near nor far")

    def sample(text: bytes) -> Sample:
        preset: int = PresetChoice(model, text[:PROBE_BYTES]).preset
        predictor = model.predictor(model.latent.null(), preset, _room(sample_size))
        alone = _probabilities(predictor, _beginning(text, sample_size // _SHARE))
        meter.add(1)
        return Sample(_beginning(text, sample_size), preset, alone)

    return [*in_order(sample, texts, threads)]


def compare(
    model: Model,
    read: Sequence[Sample],
    predicted: Sequence[Sample],
    sample_size: int,
    threads: int,
    meter: Meter,
) -> Floats:
    """C(y|x) / C(y) for each x that is read and each y that is predicted: float64 (x, y).

    Where x is y itself, 0. Each pair counts as one.
    """

    def shares(x: Sample) -> list[float]:
        predictor = model.predictor(model.latent.null(), x.preset, _room(sample_size))
        predictor.intervals(x.x)
        row = []
        for y in predicted:
            row.append(0.0 if x is y else _bits_after(predictor, y) / y.bits)
            meter.add(1)
        return row

    return np.array([*in_order(shares, read, threads)]).reshape(len(read), len(predicted))


def symmetric(shares: Floats) -> Floats:
    """The mean of both ways: float64 (n, n)."""
    mean: Floats = (shares + shares.T) / 2
    return mean


def _bits_after(predictor: Predictor, y: Sample) -> float:
    """C(y|x), by a predictor that has read x."""
    size = len(y.probabilities)
    after = _probabilities(predictor.copy(size), y.x[:size])
    both = after, (after + y.probabilities) / 2
    return float(min(-np.log2(probabilities).sum() for probabilities in both))


def _probabilities(predictor: Predictor, x: NDArray[np.uint8]) -> Floats:
    return predictor.intervals(x)[:, 1] / TOTAL


def _room(sample_size: int) -> int:
    """Bytes that a predictor is made for, the same for all: its tables' size depends on it."""
    return sample_size + sample_size // _SHARE


def _beginning(text: bytes, size: int) -> NDArray[np.uint8]:
    """The first `size` bytes, or up to three fewer, so that no character of UTF-8 is cut, if it is that."""
    end = min(size, len(text))
    while max(0, size - 3) < end < len(text) and text[end] & 0xC0 == 0x80:
        end -= 1
    return np.frombuffer(text[:end], np.uint8)
