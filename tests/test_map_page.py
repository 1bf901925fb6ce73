"""The page that `vaezip map --html` writes: as a parser sees it, and as a browser does."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, Parsed
from conftest import Run
from texts import texts

from vaezip.errors import printable
from vaezip.map.atlas import Atlas, Entry
from vaezip.map.page import page
from vaezip.map.picture import picture

EVIL = "d/</script><script>document.title = 1</script> <img src=http://example.org/x> {{files}} ]]> \" ' \u202e\n"


def atlas(count: int, folder_count: int = 10) -> Atlas:
    """So many files in some folders, at random distances."""
    distances = np.random.default_rng(count).uniform(0.8, 1, (count, count))
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    names = [f"d/{i % 10}/file {i}" for i in range(1, count)]
    folders = [f"<b>{i % folder_count}" for i in range(count)]
    z = [None, *((i % 3, -1) for i in range(1, count))]
    entries = (Entry(*row) for row in zip([EVIL, *names], folders, [2] * count, z, strict=True))
    return Atlas("model", 4096, tuple(entries), distances)


def test_names_are_in_the_page_as_text() -> None:
    whole = atlas(30)
    parsed = Parsed(page(whole, "<i>{{picture}}</i>").encode())
    assert (parsed.unbalanced, parsed.left_open()) == ([], [])
    assert parsed.texts["h1"] == ["<i>{{picture}}</i>"]
    names = [name for name, _ in parsed.elements]
    assert (names.count("script"), names.count("img"), names.count("i"), names.count("b")) == (2, 0, 0, 0)
    files = json.loads(parsed.texts["files"][0])
    assert len(files) == 30
    assert files[0]["name"] == printable(EVIL)
    assert any(text.startswith("…") and text.endswith(printable(EVIL)[-20:]) for text in parsed.texts["k k0"])
    for attributes in (attributes for _, attributes in parsed.elements):
        assert not {"src", "href", "onclick", "style"} & attributes.keys()


def test_a_legend_that_is_too_long_ends_in_a_number() -> None:
    for count, left_out in ((31, []), (32, ["and 1 more"]), (99, ["and 68 more"])):
        drawn = ElementTree.fromstring(picture(atlas(count, count)))
        texts = [str(element.text) for element in drawn.iter() if element.tag.endswith("text")]
        assert [text for text in texts if text.endswith(" more")] == left_out
        assert sum(text.startswith("<b>") for text in texts) == min(count, 31)


def hover(browser: Browser, selector: str) -> list[str]:
    """What the tip says once the pointer is on an element, line by line."""
    x, y = browser.run(
        """const mark = document.querySelector(arguments[0]);
        mark.scrollIntoView({ block: "center", behavior: "instant" });
        const box = mark.getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2];""",
        selector,
    )
    browser.wait(
        "return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
    )
    browser.point(x, y)
    tip = "const tip = document.getElementById('tip'); return tip.style.display === 'block' && tip.innerText"
    return [line for line in str(browser.wait(tip)).splitlines() if line]


def test_the_pointer_shows_latent_and_neighbours(browser: Browser, run: Run, tmp_path: Path) -> None:
    for name, text in texts().items():
        (tmp_path / name).write_bytes(text[:300] or b"x")
    assert run("map", "--html", "map.html", *texts()).returncode == 0
    browser.open(tmp_path / "map.html")
    browser.driver.get_log("browser")
    figures = json.loads(run("map", "--json", *texts()).stdout)
    names = [file["name"] for file in figures["files"]]
    for number in (0, 5, names.index("letter")):
        file, distances = figures["files"][number], figures["distances"][number]
        for element in ("path", "text"):
            tip = hover(browser, f"{element}[data-file='{number}']")
            assert tip[0] == file["name"]
            z = "none" if file["z"] is None else " ".join(map(str, file["z"])) + ";"
            assert f"z {z}" in tip[1]
            assert f"preset {file['preset']} " in tip[1]
            rows = [row.split("\t") for row in tip if "\t" in row]
            assert len(rows) == 5
            assert [float(row[0]) for row in rows] == pytest.approx(sorted(distances)[1:6], abs=0.0011)
            for distance, other in rows:
                assert float(distance) == pytest.approx(distances[names.index(other)], abs=0.0011)
            assert len(browser.run("return document.querySelectorAll('.on')")) == 2
            assert len(browser.run("return document.querySelectorAll('.near')")) == 10
    browser.point(1, 1)
    browser.wait("return document.getElementById('tip').style.display === 'none'")
    assert browser.requests() == {(tmp_path / "map.html").as_uri()}
    assert browser.driver.get_log("browser") == []  # nothing was refused, nothing failed


def test_names_change_nothing_in_the_browser(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "map.html").write_text(page(atlas(30), EVIL), encoding="utf-8")
    browser.open(tmp_path / "map.html")
    assert hover(browser, "text[data-file='0']")[0] == printable(EVIL)
    assert browser.driver.title == printable(EVIL)
    assert browser.requests() == {(tmp_path / "map.html").as_uri()}
    backgrounds = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        backgrounds.append(browser.run("return getComputedStyle(document.querySelector('.back')).fill"))
    assert backgrounds == ["rgb(255, 255, 255)", "rgb(22, 22, 22)"]


def test_a_thousand_files_stay_usable(browser: Browser, tmp_path: Path) -> None:
    whole = page(atlas(1000), "many")
    assert len(whole) < 1_000_000
    (tmp_path / "map.html").write_text(whole, encoding="utf-8")
    browser.open(tmp_path / "map.html")
    assert hover(browser, "text[data-file='999']")[0] == "d/9/file 999"
    assert len(hover(browser, "path[data-file='999']")) == 8
    assert browser.requests() == {(tmp_path / "map.html").as_uri()}
