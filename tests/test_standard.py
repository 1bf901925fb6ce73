"""The standard model writes the same `.vz` files with every engine, on every machine, as recorded.

`python tests/test_standard.py` records anew, which is right only for a new model or a new version of the format.
"""

from __future__ import annotations

import hashlib
import json

import pytest
from texts import DATA, texts

import vaezip
from vaezip.engine import REFERENCE, available
from vaezip.model import DEFAULT, Model, parse_model, read_model_file

RECORD = DATA / "standard.json"
BLOCK_SIZES = {"together": 2048}
SLOW = ("letter", "message", "chinese")  # the reference takes seconds for these


def digests(model: Model, names: list[str]) -> dict[str, str]:
    """SHA-256 of what the texts of these names are compressed to."""
    found = {}
    for name in names:
        size = BLOCK_SIZES.get(name, 512 << 10)
        written = vaezip.compress(texts()[name], model=model, block_size=size)
        assert vaezip.decompress(written, model=model) == texts()[name]
        found[name] = hashlib.sha256(written).hexdigest()
    return found


@pytest.mark.parametrize("engine", available())
def test_the_standard_model_writes_what_is_recorded(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAEZIP_ENGINE", engine)
    model = parse_model(read_model_file(DEFAULT), DEFAULT)
    assert model.engine.name == engine
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    assert model.fingerprint.hex() == recorded.pop("model")
    assert set(recorded) == set(texts())
    names = [name for name in texts() if engine != REFERENCE or name in SLOW]
    assert digests(model, names) == {name: recorded[name] for name in names}


if __name__ == "__main__":
    loaded = vaezip.load_model()
    record = {"model": loaded.fingerprint.hex(), **digests(loaded, list(texts()))}
    RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8", newline="\n")
