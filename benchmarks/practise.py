"""Teach a model's mixer anew, its network as it is: for trials of a mixer whose tensors have other shapes.

    python benchmarks/practise.py MODEL.vzm OUTPUT.vzm CORPUS...

It practises on the corpus' validation files, as `vaezip train` does.
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
from vaezip.training.data import read_corpus
from vaezip.training.mixer_practice import learned_parameters, practice_texts


def main() -> None:
    """Read the model, practise, and write it."""
    model, output, *corpus = map(Path, sys.argv[1:])
    tensors, info = read_tensors(model.read_bytes())
    a = Architecture.from_json(json.loads(info["architecture"]))
    kept = {name: t for name, t in tensors.items() if not name.startswith(("mixer.", "self_test."))}
    texts = practice_texts(read_corpus(corpus).validation, np.random.default_rng(0))
    output.write_bytes(serialise(a, {**kept, **learned_parameters(a, kept, texts, seed=0)}, dict(info)))


if __name__ == "__main__":
    main()
