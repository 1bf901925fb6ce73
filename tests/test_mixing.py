"""Network and mixer as a predictor: every engine gives the same intervals, and they learn from the text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaezip import engine
from vaezip.ans import TOTAL
from vaezip.engine import REFERENCE, Engine, load_engine
from vaezip.errors import EngineError
from vaezip.mixing.parameters import STARTS
from vaezip.mixing.predictor import Predictor
from vaezip.model import Model

KERNELS = [name for name in engine.available() if name != REFERENCE]
TABLE = b"".join(b"%d,item %d,%0.2f\r\n" % (i, i % 7, i * 1.5) for i in range(60))
TEXTS = {
    "prose": b"It was the best of times, it was the worst of times, it was the age of wisdom, " * 3,
    "a table": TABLE[:700],
    "code": b"".join(b"def f%d(x, y):\n    if x > %d:\n\treturn y[%d]\n" % (i, i, i) for i in range(14)),
    "other scripts": "Größe, 日本語テキスト, кириллица; ".encode() * 6,
    "runs": b"a" * 500 + b"\0" * 40,
    "every byte": bytes(range(256)),
    "one byte": b"x",
}


def _engine(model: Model, name: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("VAEZIP_ENGINE", name)
    loaded = load_engine(model.decoder, model.mixer)
    assert loaded.name == name
    return loaded


def _predictor(model: Model, chosen: Engine, size: int, z: int = 0, start: int = 0) -> Predictor:
    return chosen.predictor(np.full(model.architecture.latents, z, np.int32), start, size)


def _stepwise(predictor: Predictor, intervals: np.ndarray) -> tuple[list[int], np.ndarray]:
    """The bytes found by the last quantile of each interval, and their rows: what decoding sees."""
    found = [(byte, row.copy()) for byte, row in map(predictor.find, (intervals.sum(axis=1) - 1).tolist())]
    return [byte for byte, _ in found], np.array([row for _, row in found])


def _rows(intervals: np.ndarray) -> np.ndarray:
    """As `Predictor.find` gives them."""
    below, width = intervals.T
    return np.stack([below, width, TOTAL - below - width], axis=1) - 1


@pytest.mark.skipif(not KERNELS, reason="the kernel was not built: there is only one engine")
@pytest.mark.parametrize("name", TEXTS)
def test_every_engine_gives_the_same_intervals(
    name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = np.frombuffer(TEXTS[name], np.uint8)
    expected = _predictor(tiny, _engine(tiny, REFERENCE, monkeypatch), len(text), z=2, start=3).encode(text)
    for kernel in KERNELS:
        chosen = _engine(tiny, kernel, monkeypatch)
        assert (_predictor(tiny, chosen, len(text), z=2, start=3).encode(text) == expected).all(), kernel


@pytest.mark.parametrize("engine_name", engine.available())
def test_comparing_the_starts_gives_what_each_gives(
    engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = np.frombuffer(TABLE[:200], np.uint8)
    chosen, z = _engine(tiny, engine_name, monkeypatch), np.full(tiny.architecture.latents, -1, np.int32)
    comparison = chosen.comparison(z, len(text))
    own = [chosen.predictor(z, start, len(text)).encode(text) for start in range(STARTS)]
    assert (comparison.intervals(text[:70]) == np.stack(own, axis=1)[:70]).all()
    comparison.drop(1)
    comparison.drop(2)
    assert comparison.intervals(text[:0]).shape == (0, STARTS - 2, 2)
    assert (comparison.intervals(text[70:]) == np.stack([own[0], own[2]], axis=1)[70:]).all()
    with pytest.raises(ValueError, match="size"):
        comparison.intervals(text[:1])
    for start in (-1, 2):
        with pytest.raises(ValueError, match="no such start"):
            comparison.drop(start)


def _check_steps(predictor: Predictor, intervals: np.ndarray, text: np.ndarray) -> None:
    found, rows = _stepwise(predictor, intervals)
    assert found == text.tolist()
    assert (rows == _rows(intervals)).all()


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("engine_name", engine.available())
def test_encoding_and_decoding_agree(
    name: str, engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = np.frombuffer(TEXTS[name][:150], np.uint8)
    chosen = _engine(tiny, engine_name, monkeypatch)
    intervals = _predictor(tiny, chosen, len(text)).encode(text)
    assert (_rows(intervals) >= 0).all()
    _check_steps(_predictor(tiny, chosen, len(text)), intervals, text)


@pytest.mark.parametrize("engine_name", engine.available())
def test_the_intervals_of_all_bytes_lie_side_by_side(
    engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that any quantile finds a byte, and one outside them all the nearest."""
    chosen = _engine(tiny, engine_name, monkeypatch)
    at = 1
    for byte in range(256):
        below, width = _predictor(tiny, chosen, 1).encode(np.array([byte], np.uint8))[0].tolist()
        assert below == at
        at += width
        for quantile in (below, at - 1):
            assert _predictor(tiny, chosen, 1).find(quantile)[0] == byte
    assert at == TOTAL - 1
    assert _predictor(tiny, chosen, 1).find(0)[0] == 0
    assert _predictor(tiny, chosen, 1).find(TOTAL - 1)[0] == 255


@settings(max_examples=30)
@given(text=st.binary(min_size=1, max_size=120) | st.text("ab\n,1", min_size=1, max_size=120).map(str.encode))
def test_any_text(tiny: Model, text: bytes) -> None:
    x = np.frombuffer(text, np.uint8)
    intervals = _predictor(tiny, tiny.engine, len(x)).encode(x)
    _check_steps(_predictor(tiny, tiny.engine, len(x)), intervals, x)


def _bits(model: Model, text: bytes) -> np.ndarray:
    """Bits of every byte."""
    x = np.frombuffer(text, np.uint8)
    intervals = _predictor(model, model.engine, len(x)).encode(x)
    return -np.log2(intervals[:, 1] / TOTAL)


def test_what_has_been_seen_is_cheap(tiny: Model) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(33, 127, 400, np.uint8).tobytes()
    first, second = np.split(_bits(tiny, noise + noise), 2)
    assert first.sum() > 6 * 400
    assert second[8:].mean() < 0.5  # the match
    table = _bits(tiny, TABLE)
    assert table[-300:].mean() < 0.6 * table[:300].mean()


def test_noise_costs_little_more_than_its_bits(tiny: Model) -> None:
    noise = np.random.default_rng(1).integers(0, 256, 6000, np.uint8).tobytes()
    assert _bits(tiny, noise)[-2000:].mean() < 8.2


def test_an_engine_that_is_not_there(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="abacus"):
        _engine(tiny, "abacus", monkeypatch)


def test_the_end_of_a_block_is_the_end(tiny: Model) -> None:
    """A predictor that is driven on past its block stays where it is."""
    predictor = _predictor(tiny, tiny.engine, 1)
    for _ in range(5):
        predictor.find(TOTAL // 2)
    with pytest.raises(ValueError, match="size"):
        _predictor(tiny, tiny.engine, 3).encode(np.zeros(4, np.uint8))


@pytest.mark.parametrize("engine_name", engine.available())
def test_a_copy_goes_on_by_itself(engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = _engine(tiny, engine_name, monkeypatch)
    first, *ends = (np.frombuffer(text[:90], np.uint8) for text in (TABLE, TABLE[90:], TEXTS["code"]))
    size = len(first) + 90
    alone = [_predictor(tiny, chosen, size, 2, 3).encode(np.concatenate([first, end])) for end in ends]
    original = _predictor(tiny, chosen, size, 2, 3)
    early = original.copy()
    assert (original.encode(first) == alone[0][: len(first)]).all()
    copies = [original.copy(), original.copy().copy()]
    for other, end, expected in zip(copies, ends, alone, strict=True):
        assert (other.encode(end[:40]) == expected[len(first) :][:40]).all()
        _check_steps(other.copy(), expected[len(first) + 40 :], end[40:])
    assert (original.distribution() == _fresh(chosen, tiny, first, size).distribution()).all()
    assert original.find(1)[0] == 0
    assert (copies[0].encode(ends[0][40:]) == alone[0][len(first) + 40 :]).all()
    assert (early.encode(np.concatenate([first, ends[1]])) == alone[1]).all()


def _fresh(chosen: Engine, model: Model, text: np.ndarray, size: int) -> Predictor:
    predictor = _predictor(model, chosen, size, 2, 3)
    predictor.encode(text)
    return predictor
