"""The same input gives the same `.vz` bytes with every engine, BLAS kernel and number of threads."""

from __future__ import annotations

import glob
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, Run

from vaezip.engine import REFERENCE, available
from vaezip.model import DEFAULT

ENVIRONMENTS: list[dict[str, str]] = [
    {"OPENBLAS_NUM_THREADS": "2"},
    {"OPENBLAS_CORETYPE": "Haswell"},
    {"OPENBLAS_CORETYPE": "Sandybridge"},
    {"OPENBLAS_CORETYPE": "Nehalem"},
    {"NPY_DISABLE_CPU_FEATURES": "AVX2 AVX512F"},
    # The reference computes the decoder by matrix products too, the kernel does not.
    *({"VAEZIP_ENGINE": name} for name in available()),
    {"VAEZIP_ENGINE": REFERENCE, "OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "2"},
]


@pytest.mark.parametrize("model", [str(TINY), DEFAULT], ids=["tiny", DEFAULT])
def test_bytes_do_not_depend_on_the_machine(model: str, run: Run, prose: bytes, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(prose[: 400 if model == str(TINY) else 200])
    expected = run("compress", "-c", "text", "-m", model, env={"OPENBLAS_NUM_THREADS": "1"})
    assert expected.returncode == 0, expected.stderr
    for environment in ENVIRONMENTS:
        got = run("compress", "-c", "text", "-m", model, env=environment)
        assert got.returncode == 0, got.stderr
        assert got.stdout == expected.stdout, environment


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the kernels named are for x86-64")
def test_the_environments_do_select_other_kernels() -> None:
    """Guards the test above: if OPENBLAS_CORETYPE did nothing, it would show nothing."""
    folder = Path(np.__file__).parent.parent / "numpy.libs"
    libraries = glob.glob(str(folder / "*openblas*"))
    if not libraries:
        pytest.skip("numpy does not bring OpenBLAS along")
    code = (
        "import ctypes, sys, numpy; lib = ctypes.CDLL(sys.argv[1]); name = 'openblas_get_corename';"
        "f = next(getattr(lib, n) for n in (f'scipy_{name}64_', f'{name}64_', name) if hasattr(lib, n));"
        "f.restype = ctypes.c_char_p; print(f().decode())"
    )
    names = set()
    for environment in ({}, *ENVIRONMENTS):
        env = {**os.environ, **environment}
        names.add(subprocess.check_output([sys.executable, "-c", code, libraries[0]], env=env).strip())
    assert len(names) >= 3, names
