"""What docs/recipes.md shows runs, and shows what it says."""

from __future__ import annotations

import importlib.util
import logging.handlers
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from test_integrations import FILES, write_files

import vaezip
import vaezip.integrations

# What a recipe prints, or which files it makes.
EXPECTED = {
    "tar 0": ["folder/notes.txt", "folder.tar.vz"],
    "tar 1": ["folder/notes.txt 24", "folder.tar.vz"],
    "shutil 0": ["backup.tar.vz", "restored/notes.txt"],
    "Backups 0": ["restored/folder/notes.txt"],
    "Log files 0": ["request", "app.log.1.vz", "app.log.2.vz"],
    "pandas 0": ["Grace", "people.csv.vz"],
    "pandas 1": ["copy.csv.vz"],
    "Dask 0": ["400", "150", "parts/0.csv.vz"],
    "fsspec 0": ["It was the best of times", "logs/b.log", str(len(FILES["table.csv"]))],
    "smart_open 0": ["It was the best of times"],
    "Rows of a database 0": ["neighbour at 5 o'clock", "orders.db"],
    "Messages and dictionaries 0": ["note.msg", "back.txt"],
    "Dictionaries 0": ["sensors.vzd", "new.msg"],
    "Dictionaries 1": ["states.vzd"],
    "Letters 0": ["url.b64", "url.b45"],
    "Checksums 0": ["checksum mismatch"],
    "Files with a dictionary 0": ["one.xml.vz", "<order id='777' state='back'/>"],
    "Many files, many machines 0": ["12\n", "texts/1.txt.vz"],
    "git 0": ["-It was the best of times", "+It was the worst of times"],
}


def recipes() -> Iterator[Any]:
    """The code of the documents, by the title above it and a number."""
    pages = ("recipes.md", "scale.md", "messages.md")
    page = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in pages)
    for title, body in re.findall(r"^##? (.*?)\n(.*?)(?=^##? |\Z)", page, re.MULTILINE | re.DOTALL):
        fenced = re.findall(r"(<!-- not run -->\n)?^```(\w+)\n(.*?)```", body, re.MULTILINE | re.DOTALL)
        for number, (language, code) in enumerate((rest for mark, *rest in fenced if not mark)):
            yield pytest.param(f"{title} {number}", language, code, id=f"{title} {number}")


@pytest.fixture(scope="module")
def standard_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same files as everybody makes them, and a folder to be packed."""
    folder = tmp_path_factory.mktemp("standard")
    write_files(folder, None)
    (folder / "folder").mkdir()
    (folder / "folder" / "notes.txt").write_text("It was the best of times")
    (folder / "texts").mkdir()
    for number in range(2):
        (folder / "texts" / f"{number}.txt").write_text("It was the best of times")
    return folder


@pytest.mark.parametrize(("title", "language", "code"), list(recipes()))
def test_recipes_run(
    title: str, language: str, code: str, standard_files: Path, tmp_path: Path, installed: dict[str, str]
) -> None:
    here = tmp_path / "here"
    shutil.copytree(standard_files, here)
    if title == "git 0":
        commit_and_change(here, installed)
    if title == "Backups 0":  # not the first one
        (here / "older").touch()
        shutil.make_archive(str(here / "folder-2001-01-01"), "vztar", here, "older")
    if language == "python":
        for name in re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE):
            pytest.importorskip(name)
        if "::" in code and not importlib.import_module("vaezip.integrations.filesystem").CHAINS:
            pytest.skip("needs a newer fsspec")
        command = [sys.executable, "-c", code]
    else:
        if os.name == "nt" or not all(map(shutil.which, ("bash", "tar", "git"))):
            pytest.skip("needs bash, tar and git")
        command = ["bash", "-euo", "pipefail", "-c", re.sub(r"^\$ ", "", code, flags=re.MULTILINE)]
    shown = subprocess.run(
        command, cwd=here, env=installed, stdout=subprocess.PIPE, text=True, timeout=600, check=True
    )
    made = "\n".join(path.relative_to(here).as_posix() for path in here.rglob("*"))
    missing = [text for text in EXPECTED.get(title, []) if text not in shown.stdout + made]
    assert not missing


def test_logs_rotated_by_time_are_compressed_and_old_ones_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = (recipe.values[2] for recipe in recipes() if recipe.values[0] == "Log files 0")
    names: dict[str, Any] = {}
    exec(code.partition("\nhandler =")[0], names)
    for year in range(2001, 2005):
        Path(f"app.log.{year}-01-01_00-00-00.vz").touch()
    handler = logging.handlers.TimedRotatingFileHandler("app.log", when="S", backupCount=2)
    handler.namer = lambda name: name + ".vz"
    handler.rotator = names["rotator"]
    handler.emit(logging.makeLogRecord({"msg": "It was the best of times"}))
    handler.doRollover()
    handler.close()
    current, older, newer = sorted(os.listdir(), key=lambda name: (name != "app.log", name))
    assert (current, older) == ("app.log", "app.log.2004-01-01_00-00-00.vz")
    assert vaezip.decompress(Path(newer).read_bytes()) == b"It was the best of times" + os.linesep.encode()


def test_a_database_keeps_every_text_and_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = (recipe.values[2] for recipe in recipes() if recipe.values[0] == "Rows of a database 0")
    names: dict[str, Any] = {}
    exec(code, names)
    for text in (None, "", "tränk's\n", "a" * 65536):
        ((kept,),) = names["database"].execute("SELECT unpacked(packed(?))", [text])
        assert kept == text
    for wrong in (7, "a" * 65537):
        with pytest.raises(sqlite3.OperationalError, match="user-defined function raised exception"):
            names["database"].execute("SELECT packed(?)", [wrong]).fetchall()
    names["database"].close()


def commit_and_change(folder: Path, environment: dict[str, str]) -> None:
    """Make it a repository in which a compressed file was changed since the last commit."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    (folder / "notes.txt.vz").write_bytes(vaezip.compress(b"It was the best of times\n"))
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=folder, env=environment, check=True)
    (folder / "notes.txt.vz").write_bytes(vaezip.compress(b"It was the worst of times\n"))
