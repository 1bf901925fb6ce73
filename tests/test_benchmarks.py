"""What benchmarks/ compiles goes with the kernel as it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROSE, ROOT

from vaezip.engine import REFERENCE, available

KERNEL = any(name != REFERENCE for name in available())


@pytest.mark.skipif(not KERNEL or shutil.which("cc") is None, reason="needs the kernel and a C compiler")
def test_every_stage_of_coding_is_timed(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(PROSE[:2000])
    command = [sys.executable, str(ROOT / "benchmarks" / "stages.py"), str(text)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for stage in ("contexts", "network", "mixer", "coder", "compressing", "decompressing"):
        assert f"\n| {stage} | " in result.stdout
