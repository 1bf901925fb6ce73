"""The mutated inputs of fuzz/ break nothing, and what would be broken is seen."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import vaezip
from vaezip.engine import Engine
from vaezip.mixing.parameters import PRESETS

FUZZ = Path(__file__).parent.parent / "fuzz"


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FUZZ))
    import mutate

    return mutate


@pytest.fixture
def targets(mutate: ModuleType) -> ModuleType:
    import targets

    return targets


def test_mutated_frames_and_models_break_nothing() -> None:
    command = [sys.executable, str(FUZZ / "mutate.py"), "--frames", "150", "--models", "12", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for label in ("IntegrityError", "FormatError", "refused", "accepted"):
        assert label in done.stdout


def test_an_input_depends_on_its_number_alone(mutate: ModuleType) -> None:
    whole = mutate.work("frames", 1, 0, 12).counts
    assert whole == mutate.work("frames", 1, 0, 5).counts + mutate.work("frames", 1, 5, 12).counts


def test_a_wrong_text_is_seen(
    mutate: ModuleType, targets: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "decoded", lambda data, **asked: ("decoded", b"another text"))
    tally = mutate.work("frames", 0, 0, 5)
    assert tally.counts["WRONG"] + tally.counts["unchanged"] == 5
    assert tally.counts["WRONG"] == len(tally.remarkable) > 0


def test_an_error_of_another_kind_is_seen(
    mutate: ModuleType, targets: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> bytes:
        raise KeyError("magic")

    monkeypatch.setattr(vaezip.stream, "decompress", refuse)
    tally = mutate.work("frames", 0, 0, 3)
    assert tally.counts == {"VIOLATION: KeyError": 3}
    assert "magic" in tally.remarkable[0]


def test_engines_that_disagree_are_seen(targets: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    model = targets.FASTEST
    other = Engine(
        "other",
        lambda z, preset, size: model.engine.predictor(z, (preset + 1) % PRESETS, size),
        model.engine.comparison,
        model.engine.decode_ans,
    )
    frames = [frame for frame, text in targets.frame_seeds().items() if text]
    coded = next(frame for frame in frames if targets.decoded(frame)[0] == "decoded" and frame[0] > 0xF6)
    monkeypatch.setitem(targets.TINY_MODELS, "other", dataclasses.replace(model, engine=other))
    with pytest.raises(targets.ViolationError, match="disagree"):
        targets.decoded(coded)
    payload = targets.payload_seeds()[0]
    with pytest.raises(targets.ViolationError, match="disagree"):
        targets.payloads(payload)
