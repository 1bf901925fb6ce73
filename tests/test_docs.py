"""The documents agree with the program. `python tests/test_docs.py` writes docs/cli.md anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import vaezip
from vaezip.cli import cli

ROOT = Path(__file__).parent.parent


def rendered() -> str:
    """docs/cli.md: what every command prints as its help."""
    parts = ["# The command line\n\nWhat `vaezip COMMAND --help` prints.\n"]
    for name in ["", *sorted(cli.commands)]:
        words = [name] if name else []
        shown = CliRunner().invoke(cli, [*words, "--help"], prog_name="vaezip", max_content_width=100).output
        parts.append(f"## {' '.join(['vaezip', *words])}\n\n```text\n{shown}```\n")
    parts.append(
        "Exit codes: 0, done; 1, an error; 2, a warning (a file was passed over); 130, interrupted.\n"
    )
    return "\n".join(parts)


def test_the_command_line_is_documented() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == rendered()


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"vaezip {name}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_changelog_knows_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{vaezip.__version__}]" in changelog
    assert "### Format" in changelog


def test_the_example_of_the_package_runs() -> None:
    import doctest

    assert doctest.testmod(vaezip).failed == 0


if __name__ == "__main__":
    (ROOT / "docs" / "cli.md").write_text(rendered(), encoding="utf-8", newline="\n")
