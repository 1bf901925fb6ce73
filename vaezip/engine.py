"""The engines that compute predictions: the C kernel, or numpy and Python; both give the same bits.

The environment variable VAEZIP_ENGINE chooses: `python`, or one of the kernel's paths, such as `avx2`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from vaezip.errors import EngineError

if TYPE_CHECKING:  # so that `vaezip --version` can name the engine without loading numpy
    import numpy as np
    from numpy.typing import NDArray

    from vaezip.ans import Decoded
    from vaezip.mixing.parameters import MixerParameters
    from vaezip.mixing.predictor import Comparison, Predictor
    from vaezip.network.decoder import Decoder
    from vaezip.network.ops import Int32

REFERENCE = "python"


class Engine(NamedTuple):
    """A loaded model's way to compute."""

    name: str
    # Makes the predictor of a block, given its latent, (latents,), the mixer's preset, and its size in bytes
    predictor: Callable[[Int32, int, int], Predictor]
    # Makes the comparison of all presets for a block, given its latent and its size in bytes
    comparison: Callable[[Int32, int], Comparison]
    # Decodes the next bytes of blocks in step, so that the model's weights are read once for all, given their
    # predictors, the words of the ANS stacks that hold the bytes, and how many; fewer come out where a
    # quantile is in none of the intervals
    decode_ans: Callable[[Sequence[Any], Sequence[NDArray[np.uint32]], Sequence[int]], list[Decoded]]


def available() -> list[str]:
    """Names of the engines that run here, the fastest first."""
    try:
        from vaezip.kernel import paths
    except ImportError:
        return [REFERENCE]
    return [*paths(), REFERENCE]


def chosen() -> str:
    """The engine that VAEZIP_ENGINE names, or the fastest; raises EngineError if it does not run here."""
    names = available()
    name = os.environ.get("VAEZIP_ENGINE") or names[0]
    if name not in names:
        raise EngineError(f"VAEZIP_ENGINE={name}: no such engine here (choose from {', '.join(names)})")
    return name


def slow_engine_notice() -> str | None:
    """A line for the user if there is only the reference, and nobody asked for it; else None."""
    if os.environ.get("VAEZIP_ENGINE") or chosen() != REFERENCE:
        return None
    return (
        "the C kernel was not built when vaezip was installed, so Python computes, about a hundred times as "
        "slowly, to the same bytes (install a C compiler, then vaezip anew; if there was one: with "
        "VAEZIP_REQUIRE_KERNEL=1 the installation says what is wrong)"
    )


def load_engine(decoder: Decoder, mixer: MixerParameters) -> Engine:
    """The chosen engine for a model."""
    name = chosen()
    if name == REFERENCE:
        from vaezip.mixing.predictor import Reference

        reference = Reference(decoder, mixer)
        return Engine(name, reference.predictor, reference.comparison, reference.decode_ans)
    from vaezip.kernel.predictor import Kernel

    kernel = Kernel(decoder, mixer, name)
    return Engine(name, kernel.predictor, kernel.comparison, kernel.decode_ans)
