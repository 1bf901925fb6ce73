"""Fixtures: a tiny trained model (width 16, tests/data/tiny.vzm) and the command line as a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import Browser, chromium
from hypothesis import settings

from vaezip.byteio import ByteReader
from vaezip.container import read_blocks, read_header
from vaezip.model import Model, load_model

# One BLAS thread: the arrays are small. (Results do not depend on it; test_exactness shows that.)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What the user has set is not what tests are about.
for variable in ("VAEZIP_MODEL", "VAEZIP_THREADS", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(variable, None)

# A shell's background job ignores SIGINT, one under nohup SIGHUP, and so would the commands that tests run.
for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM), signal.SIGTERM):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

settings.register_profile("default", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("default")

TESTS = Path(__file__).parent
ROOT = TESTS.parent
DATA = TESTS / "data"
TINY = DATA / "tiny.vzm"
PROSE = (DATA / "prose.txt").read_bytes()

Result = subprocess.CompletedProcess[bytes]
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def tiny() -> Model:
    """A small but trained model: fast, and its latent is in use."""
    return load_model(TINY)


@pytest.fixture(scope="session")
def prose() -> bytes:
    """Text that no model was trained on: a page of this project's documentation, as it once was."""
    return PROSE


def with_damage(frame: bytes, block: int) -> bytes:
    """A frame of blocks in which a bit of the payload of that block is another."""
    reader = ByteReader(io.BytesIO(frame))
    header = read_header(reader)
    assert header is not None
    position = frame.index([*read_blocks(reader, header)][block].payload)
    return frame[:position] + bytes([frame[position] ^ 1]) + frame[position + 1 :]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Prose in one folder, texts of many kinds in another, an empty file, a dangling link."""
    folder = tmp_path / "corpus"
    shutil.copytree(DATA / "texts", folder / "kinds")
    (folder / "prose").mkdir()
    for i in range(15):
        (folder / "prose" / f"{i}.txt").write_bytes(PROSE[2000 * i : 2000 * (i + 1)])
    (folder / "empty").touch()
    (folder / "dangling").symlink_to("nowhere")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; what needs it is skipped where there is none."""
    with chromium() as started:
        yield started


@contextlib.contextmanager
def server(*modules: str) -> Iterator[list[str]]:
    """A command line that calls a function where these modules are imported already; see warm.py."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address := str(Path(folder) / "socket"))
        listening.listen(100)
        number = listening.fileno()
        command = [sys.executable, "-c", f"import warm; warm.serve({number}, {modules})"]
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*map(str, (ROOT, TESTS)), os.environ.get("PYTHONPATH", "")]),
        }
        with subprocess.Popen(command, env=env, pass_fds=[number]) as process:
            yield [sys.executable, "-IS", str(TESTS / "warm.py"), address]
            process.kill()


@pytest.fixture(scope="session")
def warm() -> Iterator[list[str]]:
    with server("vaezip.cli", "vaezip.fileio", "vaezip.kernel.predictor") as command:
        yield command


@pytest.fixture(scope="session")
def warm_for_training_and_plots() -> Iterator[list[str]]:
    with server("vaezip.cli.train", "vaezip.training.run", "matplotlib.figure") as command:
        yield command


@pytest.fixture(scope="session")
def programs(warm: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which a shell finds `vaezip` and `vzcat`, with the tiny model where none is given."""
    folder = tmp_path_factory.mktemp("bin")
    scripts = (
        (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[project.scripts]")[1].split("[")[0]
    )
    for name, module, function in re.findall(r'(\w+) = "([\w.]+):(\w+)"', scripts):
        code = f"from {module} import {function}; {function}()"
        anew, forked = shlex.join([sys.executable, "-c", code]), shlex.join([*warm, f"{module}:{function}"])
        (folder / name).write_text(f'#!/bin/sh\n[ "$PYTHONUTF8" ] && exec {anew} "$@"\nexec {forked} "$@"\n')
        (folder / name).chmod(0o755)
    paths = {
        name: os.pathsep.join([str(first), *filter(None, [os.environ.get(name)])])
        for name, first in (("PATH", folder), ("PYTHONPATH", ROOT))
    }
    return {**os.environ, **paths, "VAEZIP_MODEL": str(TINY)}


@pytest.fixture
def sh(programs: dict[str, str], tmp_path: Path) -> Run:
    """`sh("vaezip -d < a.vz")`: what bash makes of a line, in a fresh folder."""

    def call(line: str, *arguments: str, shell: str = "bash", **options: object) -> Result:
        defaults = {"cwd": tmp_path, "env": programs, "capture_output": True, "timeout": 600, "check": False}
        defaults |= {} if "input" in options else {"stdin": subprocess.DEVNULL}
        return subprocess.run([shell, "-c", line, shell, *arguments], **{**defaults, **options})  # type: ignore[call-overload]

    return call


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """`run("compress", "a.txt", input=b"...")` in a fresh folder; with the tiny model where one is needed.

    In a process that starts anew where there are limits, or an environment that is not about vaezip alone.
    """

    def call(*args: object, env: dict[str, str] | None = None, **options: object) -> Result:
        if "preexec_fn" in options or not all(name.startswith("VAEZIP") for name in env or {}):
            command = [sys.executable, "-m", "vaezip"]
        else:
            warm = "warm_for_training_and_plots" if args[:1] in (("train",), ("plot",)) else "warm"
            command = [*request.getfixturevalue(warm), "vaezip.__main__:main"]
        takes_model = args and args[0] in ("compress", "decompress", "test", "bench", "show", "map")
        tiny = ["-m", TINY] if takes_model and not {"-m", "--models"}.intersection(args) else []
        command += map(str, [*args[:1], *tiny, *args[1:]])
        defaults = {"cwd": tmp_path, "capture_output": True, "timeout": 600, "check": False}
        defaults |= {} if "input" in options else {"stdin": subprocess.DEVNULL}
        return subprocess.run(command, env={**os.environ, **(env or {})}, **{**defaults, **options})  # type: ignore[call-overload]

    return call


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Some pages of prose: enough to train on, and quickly measured."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for i in range(8):
        (folder / f"{i}.txt").write_bytes(PROSE[3000 * i : 3000 * (i + 1)])
    return folder


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of processes that find vaezip installed as pyproject.toml says now."""
    folder = tmp_path_factory.mktemp("installed")
    setup = [sys.executable, "-W", "ignore", "setup.py", "-q", "egg_info", "--egg-base", str(folder)]
    subprocess.run(setup, cwd=ROOT, check=True)
    (folder / "vaezip").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vaezip "$@"\n')
    (folder / "vaezip").chmod(0o755)
    return {
        **os.environ,
        **{f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PATH": os.pathsep.join([str(folder), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
    }
