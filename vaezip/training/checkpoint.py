"""States on disk, each written in one piece: a crash leaves the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


def save(state: dict[str, Any], path: Path) -> None:
    """Write `state`, tensors and plain values, over whatever `path` is."""
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote; executes nothing."""
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state
