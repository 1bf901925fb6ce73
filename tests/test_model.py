"""Model files: found by path and name, loaded once, and found again by a pickled model."""

from __future__ import annotations

import dataclasses
import gc
import os
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from conftest import TINY, Run

import vaezip
from vaezip.engine import REFERENCE, available
from vaezip.errors import ModelError
from vaezip.model import DEFAULT, Model, load_model, parse_model, read_model_file

# Where a model file lies, and what lies there now.


@pytest.fixture
def other() -> bytes:
    """The tiny model in other words: another fingerprint, the same numbers, as many bytes."""
    data = TINY.read_bytes()
    changed = data.replace(b'"seconds":"61"', b'"seconds":"62"')
    assert len(changed) == len(data) and changed != data  # noqa: PT018
    return changed


def test_a_model_that_was_replaced_is_loaded_anew(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "m.vzm"
    path.write_bytes(TINY.read_bytes())
    first = load_model(path)
    assert load_model(str(path)) is first  # as long as the file stays as it is
    (tmp_path / "new").write_bytes(other)
    os.replace(tmp_path / "new", path)
    second = load_model(path)
    assert (first.info["seconds"], second.info["seconds"]) == ("61", "62")
    path.write_bytes(TINY.read_bytes())  # in place
    os.utime(path, ns=(0, 0))
    assert load_model(path).fingerprint == first.fingerprint


def test_a_model_that_was_deleted_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "m.vzm"
    path.write_bytes(TINY.read_bytes())
    load_model(path)
    path.unlink()
    with pytest.raises(ModelError, match=r"m\.vzm"):
        load_model(path)


def test_a_name_means_a_file_of_the_folder_at_hand(
    tmp_path: Path, other: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, data in (("a", TINY.read_bytes()), ("b", other)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.vzm").write_bytes(data)
    monkeypatch.chdir(tmp_path / "a")
    first = load_model("m.vzm")
    monkeypatch.chdir(tmp_path / "b")
    assert load_model("m.vzm").fingerprint != first.fingerprint
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"m\.vzm"):
        load_model("m.vzm")
    assert pickle.loads(pickle.dumps(first)).fingerprint == first.fingerprint  # it knows where it lies


@pytest.mark.parametrize("name", ["model-1.5", "model-1.5.vzm", "a.b.vzm", "model.VZM"])
def test_a_model_has_the_name_of_its_file_without_the_suffix(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(TINY.read_bytes())
    monkeypatch.chdir(tmp_path)
    for path in (name, f"./{name}", tmp_path / name):
        assert load_model(path).name == name.removesuffix(".vzm")


def test_a_dictionary_has_the_name_of_its_file_without_the_suffix(tmp_path: Path) -> None:
    for name in ("sensors-1.5", "sensors-1.5.vzd"):
        (tmp_path / name).write_bytes(vaezip.make_dictionary([b"a"]).to_bytes())
        assert vaezip.load_dictionary(tmp_path / name).name == "sensors-1.5"


def test_only_a_few_models_are_kept(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.vzm" for i in range(6)]
    for path in paths:
        path.write_bytes(TINY.read_bytes())
    first = weakref.ref(load_model(paths[0]))
    assert first() is load_model(paths[0])
    for path in paths[1:]:
        load_model(path)
    gc.collect()
    assert first() is None
    load_model(TINY)


@pytest.mark.parametrize("which", ["nowhere", "", "a\0b", "\ud800", "n" * 5000, "two\nlines", "/", Path()])
def test_a_name_of_no_model_is_refused_in_one_line(which: str | Path) -> None:
    for load in (load_model, read_model_file):
        with pytest.raises(ModelError) as caught:
            load(which)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 600


def test_a_missing_model_is_named() -> None:
    with pytest.raises(ModelError, match="nowhere"):
        load_model("nowhere")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_model_is_a_regular_file(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_bytes(b"text")
    for which in ("pipe", "/dev/zero", "/dev/null", "."):
        done = run("compress", "-c", "text", "-m", which)
        assert done.returncode == 1
        assert done.stdout == b""
        assert which.encode() in done.stderr
        assert done.stderr.count(b"\n") == 1


def test_a_model_has_an_end(tmp_path: Path) -> None:
    with open(tmp_path / "m.vzm", "wb") as file:
        file.truncate((128 << 20) + 1)
    with pytest.raises(ModelError, match=r"m\.vzm.*larger"):
        load_model(tmp_path / "m.vzm")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.vzm").write_bytes(TINY.read_bytes())
    (tmp_path / "m.vzm").chmod(0)
    with pytest.raises(ModelError, match=r"m\.vzm"):
        load_model(tmp_path / "m.vzm")


@pytest.mark.parametrize("which", [TINY, DEFAULT])
def test_a_pickled_model_is_found_again(which: str | Path, tmp_path: Path) -> None:
    model = load_model(which)
    (tmp_path / "pickle").write_bytes(pickle.dumps(model))
    assert (tmp_path / "pickle").stat().st_size < 1000
    code = (
        "import pickle, sys; model = pickle.load(open(sys.argv[1], 'rb')); print(model.fingerprint.hex());"
        "import vaezip; print(vaezip.compress(b'some text', model=model).hex())"
    )
    elsewhere = {**os.environ, "PYTHONPATH": str(Path(vaezip.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code, "pickle"], cwd=tmp_path, env=elsewhere, capture_output=True, check=True
    )
    blob = vaezip.compress(b"some text", model=model)
    assert done.stdout.decode().split() == [model.fingerprint.hex(), blob.hex()]


def test_a_pickled_model_that_was_replaced_is_not_taken_for_the_old_one(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "m.vzm"
    path.write_bytes(TINY.read_bytes())
    pickled = pickle.dumps(load_model(path))
    path.write_bytes(other)
    with pytest.raises(ModelError, match=r"m\.vzm"):
        pickle.loads(pickled)
    path.unlink()
    with pytest.raises(ModelError, match=r"m\.vzm"):
        pickle.loads(pickled)


def test_a_model_of_bytes_cannot_be_pickled() -> None:
    with pytest.raises(pickle.PicklingError, match="memory"):
        pickle.dumps(parse_model(TINY.read_bytes(), "memory"))


def test_models_of_one_content_are_equal(tiny: Model, other: bytes) -> None:
    data = TINY.read_bytes()
    again = parse_model(data, "another name")
    assert again == tiny
    assert {tiny: "known"}[again] == "known"
    assert parse_model(other, tiny.name) != tiny
    assert tiny != "tiny"


def test_a_model_needs_no_engine_to_be_described(tiny: Model) -> None:
    """What people see of a model is kept as it is in the file."""
    assert tiny.info["seconds"] == "61"
    assert tiny.source == str(TINY)
    assert dataclasses.replace(tiny, name="another").name == "another"
    assert REFERENCE in available()
