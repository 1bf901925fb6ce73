"""What type checkers know of what the library returns; mypy reads this file, too (pyproject.toml)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vaezip

if TYPE_CHECKING:
    from typing_extensions import assert_type
else:

    def assert_type(value: Any, expected: Any) -> None:
        assert type(value) is expected


TINY = str(Path(__file__).parent / "data" / "tiny.vzm")


def test_the_mode_tells_what_open_returns(tmp_path: Path) -> None:
    path = tmp_path / "notes.vz"
    with vaezip.open(path, "wt", model=TINY, encoding="utf-8", newline="\n") as text:
        assert_type(text, io.TextIOWrapper)
        text.write("one\n")
    with vaezip.open(str(path), "ab", model=TINY) as file:
        assert_type(file, vaezip.VaezipFile)
        file.write(b"two\n")
    with vaezip.open(path, model=TINY) as file:
        assert_type(file, vaezip.VaezipFile)
        assert file.read() == b"one\ntwo\n"
    with open(path, "rb") as below, vaezip.open(below, "rt", model=TINY) as text:
        assert_type(text, io.TextIOWrapper)
        assert text.readlines() == ["one\n", "two\n"]


def test_a_mode_that_is_not_known_beforehand_may_be_either(tmp_path: Path) -> None:
    for mode, expected in (("wb", vaezip.VaezipFile), ("at", io.TextIOWrapper)):
        file = vaezip.open(tmp_path / "notes.vz", mode, model=TINY)
        with file:
            assert isinstance(file, expected)
        if TYPE_CHECKING:
            assert_type(file, vaezip.VaezipFile | io.TextIOWrapper)
