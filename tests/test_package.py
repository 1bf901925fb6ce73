"""What is required on which machine, and what is said where something is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY
from packaging.requirements import Requirement

from vaezip import engine
from vaezip.cli import cli

ROOT = Path(__file__).parent.parent

EGG_INFO = """
import os, platform, runpy, sys, sysconfig
platform.libc_ver = lambda: ("glibc", "2.36")
sysconfig.get_config_var = lambda name, ask=sysconfig.get_config_var: 0 if name == "Py_GIL_DISABLED" else ask(name)
sys.maxsize, sys.platform = 2**63 - 1, "linux"
exec(os.environ["CHANGE"])
sys.argv = ["setup.py", "-q", "egg_info", "--egg-base", os.environ["EGG_BASE"]]
sys.path.insert(0, "")
runpy.run_path("setup.py", run_name="__main__")
"""


def requirements(change: str, folder: Path) -> dict[str, Requirement]:
    """Those of the metadata that setup.py makes on a machine with glibc, after some change of it."""
    env = {**os.environ, "CHANGE": change, "EGG_BASE": str(folder)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", EGG_INFO], cwd=ROOT, env=env, check=True)
    (metadata,) = folder.glob("*.egg-info/PKG-INFO")
    lines = metadata.read_text(encoding="utf-8").splitlines()
    every = [
        Requirement(line.removeprefix("Requires-Dist: "))
        for line in lines
        if line.startswith("Requires-Dist: ")
    ]
    return {requirement.name: requirement for requirement in every}


LINUX = {
    "sys_platform": "linux",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "python_version": "3.10",
    "extra": "",
}


@pytest.mark.parametrize(
    ("machine", "has_wheel"),
    [
        ({}, True),
        ({"python_version": "3.14"}, True),
        ({"python_version": "3.15"}, False),
        ({"platform_python_implementation": "PyPy"}, False),
        ({"platform_machine": "aarch64"}, False),
        ({"platform_machine": "armv7l"}, False),
        ({"platform_machine": "i686"}, False),
        ({"platform_machine": "s390x"}, False),
        ({"platform_machine": "riscv64"}, False),
        ({"sys_platform": "freebsd14"}, False),
        ({"sys_platform": "darwin", "platform_machine": "arm64"}, True),
        ({"sys_platform": "darwin", "platform_machine": "x86_64"}, True),
        ({"sys_platform": "win32", "platform_machine": "AMD64"}, True),
        ({"sys_platform": "win32", "platform_machine": "ARM64"}, False),
    ],
)
def test_constriction_is_required_only_where_it_can_be_installed(
    machine: dict[str, str],
    has_wheel: bool,
    tmp_path_factory: pytest.TempPathFactory,
    glibc: dict[str, Requirement],
) -> None:
    marker = glibc["constriction"].marker
    assert marker is not None
    assert marker.evaluate({**LINUX, **machine}) == has_wheel


@pytest.fixture(scope="module")
def glibc(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Requirement]:
    return requirements("", tmp_path_factory.mktemp("glibc"))


@pytest.mark.parametrize(
    "change",
    [
        "platform.libc_ver = lambda: ('', '')  # as on Alpine",
        "platform.libc_ver = lambda: ('musl', '1.2')",
        "sys.maxsize = 2**31 - 1",
        "sysconfig.get_config_var = lambda name: 1",
    ],
)
def test_it_is_left_out_where_markers_cannot_tell(
    change: str, tmp_path: Path, glibc: dict[str, Requirement]
) -> None:
    found = requirements(change, tmp_path)
    assert set(found) == set(glibc) - {"constriction"}
    assert {"numpy", "cffi", "click"} <= set(found)


def test_a_slow_engine_is_noticed_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAEZIP_ENGINE", raising=False)
    monkeypatch.setattr(engine, "available", lambda: ["portable", engine.REFERENCE])
    assert engine.slow_engine_notice() is None
    monkeypatch.setattr(engine, "available", lambda: [engine.REFERENCE])
    assert "C compiler" in str(engine.slow_engine_notice())
    monkeypatch.setenv("VAEZIP_ENGINE", engine.REFERENCE)
    assert engine.slow_engine_notice() is None


def test_every_command_that_computes_tells_of_a_slow_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "slow_engine_notice", lambda: "this will take long")
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"some lines\nof text\n")
    for line in (
        "compress a",
        "decompress -f a.vz",
        "test a.vz",
        "show a",
        "map a b",
        "sample --length 1",
        "bench --ablation a",
        "pack a -o a.vzp",
        "pack --append b -o a.vzp",
        "test a.vzp",
        "get a.vzp 0",
        "unpack a.vzp -o back",
    ):
        command, *rest = line.split()
        assert cli.main([command, "-m", str(TINY), *rest], standalone_mode=False) in (0, None)
        assert capsys.readouterr().err.count("vaezip: this will take long\n") == 1, line
