"""The page that `vaezip show --html` writes: as a parser sees it, and as a browser does."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, Parsed
from conftest import Run
from texts import texts

import vaezip
from vaezip.model import Model
from vaezip.show.account import Shown
from vaezip.show.attribution import Attribution, attribute
from vaezip.show.characters import split_characters
from vaezip.show.page import page

EVIL = (
    b"</script><script>document.title = 1</script>\n<img src=http://example.org/x onerror='document.title = 2'>\n"
    b"&lt;b&gt; </div> {{text}} --> ]]> \" ' \x00 \xff \r\n" + "é 漢 👩‍👧 e\u0301 \u202e\u2028 \t.\n".encode()
)
MIXED = EVIL + texts()["arabic"] + texts()["hindi"] + texts()["c"] + b"x" * 9000


def made(model: Model, text: bytes, **options: Any) -> tuple[Shown, Attribution, Parsed]:
    costs = vaezip.measure_costs(text, model=model, **options)
    shown = Shown("<i>name</i> {{text}}", model.name, text, costs, split_characters(text))
    attribution = attribute(model, text, costs)
    return shown, attribution, Parsed(page(shown, attribution))


@pytest.mark.parametrize(
    "text", [MIXED, texts()["noise"], b"", b"\n", b"v"], ids=["mixed", "noise", "empty", "line", "v"]
)
def test_the_text_is_in_the_page_as_text(tiny: Model, text: bytes) -> None:
    shown, _, parsed = made(tiny, text, block_size=5000)
    assert (parsed.unbalanced, parsed.left_open()) == ([], [])
    assert "".join(parsed.texts.get("chunk", [])) == "".join(shown.characters.shown)
    assert parsed.texts["h1"] == ["<i>name</i> {{text}}"]
    names = [name for name, _ in parsed.elements]
    assert (names.count("script"), names.count("img"), names.count("i"), names.count("b")) == (3, 0, 0, 0)
    chunks = [attributes for _, attributes in parsed.elements if attributes.get("class") == "chunk"]
    bounds = [int(chunk["data-first"] or "") for chunk in chunks] + [len(shown.characters.shown)]
    for chunk, content, first, end in zip(
        chunks, parsed.texts.get("chunk", []), bounds, bounds[1:], strict=False
    ):
        assert content == "".join(shown.characters.shown[first:end])
        line = int(np.searchsorted(shown.characters.lines, first, side="right"))
        assert chunk["data-line"] == str(line)
        assert ("data-rest" in chunk) == (shown.characters.lines[line - 1] != first)
        assert 0 < end - first <= 4096


def test_nothing_in_the_page_leads_out_of_it(tiny: Model) -> None:
    _, _, parsed = made(tiny, MIXED)
    for _, attributes in parsed.elements:
        assert attributes.keys().isdisjoint(["src", "style", "onclick", "onerror", "xlink:href"])
        assert re.fullmatch(r"#b\d+", attributes.get("href") or "#b0")
        assert "http:" not in str(attributes) and "https:" not in str(attributes)  # noqa: PT018
    (style,), (script,) = parsed.texts["style"], parsed.texts["script"]
    assert not re.search(r"url\(|@import|https?:|//[a-z]", style)
    assert not re.search(r"fetch|XMLHttpRequest|WebSocket|sendBeacon|import\(|https?:|innerHTML|eval", script)
    policy = next(
        a["content"] for _, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    allowed = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script)]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{allowed[0]}'; script-src 'sha256-{allowed[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_the_figures_are_those_of_the_costs(tiny: Model) -> None:
    shown, attribution, parsed = made(tiny, texts()["noise"] + MIXED, block_size=1000)
    known = json.loads(parsed.texts["page"][0])
    n, m = known["bytes"], known["characters"]
    assert n == len(shown.data)
    packed = zlib.decompress(base64.b64decode(parsed.texts["figures"][0]))
    columns, at = [], 0
    for kind, count in [("<u4", m)] * 2 + [("<u2", n)] * 3 + [("u1", n)] * 3:
        columns.append(np.frombuffer(packed, kind, count, at))
        at += columns[-1].nbytes
    assert at == len(packed)
    lengths, units, bits, network, matched, expected, contexts, data = columns
    assert data.tobytes() == shown.data
    assert np.cumsum(lengths).tolist() == shown.characters.offsets[1:].tolist()
    assert units.tolist() == [len(piece.encode("utf-16-le")) // 2 for piece in shown.characters.shown]
    assert bits / known["unit"] == pytest.approx(shown.costs.bits, abs=0.0003)
    assert network / known["unit"] == pytest.approx(np.nan_to_num(attribution.network_bits), abs=0.0003)
    assert (matched.tolist(), expected.tolist()) == (
        attribution.match_length.tolist(),
        attribution.expected.tolist(),
    )
    assert [(both >> 4, both & 15) for both in contexts.tolist()] == list(
        zip(attribution.context.tolist(), attribution.followed.tolist(), strict=True)
    )
    words = [block["text"] for block in known["blocks"]]
    assert any("stored" in text for text in words)
    assert any("latent null" in text for text in words)


def test_a_page_appears_whole_and_never_over_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(texts()["english"])
    written = run("show", "--html", "a.html", "a")
    assert (written.returncode, written.stdout, written.stderr) == (0, b"", b"")
    first = (tmp_path / "a.html").read_bytes()
    again = run("show", "--html", "a.html", "-m", "standard", "a")
    assert again.returncode == 1
    assert b"vaezip: a.html: " in again.stderr
    assert (tmp_path / "a.html").read_bytes() == first
    assert run("show", "--html", "a.html", "-f", "-m", "standard", "a").returncode == 0
    assert b"model standard" in (tmp_path / "a.html").read_bytes()
    assert run("show", "--html", "-", "a").stdout == first
    (tmp_path / "a").rename(tmp_path / "-")  # which is no output
    assert run("show", "--html", "-", "./-").returncode == 0
    (tmp_path / "-").rename(tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.html"]


# What a browser makes of it.

POINT = """
let left = arguments[0];
for (const chunk of document.querySelectorAll(".chunk")) {
  const walker = document.createTreeWalker(chunk, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (left >= node.length) { left -= node.length; continue; }
    const span = node.parentElement, range = document.createRange();
    span.scrollIntoView({ block: "center", behavior: "instant" });
    range.setStart(node, left);
    range.setEnd(node, left + 1);
    const box = span.classList.contains("end") ? span.getClientRects()[0] : range.getClientRects()[0];
    return [box.left + box.width * arguments[1], box.top + box.height / 2];
  }
}
"""


def hover(browser: Browser, unit: int, share: float = 0.5) -> None:
    """Put the pointer on the UTF-16 unit of the text, so far across it."""
    x, y = browser.run(POINT, unit, share)
    browser.wait(
        "return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
    )
    browser.point(x, y)


def tip_of(browser: Browser, byte: int) -> str:
    """What is shown of the character that begins with that byte, once it is."""
    script = (
        "const tip = document.getElementById('tip'); return tip.style.display === 'block' && tip.innerText"
    )
    return str(browser.wait(f"{script}.includes(', byte {byte}\\n') && tip.innerText"))


def check_tip(browser: Browser, shown: Shown, attribution: Attribution, index: int) -> None:
    """What the page says of a character is what was measured."""
    begin, end = shown.characters.offsets[index : index + 2].tolist()
    tip = tip_of(browser, begin)
    found = re.search(r"([\d.]+) bits, byte", tip)
    assert found is not None, tip
    assert float(found[1]) == pytest.approx(shown.costs.bits[begin:end].sum(), abs=0.002 * (end - begin))
    rows = [line.split("\t") for line in tip.splitlines() if "\t" in line][1:]
    assert len(rows) == min(12, end - begin)
    for at, row in enumerate(rows, begin):
        assert row[0].split()[0] == f"{shown.data[at]:02x}"
        assert float(row[2]) == pytest.approx(attribution.network_bits[at], abs=0.001)
        length = attribution.match_length[at]
        assert row[3].split(":")[0] == (str(length) if length else "none")
        assert ("✓" in row[3]) == bool(length and attribution.expected[at] == shown.data[at])
        assert row[4].split(",")[0] == (str(attribution.context[at]) if attribution.context[at] else "none")


def test_the_pointer_shows_what_a_character_costs(browser: Browser, tiny: Model, tmp_path: Path) -> None:
    costs = vaezip.measure_costs(MIXED, model=tiny)
    shown = Shown("mixed", tiny.name, MIXED, costs, split_characters(MIXED))
    attribution = attribute(tiny, MIXED, costs)
    (tmp_path / "page.html").write_bytes(page(shown, attribution))
    browser.open(tmp_path / "page.html")
    pieces = shown.characters.shown
    units = np.cumsum([0, *(len(piece.encode("utf-16-le")) // 2 for piece in pieces)]).tolist()
    special = [
        pieces.index(piece)
        for piece in ("\n", "\t", "é", "漢", "👩‍👧", "e\u0301", "<U+202E>", "^@", "M-^?", "ك", "पु")
    ]
    plain = "".join(pieces).index("ring_put")
    line_end = [i for i, piece in enumerate(pieces) if piece == "\n"][-1]
    for index in (0, 1, *special, np.searchsorted(units, plain), line_end, len(pieces) - 1):
        for share in (0.2, 0.8) if pieces[index].isascii() and len(pieces[index]) == 1 else (0.5,):
            hover(browser, units[index], share)
            check_tip(browser, shown, attribution, index)
    assert browser.requests() == {(tmp_path / "page.html").as_uri()}
    assert browser.driver.get_log("browser") == []  # nothing was refused, nothing failed
    assert browser.driver.title == "mixed: what it costs"
    sums = browser.run(
        "return [...document.querySelectorAll('.line')].slice(0, 4).map(line => line.dataset.sum)"
    )
    expected = [f"{number} {bits:8.1f}" for number, bits in enumerate(shown.line_bits()[:4].tolist(), 1)]
    assert sums == expected


def test_keys_links_and_the_chart_lead_to_characters(browser: Browser, run: Run, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    (tmp_path / "a").write_bytes(texts()["english"] + texts()["log"])
    assert run("show", "--html", "a.html", "a").returncode == 0
    browser.open(tmp_path / "a.html", "#b150")
    tip_of(browser, 150)
    body = browser.driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.ARROW_RIGHT)
    tip_of(browser, 151)
    body.send_keys(Keys.ARROW_LEFT)
    tip_of(browser, 150)
    body.send_keys(Keys.ESCAPE)
    browser.wait("return document.getElementById('tip').style.display === 'none'")
    link = browser.driver.find_element(By.CSS_SELECTOR, "#dearest a")
    byte = (link.get_attribute("href") or "").split("#b")[1]
    link.click()
    tip_of(browser, int(byte))
    browser.driver.find_element(By.ID, "strip").click()  # in its middle
    middle = len((tmp_path / "a").read_bytes()) // 2
    browser.wait(f"return Math.abs(location.hash.slice(2) - {middle}) < 3")
    backgrounds = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        backgrounds.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    assert backgrounds == ["rgb(255, 255, 255)", "rgb(22, 22, 22)"]


def test_a_stored_block_says_that_nobody_predicts(browser: Browser, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(texts()["noise"])
    assert run("show", "--html", "a.html", "a").returncode == 0
    browser.open(tmp_path / "a.html", "#b500")
    tip = tip_of(browser, 500)
    assert " 8.000 bits" in tip
    assert "block 1 is stored" in tip
    assert "network" not in tip


def test_a_megabyte_loads_and_scrolls(browser: Browser, tiny: Model, tmp_path: Path) -> None:
    """The costs of a text, over and over: what a browser makes of them does not depend on what they are."""
    text, times = texts()["together"], 120
    costs = vaezip.measure_costs(text, model=tiny)
    attribution = attribute(tiny, text, costs)
    data = text * times
    block = costs.blocks[0]._replace(size=len(data))
    whole = vaezip.Costs(np.tile(costs.bits, times), (block,), times * costs.compressed)
    repeated = Attribution(*(np.tile(column, times) for column in attribution))
    shown = Shown("large", tiny.name, data, whole, split_characters(data))
    (tmp_path / "page.html").write_bytes(page(shown, repeated))
    assert len(data) > 1_000_000
    browser.open(tmp_path / "page.html")
    spans = "return document.querySelectorAll('#text span').length"
    browser.wait(f"{spans} > 100")
    assert browser.run(spans) < 50_000
    browser.run("scrollTo(0, document.body.scrollHeight)")
    browser.wait("return document.querySelector('.chunk:last-child .line') !== null")
    assert browser.run(spans) < 100_000
    last = len(shown.characters.shown) - 1
    units = sum(len(piece.encode("utf-16-le")) // 2 for piece in shown.characters.shown[:last])
    hover(browser, units)
    check_tip(browser, shown, repeated, last)
    index = int(np.searchsorted(shown.characters.offsets, 700_000, side="right")) - 1
    browser.run("location.hash = 'b700000'")
    check_tip(browser, shown, repeated, index)
    assert browser.requests() == {(tmp_path / "page.html").as_uri()}
