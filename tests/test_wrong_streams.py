"""What is given in place of a path or a binary stream is refused at once, in words that help."""

from __future__ import annotations

import codecs
import io
import os
import pathlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY

import vaezip


def test_bytes_that_name_no_file_are_told_from_content(tmp_path: Path) -> None:
    blob = vaezip.compress(b"text " * 300, model=TINY, block_size=500)
    hint = "taken for a file's name: content goes into io.BytesIO"
    functions: list[Any] = [
        vaezip.open,
        vaezip.VaezipFile,
        lambda given: list(vaezip.list_frames(given)),
        vaezip.Records,
    ]
    for function in functions:
        for given in (vaezip.compress(b"", model=TINY), b"plain text", blob, b"a" * 5000):
            with pytest.raises((OSError, ValueError), match=hint) as caught:
                function(given)
            assert len(str(caught.value)) < 600
        with pytest.raises(FileNotFoundError):
            function(b"missing")
        with pytest.raises(IsADirectoryError) as directory:
            function(os.fsencode(tmp_path))
        assert hint not in str(directory.value)
    for content in (bytearray(blob), memoryview(blob)):
        for function in functions[:3]:
            with pytest.raises(TypeError, match=r"content goes into io\.BytesIO"):
                function(content)


def test_streams_of_text_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"text")
    sink = io.BytesIO()
    with path.open() as file, tempfile.NamedTemporaryFile("w+") as temporary:
        for text in (file, io.StringIO("text"), temporary):
            calls: list[Any] = [
                lambda text=text: vaezip.open(text, model=TINY),
                lambda text=text: vaezip.open(text, "rt", model=TINY),
                lambda text=text: vaezip.open(text, "wb", model=TINY),
                lambda text=text: vaezip.open(text, "at", model=TINY),
                lambda text=text: next(vaezip.list_frames(text)),
                lambda text=text: vaezip.compress_stream(text, sink, model=TINY),
                lambda text=text: vaezip.compress_stream(io.BytesIO(b"text"), text, model=TINY),
                lambda text=text: vaezip.decompress_stream(text, sink),
                lambda text=text: vaezip.decompress_stream(io.BytesIO(b"text"), text),
            ]
            for call in calls:
                with pytest.raises(TypeError, match="a stream of text, but one of bytes is needed"):
                    call()
    assert (sink.getvalue(), path.read_bytes()) == (b"", b"text")


def test_text_that_comes_where_bytes_should_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"text")
    with (
        tempfile.SpooledTemporaryFile(mode="w+") as spooled,
        codecs.open(str(path), encoding="utf-8") as coded,
    ):
        spooled.write("text")
        for text in (spooled, coded):
            calls: tuple[Any, ...] = (
                lambda text=text: vaezip.open(text).read(),
                lambda text=text: vaezip.compress_stream(text, io.BytesIO(), model=TINY),
                lambda text=text: vaezip.decompress_stream(text, io.BytesIO()),
            )
            for call in calls:
                text.seek(0)
                with pytest.raises(TypeError, match="a stream of text, but one of bytes is needed"):
                    call()


@pytest.mark.parametrize("path", ["path", pathlib.Path("path"), b"path"])
def test_paths_are_no_streams(path: Any) -> None:
    for function in (vaezip.compress_stream, vaezip.decompress_stream):
        with pytest.raises(TypeError, match=r"not a binary stream: .* has no read"):
            function(path, io.BytesIO())
        with pytest.raises(TypeError, match=r"not a binary stream: .* has no write"):
            function(io.BytesIO(), path)
