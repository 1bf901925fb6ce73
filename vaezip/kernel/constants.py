"""Sizes that Python and C both know: C copies as many numbers as it says itself, so they must be the same.

A kernel that was built of other sources than this Python is refused when a model is given to it.
"""

from __future__ import annotations

from vaezip.coder import TOTAL
from vaezip.errors import EngineError
from vaezip.kernel import lib
from vaezip.mixing import parameters as mixing
from vaezip.network import architecture, decoder, ops

_SETS = ("NODE", "MATCH", "BYTE", "ORDER", "BYTE_SHARE", "FIELD", "BEFORE")
_FINAL_SETS = ("MATCH", "BYTE", "NODE", "BEFORE")
_MOST = {name: most for name, (_, most) in architecture.LIMITS.items()}
_MIXER = """HISTORIES MATCHES INPUTS MATCH_LENGTHS STATES NODES BYTES DEPTHS EXPECTED MATCH_CLASSES ORDERS
NODE_MARGINS BYTE_SHARES FIELDS WORD_LENGTHS BYTE_KINDS SETS WEIGHT_ROWS FINAL_SETS FINAL_ROWS"""
TWINS: dict[str, int] = {
    "VZ_TOTAL": TOTAL,
    "VZ_MAX_WIDTH": _MOST["width"],
    "VZ_MAX_INPUTS": _MOST["width"] * _MOST["expansion"],
    "VZ_MAX_LAYERS": _MOST["layers"],
    "VZ_MAX_WORDS": _MOST["word_contexts"],
    "VZ_MAX_CONTEXTS": architecture.MAX_ORDERS + _MOST["word_contexts"],
    "VZ_GATE_ENTRIES": ops.GATE_ENTRIES,
    "VZ_EXP_ENTRIES": decoder.EXP_ENTRIES,
    **{f"VZ_{name}": getattr(mixing, name) for name in _MIXER.split()},
    **{f"VZ_SET_{name}": row for name, row in zip(_SETS, mixing.SET_OFFSETS, strict=False)},
    **{f"VZ_FINAL_{name}": row for name, row in zip(_FINAL_SETS, mixing.FINAL_OFFSETS, strict=False)},
}
"""What C has to have, by its names."""


def check() -> None:
    """Raise EngineError unless C has the same."""
    if any(getattr(lib, name, None) != value for name, value in TWINS.items()):
        raise EngineError("the C kernel was built of other sources than this vaezip: install vaezip anew")
