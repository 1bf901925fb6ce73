"""What `make arch` expects of other machines is what vaezip computes on this one."""

from __future__ import annotations

import json

import pytest
from crosscheck import MODELS, RECORD, computed, dump

from vaezip.model import load_model


@pytest.mark.parametrize("name", MODELS)
def test_what_is_recorded_for_other_machines_is_computed_here(name: str) -> None:
    assert computed(load_model(MODELS[name])) == json.loads(RECORD.read_text(encoding="utf-8"))[name]


def test_dumps_differ_in_their_byte_order_alone() -> None:
    model = load_model(MODELS["tiny"])
    little, big = dump(model, "<"), dump(model, ">")
    assert len(little) == len(big)
    assert little != big
    assert little[:4][::-1] == big[:4]
