"""The shipped models write the same `.vz` files with every engine, on every machine, as recorded.

`python tests/test_shipped.py` records anew, which is right only for a new model or a new version of the format.
"""

from __future__ import annotations

import hashlib
import json

import pytest
from texts import DATA, texts

import vaezip
from vaezip.engine import REFERENCE, available
from vaezip.levels import LEVELS
from vaezip.model import DEFAULT, LARGE, Model, parse_model, read_model_file

RECORD = DATA / "shipped.json"
BLOCK_SIZES = {"together": 2048}
FEW = ("letter", "message", "chinese")  # the reference takes seconds for these


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
@pytest.mark.parametrize("name", [DEFAULT, LARGE])
def test_a_shipped_model_writes_what_is_recorded(
    name: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAEZIP_ENGINE", engine)
    model = parse_model(read_model_file(name), name)
    assert model.engine.name == engine
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))[name]
    assert model.fingerprint.hex() == recorded["model"]
    names = [text for text in recorded["texts"] if engine != REFERENCE or text in FEW]
    assert digests(model, names) == {text: recorded["texts"][text] for text in names}


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_writes_what_its_model_does(level: int) -> None:
    name, block_size = LEVELS[level].model or DEFAULT, LEVELS[level].block_size
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))[name]["texts"]
    for text in FEW:
        written = vaezip.compress(texts()[text], model=name, block_size=block_size)
        assert hashlib.sha256(written).hexdigest() == recorded[text]


if __name__ == "__main__":
    record = {}
    for shipped, chosen in ((DEFAULT, list(texts())), (LARGE, list(FEW))):
        loaded = vaezip.load_model(shipped)
        record[shipped] = {"model": loaded.fingerprint.hex(), "texts": digests(loaded, chosen)}
    RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8", newline="\n")
