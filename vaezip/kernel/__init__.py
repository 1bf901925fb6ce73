"""The C twin of `vaezip.network.decoder` and `vaezip.mixing`: the same integers, many times as fast.

Importing this raises ImportError where the extension was not built.
"""

from __future__ import annotations

from vaezip.kernel._kernel import ffi, lib  # type: ignore[import-not-found]

__all__ = ["ffi", "lib", "paths"]


def paths() -> list[str]:
    """Ways to multiply that this machine can run, the fastest first."""
    every = [lib.vz_paths[i] for i in range(lib.vz_path_count)]
    return [ffi.string(path.name).decode() for path in every if path.runs()]
