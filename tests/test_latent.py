"""The grid of latents: the order in which a posterior knows its values, and their way onto the stack and off it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaezip.ans import AnsStack, quantise
from vaezip.ans_python import PythonCoder
from vaezip.coder import TOTAL, Coder
from vaezip.errors import ModelError
from vaezip.information import latent_bits
from vaezip.latent import PHASES, Latent, offsets
from vaezip.network.architecture import Architecture

STEPS, SCALES, OFFSETS = 9, 3, 5
Tables = dict[str, np.ndarray]


def tables(latents: int = 2, steps: int = STEPS, scales: int = SCALES, count: int = OFFSETS) -> Tables:
    """No two rows are alike."""
    rng = np.random.default_rng(steps)
    prior = quantise(rng.integers(1, 1 << 20, (latents, steps)))
    posterior = quantise(rng.integers(1, 1 << 20, (scales * PHASES, count)))
    return {"latent.prior": prior, "latent.posterior": posterior.reshape(scales, PHASES, count)}


def latent(found: Tables, latents: int = 2) -> Latent:
    return Latent(Architecture(latents=latents), found)


@pytest.mark.parametrize("reach", [1, 2, 9])
def test_the_nearest_to_the_mean_comes_first(reach: int) -> None:
    """Of two that are equally near, the lower."""
    found = offsets(reach)
    assert (found.shape, found.dtype) == ((PHASES, 2 * reach + 1), np.int32)
    for phase, row in zip(range(-4, 4), found.tolist(), strict=True):
        assert row == sorted(range(-reach, reach + 1), key=lambda offset: (abs(8 * offset - phase), offset))


@given(mean=st.integers(-40, 40), scale=st.integers(-2, 5))
def test_a_posterior_lies_around_its_mean_and_within_the_grid(mean: int, scale: int) -> None:
    """Whatever the encoder gives: the mean in eighths of a step, and the number of a scale."""
    found = tables(latents=1)
    q = latent(found, 1).posterior(np.array([mean], np.int32), np.array([scale], np.int32))
    nearest = min(max(mean, -16), 16)  # so that all candidates lie in -4 ... 4
    candidates = q.candidates[0].tolist()
    rounded = (nearest + 4) // 8
    assert sorted(candidates) == [*range(rounded - 2, rounded + 3)]
    assert candidates == sorted(candidates, key=lambda value: (abs(8 * value - nearest), value))
    assert {q.candidates.dtype, q.frequencies.dtype} == {np.dtype(np.int32)}
    phase = nearest - 8 * rounded + 4
    table = found["latent.posterior"][min(max(scale, 0), SCALES - 1), phase]
    assert q.frequencies[0].tolist() == table.tolist()


@pytest.mark.parametrize("coder", [AnsStack.coder, PythonCoder])
def test_the_prior_knows_the_whole_grid(coder: type[Coder]) -> None:
    known = latent(tables())
    assert known.furthest == 4
    stack_type = type("Stack", (AnsStack,), {"coder": coder})
    for value in range(-4, 5):
        z, stack = np.array([value, -value], np.int32), stack_type(12345)
        known.push_prior(stack, z)
        back = known.pop_prior(stack)
        assert (back.tolist(), back.dtype, stack.single()) == (z.tolist(), np.int32, 12345)
    null = known.null()
    assert (null.tolist(), null.dtype) == ([0, 0], np.int32)


def test_information_is_that_of_the_tables() -> None:
    found = tables()
    known, mean = latent(found), np.array([3, -9], np.int32)
    q = known.posterior(mean, np.array([0, 2], np.int32))
    z = q.candidates[[0, 1], [3, 1]]
    prior = [found["latent.prior"][i, z[i] + 4] / TOTAL for i in range(2)]
    assert latent_bits(known, z) == pytest.approx(-float(np.log2(prior).sum()))


def test_what_is_impossible_under_a_posterior_is_not_pushed() -> None:
    """One value that is suffices: it comes of damage."""
    known, stack = latent(tables()), AnsStack(12345)
    q = known.posterior(np.zeros(2, np.int32), np.zeros(2, np.int32))
    for z in ([0, 3], [-3, 0], [4, 4]):
        assert known.push_posterior(stack, np.array(z, np.int32), q) is False
        assert stack.single() == 12345
    assert known.push_posterior(stack, np.array([2, -2], np.int32), q) is True
    back = known.pop_posterior(stack, q)
    assert (back.tolist(), stack.single()) == ([2, -2], 12345)


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"steps": 255, "count": 253}, None),
        ({"steps": 3, "count": 1}, "latent.posterior has a wrong shape"),
        ({"steps": 5, "count": 3}, None),
        ({"scales": 255}, None),
        ({"scales": 256}, "latent.posterior has a wrong shape"),
        ({"steps": 257}, "latent.prior has a wrong shape"),
        ({"steps": 8}, "latent.prior has a wrong shape"),
        ({"count": 4}, "latent.posterior has a wrong shape"),
        ({"steps": 259, "count": 257}, "latent.prior has a wrong shape"),
        ({"count": STEPS}, "latent.posterior reaches beyond the prior"),
        ({"latents": 3}, r"latent.prior is not int32 \(2, 9\)"),
    ],
)
def test_tables_have_bounds(more: dict[str, int], refused: str | None) -> None:
    found = tables(**more)
    if refused is None:
        assert latent(found).furthest == found["latent.prior"].shape[1] // 2
        return
    with pytest.raises(ModelError, match=f"^damaged or unsafe model: {refused}$"):
        latent(found)


@pytest.mark.parametrize("name", ["prior", "posterior"])
def test_damaged_tables_are_refused(name: str) -> None:
    key, found = f"latent.{name}", tables()
    for other in (0, -1):  # the sums are right
        least = found[key].copy()
        least[..., 0] += least[..., 1] - other
        least[..., 1] = other
        with pytest.raises(ModelError, match=f"^damaged or unsafe model: {key} is not normalised$"):
            latent({**found, key: least})
    with pytest.raises(ModelError, match=f"^damaged or unsafe model: {key} is not normalised$"):
        latent({**found, key: found[key] + 1})
    with pytest.raises(ModelError, match=f"{key} is not int32"):
        latent({**found, key: found[key].astype(np.int64)})
    with pytest.raises(ModelError, match=f"^damaged or unsafe model: {key} has a wrong shape$"):
        latent({**found, key: found[key][..., None]})
    with pytest.raises(ModelError, match=r"^damaged or unsafe model: latent tables are missing$"):
        latent({other: table for other, table in found.items() if other != key})
