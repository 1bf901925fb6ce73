"""Texts in scripts that the corpus lacks, made from those it has.

A network that never met Greek spends eight bits on every byte of it, over and over, though the pattern is
plain after a few words. Training on some text whose letters were exchanged for those of another script,
shuffled anew each time, teaches it to pick up a script from the text itself.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

# First and last letter of the commonest stretch of many scripts, Cyrillic to Katakana.
_SCRIPTS = [
    ("а", "џ"), ("ά", "ώ"), ("ա", "և"), ("א", "ת"), ("ء", "ي"), ("ऄ", "्"), ("অ", "্"), ("અ", "્"), ("அ", "்"),
    ("అ", "్"), ("അ", "്"), ("ก", "๎"), ("ກ", "ໍ"), ("ა", "ჶ"), ("ሀ", "ቈ"), ("က", "အ"), ("ក", "ឳ"), ("ぁ", "ん"),
    ("ァ", "ヶ"),
]  # fmt: skip


def rescript(data: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The same text in another script, case kept where that has any; not longer than `data`."""
    text = data.tobytes().decode("utf-8", "ignore")
    first, last = _SCRIPTS[int(rng.integers(len(_SCRIPTS)))]
    alphabet = [chr(c) for c in range(ord(first), ord(last) + 1) if chr(c).isprintable()]
    shuffled = rng.permutation(len(alphabet))
    mapping = {}
    for i, (letter, _) in enumerate(Counter(c for c in text.lower() if c.isalpha()).most_common()):
        target = alphabet[shuffled[i % len(alphabet)]]
        mapping[ord(letter)] = target
        if len(letter.upper()) == len(target.upper()) == 1:
            mapping.setdefault(ord(letter.upper()), target.upper())
    written = text.translate(mapping).encode()[: len(data)]
    return np.frombuffer(written, np.uint8) if written else data
