"""The documents agree with the program."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from conftest import PROSE, Run

import vaezip
from vaezip.cli import cli

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """docs/generate.py."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_made_of_the_help_is_up_to_date(generate: ModuleType) -> None:
    """The page, the man pages and the completion scripts; `python docs/generate.py` makes them."""
    for path, text in generate.generated().items():
        assert path.read_text(encoding="utf-8") == text, path


def test_every_variable_of_the_environment_is_explained(generate: ModuleType) -> None:
    commands = [cli.face, *cli.commands.values()]
    variables = {param.envvar for command in commands for param in command.params if param.envvar}
    assert variables < set(generate.ENVIRONMENT)
    for page in (ROOT / "docs" / "shell.md", ROOT / "docs" / "cli.md", ROOT / "docs" / "man" / "vaezip.1"):
        text = page.read_text(encoding="utf-8")
        assert [name for name in generate.ENVIRONMENT if name not in text] == []


@pytest.mark.parametrize("program", ["mandoc -Wwarning", "groff -man -ww -Tutf8"])
def test_the_manual_is_well_formed_and_complete(program: str) -> None:
    if shutil.which(program.split()[0]) is None:
        pytest.skip(f"{program.split()[0]} is not installed")
    page = ROOT / "docs" / "man" / "vaezip.1"
    shown = subprocess.run([*program.split(), page], capture_output=True, text=True, check=False)
    problems = [line for line in shown.stderr.splitlines() if "missing date" not in line]
    assert [line for line in problems if "see above" not in line] == []
    text = re.sub("\x1b\\[[0-9;]*m|.\x08", "", shown.stdout)
    for word in ("--output-dir FOLDER", "VAEZIP_THREADS", "vaezip train", "--rescript", "EXIT STATUS"):
        assert word in text


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"vaezip {name}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["format.md", "network.md", "mixer.md"])
def test_the_standard_tells_of_no_trials(page: str) -> None:
    """What a decoder needs, and nothing that was measured: docs/experiments.md has that."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").lower()
    assert re.findall(r"^#.*\b(?:trial|tried|experiment).*$", text, re.MULTILINE) == []
    assert re.findall(r"bits?(?:/| per )byte|\b[km]?b/s\b|[+−]\d+\.\d+ %", text) == []


def test_the_examples_of_the_format_are_what_vaezip_writes() -> None:
    page = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    text = b"Meet me at the station at half past nine."
    frame, message = (
        bytes.fromhex(line) for line in re.findall(r"^    ((?:[0-9A-F]{2} +){7,}.*)$", page, re.M)
    )
    assert vaezip.compress(text) == frame
    assert vaezip.MessageCodec().encode(text) == message


def test_links_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_all_public_names_are_documented() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: vaezip\.(\w+)$", page, re.MULTILINE)) == sorted(vaezip.__all__)


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md", "docs/python.md"])
def test_examples_in_python_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, each with what the ones before it have left."""
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, page, "exec"), names)
    assert examples


def test_the_commands_of_the_readme_run(sh: Run, tmp_path: Path) -> None:
    """Block after block, in one folder, but for those that say that they are not run here."""
    if not (ROOT / "vaezip" / "models").exists():
        pytest.skip("what was unpacked of an sdist has no models where Python would look for them")
    for name in ("notes.txt", "line.txt", "mail/1", "letters/1", "letters/2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PROSE[:300] if name < "n" else PROSE[300:600])
    (tmp_path / "old.log").write_bytes(b"".join(b"sensor %d is well\n" % n for n in range(20)))
    (tmp_path / "users.jsonl").write_bytes(b"".join(b'{"user": %d}\n' % n for n in range(20)))
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?<!<!-- not run -->\n)^```console\n(.*?)^```", page, re.M | re.S)
    assert blocks
    for block in blocks:
        done = sh("set -euo pipefail; unset VAEZIP_MODEL\n" + re.sub(r"^\$ ", "", block, flags=re.M))
        assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "back.txt").read_bytes() == (tmp_path / "notes.txt").read_bytes()
    assert done.stdout.endswith(b'{"user": 12}\n')


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md", "docs/recipes.md"])
def test_examples_in_python_write_over_nothing_that_commands_have_made(page: str) -> None:
    made = {"notes.txt", "notes.txt.vz", "back.txt"}  # by the first commands that a reader tries
    text = (ROOT / page).read_text(encoding="utf-8")
    assert made.isdisjoint(re.findall(r'open\("([^"]+)", "[wxa]', text))


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_figures_of_the_first_pages_are_those_of_the_benchmarks(page: str) -> None:
    benchmarks = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8").splitlines()
    figures = re.findall(r"^\|.*\| *\d.*$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert figures
    assert [row for row in figures if row not in benchmarks] == []


def test_the_changelog_knows_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{vaezip.__version__}]" in changelog
    assert "### Format" in changelog


def test_whoever_cites_vaezip_cites_this_version() -> None:
    assert f"\nversion: {vaezip.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_example_of_the_package_runs() -> None:
    import doctest

    assert doctest.testmod(vaezip).failed == 0
