"""What every character costs: the figures, `vaezip show` in terminals and for scripts."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, Result, Run
from hypothesis import given
from hypothesis import strategies as st
from shell import ends, on_terminal
from texts import DATA, texts

import vaezip
from vaezip import bitsback, container
from vaezip.information import latent_bits
from vaezip.mixing.history import LONGEST_MATCH, History
from vaezip.model import Model
from vaezip.show.account import cost_classes
from vaezip.show.attribution import ORDERS, attribute
from vaezip.show.characters import KINDS, split_characters

SMALL = 4096  # bytes of a block, so that the longer texts have several


@pytest.mark.parametrize("name", texts())
def test_bits_add_up_to_the_file(tiny: Model, name: str) -> None:
    text = texts()[name]
    costs = vaezip.measure_costs(text, model=tiny, block_size=SMALL)
    assert (costs.bits.shape, costs.bits.dtype) == ((len(text),), np.float64)
    assert costs.compressed == len(vaezip.compress(text, model=tiny, block_size=SMALL))
    assert len(costs.blocks) == max(1, -(-len(text) // SMALL))
    for block in costs.blocks:
        own = costs.bits[block.offset : block.offset + block.size]
        assert block.text_bits == pytest.approx(own.sum())
        if block.method == "stored":
            assert (own == 8).all()
            assert (block.coder_bits, block.checksum_bits) == (0, 32)
        else:  # rounded to whole bytes; a checksum's leading zeros cost nothing
            assert -8 < block.coder_bits < 9
    assert 5 <= costs.header <= (9 if len(costs.blocks) == 1 else 36 + 9 * len(costs.blocks))
    sums = costs.text_bits, costs.latent_bits, costs.checksum_bits, costs.coder_bits
    assert sum(sums) == pytest.approx(8 * costs.payload)
    assert costs.payload + costs.header == costs.compressed
    assert {"noise": "stored", "empty": "stored"}.get(name, costs.blocks[0].method) == costs.blocks[0].method


def test_a_block_with_a_latent_is_the_one_that_is_coded(tiny: Model) -> None:
    text = (DATA / "golden-latent.txt").read_bytes()
    (block,) = vaezip.measure_costs(text, model=tiny).blocks
    assert block.method == "latent"
    encoded = bitsback.encode(tiny, text, latent=True, preset=block.preset)
    assert block.z.tolist() == encoded.z.tolist()
    assert block.payload == len(encoded.block.payload)
    prior = latent_bits(tiny.latent, encoded.z)
    assert block.latent_bits == pytest.approx(prior - encoded.returned_bits)
    assert vaezip.decompress(container.short_frame(tiny.fingerprint, encoded.block), model=tiny) == text


def test_threads_change_nothing_and_progress_is_all_of_the_text(tiny: Model) -> None:
    text, ticks = texts()["thrice"], []
    one = vaezip.measure_costs(text, model=tiny, block_size=SMALL)
    three = vaezip.measure_costs(
        bytearray(text), model=TINY, block_size=SMALL, threads=3, progress=ticks.append
    )
    assert (one.bits == three.bits).all()
    assert sum(ticks) == len(text)
    assert [block[:4] for block in one.blocks] == [block[:4] for block in three.blocks]


def test_costs_are_refused_as_compression_is(tiny: Model) -> None:
    with pytest.raises(ValueError, match="block size"):
        vaezip.measure_costs(b"text", model=tiny, block_size=0)
    with pytest.raises(vaezip.ModelError):
        vaezip.measure_costs(b"text", model="no such model")


def test_matches_are_those_of_the_mixer(tiny: Model) -> None:
    text = texts()["log"] + texts()["python"] + texts()["log"]
    attribution = attribute(tiny, text, vaezip.measure_costs(text, model=tiny))
    history = History(len(text))
    for at, byte in enumerate(text):
        history.begin_nibble(1, (0, 0))
        best = max(history.matches, key=lambda match: match.length)
        assert attribution.match_length[at] == min(best.length, LONGEST_MATCH)
        if best.length:
            assert attribution.expected[at] == text[best.position]
            length = min(best.length, 20)
            assert text[best.position - length : best.position] == text[at - length : at]
        history.push(byte)
    assert attribution.match_length.max() == LONGEST_MATCH


def test_contexts_are_those_that_came_before(tiny: Model) -> None:
    text = texts()["c"]
    attribution = attribute(tiny, text, vaezip.measure_costs(text, model=tiny))
    padded = bytes(6) + text
    for at in range(len(text)):
        context = followed = 0
        for order in ORDERS:
            past = [padded[i - order : i + 1] for i in range(6, at + 6)]
            if any(part[:-1] == padded[at + 6 - order : at + 6] for part in past):
                context = order
            if padded[at + 6 - order : at + 7] in past:
                followed = order
        assert (attribution.context[at], attribution.followed[at]) == (context, followed)


def test_nobody_predicts_in_a_stored_block(tiny: Model) -> None:
    text = texts()["noise"]
    ticks: list[int] = []
    attribution = attribute(tiny, text, vaezip.measure_costs(text, model=tiny), progress=ticks.append)
    assert np.isnan(attribution.network_bits).all()
    assert not any(column.any() for column in attribution[1:])
    assert sum(ticks) == len(text)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_any_bytes_are_characters_that_can_be_shown(data: bytes) -> None:
    characters = split_characters(data)
    assert (characters.offsets[0], characters.offsets[-1]) == (0, len(data))
    assert (np.diff(characters.offsets) > 0).all()
    assert len(characters.shown) == len(characters.kinds) == len(characters.offsets) - 1
    for piece in characters.shown:
        assert piece
        for c in piece if piece not in ("\n", "\t") else "":
            assert c == "\u200d" or unicodedata.category(c)[0] not in "C", ascii(piece)
            assert unicodedata.category(c) not in ("Zl", "Zp")
    bits = np.arange(len(data)) / 8
    assert characters.sums(bits).sum() == pytest.approx(bits.sum())
    assert characters.line_sums(bits).sum() == pytest.approx(bits.sum())
    assert len(characters.lines) - 1 == data.count(b"\n") + (data[-1:] not in (b"", b"\n"))
    text = data.decode("utf-8", "replace")
    if (
        text.isprintable()
        and "\ufffd" not in text
        and not any(unicodedata.category(c)[0] == "M" for c in text)
    ):
        assert "".join(characters.shown) == text


@pytest.mark.parametrize(
    ("data", "shown", "kinds"),
    [
        ("aé1 .\t", "a|é|1| |.|\t", "letters,letters,digits,blanks,punctuation,blanks"),
        ("e\u0301x", "e\u0301|x", "letters,letters"),
        ("\u0301\n\u0301", "◌\u0301|\n|◌\u0301", "letters,line ends,letters"),
        ("हिन्दी", "हि|न्|दी", "letters,letters,letters"),
        ("👩‍👧!", "👩‍👧|!", "punctuation,punctuation"),
        ("漢字\u3000", "漢|字|\u3000", "letters,letters,blanks"),
        ("\r\n", "^M|\n", "line ends,line ends"),
        ("\0\x1b\x7f\x9b", "^@|^[|^?|<U+009B>", ",".join(["control characters"] * 4)),
        ("\u202e\u2028\ufffe", "<U+202E>|<U+2028>|<U+FFFE>", ",".join(["control characters"] * 3)),
        (b"\x80\x9b\xe9\xff", "M-^@|M-^[|M-i|M-^?", ",".join(["bytes above 127"] * 4)),
        (b"\xed\xa0\x80a", "M-m|M- |M-^@|a", "bytes above 127,bytes above 127,bytes above 127,letters"),
    ],
)
def test_characters_and_their_kinds(data: str | bytes, shown: str, kinds: str) -> None:
    characters = split_characters(data.encode() if isinstance(data, str) else data)
    assert characters.shown == shown.split("|")
    assert [KINDS[kind] for kind in characters.kinds] == kinds.split(",")


def test_a_character_costs_what_its_bytes_cost(tiny: Model) -> None:
    text = "über".encode()
    bits = vaezip.measure_costs(text, model=tiny).bits
    sums = split_characters(text).sums(bits)
    assert sums.tolist() == pytest.approx([bits[0] + bits[1], *bits[2:]])


def test_classes_begin_where_the_legend_says() -> None:
    costs = np.array([0, 0.124, 0.125, 0.499, 0.5, 1, 2, 3.999, 4, 8, 24])
    assert cost_classes(costs).tolist() == [0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 6]


def test_json_has_the_bits_of_every_byte(run: Run, tmp_path: Path) -> None:
    text = texts()["together"] + texts()["noise"]
    (tmp_path / "a").write_bytes(text)
    shown = run("show", "--json", "--block-size", "4K", "a")
    assert (shown.returncode, shown.stderr) == (0, b"")
    figures = json.loads(shown.stdout)
    assert len(figures["bits"]) == figures["content"] == len(text)
    assert all(bits == round(bits, 3) >= 0 for bits in figures["bits"])
    account = figures["account"]
    assert account["text"] == pytest.approx(sum(figures["bits"]), abs=0.0005 * len(text))
    assert sum(account.values()) == pytest.approx(8 * figures["compressed"], abs=0.01)
    for part in ("kinds", "lines"):
        assert sum(row["bits"] for row in figures[part]) == pytest.approx(account["text"], abs=0.5)
    assert [row["offset"] for row in figures["lines"][:2]] == [0, text.index(b"\n") + 1]
    assert sum(block["content"] for block in figures["blocks"]) == len(text)
    assert run("compress", "--block-size", "4K", "a").returncode == 0
    assert figures["compressed"] == (tmp_path / "a.vz").stat().st_size
    blocks = figures["blocks"]
    assert sum(block["payload"] for block in blocks) == figures["payload"]


def visible(output: bytes) -> str:
    """Without colours, and without what a terminal makes of a line's end."""
    return re.sub("\x1b\\[[0-9;]*m", "", output.decode()).replace("\r\n", "\n")


def show_on_terminal(arguments: list[str], environment: dict[str, str], columns: int = 80) -> Result:
    command = [sys.executable, "-m", "vaezip", "show", "-m", str(TINY), *arguments]
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    return on_terminal(command, {"stdout"}, columns, env={**env, "TERM": "xterm-256color", **environment})


def test_a_terminal_shows_colours_unless_told_not_to(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(texts()["english"])
    name = str(tmp_path / "a")
    coloured = show_on_terminal([name], {})
    assert (coloured.returncode, coloured.stderr) == (0, b"")
    assert len(set(re.findall(rb"48;5;(\d+)m", coloured.stdout))) == 6
    for line in texts()["english"].decode().splitlines():
        assert f" {line}↵\n" in visible(coloured.stdout)
    plain = show_on_terminal([name, "--color", "never"], {}).stdout
    assert b"\x1b" not in plain
    assert show_on_terminal([name], {"NO_COLOR": "1"}).stdout == plain
    assert show_on_terminal([name], {"TERM": "dumb"}).stdout == plain
    assert b"48;5" in show_on_terminal([name], {"NO_COLOR": ""}).stdout
    assert b"48;5" in show_on_terminal([name, "--color", "always"], {"NO_COLOR": "1"}).stdout


def test_a_pipe_shows_no_colours_unless_told_to(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a\tb\x1b[31m\xff\n" + "é".encode())
    plain = run("show", "a")
    assert (plain.returncode, plain.stderr) == (0, b"")
    lines = plain.stdout.decode().splitlines()
    assert lines[4].endswith(" a→   b^[[31mM-^?↵")
    assert lines[5].endswith(" é")
    assert b"\x1b" not in plain.stdout
    coloured = run("show", "--color=always", "a")
    assert visible(coloured.stdout).splitlines()[:6] == lines[:6]
    assert coloured.stdout.count(b"\x1b[38;5;") == coloured.stdout.count(b"\x1b[0m") > 5
    assert run("show", "-", input=(tmp_path / "a").read_bytes()).stdout == plain.stdout.replace(
        b"a:", b"standard input:", 1
    )


def test_sums_of_lines_and_kinds_are_those_of_the_bytes(run: Run, tmp_path: Path, tiny: Model) -> None:
    text = texts()["csv"]
    (tmp_path / "a").write_bytes(text)
    lines = run("show", "a").stdout.decode().splitlines()
    bits = vaezip.measure_costs(text, model=tiny).bits
    ends_at = [0, *(match.end() for match in re.finditer(b"\n", text))]
    for number, (first, end) in enumerate(itertools.pairwise(ends_at), 1):
        assert lines[number + 3].split()[:2] == [str(number), f"{bits[first:end].sum():.1f}"]
    digits = [at for at, byte in enumerate(text) if byte in b"0123456789"]
    (row,) = (line.split() for line in lines if line.startswith("digits"))
    assert row[1:3] == [str(len(digits)), f"{bits[digits].sum():.1f}"]


def test_no_bytes_have_no_rate(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    first = run("show", "a").stdout.decode().splitlines()[0]
    assert re.fullmatch(r"a: 0 -> \d+ bytes", first)
    page = run("show", "--html", "-", "a").stdout.decode()
    assert "0 -&gt; " in page
    assert "bits/byte" not in page


def test_of_a_long_text_the_dearest_lines_are_shown(run: Run, tmp_path: Path) -> None:
    text = texts()["thrice"][:12_000]
    (tmp_path / "a").write_bytes(text)
    for columns in (60, 100):
        lines = visible(show_on_terminal([str(tmp_path / "a")], {}, columns).stdout).splitlines()
        strip = next(line for line in lines if set(line) <= set("▁▂▃▄▅▆▇█") and line)
        assert len(strip) == columns
        assert "█" in strip
        begin = lines.index("  line      bits") + 1
        dearest = lines[begin : begin + 12]
        sums = [float(line.split()[1]) for line in dearest]
        assert sums == sorted(sums, reverse=True)
        assert any(line.endswith("…") for line in dearest)
        for line in dearest:
            wide = [unicodedata.east_asian_width(c) in "WF" for c in line if unicodedata.category(c) != "Mn"]
            assert len(wide) + sum(wide) <= columns
    whole = run("show", "--all", "a").stdout.decode().splitlines()
    shown = [line for line in whole if re.match(r" +\d+ +\d+\.\d ", line)]
    assert len(shown) == len(split_characters(text).lines) - 1
    assert max(float(line.split()[1]) for line in shown) == sums[0]
    many = run("show", "-", input=b"\n" * 300)
    assert b"The dearest of 300 lines" in many.stdout


def test_the_choice_of_model_and_blocks_is_that_of_compress(run: Run, tmp_path: Path) -> None:
    text = texts()["german"] * 3
    (tmp_path / "a").write_bytes(text)
    for options in (["-m", "standard"], ["--block-size", "500"], ["-T", "2", "--block-size", "1K"]):
        assert run("compress", "-f", *options, "a").returncode == 0
        first = run("show", *options, "a").stdout.decode().splitlines()[0]
        assert f"-> {(tmp_path / 'a.vz').stat().st_size} bytes" in first
    usual = run("show", "-m", "standard", "a")
    given = run("show", "a", env={"VAEZIP_MODEL": "standard"})
    assert b"model standard" in usual.stdout
    assert b"model tiny" in given.stdout  # what is typed goes before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nothing"], "nothing: No such file"),
        ([""], "''"),
        (["a", "b"], "unexpected extra argument"),
        (["--json", "--html", "x.html", "a"], "--html goes with neither"),
        (["--all", "--html", "x.html", "a"], "--html goes with neither"),
        (["--color", "red", "a"], "red"),
        (["-m", "nothing.vzm", "a"], "nothing.vzm"),
        (["--block-size", "17M", "a"], "17M"),
        (["--html", "a", "a"], "is also an input"),
        (["-f", "--html", "a", "a"], "is also an input"),
        (["--html", "b", "a"], "b: "),
        (["--html", "no/x.html", "a"], "no/x.html"),
    ],
)
def test_bad_input_gets_one_line(run: Run, tmp_path: Path, arguments: list[str], word: str) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"kept")
    ends(run("show", *arguments), 1, b"", word)
    assert [(path.name, path.read_bytes()) for path in sorted(tmp_path.iterdir())] == [
        ("a", b"kept"),
        ("b", b"kept"),
    ]


def test_a_folder_is_passed_over(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    ends(run("show", "folder"), 2, b"", "is a directory")
