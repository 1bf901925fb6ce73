"""Python and C are twins: the same constants, and the same intervals of any text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaezip.engine import REFERENCE, available, load_engine
from vaezip.errors import EngineError
from vaezip.mixing.parameters import PRESETS
from vaezip.mixing.predictor import Reference
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


def test_a_path_that_this_machine_lacks_is_refused(tiny: Model) -> None:
    from vaezip.kernel.predictor import Kernel

    with pytest.raises(ValueError, match="no such path"):
        Kernel(tiny.decoder, tiny.mixer, "abacus")
