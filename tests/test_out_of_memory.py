"""Where there is not enough memory for one file, it is told in a line, and the others are dealt with."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PROSE, Run
from shell import ends

from vaezip.cli import cli


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on memory")
def test_a_file_that_does_not_fit_into_memory_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as big:
        big.truncate(16 << 20)
    (tmp_path / "notes.txt").write_bytes(PROSE[:400])

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))

    result = run("compress", "--block-size", "16M", "-T", "1", "big", "notes.txt", preexec_fn=limit)
    ends(result, 1, b"", "vaezip: big: not enough memory")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big", "notes.txt", "notes.txt.vz"]
    with (tmp_path / "big").open("rb") as big:
        result = run("compress", "--block-size", "16M", "-T", "2", stdin=big, preexec_fn=limit)
    assert (result.returncode, result.stderr) == (1, b"vaezip: standard input: not enough memory\n")


@pytest.mark.parametrize(
    ("command", "function"),
    [
        ("-t", "fileio.check_file"),
        ("-l", "fileio.summarise_file"),
        ("-dc", "fileio.decompress_file"),
        ("bench", "bench.compressors.measure"),
    ],
)
def test_want_of_memory_is_told_of_each_file(
    command: str,
    function: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one line of our own: numpy's says how many bytes of which shape."""
    monkeypatch.setattr(f"vaezip.{function}", lambda *_: np.empty(1 << 50))
    monkeypatch.setattr("vaezip.bench.compressors.compressors", lambda chosen: [*chosen][:1])
    paths = [tmp_path / f"{number}.vz" for number in range(2)]
    for path in paths:
        path.write_bytes(b"any")
    code = cli.main([command, *map(str, paths)], standalone_mode=False)
    assert code == 1
    assert capsys.readouterr().err == "".join(f"vaezip: {path}: not enough memory\n" for path in paths)
