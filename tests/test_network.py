"""The exact network: one answer whichever way it is computed, and unsafe models refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conftest import TINY
from hypothesis import given
from hypothesis import strategies as st

from vaezip.errors import ModelError
from vaezip.latent import offsets
from vaezip.model import Model
from vaezip.network import ops
from vaezip.network.architecture import Architecture
from vaezip.network.contexts import ContextState, context_slots
from vaezip.network.decoder import Modulation
from vaezip.network.encoder import ENCODER_BYTES, encoder_view
from vaezip.tensors import read_tensors

texts = st.binary(min_size=1, max_size=300) | st.text(min_size=1, max_size=100).map(str.encode)


@given(data=st.lists(texts, min_size=1, max_size=3))
def test_contexts_agree_step_by_step(data: list[bytes]) -> None:
    a = Architecture()
    length = min(map(len, data))
    x = np.stack([np.frombuffer(d[:length], np.uint8) for d in data])
    expected = context_slots(a, x)
    state = ContextState(a, len(x))
    for t in range(length):
        assert (state.slots() == expected[:, t]).all()
        state.push(x[:, t])


def test_word_contexts_ignore_case_and_see_the_words_before() -> None:
    a = Architecture(orders=(2,), word_contexts=2, table_bits=(12, 12, 12))

    def last(text: str) -> list[int]:
        return context_slots(a, np.frombuffer(text.encode(), np.uint8)[None])[0, -1, 1:].tolist()

    # The last byte itself is what the rows of the last position predict, so it does not count.
    assert last("the Cat_") == last("THE cAT_")
    assert last("a cat_")[0] == last("the cat_")[0]
    assert last("a cat_")[1] != last("the cat_")[1]
    assert last("the dog_") != last("the cat_")


def _decode(model: Model, text: bytes, z: list[int], steps: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and final state, run in pieces of the given lengths."""
    x = np.frombuffer(text, np.uint8)[None]
    slots = context_slots(model.architecture, x)
    seen = np.concatenate([np.zeros((1, 1), np.uint8), x[:, :-1]], axis=1)
    modulation = model.decoder.modulation(np.array([z], np.int32))
    state, logits, at = modulation.initial_state, [], 0
    for n in steps:
        part = slice(at, at + n)
        out, state = model.decoder(seen[:, part], slots[:, part], modulation, state)
        logits.append(out)
        at += n
    return np.concatenate(logits, axis=1), state


def test_a_whole_sequence_and_single_steps_give_the_same_integers(tiny: Model, prose: bytes) -> None:
    text = prose[:400]
    z = [3, -2, 1, 0, 5, -7, 2, 1][: tiny.architecture.latents]
    whole, end = _decode(tiny, text, z, [400])
    stepped, stepped_end = _decode(tiny, text, z, [1] * 400)
    pieces, _ = _decode(tiny, text, z, [100, 1, 250, 49])
    assert whole.dtype == np.int32
    assert (whole == stepped).all()
    assert (whole == pieces).all()
    assert (end == stepped_end).all()
    assert len(np.unique(whole)) > 200  # not a constant


def test_lanes_do_not_touch_each_other(tiny: Model, prose: bytes) -> None:
    x = np.frombuffer(prose[:600], np.uint8).reshape(3, 200)
    z = np.arange(3 * tiny.architecture.latents, dtype=np.int32).reshape(3, -1) - 10
    slots = context_slots(tiny.architecture, x)
    modulation = tiny.decoder.modulation(z)
    together, _ = tiny.decoder(x, slots, modulation, modulation.initial_state)
    for i in range(3):
        alone = Modulation(*(part[i : i + 1] for part in modulation))
        logits, _ = tiny.decoder(x[i : i + 1], slots[i : i + 1], alone, alone.initial_state)
        assert (logits == together[i : i + 1]).all()


def test_z_changes_the_prediction(tiny: Model, prose: bytes) -> None:
    latents = tiny.architecture.latents
    null, _ = _decode(tiny, prose[:50], [0] * latents, [50])
    other, _ = _decode(tiny, prose[:50], [4] * latents, [50])
    assert (null != other).any()


def _torch_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    torch = pytest.importorskip("torch")

    return (torch.from_numpy(np.ascontiguousarray(a)) @ torch.from_numpy(np.ascontiguousarray(b))).numpy()


def _int64_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a.astype(np.int64) @ b.astype(np.int64)).astype(np.float32)


def _reversed_sums(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    total = np.zeros((len(a), b.shape[1]), np.float32)
    for k in reversed(range(a.shape[1])):
        total += a[:, k : k + 1] * b[k]
    return total


@pytest.mark.parametrize("matmul", [_torch_matmul, _int64_matmul, _reversed_sums])
def test_any_matrix_product_will_do(
    matmul: Callable[[np.ndarray, np.ndarray], np.ndarray],
    tiny: Model,
    prose: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = np.frombuffer(prose[:300], np.uint8)
    z = [1] * tiny.architecture.latents
    expected, (mean, scale) = _decode(tiny, prose[:300], z, [300])[0], tiny.encoder(text)
    monkeypatch.setattr(ops, "matmul", matmul)
    assert (_decode(tiny, prose[:300], z, [300])[0] == expected).all()
    assert (tiny.encoder(text)[0] == mean).all()
    assert (tiny.encoder(text)[1] == scale).all()


@given(st.lists(st.integers(-(2**22) + 1, 2**22 - 1), min_size=16, max_size=16))
def test_the_norm_is_near_the_real_one(values: list[int]) -> None:
    norm = ops.RmsNorm(read_tensors(TINY.read_bytes()).tensors, "decoder.norm")
    x = np.array([values], np.int32)
    y = norm(x)[0] / 4096
    rms = np.sqrt(np.mean(np.square(x[0].astype(float))))
    assert np.abs(y - x[0] / max(rms, 1e-9)).max() < 0.02 or rms < 1


@pytest.mark.parametrize("n", [1, 100, ENCODER_BYTES, ENCODER_BYTES + 1, 100_000])
def test_the_encoder_sees_all_of_a_short_block_and_both_ends_of_a_long_one(n: int) -> None:
    block = np.random.default_rng(n).integers(0, 256, n, np.uint8)
    view = encoder_view(block)
    assert len(view) == min(n, ENCODER_BYTES)
    assert view[0] == block[0]
    assert view[-1] == block[-1]


@pytest.mark.parametrize("reach", [1, 8])
def test_offsets_go_outwards_from_the_true_mean(reach: int) -> None:
    table = offsets(reach)
    for phase, row in enumerate(table.tolist()):
        assert sorted(row) == list(range(-reach, reach + 1))
        distance = [abs(8 * k - (phase - 4)) for k in row]
        assert distance == sorted(distance)


def test_the_2_24_bound_is_checked() -> None:
    n = 1100  # 1100 * 127 * 127 > 2**24
    tensors = {
        "x.weight": np.full((1, n), 127, np.int8),
        "x.multiplier": np.ones(1, np.int32),
        "x.bias": np.zeros(1, np.int32),
        "x.shift": np.array([8, 0], np.int32),
    }
    with pytest.raises(ModelError, match=r"2\*\*24"):
        ops.Linear(tensors, "x", 1, n)
    ops.Linear({**tensors, "x.weight": tensors["x.weight"][:, :1000]}, "x", 1, 1000)
