"""Teach a model's mixer anew, its network as it is: for trials of a mixer whose tensors have other shapes.

    python benchmarks/practise.py MODEL.vzm OUTPUT.vzm TEXTS...

To judge a change of the mixer, let the code before it and the code with it practise on the same texts, and
compare what both make of other texts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from vaezip.model import serialise
from vaezip.network.architecture import Architecture
from vaezip.tensors import read_tensors
from vaezip.training.mixer_practice import learned_parameters

PIECE = 1 << 16  # bytes: a mixer that is practised on pieces learns how texts begin, too


def main() -> None:
    """Read the model, practise, and write it."""
    model, output, *files = map(Path, sys.argv[1:])
    tensors, info = read_tensors(model.read_bytes())
    a = Architecture.from_json(json.loads(info["architecture"]))
    kept = {name: t for name, t in tensors.items() if not name.startswith(("mixer.", "self_test."))}
    texts = [np.frombuffer(file.read_bytes(), np.uint8) for file in files]
    pieces = [text[at : at + PIECE] for text in texts for at in range(0, len(text), PIECE)]
    output.write_bytes(serialise(a, {**kept, **learned_parameters(a, kept, pieces, seed=0)}, dict(info)))


if __name__ == "__main__":
    main()
