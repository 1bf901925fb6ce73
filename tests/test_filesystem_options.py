"""The options of `vz://`, and what it says when it is asked for what it does not do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import TINY

import vaezip
import vaezip.integrations

fsspec: Any = pytest.importorskip("fsspec")

TABLE = "".join(f"{i},name {i % 7},{i * i}\n" for i in range(400)).encode()
MODEL = {"model": str(TINY)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv.vz").write_bytes(vaezip.compress(TABLE, model=TINY, block_size=1000))
    return tmp_path


@pytest.fixture
def files(here: Path) -> Any:
    """The file system `vz://`."""
    return fsspec.filesystem("vz", **MODEL)


def test_options_that_nobody_heeds_are_refused(files: Any, here: Path) -> None:
    from fsspec.core import get_fs_token_paths

    before = (here / "table.csv.vz").read_bytes()
    for options in ({"bogus": 1}, {"modle": "large"}, {"block_size": 1000}):
        problem = rf"no option {min(options)}: it has model, dictionary, threads, vz_block_size; .* below"
        with pytest.raises(TypeError, match=problem):
            fsspec.filesystem("vz", **options)
        with pytest.raises(TypeError, match=problem):
            fsspec.open("vz://table.csv.vz", "wb", **options)
        with pytest.raises(TypeError, match=problem):
            get_fs_token_paths("vz://*.csv.vz", storage_options=options)
        if "block_size" not in options:
            for mode in ("rb", "wb", "ab", "rt"):
                with pytest.raises(TypeError, match=problem):
                    files.open("table.csv", mode, **options)
    for wrong, error in (
        ({"model": "nosuch"}, vaezip.ModelError),
        ({"dictionary": "nosuch"}, vaezip.DictionaryError),
        ({"vz_block_size": 0}, ValueError),
        ({"threads": -1}, ValueError),
    ):
        with pytest.raises(error):
            files.open("table.csv", "wb", **wrong)
        with pytest.raises(error):
            fsspec.filesystem("vz", **{**MODEL, **wrong}).open("table.csv", "wb")
    assert (here / "table.csv.vz").read_bytes() == before


def test_options_of_vaezip_and_those_of_fsspec_are_taken(files: Any, here: Path) -> None:
    dictionary = vaezip.make_dictionary([row.encode() for row in TABLE.decode().splitlines()], "rows")
    (here / "rows.vzd").write_bytes(dictionary.to_bytes())
    own = {"dictionary": str(here / "rows.vzd"), "threads": 2, "vz_block_size": 1500}
    text = TABLE
    of_fsspec = {
        "block_size": 1000,
        "cache_options": {},
        "cache_type": "readahead",
        "default_cache": "none",
        "fill_cache": False,
        "max_blocks": 3,
        "autocommit": True,
        "compression": None,
        "size": len(text),
    }
    for number, system in enumerate(
        (files, fsspec.filesystem("vz", use_listings_cache=False, **MODEL, **own))
    ):
        name = f"written{number}.csv"
        with system.open(name, "wb", **of_fsspec, **(own if system is files else {})) as file:
            file.write(text)
        frame = next(vaezip.list_frames(name + ".vz"))
        assert frame.block_size == 1500
        assert frame.dictionary == dictionary.fingerprint[:8]
        with system.open(name, "rb", **of_fsspec, dictionary=dictionary) as file:
            assert file.read() == text
        with system.open(name, "rt", newline="", encoding="utf-8", dictionary=dictionary) as file:
            assert file.read() == text.decode()
    with fsspec.open("vz://other.csv.vz", "wb", **own, **MODEL) as file:
        file.write(text)
    assert (here / "other.csv.vz").read_bytes() == (here / "written0.csv.vz").read_bytes()


def test_nothing_is_appended_after_a_crash(files: Any, here: Path) -> None:
    damaged = (here / "table.csv.vz").read_bytes()[:-1]
    (here / "table.csv.vz").write_bytes(damaged)
    for act in (
        lambda: files.open("table.csv", "ab"),
        lambda: fsspec.open("table.csv.vz", "ab", compression="vz").open(),
    ):
        with pytest.raises(vaezip.TruncatedError, match=r"table\.csv\.vz: ends amid a frame"):
            act()
    assert (here / "table.csv.vz").read_bytes() == damaged
