"""What fsspec, smart_open, pandas and Dask may expect of `.vz` files."""

from __future__ import annotations

import importlib.util
import io
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, TINY

import vaezip
import vaezip.integrations
from vaezip import container

ROWS = "".join(f"{i},name {i % 7},{i * i}\n" for i in range(400))
FILES = {
    "table.csv": f"id,name,square\n{ROWS}",
    "logs/a.log": "a: INFO\n" * 100,
    "logs/b.log": "b: ERROR\n" * 150,
    "logs/old/c.log": "c: ERROR\n",
}
MODEL = {"model": str(TINY)}
needs_fsspec = pytest.mark.skipif(not importlib.util.find_spec("fsspec"), reason="needs fsspec")


def write_files(folder: Path, model: Path | None) -> None:
    """FILES, compressed, and a file that is none of ours."""
    (folder / "logs" / "old").mkdir(parents=True)
    for name, text in FILES.items():
        with vaezip.open(folder / f"{name}.vz", "wb", model=model, block_size=1000) as file:
            file.write(text.encode())
    (folder / "logs" / "plain.txt").write_text("plain")


@pytest.fixture(scope="module")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files made with the tiny model."""
    folder = tmp_path_factory.mktemp("tiny")
    write_files(folder, TINY)
    return folder


@pytest.fixture
def here(tiny_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of those files as the working directory."""
    shutil.copytree(tiny_files, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def files(here: Path) -> Any:
    """The file system `vz://`."""
    return pytest.importorskip("fsspec").filesystem("vz", **MODEL)


@pytest.mark.parametrize("missing", [[], ["fsspec"], ["smart_open"], ["fsspec", "smart_open"]])
def test_importing_it_needs_nothing_and_brings_nothing_heavy(missing: list[str]) -> None:
    code = f"""if True:
        import shutil, sys
        for name in {missing}:
            sys.modules[name] = None
        import vaezip.integrations
        assert "vztar" in dict(shutil.get_archive_formats())
        assert not {{"pandas", "dask", "distributed", "pyarrow", "boto3"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_importing_it_again_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    importlib.reload(vaezip.integrations)
    assert not caplog.records  # smart_open warns of what is registered twice


@needs_fsspec
def test_fsspec_knows_the_suffix(tmp_path: Path) -> None:
    import fsspec

    path = tmp_path / "notes.txt.vz"
    with fsspec.open(path, "wt", encoding="utf-8", newline="\n", compression="infer") as file:
        file.write("Größe\n")
    assert vaezip.decompress(path.read_bytes()) == "Größe\n".encode()
    with fsspec.open(path, "rt", encoding="utf-8", compression="vz") as file:
        assert file.read() == "Größe\n"
    with fsspec.filesystem("file").open(str(path), "wb", compression="vz") as file:
        file.write(b"more")
    assert vaezip.decompress(path.read_bytes()) == b"more"


def test_smart_open_knows_the_suffix(tmp_path: Path) -> None:
    smart_open = pytest.importorskip("smart_open")
    path = tmp_path / "notes.txt.vz"
    with smart_open.open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write("Größe\n" * 3)
    assert vaezip.decompress(path.read_bytes()) == "Größe\n".encode() * 3
    with smart_open.open(path, encoding="utf-8") as file:
        assert list(file) == ["Größe\n"] * 3
    with smart_open.open(path, "rb") as file:
        assert file.seek(8) == 8
        assert file.read() == "Größe\n".encode() * 2


def test_folders_look_as_if_their_files_were_not_compressed(files: Any, here: Path) -> None:
    def names(found: list[str]) -> list[str]:
        return [Path(name).relative_to(here).as_posix() for name in found]

    for name, text in FILES.items():
        for path in (name, f"{name}.vz", f"vz://{name}.vz", f"vz://{here.as_posix()}/{name}"):
            assert files.info(path)["size"] == len(text)
            assert files.cat(path) == text.encode()
    assert names(files.ls("logs", detail=False)) == ["logs/a.log", "logs/b.log", "logs/old"]
    assert [entry["size"] for entry in files.ls("logs")][:2] == [800, 1350]
    assert names(files.ls("logs/a.log.vz", detail=False)) == ["logs/a.log"]
    for pattern in ("logs/*.log.vz", "logs/*.log", "vz://logs/*.vz", "vz://logs/?.log.vz"):
        assert set(names(files.glob(pattern))) - {"logs/old"} == {"logs/a.log", "logs/b.log"}
    assert names(files.glob("vz://logs/**/*.log.vz")) == ["logs/a.log", "logs/b.log", "logs/old/c.log"]
    assert names(files.find("")) == sorted(FILES, key=lambda name: (name == "table.csv", name))
    assert files.du("logs") == 800 + 1350 + 9
    assert files.isdir("logs/old")
    assert files.isfile("vz://table.csv.vz")
    assert not files.exists("logs/plain.txt")
    with pytest.raises(FileNotFoundError, match=r"none\.csv\.vz"):
        files.open("vz://none.csv.vz")
    assert names(files._strip_protocol([f"vz://{name}.vz" for name in FILES])) == list(FILES)
    assert type(files)._strip_protocol(["vz://a.vz", "b"]) == [str(here / "a"), "b"]
    assert pickle.loads(pickle.dumps(files)) == files


def test_a_folder_may_have_the_suffix(files: Any, here: Path) -> None:
    (here / "logs").rename(here / "logs.vz")
    assert len(files.glob("vz://logs.vz/*.log.vz")) == 2
    (here / "logs").mkdir()
    assert files.ls("logs") == []
    shutil.copy("table.csv.vz", "logs.csv.vz")
    (here / "logs.csv").mkdir()
    (here / "logs.csv" / "a.csv.vz").write_bytes((here / "table.csv.vz").read_bytes())
    assert files.isdir("logs.csv")  # the file of that name is hidden
    assert [name for name in files.find("") if "logs.csv" in name] == [f"{here}/logs.csv/a.csv"]


def test_what_cannot_be_read_hides_no_other_file(files: Any, here: Path) -> None:
    good = files.glob("logs/*.log.vz")
    (here / "logs/current.log.vz").symlink_to("nowhere")
    os.mkfifo(here / "logs/pipe.log.vz")
    shutil.copy("logs/a.log.vz", "logs/twice.log.vz.vz")
    (here / "logs/large.log.vz").write_bytes(
        container.frame_header(bytes(8), 1 << 30, None) + container.Index(20).to_bytes()
    )
    assert files.glob("logs/*.log.vz") == sorted([*good, f"{here}/logs/large.log"])
    assert len([entry for entry in files.ls("logs") if entry["type"] == "file"]) == len(good) + 1


def test_a_damaged_file_has_no_size_but_may_be_listed(files: Any, here: Path) -> None:
    Path("logs/a.log.vz").write_bytes(b"not ours")
    Path("logs/b.log.vz").write_bytes(b"")
    assert [entry["size"] for entry in files.ls("logs") if entry["type"] == "file"] == [None, None]
    for name in ("a", "b"):
        with pytest.raises(vaezip.FormatError, match=rf"{name}\.log\.vz: .*not a \.vz file"):
            files.info(f"logs/{name}.log")


def test_what_lies_in_the_middle_costs_one_block(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vaezip import content as contents

    decoded: list[int] = []

    def counted(*arguments: Any) -> bytes:
        decoded.append(1)
        return real(*arguments)

    real = contents.decode_block
    monkeypatch.setattr(contents, "decode_block", counted)
    content = FILES["table.csv"].encode()
    assert files.info("table.csv")["size"] == len(content)
    assert not decoded
    assert files.cat_file("table.csv", start=5100, end=5200) == content[5100:5200]
    assert len(decoded) == 1
    assert files.cat_file("table.csv", start=-100) == content[-100:]


def test_files_are_written_appended_to_and_copied(files: Any) -> None:
    files.mkdir("vz://new")
    files.makedirs("vz://new/deep")
    with files.open("vz://new/deep/notes.txt.vz", "wt", newline="\n") as file:
        file.write("one\n")
    with files.open("new/deep/notes.txt", "ab") as file:
        file.write(b"two\n")
    assert vaezip.decompress(Path("new/deep/notes.txt.vz").read_bytes(), model=TINY) == b"one\ntwo\n"
    files.get("new/deep/notes.txt", "notes.txt")
    files.put("notes.txt", "new/again.txt.vz")
    assert sorted(os.listdir("new")) == ["again.txt.vz", "deep"]
    assert files.cat("new/again.txt") == b"one\ntwo\n"
    for change in (
        lambda: files.rm("new/again.txt"),
        lambda: files.rm("new", recursive=True),
        lambda: files.rm_file("new/again.txt"),
        lambda: files.delete("new/again.txt"),
        lambda: files.mv("new/again.txt", "new/moved.txt"),
        lambda: files.rename("new", "old", recursive=True),
        lambda: files.copy("new/again.txt", "new/copied.txt"),
        lambda: files.cp_file("new/again.txt", "new/copied.txt"),
    ):
        with pytest.raises(NotImplementedError, match=r"file system below, which is its \.fs, .* in \.vz"):
            change()
    assert sorted(os.listdir("new")) == ["again.txt.vz", "deep"]
    for name, below in (("new/again.txt", "new/again.txt.vz"), ("vz://new/deep", "new/deep")):
        assert files.modified(name) == files.fs.modified(below)
        assert files.created(name) == files.fs.created(below)
    files.mkdir("new/empty")
    files.rmdir("vz://new/empty")
    with pytest.raises(OSError, match="not empty"):
        files.rmdir("new")
    assert sorted(os.listdir("new")) == ["again.txt.vz", "deep"]
    with pytest.raises(NotImplementedError, match="no transactions"), files.transaction:
        files.open("new/late.txt", "wb")


@needs_fsspec
@pytest.mark.parametrize(
    ("mode", "model", "error"), [("wb", "nosuch", vaezip.ModelError), ("wb+", str(TINY), ValueError)]
)
def test_wrong_options_leave_a_file_alone(here: Path, mode: str, model: str, error: type[Exception]) -> None:
    import fsspec

    before = (here / "table.csv.vz").read_bytes()
    for name in ("table.csv.vz", "new.csv.vz"):
        url = f"vz://{here.as_posix()}/{name}"
        with pytest.raises(error), fsspec.open(url, mode, model=model):
            pass
    assert (here / "table.csv.vz").read_bytes() == before
    assert not (here / "new.csv.vz").exists()


def test_a_file_that_cannot_be_read_from_here_is_closed(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = files.fs.open
    monkeypatch.setattr(files.fs, "open", lambda *where: opened.append(real(*where)) or opened[-1])
    monkeypatch.setitem(files._coding, "model", 5)
    with pytest.raises(TypeError):
        files.open("table.csv")
    assert [file.closed for file in opened] == [True]


@needs_fsspec
def test_urls_are_chained(here: Path) -> None:
    import fsspec
    from fsspec.implementations import memory

    from vaezip.integrations.filesystem import CHAINS

    if not CHAINS:
        with pytest.raises(NotImplementedError, match="need fsspec"):
            fsspec.open("vz::memory://bucket/table.csv.vz")
        return
    fsspec.filesystem("memory").pipe("/bucket/table.csv.vz", Path("table.csv.vz").read_bytes())
    local = f"vz::file://{here.as_posix()}/table.csv.vz"
    for url in ("vz::memory://bucket/table.csv.vz", "vz://::memory://bucket/table.csv.vz", local):
        for options in ({}, {"compression": "infer"}):
            with fsspec.open(url, "rt", newline="", vz=MODEL, **options) as file:
                assert file.read() == FILES["table.csv"]
        filesystem, name = fsspec.core.url_to_fs(url, vz=MODEL)
        with fsspec.open(filesystem.unstrip_protocol(name), "rb", vz=MODEL) as file:
            assert file.size == len(FILES["table.csv"])
    with fsspec.open("vz::memory://bucket/new.txt.vz", "wb", vz=MODEL) as file:
        file.write(b"new")
    opened = fsspec.open_files("vz::memory://bucket/*.vz", vz=MODEL)
    assert [file.path for file in opened] == ["/bucket/new.txt", "/bucket/table.csv"]
    assert vaezip.decompress(fsspec.filesystem("memory").cat("/bucket/new.txt.vz"), model=TINY) == b"new"
    memory.MemoryFileSystem.store.clear()


def test_pandas_reads_and_writes(here: Path) -> None:
    pandas = pytest.importorskip("pandas")
    plain = pandas.read_csv(io.StringIO(FILES["table.csv"]))
    with vaezip.open("table.csv.vz", model=TINY) as file:
        pandas.testing.assert_frame_equal(pandas.read_csv(file), plain)
    with vaezip.open("copy.csv.vz", "wt", model=TINY, newline="") as file:
        plain.to_csv(file, index=False, lineterminator="\n")
    assert vaezip.decompress(Path("copy.csv.vz").read_bytes(), model=TINY) == FILES["table.csv"].encode()
    pytest.importorskip("fsspec")
    pandas.testing.assert_frame_equal(pandas.read_csv("vz://copy.csv.vz", storage_options=MODEL), plain)
    plain.to_json("vz://lines.json.vz", orient="records", lines=True, storage_options=MODEL)
    again = pandas.read_json("vz://lines.json.vz", lines=True, storage_options=MODEL)
    pandas.testing.assert_frame_equal(again, plain)


def test_dask_reads_in_parts_and_writes(here: Path) -> None:
    dataframe = pytest.importorskip("dask.dataframe")
    bag = pytest.importorskip("dask.bag")
    import dask

    Path("table.csv").write_text(FILES["table.csv"], newline="\n")
    with dask.config.set(scheduler="threads", num_workers=2):
        plain = dataframe.read_csv("table.csv").compute()
        url = f"vz::file://{here.as_posix()}/table.csv.vz"
        chained = (
            {"urlpath": url, "storage_options": {"vz": MODEL}},
            {"urlpath": [url], "storage_options": {"vz": MODEL}, "compression": None},
        )
        for options in (
            {"urlpath": "vz://table.csv.vz", "storage_options": MODEL},
            {"urlpath": ["vz://table.csv.vz"], "storage_options": MODEL},
            *(chained if importlib.import_module("vaezip.integrations.filesystem").CHAINS else ()),
        ):
            frame = dataframe.read_csv(blocksize=1200, **options)
            assert frame.npartitions > 4
            assert frame.compute().reset_index(drop=True).equals(plain)
        lines = bag.read_text("vz://logs/*.log.vz", blocksize=500, storage_options=MODEL)
        assert lines.npartitions > 2
        assert lines.compute() == (FILES["logs/a.log"] + FILES["logs/b.log"]).splitlines(keepends=True)
        frame.to_csv("vz://parts/*.csv.vz", index=False, storage_options=MODEL)
        assert all(name.endswith(".csv.vz") for name in os.listdir("parts"))
        parts = dataframe.read_csv("vz://parts/*.csv.vz", storage_options=MODEL)
        assert parts.compute().reset_index(drop=True).equals(plain)


CLUSTER = """
import sys

import dask.bag
import dask.dataframe
import pandas
from dask.distributed import Client, LocalCluster

if __name__ == "__main__":
    options = {"model": sys.argv[1]}
    frame = dask.dataframe.read_csv("vz://table.csv.vz", blocksize=1200, storage_options=options)
    lines = dask.bag.read_text("vz://logs/*.log.vz", blocksize=500, storage_options=options)
    assert frame.npartitions > 4
    print(len(frame.compute(scheduler="processes", num_workers=1)))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        assert not any(client.run(lambda: "vaezip" in sys.modules).values())
        print(len(client.submit(pandas.read_csv, "vz://table.csv.vz", storage_options=options).result()))
        print(frame.id.sum().compute(), lines.filter(lambda line: "ERROR" in line).count().compute())
        assert all(client.run(lambda: "vaezip" in sys.modules).values())
"""


def test_processes_and_workers_of_a_cluster_need_to_import_nothing(
    tmp_path: Path, here: Path, installed: dict[str, str]
) -> None:
    pytest.importorskip("dask.dataframe")
    pytest.importorskip("distributed")
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    command = [sys.executable, script, TINY]
    shown = subprocess.run(
        command, env=installed, stdout=subprocess.PIPE, text=True, timeout=600, check=True
    ).stdout
    assert shown.split() == ["400", "400", str(sum(range(400))), "150"]
