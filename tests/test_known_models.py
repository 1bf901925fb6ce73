"""Models by name and by fingerprint: those shipped, and those in the user's folders."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import vaezip
from vaezip import bitsback, container
from vaezip.known_models import KnownModel, ModelsAtHand, known_models
from vaezip.model import serialise
from vaezip.tensors import read_tensors, write_tensors

from conftest import TINY, Run  # isort: skip

TEXT = b"It was the best of times, it was the worst of times. " * 3


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of models, with the tiny one in it under the name `mine`."""
    path = tmp_path / "models"
    path.mkdir()
    shutil.copy(TINY, path / "mine.vzm")
    monkeypatch.setenv("VAEZIP_MODEL_PATH", f"/nowhere:{path}")
    return path


def test_the_model_of_a_frame_is_found(folder: Path, tiny: vaezip.Model) -> None:
    for block_size in (20, 1000):  # frames of blocks, and short ones, which name their model by a byte
        own = vaezip.compress(TEXT, model=tiny, block_size=block_size)
        assert vaezip.decompress(own + vaezip.compress(TEXT) + own) == 3 * TEXT
        assert vaezip.open(io.BytesIO(own)).read() == TEXT
        decompressor = vaezip.VaezipDecompressor()
        assert decompressor.decompress(own) == TEXT


def test_one_name_is_enough(folder: Path, tiny: vaezip.Model) -> None:
    assert vaezip.load_model("mine").fingerprint == tiny.fingerprint
    assert vaezip.load_model("mine").source == str(folder / "mine.vzm")
    assert vaezip.decompress(vaezip.compress(TEXT, model="mine"), model="mine") == TEXT


def test_a_name_may_have_the_suffix(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the file came with the package or is the user's; a path still goes first."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(TINY, folder / "standard.vzm")
    standard = vaezip.load_model()
    for name in ("standard", "standard.vzm"):
        assert vaezip.load_model(name) is standard
    assert vaezip.load_model("mine.vzm").source == str(folder / "mine.vzm")
    with pytest.raises(vaezip.ModelError, match="no model of that name"):
        vaezip.load_model("standard.vzm.vzm")
    shutil.copy(TINY, "standard.vzm")
    assert vaezip.load_model("standard.vzm").source == os.path.abspath("standard.vzm")
    assert vaezip.load_model("standard") is standard


def test_what_lies_in_the_working_folder_comes_first_unless_it_is_a_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (folder / "texts.vzd").write_bytes(vaezip.make_dictionary([TEXT]).to_bytes())
    for name in ("mine", "mine.vzm", "texts", "other"):
        (tmp_path / name).mkdir()
    for name in ("mine", "mine.vzm"):
        assert vaezip.load_model(name).source == str(folder / "mine.vzm")
    assert vaezip.load_dictionary("texts").name == "texts"
    with pytest.raises(vaezip.ModelError, match=r"^other: cannot read the model: "):
        vaezip.load_model("other")
    (tmp_path / "mine").rmdir()
    (tmp_path / "mine").write_bytes(b"no model")
    with pytest.raises(vaezip.ModelError, match="not a vaezip model"):
        vaezip.load_model("mine")
    (tmp_path / "mine").unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "mine")
        with pytest.raises(vaezip.ModelError, match="not a regular file"):
            vaezip.load_model("mine")


def test_a_model_that_is_given_is_the_only_one(folder: Path, tiny: vaezip.Model) -> None:
    with pytest.raises(vaezip.ModelMismatchError, match="not standard"):
        vaezip.decompress(vaezip.compress(TEXT, model=tiny, block_size=50), model="standard")


def test_what_is_no_model_does_no_harm(folder: Path, tiny: vaezip.Model) -> None:
    (folder / "bad.vzm").write_bytes(b"no model")
    (folder / "folder.vzm").mkdir()
    (folder / "gone.vzm").symlink_to("nowhere")
    blob = vaezip.compress(TEXT, model=tiny, block_size=50)
    assert vaezip.decompress(blob) == TEXT
    (folder / "mine.vzm").unlink()
    with pytest.raises(vaezip.ModelMismatchError, match="none of those at hand"):
        vaezip.decompress(blob)


def test_of_a_model_that_is_found_and_cannot_be_used_it_is_said_why(
    folder: Path, tiny: vaezip.Model, run: Run
) -> None:
    tensors, info = read_tensors(TINY.read_bytes())
    newer = write_tensors(tensors, {**info, "format": "2"})
    for name, data, why in (
        ("newer", newer, r"a newer model \(format 2, this vaezip reads 1\)"),
        ("bad", b"no model", "not a vaezip model"),
    ):
        path, fingerprint = folder / f"{name}.vzm", hashlib.sha256(data).digest()
        path.write_bytes(data)
        for block in (
            bitsback.encode(tiny, size * b"a", latent=False, preset=0).block for size in (9, 20000)
        ):
            blob = container.short_frame(fingerprint, block)
            for _ in range(2):
                with pytest.raises(vaezip.ModelError, match=f"cannot be used: {path}: {why}") as caught:
                    vaezip.decompress(blob)
                assert not isinstance(caught.value, vaezip.ModelMismatchError)
        result = run("-dc", input=blob, env={"VAEZIP_MODEL_PATH": str(folder)})
        assert (result.returncode, result.stderr.count(b"\n")) == (1, 1)
        assert str(path).encode() in result.stderr


def test_one_that_cannot_be_used_stands_in_no_ones_way(folder: Path, tiny: vaezip.Model) -> None:
    """Neither do models that begin alike."""
    for number in itertools.count():
        data = b"no model %d" % number
        if hashlib.sha256(data).digest()[0] == tiny.fingerprint[0]:
            break
    (folder / "a.vzm").write_bytes(data)
    assert vaezip.decompress(vaezip.compress(TEXT, model=tiny)) == TEXT


def test_a_model_that_is_replaced_while_it_is_looked_for_is_not_taken(
    folder: Path, tiny: vaezip.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(*usual: str | None) -> Iterator[KnownModel]:
        """The tiny model's file, as it was before."""
        yield KnownModel("mine", str(folder / "mine.vzm"), before, TINY.stat().st_size, shipped=False)

    before = hashlib.sha256(b"another model").digest()
    monkeypatch.setattr("vaezip.known_models.known_models", replaced)
    with pytest.raises(vaezip.ModelMismatchError, match="none of those at hand"):
        next(ModelsAtHand().matching(before[:8]))


def test_a_search_that_fails_is_begun_anew(
    folder: Path, tiny: vaezip.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipped model that cannot be read for a moment, say: then all others are still to be found."""
    source, errors = ModelsAtHand(), [vaezip.ModelError("too many open files"), KeyboardInterrupt()]

    def fail_at_first(which: str) -> vaezip.Model:
        if errors:
            raise errors.pop()
        return vaezip.load_model(which)

    monkeypatch.setattr("vaezip.known_models.load_model", fail_at_first)
    for error in errors[::-1]:
        with pytest.raises(type(error)):
            next(source.matching(tiny.fingerprint))
    for _ in range(2):
        assert [*source.matching(tiny.fingerprint)] == [tiny]


def test_of_models_that_begin_alike_the_right_one_decodes(folder: Path, tiny: vaezip.Model) -> None:
    tensors, info = read_tensors(TINY.read_bytes())
    others = {name: values for name, values in tensors.items() if not name.startswith("self_test")}
    others["mixer.learning"] = others["mixer.learning"] // 2
    for number in itertools.count():
        data = serialise(tiny.architecture, others, {**info, "number": str(number)})
        if hashlib.sha256(data).digest()[0] == tiny.fingerprint[0]:
            break
    (folder / "a.vzm").write_bytes(data)  # which is tried first
    for name in ("a", "mine"):
        assert vaezip.decompress(vaezip.compress(TEXT, model=name)) == TEXT
    damaged = bytearray(vaezip.compress(TEXT, model=tiny))
    damaged[-3] ^= 1
    with pytest.raises(vaezip.IntegrityError):
        vaezip.decompress(bytes(damaged))


def test_models_are_listed(folder: Path, tiny: vaezip.Model, run: Run) -> None:
    assert [(known.name, known.shipped) for known in known_models()] == [
        ("standard", True),
        ("large", True),
        ("mine", False),
    ]
    assert vaezip.shipped_models() == ["large", "standard"]
    result = run("models", "--json", env={"VAEZIP_MODEL_PATH": str(folder)})
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["mine"]["fingerprint"] == tiny.fingerprint.hex()
    assert rows["mine"]["bytes"] == TINY.stat().st_size
    assert rows["mine"]["bytes_per_second"] > 0
    (folder / "bad.vzm").write_bytes(b"no model")
    result = run("models", env={"VAEZIP_MODEL_PATH": str(folder)})
    assert (result.returncode, result.stderr.count(b"\n")) == (2, 1)
    assert result.stdout.count(b"\n") == 4


def test_a_name_that_means_nothing_is_said_once(folder: Path, run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(TEXT)
    result = run("-m", "nosuch", "-c", "a", "b")
    assert (result.returncode, result.stderr.count(b"\n")) == (1, 1)
    assert b"no model of that name" in result.stderr
    for name in ("mine", "mine.vzm"):
        assert run("-m", name, "-c", "a", env={"VAEZIP_MODEL_PATH": str(folder)}).returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        ["-c", "a", "b"],
        ["-dc", "a.vz", "b.vz"],
        ["test", "a.vz", "b.vz"],
        ["get", "ab.vzp", "0"],
        ["unpack", "ab.vzp"],
        ["pack", "-o", "new.vzp", "a", "b"],
    ],
    ids=lambda command: command[0],
)
def test_so_is_a_dictionary_that_nobody_knows(command: list[str], run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(TEXT)
    assert run("-m", str(TINY), "a", "b").returncode == 0
    assert run("pack", "-m", str(TINY), "-o", "ab.vzp", "a", "b").returncode == 0
    result = run(*command, "-D", "nosuch", env={"VAEZIP_MODEL": str(TINY)})
    assert (result.returncode, result.stdout, result.stderr.count(b"\n")) == (1, b"", 1)
    assert b"no dictionary of that name" in result.stderr
    assert not (tmp_path / "new.vzp").exists()


def test_the_usual_model_compresses_and_stands_in_no_ones_way(
    tiny: vaezip.Model, run: Run, tmp_path: Path
) -> None:
    usual = {"VAEZIP_MODEL": str(TINY)}
    standard, own = vaezip.compress(TEXT), vaezip.compress(TEXT, model=tiny)
    assert run("-c", input=TEXT, env=usual).stdout == own
    for blob in (standard, own):
        assert run("-dc", input=blob, env=usual).stdout == TEXT
        assert run("-t", input=blob, env=usual).returncode == 0
    assert run("-dc", "-m", TINY, input=standard).returncode == 1


def test_a_usual_model_that_cannot_be_read_stops_nothing_that_does_not_need_it(
    tiny: vaezip.Model, run: Run, tmp_path: Path
) -> None:
    standard, own = vaezip.compress(TEXT), vaezip.compress(TEXT, model=tiny)
    (tmp_path / "no.vzm").write_bytes(b"no model")
    for wrong in ("/nowhere", "nosuch", str(tmp_path / "no.vzm")):
        usual = {"VAEZIP_MODEL": wrong}
        assert run("-dc", input=standard, env=usual).stdout == TEXT
        assert run("-dc", "-m", TINY, input=own, env=usual).stdout == TEXT
        for command in ("-t", "-l"):
            result = run(command, input=standard, env=usual)
            assert (result.returncode, result.stderr) == (0, b"")
        missing = run("-dc", input=own, env=usual)
        assert (missing.returncode, missing.stderr.count(b"\n")) == (1, 1)
        assert b"none of those at hand" in missing.stderr
        assert f"VAEZIP_MODEL: {wrong}: ".encode() in missing.stderr
        needed = run("-c", input=TEXT, env=usual)
        assert (needed.returncode, needed.stdout) == (1, b"")
        assert needed.stderr.startswith(f"vaezip: VAEZIP_MODEL: {wrong}: ".encode())


def test_bytes_are_neither_a_model_nor_a_dictionary() -> None:
    """Nor is what they hold: they would have to be written to a file."""
    text, data = vaezip.compress(b"text", model=TINY), TINY.read_bytes()
    for use in (
        lambda: vaezip.load_model(data),  # type: ignore[arg-type]
        lambda: vaezip.compress(b"text", dictionary=data),  # type: ignore[arg-type]
        lambda: vaezip.decompress(text, model=data),  # type: ignore[arg-type]
        lambda: vaezip.MessageCodec(TINY, dictionary=data),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match=r"^neither a (model|dictionary) nor the name or path of one: b'"):
            use()
