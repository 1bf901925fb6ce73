"""Which texts are alike: distances, trees, maps, and `vaezip map` in terminals and for scripts."""

from __future__ import annotations

import itertools
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, Run
from hypothesis import given
from hypothesis import strategies as st
from shell import ends
from texts import noise, texts

import vaezip
from vaezip import engine
from vaezip.map.layout import place, scale
from vaezip.map.tree import cluster
from vaezip.model import Model, load_model, parse_model

PROSE, TABLE = texts()["english"], texts()["csv"]
HALVES = [
    half for text in (PROSE, TABLE, texts()["c"]) for half in (text[: len(text) // 2], text[len(text) // 2 :])
]


def test_like_is_nearest_to_like(tiny: Model) -> None:
    distances = vaezip.distances(HALVES, model=tiny)
    assert (distances.shape, distances.dtype) == ((6, 6), np.float64)
    assert (distances == distances.T).all()
    assert (np.diag(distances) == 0).all()
    assert (distances >= 0).all()
    assert (distances < 1.2).all()
    np.fill_diagonal(distances, np.inf)
    assert distances.argmin(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


def test_a_text_says_nearly_all_about_its_double(tiny: Model) -> None:
    same, other = vaezip.distances([PROSE, PROSE, noise(2000)], model=tiny)[0, 1:]
    assert 0 < same < 0.1
    assert other > 0.95


def test_the_distance_is_what_one_takes_after_the_other(tiny: Model) -> None:
    """By its definition, with predictors that read all anew."""
    one, other, size = TABLE[:256], PROSE[:256], 256
    presets = [vaezip.measure_costs(text, model=tiny).blocks[0].preset for text in (TABLE, PROSE)]

    def chances(read: bytes, text: bytes, preset: int) -> np.ndarray:
        predictor = tiny.predictor(tiny.latent.null(), preset, size + size // 8)
        intervals = predictor.intervals(np.frombuffer(read + text, np.uint8))
        return intervals[len(read) :, 1] / 2**24

    shares = []
    for read, text, preset, own in ((one, other, *presets), (other, one, *presets[::-1])):
        alone, after = chances(b"", text[:32], own), chances(read, text[:32], preset)
        bits = [-np.log2(by).sum() for by in (alone, after, (alone + after) / 2)]
        shares.append(min(bits[1:]) / bits[0])
    assert vaezip.distances([TABLE, PROSE], model=tiny, sample_size=size)[0, 1] == pytest.approx(
        sum(shares) / 2
    )


def test_threads_and_engines_change_nothing_and_progress_is_all_of_it(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    expected = vaezip.distances(HALVES, model=tiny, sample_size=128)
    found = vaezip.distances(
        [bytearray(HALVES[0]), memoryview(HALVES[1]), HALVES[2].decode(), *HALVES[3:]],
        model=TINY,
        sample_size=128,
        threads=3,
        progress=steps.append,
    )
    assert (found == expected).all()
    assert sum(steps) == 6 * 7
    monkeypatch.setenv("VAEZIP_ENGINE", engine.REFERENCE)
    slow = parse_model(TINY.read_bytes(), "tiny")
    assert slow.engine.name == engine.REFERENCE
    assert (vaezip.distances(HALVES[:3], model=slow, sample_size=128) == expected[:3, :3]).all()


@pytest.mark.parametrize("text", ["é" * 300, "漢" * 200, b"\x80" * 500, b"\xff\xfe" * 200, b"x"])
def test_any_bytes_have_a_distance(tiny: Model, text: bytes | str) -> None:
    distances = vaezip.distances([text, PROSE, b"y"], model=tiny, sample_size=65)
    assert np.isfinite(distances).all()
    assert (distances[~np.eye(3, dtype=bool)] > 0).all()


def test_what_makes_no_sense_is_refused(tiny: Model) -> None:
    for size in (0, 63, 2**20 + 1):
        with pytest.raises(ValueError, match="sample_size"):
            vaezip.distances([PROSE], model=tiny, sample_size=size)
    with pytest.raises(ValueError, match="empty"):
        vaezip.distances([PROSE, b""], model=tiny)
    with pytest.raises(vaezip.ModelError):
        vaezip.distances([PROSE], model="no such model")
    assert vaezip.distances([], model=tiny).shape == (0, 0)
    assert vaezip.distances([PROSE], model=tiny).tolist() == [[0.0]]


symmetric = st.integers(1, 12).flatmap(
    lambda n: st.lists(st.floats(0, 1.2), min_size=n * n, max_size=n * n).map(
        lambda values: np.tril(np.reshape(values, (n, n)), -1) + np.tril(np.reshape(values, (n, n)), -1).T
    )
)


@given(symmetric)
def test_a_tree_joins_all_and_keeps_each_cluster_together(distances: np.ndarray) -> None:
    tree, count = cluster(distances), len(distances)
    assert sorted(tree.order) == [*range(count)]
    heights = [merge.height for merge in tree.merges]
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(heights))
    members = [{i} for i in range(count)]
    for merge in tree.merges:
        one, other = members[merge.one], members[merge.other]
        assert merge.height == pytest.approx(np.mean([distances[i, j] for i in one for j in other]))
        members.append(one | other)
    assert len(members[-1]) == count
    for cluster_ in members:
        rows = sorted(tree.order.index(i) for i in cluster_)
        assert rows == [*range(rows[0], rows[0] + len(rows))]


@given(symmetric)
def test_every_text_has_a_place(distances: np.ndarray) -> None:
    places = place(distances)
    assert places.shape == (len(distances), 2)
    assert np.isfinite(places).all()


def test_scaling_finds_places_on_a_plane_again() -> None:
    places = np.random.default_rng(1).normal(size=(20, 2))
    distances = np.sqrt(((places[:, None] - places) ** 2).sum(axis=2))
    found = scale(distances)
    assert np.sqrt(((found[:, None] - found) ** 2).sum(axis=2)) == pytest.approx(distances, abs=1e-6)


def test_clusters_are_apart_on_the_map() -> None:
    kinds = np.repeat(np.arange(10), 5)
    distances = np.where(kinds[:, None] == kinds, 0.7, 1.0) + np.random.default_rng(2).normal(
        0, 0.01, (50, 50)
    )
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    places = place(distances)
    apart = np.sqrt(((places[:, None] - places) ** 2).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    assert (kinds[apart.argmin(axis=1)] == kinds).all()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Two folders with files of the same names; one lies in neither, one is deeper, one is empty."""
    for folder, text in (("prose", PROSE), ("tables", TABLE)):
        (tmp_path / "library" / folder / "deep").mkdir(parents=True)
        for name, half in (("a", text[:600]), ("b", text[-600:]), ("deep/c", text[300:900])):
            (tmp_path / "library" / folder / name).write_bytes(half)
    (tmp_path / "library" / "odd\n<b>&{{files}}").write_bytes(noise(100))
    (tmp_path / "library" / "old.vz").write_bytes(b"passed over")
    return tmp_path / "library"


def test_json_has_all_figures(run: Run, library: Path) -> None:
    shown = run("map", "--json", "library")
    assert (shown.returncode, shown.stderr) == (0, b"")
    figures = json.loads(shown.stdout)
    files = figures["files"]
    folders = {file["name"]: file["folder"] for file in files}
    assert folders == {
        f"library/{name}": folder
        for folder in ("prose", "tables")
        for name in (f"{folder}/a", f"{folder}/b", f"{folder}/deep/c")
    } | {"library/odd\n<b>&{{files}}": "library"}
    data = [Path(library.parent, file["name"]).read_bytes() for file in files]
    expected = vaezip.distances(data, model=TINY)
    assert np.array(figures["distances"]) == pytest.approx(expected, abs=1e-4)
    for file, text in zip(files, data, strict=True):
        mean, scales = load_model(TINY).encoder(np.frombuffer(text, np.uint8))
        assert file["z"] == load_model(TINY).latent.posterior(mean, scales).candidates[:, 0].tolist()
        assert file["preset"] == vaezip.measure_costs(text, model=TINY).blocks[0].preset
    assert sorted(figures["order"]) == [*range(7)]
    assert len(figures["merges"]) == 6
    assert run("map", "--json", "-T", 3, "library").stdout == shown.stdout
    assert run("map", "--json", "--sample-size", "64", "library").stdout != shown.stdout


def test_of_files_in_a_folder_each_nothing_is_said_about_folders(run: Run, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_bytes(b"a text about " + name.encode())
    (tmp_path / "c" / "x.vzp").write_bytes(b"is passed over")
    head = run("map", "a", "b", "c").stdout.splitlines()[0]
    assert head == b"3 files, of each the first 4096 bytes; model tiny"


def test_the_tree_brings_like_together(run: Run, library: Path) -> None:
    shown = run("map", "library")
    assert (shown.returncode, shown.stderr) == (0, b"")
    head, *lines = shown.stdout.decode().splitlines()
    assert head.startswith(
        "7 files, of each the first 4096 bytes; model tiny; of 6 the nearest is of the same"
    )
    names = [line[line.index("library") :] for line in lines[2:]]
    assert "library/odd\\n<b>&{{files}}" in names
    folders = [name.split("/")[1] for name in names]
    for folder in ("prose", "tables"):
        assert [*map(folder.__eq__, folders)] in [
            [False] * at + [True] * 3 + [False] * (4 - at) for at in range(5)
        ]


def test_the_nearest_are_listed_first(run: Run, library: Path) -> None:
    listed = run("map", "--nearest", "library/prose/a", "library")
    assert (listed.returncode, listed.stderr) == (0, b"")
    head, *rows = listed.stdout.decode().splitlines()
    assert head.split() == ["distance", "preset", "z", "file"]
    assert len(rows) == 6
    assert {row.split()[3] for row in rows[:2]} == {"library/prose/deep/c", "library/prose/b"}
    found = [float(row.split()[0]) for row in rows]
    assert found == sorted(found)
    same = run("map", "--nearest", "-", "library", input=(library / "prose/a").read_bytes())
    assert same.stdout.decode().splitlines()[1].split()[3] == "library/prose/a"
    rows = json.loads(run("map", "--nearest", "library/prose/a", "--json", "library").stdout)
    assert [round(row["distance"], 3) for row in rows] == found
    everything = json.loads(run("map", "--json", "library").stdout)
    at = [file["name"] for file in everything["files"]].index("library/prose/a")
    assert sorted(row["distance"] for row in rows) == pytest.approx(
        sorted(everything["distances"][at])[1:], abs=1e-4
    )


def test_files_are_taken_once_and_coloured_by_their_folder(run: Run, library: Path) -> None:
    (library.parent / "link").symlink_to(library / "prose")
    again = ["library/prose/a", "library/prose", "library/tables/b", "-"]
    again += ["./library/prose/a", str(library / "prose" / "b"), "link/deep/c", "library/tables/../prose"]
    files = json.loads(run("map", "--json", *again, input=PROSE).stdout)["files"]
    assert [(file["name"], file["folder"]) for file in files] == [
        ("library/prose/a", "prose"),
        ("library/prose/b", "prose"),
        ("library/prose/deep/c", "deep"),
        ("library/tables/b", "tables"),
        ("standard input", "-"),
    ]


def test_one_file_is_a_map_too(run: Run, library: Path) -> None:
    one = run("map", "library/prose/a")
    assert one.stdout.decode().split("\n", 1)[0] == "1 file, of each the first 4096 bytes; model tiny"
    for form in ("--svg", "--html"):
        assert run("map", form, "-", "library/prose/a").returncode == 0


def test_what_cannot_be_read_is_passed_over(run: Run, library: Path) -> None:
    (library / "prose" / "none").touch()
    (library / "dangling").symlink_to("nowhere")
    ends(run("map", "--json", "library/prose/none"), 2, b"", "library/prose/none: is empty")
    shown = run("map", "--json", "library", "missing")
    assert (shown.returncode, len(shown.stderr.splitlines())) == (1, 2)
    assert len(json.loads(shown.stdout)["files"]) == 7
    assert run("map", "-q", "library").returncode == 2
    assert run("map", "-q", "library").stderr == b""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "name files"),
        (["--json", "--svg", "-", "library"], "give one"),
        (["--html", "x", "--svg", "x", "library"], "give one"),
        (["--nearest", "a", "--html", "x", "library"], "give one"),
        (["-", "-"], "but once"),
        (["--nearest", "-", "-"], "but once"),
        (["missing"], "missing: No such file"),
        (["bare"], "bare: has no files"),
        (["--nearest", "missing", "library"], "missing: No such file"),
        (["--nearest", "bare", "library"], "bare: is a directory"),
        (["--nearest", "library/prose/a", "library/prose/../prose/a"], "no other file"),
        (["--sample-size", "63", "library"], "63"),
        (["--sample-size", "2M", "library"], "2M"),
        (["-m", "nothing.vzm", "library"], "nothing.vzm"),
        (["-f", "--html", "library/prose/a", "library"], "is also an input"),
        (["--svg", "taken", "library"], "taken: already exists"),
        (["--svg", "bare", "library"], "bare: is a directory"),
        (["--svg", "no/x.svg", "library"], "no/x.svg"),
    ],
)
def test_bad_input_gets_one_line(run: Run, library: Path, arguments: list[str], word: str) -> None:
    (library.parent / "bare").mkdir()
    (library.parent / "taken").write_bytes(b"kept")
    before = sorted(library.parent.rglob("*"))
    ends(run("map", *arguments), 1, b"", word)
    assert sorted(library.parent.rglob("*")) == before
    assert (library.parent / "taken").read_bytes() == b"kept"
    assert (library / "prose" / "a").read_bytes() == PROSE[:600]


def test_too_many_files_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(1001):
        (tmp_path / "many" / str(number)).write_bytes(b"x")
    ends(run("map", "many"), 1, b"", "1001 files are too many")


def test_the_picture_is_whole_and_has_every_file(run: Run, library: Path) -> None:
    drawn = run("map", "--svg", "map.svg", "library")
    assert (drawn.returncode, drawn.stdout, drawn.stderr) == (0, b"", b"")
    picture = (library.parent / "map.svg").read_bytes()
    root = ElementTree.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    marks = [element for element in root.iter(f"{space}path") if "data-file" in element.attrib]
    labels = [element.text for element in root.iter(f"{space}text") if "data-file" in element.attrib]
    assert len(marks) == len(labels) == 7
    assert "odd\\n<b>&{{files}}" in labels
    titles = [mark.findtext(f"{space}title") for mark in marks]
    assert sorted(map(str, titles)) == sorted(map(str, labels))
    assert b"http" not in picture.replace(b"http://www.w3.org/2000/svg", b"")
    assert run("map", "--svg", "-", "library").stdout == picture
    ends(run("map", "--svg", "map.svg", "library"), 1, b"", "map.svg: already exists")
    assert run("map", "-f", "--svg", "map.svg", "library/prose").returncode == 0
    assert (library.parent / "map.svg").read_bytes() != picture
