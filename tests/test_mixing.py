"""Network and mixer as a predictor: every engine gives the same frequencies, and they learn from the text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaezip import engine
from vaezip.ans import TOTAL
from vaezip.engine import REFERENCE, Engine, load_engine
from vaezip.errors import EngineError
from vaezip.mixing.predictor import Predictor
from vaezip.model import Model

KERNELS = [name for name in engine.available() if name != REFERENCE]
TABLE = b"".join(b"%d,item %d,%0.2f\r\n" % (i, i % 7, i * 1.5) for i in range(60))
TEXTS = {
    "prose": b"It was the best of times, it was the worst of times, it was the age of wisdom, " * 3,
    "a table": TABLE[:700],
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


def _predictor(model: Model, chosen: Engine, size: int, z: int = 0) -> Predictor:
    return chosen.predictor(np.full(model.architecture.latents, z, np.int32), size)


def _nibbles(text: np.ndarray) -> np.ndarray:
    return np.stack([text >> 4, text & 15], axis=1).reshape(-1).astype(np.int64)


def _stepwise(predictor: Predictor, text: np.ndarray) -> np.ndarray:
    """Frequencies of all 16 values of every nibble, as decoding sees them."""
    rows, nibble = [], -1
    for following in _nibbles(text).tolist():
        rows.append(predictor.next(nibble)[0].astype(np.int64) + 1)
        nibble = following
    return np.array(rows)


@pytest.mark.skipif(not KERNELS, reason="the kernel was not built: there is only one engine")
@pytest.mark.parametrize("name", TEXTS)
def test_every_engine_gives_the_same_frequencies(
    name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = np.frombuffer(TEXTS[name], np.uint8)
    expected = _predictor(tiny, _engine(tiny, REFERENCE, monkeypatch), len(text), z=2).encode(text)
    steps = text[:60]
    stepwise = _stepwise(_predictor(tiny, _engine(tiny, REFERENCE, monkeypatch), len(steps), z=2), steps)
    for kernel in KERNELS:
        chosen = _engine(tiny, kernel, monkeypatch)
        assert (_predictor(tiny, chosen, len(text), z=2).encode(text) == expected).all(), kernel
        assert (_stepwise(_predictor(tiny, chosen, len(steps), z=2), steps) == stepwise).all(), kernel


def _agree(intervals: np.ndarray, rows: np.ndarray, text: np.ndarray) -> bool:
    """Whether encoding saw the frequencies that decoding sees."""
    symbols = _nibbles(text)[:, None]
    below = np.cumsum(rows, axis=1) - rows
    expected = np.concatenate([np.take_along_axis(part, symbols, 1) for part in (below, rows)], axis=1)
    return np.array_equal(intervals, expected)


@pytest.mark.parametrize("name", TEXTS)
def test_encoding_and_decoding_agree(name: str, tiny: Model) -> None:
    text = np.frombuffer(TEXTS[name][:150], np.uint8)
    rows = _stepwise(_predictor(tiny, tiny.engine, len(text)), text)
    assert (rows > 0).all()
    assert (rows.sum(axis=1) == TOTAL).all()
    assert _agree(_predictor(tiny, tiny.engine, len(text)).encode(text), rows, text)


@settings(max_examples=30)
@given(text=st.binary(min_size=1, max_size=120) | st.text("ab\n,1", min_size=1, max_size=120).map(str.encode))
def test_any_text(tiny: Model, text: bytes) -> None:
    x = np.frombuffer(text, np.uint8)
    rows = _stepwise(_predictor(tiny, tiny.engine, len(x)), x)
    assert _agree(_predictor(tiny, tiny.engine, len(x)).encode(x), rows, x)


def _bits(model: Model, text: bytes) -> np.ndarray:
    """Bits of every byte."""
    x = np.frombuffer(text, np.uint8)
    intervals = _predictor(model, model.engine, len(x)).encode(x)
    return -np.log2(intervals[:, 1] / TOTAL).reshape(-1, 2).sum(axis=1)


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
    for nibble in (-1, 6, 5, 5, 5, 5):
        predictor.next(nibble)
    with pytest.raises(ValueError, match="size"):
        _predictor(tiny, tiny.engine, 3).encode(np.zeros(4, np.uint8))
