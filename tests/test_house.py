"""The house is as CONTRIBUTING.md says: who may import whom, what is exact, how long things are, what is where.

That everything public has a docstring, ruff sees to (pyproject.toml, D1).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "vaezip"
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MODULES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = {
    name: path for name, path in MODULES.items() if name.split("/")[0] not in ("__init__.py", "models")
}
KERNEL = sorted((PACKAGE / "kernel").glob("*.[ch]"))

OUTSIDERS = {  # packages, and who may import them
    "numpy": ("",),
    "_typeshed": ("arguments.py",),  # which only type checkers have
    "click": ("cli/",),
    "tqdm": ("cli/",),
    "constriction": ("ans.py",),
    "torch": ("training/",),
    "triton": ("training/functions_triton.py",),
    "matplotlib": ("plots.py",),
    "fsspec": ("integrations/",),
    "smart_open": ("integrations/",),
}
FUNCTIONS = {
    "divide",
    "exp",
    "frexp",
    "log",
    "log10",
    "log1p",
    "log2",
    "mean",
    "sqrt",
    "std",
    "tanh",
}  # of numpy and math
FLOATS = {  # exact modules in which there are floating-point numbers nevertheless, and why
    "ans.py": "rows reach constriction as float32, which holds them exactly",
    "bitsback.py": "frexp tells a length in bits; a width has 24 of them",
    "network/ops.py": "float32 carries products whose sums stay below 2**24; frexp tells a length in bits; a bound",
}
LONGEST_FILE, LONGEST_FUNCTION = 400, 60  # lines
LONG_FUNCTIONS = {"vaezip/cli/transform.py transform": "it takes every option of two commands"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of the page."""
    table = PAGE.split(f"## {heading}\n")[1].split("\n|---")[1]
    lines = [line for line in table.split("\n\n")[0].splitlines()[1:] if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def members(cell: str) -> set[str]:
    """The modules that a cell names: `mixing/` and `ans.py`, say."""
    found = set()
    for name in re.findall(r"`([^`]+)`", cell):
        inside = {
            module for module in MODULES if module == name or (name[-1] == "/" and module.startswith(name))
        }
        assert inside, f"there is no {name}"
        found |= inside
    return found


def floors() -> list[set[str]]:
    """The rows of the map, from top to bottom; a module that is named by itself is not of its folder's row."""
    named = [set(re.findall(r"`([^`]+\.py)`", cells[1])) for cells in rows("The map")]
    alone = set().union(*named)
    return [names | (members(cells[1]) - alone) for names, cells in zip(named, rows("The map"), strict=True)]


@cache
def imported(module: str) -> frozenset[str]:
    """Names of all modules that one imports, at once or later, in full."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return frozenset(found)


def inside(module: str) -> set[str]:
    """The modules of this house that one imports."""
    names = {name.removeprefix("vaezip.").replace(".", "/") for name in imported(module)}
    return {file for name in names for file in (f"{name}.py", f"{name}/__init__.py") if file in MODULES} - {
        module
    }


def test_every_module_is_on_the_map_once() -> None:
    on_the_map = [module for floor in floors() for module in floor]
    assert sorted(on_the_map) == sorted(MODULES)


def test_modules_import_from_their_own_floor_or_below() -> None:
    level = {module: number for number, floor in enumerate(floors()) for module in floor}
    up = [(module, other) for module in MODULES for other in inside(module) if level[other] < level[module]]
    assert up == []


def test_imports_go_round_in_no_circle() -> None:
    TopologicalSorter({module: inside(module) for module in MODULES}).prepare()


def test_other_packages_are_imported_where_they_may_be() -> None:
    for module in MODULES:
        for name in {name.split(".")[0] for name in imported(module)} - sys.stdlib_module_names - {"vaezip"}:
            assert any(module.startswith(place) for place in OUTSIDERS[name]), f"{module} imports {name}"


def floating(text: str) -> Iterator[str]:
    """What of a module's source has to do with floating-point numbers."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) if "float" in name or name == "double":
                yield name
            case ast.Attribute(value=ast.Name(id="np" | "math"), attr=name) if name in FUNCTIONS:
                yield name
            case ast.Div() | ast.Constant(value=float()):
                yield ast.dump(node)


def exact() -> set[str]:
    """The modules of the first zone."""
    return members(rows("Three zones")[0][1])


def test_what_is_exact_has_no_floating_point_numbers() -> None:
    found = {module for module in exact() if set(floating(MODULES[module].read_text(encoding="utf-8")))}
    assert found == set(FLOATS)


@pytest.mark.parametrize("path", KERNEL, ids=lambda path: path.name)
def test_the_kernel_has_no_floating_point_numbers(path: Path) -> None:
    assert not re.search(r"\b(float|double)\b", path.read_text(encoding="utf-8"))


def sources() -> Iterator[Path]:
    for pattern in ("vaezip/**/*.py", "vaezip/**/*.[ch]", "{}/**/*.py", "tests/arch/*.c", "*.py"):
        for folder in ("tests", "docs", "fuzz", "benchmarks") if "{}" in pattern else ("",):
            yield from ROOT.glob(pattern.format(folder))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Names of a source file's functions, and how many lines each has."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno is not None
                yield node.name, node.end_lineno - node.lineno + 1
    else:
        for found in re.finditer(r"^\w[^;{}]*?(\w+)\([^;{}]*\) \{$.*?^\}$", text, re.MULTILINE | re.DOTALL):
            yield found[1], found[0].count("\n") + 1


def test_files_are_short() -> None:
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in sources()
    }
    assert {name: count for name, count in lines.items() if count > LONGEST_FILE} == {}


def test_functions_are_short() -> None:
    long = {
        f"{path.relative_to(ROOT).as_posix()} {name}"
        for path in sources()
        for name, count in functions(path)
        if count > LONGEST_FUNCTION
    }
    assert long == set(LONG_FUNCTIONS)


def named() -> Iterator[str]:
    """What the page has in code spans and blocks, word by word."""
    prose = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    for span in [*re.findall(r"`([^`]+)`", prose), *re.findall(r"^\$ (.*)", PAGE, re.MULTILINE)]:
        yield from re.sub(r" [#=].*", "", span).split()


def test_what_the_page_names_is_there() -> None:
    names = {path.name for path in sources()}
    code = "\n".join(path.read_text(encoding="utf-8") for path in [*sources(), ROOT / "Makefile"])
    words = {*re.findall(r"[\w-]+", code), "git", "python", "-m"}
    for name in named():
        if re.search(r"\b(CORPUS|FILE|MINUTES|NAME|NEW|OLD|TEXTS|v0)\b", name):
            continue
        if "/" in name or re.search(r"\.(c|cff|h|md|py|toml|txt|vzm)$", name):
            places = [place for place in (ROOT, PACKAGE) if any(place.glob(name.rstrip("/")))]
            assert places or name in names, f"there is no {name}"
        elif re.fullmatch(r"[\w.-]+", name):
            assert set(name.strip("-").split(".")) <= words | names, f"nothing is called {name}"
