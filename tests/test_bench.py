"""`vaezip bench`: other compressors, and where the bits go; tables for readers, JSON for scripts."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

import pytest
from conftest import TINY, Run

import vaezip
from vaezip.bench.compressors import Compressor, compressors, measure, model_speed
from vaezip.cli import cli
from vaezip.model import Model


@pytest.fixture
def text(tmp_path: Path, prose: bytes) -> Path:
    path = tmp_path / "notes.txt"
    path.write_bytes(prose[:400])
    return path


def table(result: str) -> list[list[str]]:
    """The cells of a Markdown table, without its rule."""
    lines = [line.strip("|").split("|") for line in result.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for number, line in enumerate(lines) if number != 1]


def test_a_models_speed_is_that_of_as_much_text_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not Python keeps docstrings: `python -OO` does not."""
    texts: list[bytes] = []

    def compress(text: bytes, *, model: Model) -> bytes:
        texts.append(text)
        return b""

    monkeypatch.setattr("vaezip.bench.compressors.__doc__", None)
    monkeypatch.setattr("vaezip.stream.compress", compress)
    assert model_speed(str(TINY), 1000) > 0
    assert len(texts[0]) == 1000


def test_compressors_are_compared(run: Run, text: Path) -> None:
    rows = json.loads(run("bench", "--json", "notes.txt").stdout)
    by_name = {row["compressor"]: row for row in rows}
    assert by_name["vaezip"]["content"] == 400
    assert by_name["vaezip"]["compressed"] == len(vaezip.compress(text.read_bytes(), model=TINY))
    assert {"gzip -9", "bzip2 -9", "xz -9e", "LZW (1984)", "Huffman (1952)"} <= by_name.keys()
    shown = table(run("bench", "notes.txt").stdout.decode())
    assert {row[0]: int(row[1]) for row in shown[1:]} == {n: r["compressed"] for n, r in by_name.items()}
    missing = run("bench", "missing")
    assert (missing.returncode, missing.stderr.count(b"\n")) == (1, 1)
    assert b"missing" in missing.stderr


def test_where_the_bits_go(run: Run, text: Path) -> None:
    (row,) = json.loads(run("bench", "--ablation", "--json", "notes.txt").stdout)
    assert row["latent_bytes"] <= row["no_bits_back_bytes"] + 4
    assert row["null_bytes"] <= row["fixed_preset_bytes"]
    assert row["returned_bits"] > 0
    assert row["kept"] in ("latent", "null")
    head, shown = table(run("bench", "--ablation", "notes.txt").stdout.decode())
    by_name = dict(zip(head, shown, strict=True))
    assert (by_name["file"], by_name["bytes"], by_name["kept"]) == ("notes.txt", "400", row["kept"])
    assert [int(by_name[name]) for name in ("latent", "no bits-back", "null")] == [
        row[f"{name}_bytes"] for name in ("latent", "no_bits_back", "null")
    ]
    spent = [float(by_name[name]) for name in ("x given z", "z", "got back", "net")]
    assert spent[0] + spent[1] - spent[2] == pytest.approx(spent[3], abs=0.1)


def test_what_network_and_mixer_are_worth(run: Run, text: Path, tiny: Model) -> None:
    (row,) = json.loads(run("bench", "--shares", "--json", "notes.txt").stdout)
    assert 0 < row["both_bits"] < min(row["network_bits"], row["mixer_bits"]) < 8 * 400
    costs = vaezip.measure_costs(text.read_bytes(), model=tiny)
    assert row["both_bits"] == pytest.approx(costs.text_bits, rel=0.1)  # which chooses preset and latent
    head, shown = table(run("bench", "--shares", "notes.txt").stdout.decode())
    assert head == ["file", "bytes", "network alone", "mixer alone", "both"]
    bits = [row[f"{name}_bits"] for name in ("network", "mixer", "both")]
    assert shown == ["notes.txt", "400", *(f"{each / 400:.3f}" for each in bits)]


def test_what_is_not_installed_is_not_compared(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("brotli", "pyppmd", "zstandard", "lzma", "bz2"):
        monkeypatch.setitem(sys.modules, name, None)
    names = [compressor.name for compressor in compressors({"vaezip": tiny})]
    assert names == ["vaezip", "gzip -9", "LZW (1984)", "Huffman (1952)"]


def test_without_files_it_takes_the_page_that_comes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "metadata", missing)
    with pytest.raises(vaezip.FileError, match="name files to compare with"):
        cli.main(["bench", "-m", str(TINY)], standalone_mode=False)


def test_contradictions_are_refused(run: Run, text: Path) -> None:
    refused = run("bench", "--ablation", "--shares", "notes.txt")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"either --ablation or --shares" in refused.stderr


@pytest.mark.parametrize("back", [b"another text", None])
def test_a_compressor_that_loses_the_text_is_not_compared(back: bytes | None) -> None:
    def decompress(data: bytes, size: int) -> bytes:
        if back is None:
            raise RuntimeError("corrupted input")
        return back

    with pytest.raises(vaezip.IntegrityError, match=r"a\.txt: lossy does not give the text back"):
        measure(Compressor("lossy", lambda data: data, decompress), "a.txt", b"text")
