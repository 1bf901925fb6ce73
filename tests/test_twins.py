"""Python and C are twins: the same constants, and the same intervals of any text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaezip.coder import TOTAL
from vaezip.engine import REFERENCE, available, load_engine
from vaezip.errors import EngineError
from vaezip.messages.range_coder import RangeDecoder
from vaezip.mixing.parameters import PRESETS
from vaezip.mixing.predictor import Predictor, Reference
from vaezip.model import Model

KERNELS = [name for name in available() if name != REFERENCE]
pytestmark = pytest.mark.skipif(not KERNELS, reason="the kernel was not built: there is no twin")
ONLY_IN_C = {"VZ_RUN", "VZ_TILE"}  # how the kernel goes about it, which no result depends on


def test_every_constant_that_c_shows_is_compared() -> None:
    from vaezip.kernel import lib
    from vaezip.kernel.constants import TWINS, check

    assert {name for name in dir(lib) if name.startswith("VZ_")} == set(TWINS) | ONLY_IN_C
    check()


@pytest.mark.parametrize("name", ["VZ_WEIGHT_ROWS", "VZ_MAX_LAYERS", "VZ_NO_SUCH_CONSTANT"])
def test_a_kernel_of_other_constants_is_refused(
    name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vaezip.kernel import constants

    monkeypatch.setitem(constants.TWINS, name, 17)
    with pytest.raises(EngineError, match="other sources"):
        load_engine(tiny.decoder, tiny.mixer)


@settings(max_examples=60)
@given(
    text=st.binary(min_size=1, max_size=120) | st.text("ab \n,1é", min_size=1, max_size=100).map(str.encode),
    preset=st.integers(0, PRESETS - 1),
    latent=st.lists(st.integers(-60, 60), min_size=64, max_size=64),
)
def test_all_engines_give_any_text_the_same_intervals_and_learn_the_same(
    tiny: Model, text: bytes, preset: int, latent: list[int]
) -> None:
    from vaezip.kernel.predictor import Kernel

    z = np.array(latent[: tiny.architecture.latents], np.int32)
    x = np.frombuffer(text[:120], np.uint8)
    reference = Reference(tiny.decoder, tiny.mixer).predictor(z, preset, len(x))
    expected = reference.intervals(x)
    for path in KERNELS:
        predictor = Kernel(tiny.decoder, tiny.mixer, path).predictor(z, preset, len(x))
        assert (predictor.intervals(x) == expected).all(), path
        for ours, theirs in zip(predictor.learned(), reference.learned(), strict=True):
            assert (ours == theirs).all(), path


def _steps(predictor: Predictor, engine: Any, steps: list[tuple[str, Any]]) -> Iterator[object]:
    """What each step gives, or which error it raises."""
    for step, value in steps:
        try:
            if step == "intervals":
                yield predictor.intervals(np.frombuffer(value, np.uint8)).tolist()
            elif step == "symbol":
                yield predictor.symbol(value)
            elif step == "distribution":
                yield predictor.distribution().tolist()
            elif step == "decode_range":
                decoder = RangeDecoder(value)
                yield predictor.decode_range(decoder, 5, None), decoder.at
            elif step == "decode_ans":
                ((found, intervals),) = engine.decode_ans([predictor], [np.frombuffer(value, "<u4")], [5])
                yield found, intervals[: len(found)].tolist()
            elif step == "copy":
                yield predictor.copy(2).intervals(np.zeros(2, np.uint8)).tolist()
            elif step == "mark":
                predictor.mark(1 << 24)
            elif step == "rewind":
                yield predictor.rewind()
        except ValueError as error:
            yield str(error)


@settings(max_examples=100)
@given(
    steps=st.lists(
        st.tuples(st.just("intervals"), st.binary(max_size=8))
        | st.tuples(st.just("symbol"), st.integers(0, TOTAL - 1))
        | st.tuples(st.just("decode_range"), st.binary(max_size=12))
        | st.tuples(st.just("decode_ans"), st.binary(min_size=8, max_size=8))
        | st.tuples(st.sampled_from(["distribution", "copy", "mark", "rewind"]), st.none()),
        max_size=10,
    )
)
def test_all_engines_go_as_far_as_the_block_does_whatever_is_asked_of_them(
    tiny: Model, steps: list[tuple[str, Any]]
) -> None:
    from vaezip.kernel.predictor import Kernel

    z = np.zeros(tiny.architecture.latents, np.int32)
    reference, kernel = Reference(tiny.decoder, tiny.mixer), Kernel(tiny.decoder, tiny.mixer)
    expected = list(_steps(reference.predictor(z, 0, 12), reference, steps))
    assert list(_steps(kernel.predictor(z, 0, 12), kernel, steps)) == expected


def test_what_is_beyond_the_block_is_refused_after_decoding_too(tiny: Model) -> None:
    from vaezip.kernel.predictor import Kernel

    z, text = np.zeros(tiny.architecture.latents, np.int32), np.frombuffer(b"abc", np.uint8)
    for engine in (Reference(tiny.decoder, tiny.mixer), Kernel(tiny.decoder, tiny.mixer)):
        predictor = engine.predictor(z, 0, 3)
        predictor.symbol(TOTAL // 2)
        with pytest.raises(ValueError, match="beyond the block's size"):
            predictor.intervals(text)
        predictor.distribution()
        with pytest.raises(ValueError, match="has begun"):
            predictor.intervals(text[:1])
        predictor.symbol(TOTAL // 2)
        assert predictor.intervals(text[:1]).shape == (1, 2)
        assert predictor.intervals(text[:0]).shape == (0, 2)


def test_what_was_learned_stays_as_it_was_when_more_is_learned(tiny: Model) -> None:
    from vaezip.kernel.predictor import Kernel

    z, text = np.zeros(tiny.architecture.latents, np.int32), np.frombuffer(b"abcabc", np.uint8)
    for engine in (Reference(tiny.decoder, tiny.mixer), Kernel(tiny.decoder, tiny.mixer)):
        predictor = engine.predictor(z, 0, 12)
        predictor.intervals(text)
        before = predictor.learned()
        kept = before.copy()
        for part in predictor.learned():  # nor does a change of it change the mixer
            part[:] = 0
        predictor.intervals(text)
        assert all((ours == theirs).all() for ours, theirs in zip(before, kept, strict=True))
        assert any((now != then).any() for now, then in zip(predictor.learned(), kept, strict=True))
        assert all(part.any() for part in predictor.learned())


def test_a_path_that_this_machine_lacks_is_refused(tiny: Model) -> None:
    from vaezip.kernel.predictor import Kernel

    with pytest.raises(ValueError, match="no such path"):
        Kernel(tiny.decoder, tiny.mixer, "abacus")
