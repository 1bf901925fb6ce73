"""Archives by shutil: made and unpacked, whole or not at all, and nowhere else."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import vaezip
import vaezip.integrations

needs_links = pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")


@needs_links
def test_shutil_makes_and_unpacks_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "notes.txt").write_text("It was the best of times")
    (folder / "deep" / "link").symlink_to("../notes.txt")
    made = shutil.make_archive("out/backup", "vztar", "folder", owner="root", group="no such group")
    assert made == str(tmp_path / "out" / "backup.tar.vz")
    said: list[str] = []
    logger = SimpleNamespace(info=lambda line, *values: said.append(line % values))
    dry = shutil.make_archive("whole", "vztar", None, "folder", dry_run=True, logger=logger)
    assert dry == "whole.tar.vz"
    assert not Path("whole.tar.vz").exists()
    shutil.make_archive("whole", "vztar", None, str(folder), group="root", logger=logger)
    assert said == ["would create whole.tar.vz", "creating whole.tar.vz"]
    with vaezip.open("whole.tar.vz") as packed, tarfile.open(fileobj=packed) as archive:
        assert {member.gname for member in archive} == {"root"}
    with vaezip.open(made) as packed, tarfile.open(fileobj=packed) as archive:
        assert {member.uname for member in archive} == {"root"}
        assert sorted(archive.getnames()) == [".", "./deep", "./deep/link", "./notes.txt"]
    shutil.unpack_archive(Path(made), "back")
    assert Path("back/deep/link").read_text() == "It was the best of times"
    shutil.unpack_archive("whole.tar.vz", "whole", filter="tar")
    assert (tmp_path / "whole").joinpath(*folder.parts[1:], "deep", "link").is_symlink()


def test_an_archive_may_lie_in_the_folder_and_is_replaced_only_when_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("first")
    for _ in range(2):
        made = Path(shutil.make_archive(str(tmp_path / "backup"), "vztar", tmp_path))
        with vaezip.open(made) as packed, tarfile.open(fileobj=packed) as archive:
            assert sorted(archive.getnames()) == [".", "./notes.txt"]
    before = made.read_bytes()

    def fail(*arguments: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(tarfile.TarFile, "addfile", fail)
    with pytest.raises(OSError, match="gone"):
        shutil.make_archive(str(tmp_path / "backup"), "vztar", tmp_path)
    assert made.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["backup.tar.vz", "notes.txt"]


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt"])
def test_nothing_is_extracted_to_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    with (
        vaezip.open(tmp_path / "evil.tar.vz", "wb") as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        archive.addfile(tarfile.TarInfo(name))
    try:
        shutil.unpack_archive(tmp_path / "evil.tar.vz", tmp_path / "folder")
    except tarfile.FilterError:
        pass
    else:  # a leading slash is dropped
        assert (tmp_path / "folder" / "outside.txt").exists()
    assert not (tmp_path / "outside.txt").exists()
    assert not Path("/outside.txt").exists()


def test_what_is_no_whole_archive_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "random").write_bytes(os.urandom(30_000))
    made = Path(shutil.make_archive(str(tmp_path / "backup"), "vztar", tmp_path / "folder"))
    whole = made.read_bytes()
    for content in (b"", b"plain", vaezip.compress(b"no tar"), whole[:-200]):
        made.write_bytes(content)
        with pytest.raises(shutil.ReadError, match=r"backup\.tar\.vz is not a whole \.tar\.vz"):
            shutil.unpack_archive(made, tmp_path / "folder")
