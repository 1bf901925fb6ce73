"""Network and mixer as a predictor: every engine gives the same intervals, and they learn from the text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaezip import engine
from vaezip.ans_python import PythonCoder
from vaezip.coder import TOTAL
from vaezip.engine import REFERENCE, Engine, load_engine
from vaezip.errors import EngineError
from vaezip.mixing.parameters import PRESETS
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


def _predictor(model: Model, chosen: Engine, size: int, z: int = 0, preset: int = 0) -> Predictor:
    return chosen.predictor(np.full(model.architecture.latents, z, np.int32), preset, size)


def _stepwise(predictor: Predictor, intervals: np.ndarray) -> tuple[list[int], np.ndarray]:
    """The bytes found by the last quantile of each interval, and their intervals: what decoding sees."""
    found = [predictor.symbol(quantile) for quantile in (intervals.sum(axis=1) - 1).tolist()]
    return [byte for byte, _ in found], np.array([interval for _, interval in found])


@pytest.mark.skipif(not KERNELS, reason="the kernel was not built: there is only one engine")
@pytest.mark.parametrize("name", TEXTS)
def test_every_engine_gives_the_same_intervals(
    name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = np.frombuffer(TEXTS[name], np.uint8)
    reference = _predictor(tiny, _engine(tiny, REFERENCE, monkeypatch), len(text), z=2, preset=3)
    expected = reference.intervals(text)
    for kernel in KERNELS:
        chosen = _engine(tiny, kernel, monkeypatch)
        assert (_predictor(tiny, chosen, len(text), z=2, preset=3).intervals(text) == expected).all(), kernel


@pytest.mark.parametrize("engine_name", engine.available())
def test_comparing_the_presets_gives_what_each_gives(
    engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = np.frombuffer(TABLE[:200], np.uint8)
    chosen, z = _engine(tiny, engine_name, monkeypatch), np.full(tiny.architecture.latents, -1, np.int32)
    comparison = chosen.comparison(z, len(text))
    own = [chosen.predictor(z, preset, len(text)).intervals(text) for preset in range(PRESETS)]
    assert (comparison.intervals_by_preset(text[:70]) == np.stack(own, axis=1)[:70]).all()
    comparison.drop(1)
    comparison.drop(2)
    assert comparison.intervals_by_preset(text[:0]).shape == (0, PRESETS - 2, 2)
    assert (comparison.intervals_by_preset(text[70:]) == np.stack([own[0], own[2]], axis=1)[70:]).all()
    with pytest.raises(ValueError, match="size"):
        comparison.intervals_by_preset(text[:1])
    for preset in (-1, 2):
        with pytest.raises(ValueError, match="no such preset"):
            comparison.drop(preset)


def _check_steps(predictor: Predictor, intervals: np.ndarray, text: np.ndarray) -> None:
    found, rows = _stepwise(predictor, intervals)
    assert found == text.tolist()
    assert (rows == intervals).all()


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("engine_name", engine.available())
def test_encoding_and_decoding_agree(
    name: str, engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = np.frombuffer(TEXTS[name][:150], np.uint8)
    chosen = _engine(tiny, engine_name, monkeypatch)
    intervals = _predictor(tiny, chosen, len(text)).intervals(text)
    assert (intervals[:, 0] > 0).all()
    assert (intervals[:, 1] > 0).all()
    assert (intervals.sum(axis=1) < TOTAL).all()
    _check_steps(_predictor(tiny, chosen, len(text)), intervals, text)


@pytest.mark.parametrize("engine_name", engine.available())
def test_what_a_stack_holds_is_decoded_as_far_as_it_goes(
    engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = np.frombuffer(TABLE[:100], np.uint8)
    chosen = _engine(tiny, engine_name, monkeypatch)
    intervals = _predictor(tiny, chosen, len(text)).intervals(text)
    coder = PythonCoder(np.array([1], np.uint32))
    coder.push_intervals(intervals)
    predictor = _predictor(tiny, chosen, len(text))
    for part in (slice(0, 33), slice(33, 34), slice(34, 100)):
        ((found, popped),) = chosen.decode_ans([predictor], [coder.words()], [part.stop - part.start])
        assert found == text[part].tobytes()
        assert (popped == intervals[part]).all()
        assert coder.pop_intervals(popped)
    assert chosen.decode_ans([predictor], [coder.words()], [5])[0][0] == b""
    empty = np.zeros(0, np.uint32)
    new = _predictor(tiny, chosen, 5)
    assert chosen.decode_ans([new], [empty], [5])[0][0] == b""  # quantile 0 is nobody's


@pytest.mark.parametrize("engine_name", engine.available())
def test_encoding_in_pieces_is_encoding_at_once(
    engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = np.frombuffer(TABLE[:170], np.uint8)
    chosen = _engine(tiny, engine_name, monkeypatch)
    whole = _predictor(tiny, chosen, len(text)).intervals(text)
    for size in (1, 7, 31, 33, 64):
        predictor = _predictor(tiny, chosen, len(text))
        parts = [predictor.intervals(text[at : at + size]) for at in range(0, len(text), size)]
        assert (np.concatenate(parts) == whole).all(), size


@pytest.mark.parametrize("engine_name", engine.available())
def test_the_intervals_of_all_bytes_lie_side_by_side(
    engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that any quantile finds a byte, and one outside them all the nearest."""
    chosen = _engine(tiny, engine_name, monkeypatch)
    at = 1
    for byte in range(256):
        below, width = _predictor(tiny, chosen, 1).intervals(np.array([byte], np.uint8))[0].tolist()
        assert below == at
        at += width
        for quantile in (below, at - 1):
            assert _predictor(tiny, chosen, 1).symbol(quantile)[0] == byte
    assert at == TOTAL - 1
    assert _predictor(tiny, chosen, 1).symbol(0)[0] == 0
    assert _predictor(tiny, chosen, 1).symbol(TOTAL - 1)[0] == 255


@settings(max_examples=30)
@given(text=st.binary(min_size=1, max_size=120) | st.text("ab\n,1", min_size=1, max_size=120).map(str.encode))
def test_any_text(tiny: Model, text: bytes) -> None:
    x = np.frombuffer(text, np.uint8)
    intervals = _predictor(tiny, tiny.engine, len(x)).intervals(x)
    _check_steps(_predictor(tiny, tiny.engine, len(x)), intervals, x)


def _bits(model: Model, text: bytes) -> np.ndarray:
    """Bits of every byte."""
    x = np.frombuffer(text, np.uint8)
    intervals = _predictor(model, model.engine, len(x)).intervals(x)
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
        predictor.symbol(TOTAL // 2)
    with pytest.raises(ValueError, match="size"):
        _predictor(tiny, tiny.engine, 3).intervals(np.zeros(4, np.uint8))


@pytest.mark.parametrize("engine_name", engine.available())
def test_a_predictor_goes_back_to_its_mark(
    engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = _engine(tiny, engine_name, monkeypatch)
    before, after = (np.frombuffer(text, np.uint8) for text in (TABLE[:120], TABLE[30:110]))
    other = np.frombuffer(b"Quite another text;\n\twith a line of its own.\n", np.uint8)
    straight = _predictor(tiny, chosen, 300)
    straight.intervals(before)
    expected = straight.intervals(after)

    marked = _predictor(tiny, chosen, 300)
    marked.intervals(before)
    marked.mark(1 << 24)
    for text in (other, after, other[:0], after):
        intervals = marked.intervals(text)
        if text is after:
            assert (intervals == expected).all()
        assert marked.rewind()
    text, _ = _stepwise(marked, expected)  # decoding, too
    assert text == after.tolist()
    assert marked.rewind()
    marked.distribution()
    assert not marked.rewind()  # a byte has begun


@pytest.mark.parametrize("engine_name", engine.available())
def test_inside_a_byte_and_by_several_presets_nothing_is_marked_or_copied(
    engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, z = _engine(tiny, engine_name, monkeypatch), np.zeros(tiny.architecture.latents, np.int32)
    begun, several = chosen.predictor(z, 0, 9), chosen.comparison(z, 9)
    assert not begun.rewind()  # there is no mark
    begun.mark(0)
    assert begun.rewind()
    begun.distribution()
    for predictor in (begun, several):
        for misuse in (predictor.mark, predictor.copy):  # type: ignore[attr-defined]
            with pytest.raises(ValueError, match=r"^a byte has begun, or several presets are compared$"):
                misuse(1 << 16)
    begun.symbol(TOTAL // 2)
    assert begun.rewind()  # the mark has stayed


@pytest.mark.parametrize("engine_name", engine.available())
def test_a_copy_goes_its_own_way(engine_name: str, tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = _engine(tiny, engine_name, monkeypatch)
    before, after = (np.frombuffer(text, np.uint8) for text in (TABLE[:120], TABLE[30:110]))
    original = _predictor(tiny, chosen, 300, preset=1)
    original.intervals(before)
    first, second = original.copy(len(after)), original.copy(len(after))
    first.intervals(np.frombuffer(b"something else that is not a table", np.uint8))
    expected = original.intervals(after)
    assert (second.intervals(after) == expected).all()
    with pytest.raises(ValueError, match="size"):
        second.intervals(after[:1])


@pytest.mark.skipif(not KERNELS, reason="the reference keeps everything")
def test_what_is_too_much_for_the_mark_is_said(tiny: Model) -> None:
    predictor = _predictor(tiny, load_engine(tiny.decoder, tiny.mixer), 1000)
    predictor.mark(1 << 16)
    text = np.frombuffer(TABLE[:300], np.uint8)
    for limit in (1 << 16, 1 << 24, 1 << 16):  # each mark has a limit of its own
        predictor.mark(limit)
        predictor.intervals(text)
        assert predictor.rewind() == (limit > 1 << 16)
