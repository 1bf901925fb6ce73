"""Plots: what is drawn, where it may be written, and who is told before the work that it cannot be."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from conftest import PROSE, ROOT, TINY, Run

from vaezip.bench.measurement import Measurement, read_measurements, totals
from vaezip.errors import FileError
from vaezip.training.log import Row, read_log

pytest.importorskip("matplotlib")

from vaezip.plots import comparison_plot, is_plot, training_plot

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: bytes) -> list[str]:
    """All text of a plot, which must be well-formed."""
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def measured(compressor: str, name: str, content: int, compressed: int) -> Measurement:
    return Measurement(compressor, name, content, compressed, content / 1e5, content / 1e6)


MEASURED = [
    measured(compressor, f"{size}.txt", size, round(size * share))
    for size in (300, 1000, 30_000, 100_000)
    for compressor, share in (("vaezip", 0.2), ("gzip -9", 0.4), ("Huffman (1952)", 0.7))
]
ROWS = [
    Row(s, 1000 * s, s / 2, s / 100, 8 / s + 2, 3.0, 3 - s / 100 if s % 10 == 1 else None, 4e-3, 1 + s // 50)
    for s in range(1, 100)
]


def test_a_comparison_names_every_compressor_and_both_axes() -> None:
    svg = comparison_plot(MEASURED, totals(MEASURED))
    assert {"vaezip", "gzip -9", "Huffman (1952)", "speed", "size of the file", "1 KB", "100 KB"} <= set(
        texts(svg)
    )
    assert {"compress", "decompress", "bits per byte (less is better)"} <= set(texts(svg))


def test_a_training_run_has_its_curves_and_the_best_network() -> None:
    shown = set(texts(training_plot(ROWS)))
    assert {"training", "validation, best 2.090", "KL in bits", "learning rate", "MB read"} <= shown


def test_plots_are_the_same_each_time_and_whatever_the_users_style(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("svg.fonttype: path\naxes.facecolor: black\nlines.linewidth: 9\n")
    (tmp_path / "rows.json").write_text(json.dumps([m._asdict() for m in MEASURED]))
    svg = comparison_plot(MEASURED, totals(MEASURED))
    for seed in ("1", "2"):
        again = subprocess.run(
            [sys.executable, "-m", "vaezip", "plot", "rows.json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "MPLBACKEND": "nonsense"},
            capture_output=True,
            check=True,
        )
        assert again.stdout == svg
    assert b"<dc:date>" not in svg


def luminance(colour: str) -> float:
    """Relative, as WCAG has it."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("svg", [comparison_plot(MEASURED, totals(MEASURED)), training_plot(ROWS)])
@pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
def test_nothing_drawn_fades_on_a_light_or_a_dark_page(svg: bytes, page: str) -> None:
    colours = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg.decode()))
    assert len(colours) > 3
    for colour in colours:
        lighter, darker = sorted((luminance(colour), luminance(page)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) > 3, colour


def test_odd_names_are_shown_and_harmless() -> None:
    names = [
        "vaezip -m <b>&amp;",
        "vaezip -m $x$",
        "vaezip -m _a",
        "a\x00\x1b\ud800",
        "模型",
        "x" * 300,
    ]
    odd = [measured(name, "a", 1000, 500 + number) for number, name in enumerate(names)]
    shown = texts(comparison_plot(odd, totals(odd)))
    for name in ("vaezip -m <b>&amp;", "vaezip -m $x$", "a\\x00\\x1b\\ud800", "模型", "x" * 300):
        assert name in shown


def test_numbers_at_the_edge_are_drawn() -> None:
    one = [Measurement("a", "a", 1, 1, 0, 0)]
    same = [measured("a", "a", 10**14, 10**14), measured("b", "b", 1, 10**14)]
    for measurements in (one, same):
        texts(comparison_plot(measurements, totals(measurements)))
    nan, infinity = float("nan"), float("inf")
    for odd in (
        ROWS[0]._replace(bits_per_byte=nan, kl_bits=infinity, validation=nan),
        ROWS[0]._replace(bits_per_byte=0),
    ):
        texts(training_plot([odd]))
        texts(training_plot([ROWS[0], odd, ROWS[1]]))


def test_totals_are_over_the_files_that_all_have_been_measured_on() -> None:
    some = [*MEASURED, measured("vaezip", "other", 10**6, 10**5)]
    best, second, _ = totals(some)
    assert best.sums[:4] == ("vaezip", "all 4 files", 131_300, 26_260)
    assert best.ratio == pytest.approx(5)
    assert second.sums.compress_speed == pytest.approx(1e5)
    uneven = [measured("a", "1", 100, 50), measured("a", "2", 1000, 125)]
    assert totals(uneven)[0].ratio == pytest.approx(4)  # of 2 and 8
    assert totals([measured("a", "1", 9, 9), measured("b", "2", 9, 9)]) == []
    assert totals([]) == []


GOOD = MEASURED[0]._asdict()


@pytest.mark.parametrize(
    "data",
    [
        *("", "[", "[]", "{}", "null", "7", '"text"', "[1]", "[[]]", "[" * 100_000, "\xff", "[{}]"),
        *(
            json.dumps([{**GOOD, **change}])
            for change in (
                {"content": 0},
                {"content": -1},
                {"content": 1.5},
                {"content": True},
                {"compressed": 10**400},
                {"compress_seconds": "1"},
                {"decompress_seconds": float("nan")},
                {"decompress_seconds": float("inf")},
                {"compressor": None},
                {"more": 1},
            )
        ),
        json.dumps([{"name": "a", "content": 1, "x_bits": 1.0}]),
    ],
)
def test_what_holds_no_measurements_is_refused(data: str) -> None:
    with pytest.raises(FileError, match=r"^a\.json: holds no measurements"):
        read_measurements(data.encode("latin-1"), "a.json")


def test_measurements_and_rows_are_read_as_they_were_written() -> None:
    assert read_measurements(json.dumps([m._asdict() for m in MEASURED]).encode(), "a") == MEASURED
    head = ",".join(Row._fields)
    log = "\n".join([head, *(row.line().decode().strip() for row in ROWS), "100,12"]).encode()
    assert read_log(log, "a") == [
        row._replace(bits_per_byte=round(row.bits_per_byte, 5)) for row in ROWS
    ]  # but for the last, which a killed run has left half written
    assert read_log(log.replace(b"\n", b"\r\n"), "a") == read_log(log, "a")


@pytest.mark.parametrize(
    "line",
    [
        "1,2,3",
        "",
        "x,1,1,1,1,1,1,1,1",
        "-1,1,1,1,1,1,1,1,1",
        f"{10**400},1,1,1,1,1,1,1,1",
        "1" * 200_000,
        "\xff,",
        '"',
        "\0",
    ],
)
def test_what_is_no_log_is_refused(line: str) -> None:
    head = ",".join(Row._fields)
    for data in (f"{head}\n{ROWS[0].line().decode()}{line}\n", f"{line}\n", f"{head}\n", head):
        with pytest.raises(FileError, match=r"^a\.csv: holds neither"):
            read_log(data.encode("latin-1"), "a.csv")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([m._asdict() for m in MEASURED]))
    return path


def test_plot_draws_either_kind_to_a_file_or_into_a_pipe(run: Run, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "run.csv").write_bytes(
        ",".join(Row._fields).encode() + b"\n" + b"".join(r.line() for r in ROWS)
    )
    assert run("plot", "rows.json", "-o", "sizes.svg").returncode == 0
    assert "gzip -9" in texts((tmp_path / "sizes.svg").read_bytes())
    assert is_plot(str(tmp_path / "sizes.svg"))
    assert not is_plot(str(rows))
    assert not is_plot(str(tmp_path))
    piped = run("plot", input=(tmp_path / "run.csv").read_bytes())
    assert "learning rate" in texts(piped.stdout)
    assert (
        run("plot", "-", "-o", "-", input=rows.read_bytes()).stdout == (tmp_path / "sizes.svg").read_bytes()
    )


def test_plot_overwrites_nothing_unasked_and_its_input_never(run: Run, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(b"precious")
    refused = run("plot", "rows.json", "-o", "a.svg")
    assert (refused.returncode, refused.stderr) == (1, b"vaezip: a.svg: already exists (-f overwrites it)\n")
    assert (tmp_path / "a.svg").read_bytes() == b"precious"
    (tmp_path / "same.svg").symlink_to("rows.json")
    refused = run("plot", "-f", "rows.json", "-o", "same.svg")
    assert refused.stderr == b"vaezip: same.svg: is also an input (rows.json), refused\n"
    assert run("plot", "-f", "rows.json", "-o", "a.svg").returncode == 0
    assert is_plot(str(tmp_path / "a.svg"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("missing",), b"missing: No such file or directory"),
        (("notes",), b"notes: holds neither what vaezip bench --json writes nor rows of vaezip train --log"),
        (("list",), b"list: holds no measurements as vaezip bench --json writes them"),
        ((".",), b".: is a directory"),
        (("rows.json", "-o", "a.png"), b"a plot is an SVG, so let its name end in .svg"),
        (("rows.json", "-o", "no/such/a.svg"), b"no/such/a.svg: cannot write: No such file or directory"),
        (("rows.json", "-o", "."), b".: is a directory"),
        (("rows.json", "-o", ""), b"''"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], reason: bytes, run: Run, rows: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes").write_bytes(b"some text\n")
    (tmp_path / "list").write_bytes(b"[1, 2]")
    before = sorted(tmp_path.iterdir())
    result = run("plot", *arguments)
    assert result.returncode in (1, 2)
    assert reason in result.stderr
    assert result.stderr.count(b"\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_bench_plots_what_it_measures(run: Run, tmp_path: Path) -> None:
    for size in (500, 2000):
        (tmp_path / f"{size}.txt").write_bytes(PROSE[:size])
    both = run("bench", "500.txt", "2000.txt", "--plot", "a.svg")
    assert both.returncode == 0
    assert b"all 2 files, 2500 bytes" in both.stdout
    assert "Huffman (1952)" in texts((tmp_path / "a.svg").read_bytes())
    piped = run("bench", "-", "--plot", "-", input=b"some text " * 100)
    assert "vaezip" in texts(piped.stdout)
    saved = run("bench", "500.txt", "--json", "--plot", "b.svg")
    assert json.loads(saved.stdout)[0]["name"] == "500.txt"
    assert run("plot", input=saved.stdout).stdout == (tmp_path / "b.svg").read_bytes()


def test_bench_refuses_a_plot_before_it_measures(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"some text " * 100)
    (tmp_path / "a.svg").symlink_to("a.txt")
    (tmp_path / "there.svg").write_bytes(b"precious")
    (tmp_path / "my.vzm").write_bytes(TINY.read_bytes())
    (tmp_path / "model.svg").symlink_to("my.vzm")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for arguments, reason in (
        (("a.txt", "--plot", "there.svg"), b"there.svg: already exists (-f overwrites it)"),
        (("a.txt", "-f", "--plot", "a.svg"), b"a.svg: is also an input (a.txt), refused"),
        (("a.txt", "-m", "my.vzm", "--models", "my.vzm"), b"give either -m or --models"),
        (
            ("a.txt", "-f", "--models", "my.vzm", "--plot", "model.svg"),
            b"model.svg: is also an input (my.vzm)",
        ),
        (("a.txt", "--plot", "-", "--json"), b"standard output takes either --json or --plot"),
        (("a.txt", "--plot", "b.svg", "--shares"), b"--plot and --models are about the comparison"),
        (("a.txt", "--plot", "b.pdf"), b"a plot is an SVG"),
        (("missing", "--plot", "b.svg"), b"missing: No such file or directory"),
    ):
        result = run("bench", *arguments)
        assert result.returncode == 1
        assert reason in result.stderr
        assert b"done" not in result.stderr
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_bench_compares_models(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"some text " * 100)
    (tmp_path / "my.vzm").write_bytes(TINY.read_bytes())
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "my.vzm").write_bytes(TINY.read_bytes())
    found = run(
        "bench", "--models", "my,b/my.vzm", "--json", "a.txt", env={"VAEZIP_MODEL_PATH": str(tmp_path)}
    )
    rows = json.loads(found.stdout)
    sizes = {row["compressor"]: row["compressed"] for row in rows}
    assert list(sizes)[:2] == ["vaezip -m my", "vaezip -m b/my.vzm"]
    assert sizes["vaezip -m my"] == sizes["vaezip -m b/my.vzm"]
    assert "vaezip" not in sizes
    for models, reason in (
        ("my.vzm,nosuch", b"nosuch: cannot read the model"),
        ("my.vzm,my.vzm", b"is not different models with commas between"),
        ("my.vzm,", b"is not different models with commas between"),
        ("a.txt,my.vzm", b"a.txt: "),
    ):
        result = run("bench", "--models", models, "a.txt")
        assert result.returncode == 1
        assert reason in result.stderr
        assert result.stderr.count(b"\n") == 1


def test_without_matplotlib_one_line_says_so_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"some text " * 100)
    code = "import sys; sys.modules['matplotlib'] = None; from vaezip.__main__ import main; main()"
    for arguments in (("bench", "a.txt", "--plot", "a.svg"), ("plot", "a.txt")):
        result = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "VAEZIP_MODEL": str(TINY)},
            capture_output=True,
            check=False,
        )
        assert result.returncode == 1
        assert result.stderr == b"vaezip: a plot needs Matplotlib: pip install 'vaezip-text[plot]'\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
