"""States on disk, each written in one piece: a crash leaves the old one or the new one."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch

from vaezip.errors import CheckpointError, FileError, VaezipError
from vaezip.training.run_folder import temporary


def save(state: dict[str, Any], path: Path) -> None:
    """Write `state`, tensors and plain values, over whatever `path` is; raises FileError if it cannot."""
    with replacing(path) as file:
        torch.save(state, file)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file of a run's folder; raises FileError, and leaves the old one, if that fails."""
    part = temporary(path)
    try:
        part.unlink(missing_ok=True)  # as a killed run has left it
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:  # torch makes the latter of the former
        part.unlink(missing_ok=True)
        cause = error if isinstance(error, OSError) else error.__context__
        reason = cause.strerror if isinstance(cause, OSError) else str(error).splitlines()[0]
        raise FileError(f"{path}: cannot write: {reason}") from error


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, on whatever device, with all tensors on the CPU. Raises CheckpointError.

    Executes nothing (with torch 2.6 or later).
    """
    with reading(path):
        with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums
            damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(f"{path}: damaged")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever is wrong with the contents of a state becomes a CheckpointError."""
    try:
        yield
    except (VaezipError, MemoryError):
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read: {error.strerror or error}") from error
    except Exception as error:  # zipfile, pickle, torch and whoever uses the values each have their own
        raise CheckpointError(f"{path}: damaged, or of another version of vaezip") from error
