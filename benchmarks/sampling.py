"""The worth of samples: the share of words in them, and how much like a file those are that were drawn so.

    python benchmarks/sampling.py /usr/share/dict/words FILES... [--model MODEL]

The first file should be English prose, with which samples are compared. All should be of different kinds and
of 21 KB or more: the first 4 KB stand for each, and pieces from 8 KB on show how well they can be told apart.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np

import vaezip
from vaezip.bitsback import PresetChoice
from vaezip.mixing.parameters import PRESETS
from vaezip.model import Model, load_model

TEMPERATURES = (0.5, 0.7, 0.9, 1.0)
SAMPLES = 20  # of each preset and temperature
DRAWN = 5  # like each file
LENGTH = 1000  # characters, or bytes of a file
HEAD = 4096  # bytes that stand for a file

Cost = Callable[[bytes], float]  # what a text takes, given a file's head


@click.command()
@click.argument("words", type=click.Path(exists=True, path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="standard", show_default=True)
def main(words: Path, files: tuple[Path, ...], model: str) -> None:
    """Print all tables, in Markdown."""
    loaded = load_model(model)
    known = set(words.read_text(encoding="utf-8").lower().split())
    texts = [path.read_bytes() for path in files]
    how_long(loaded)
    how_many_words(loaded, known, texts[0])
    how_alike(loaded, texts)


def text_of(model: Model, seed: int, **arguments: object) -> bytes:
    """A sample."""
    return b"".join(vaezip.sample(model=model, seed=seed, length=LENGTH, **arguments))  # type: ignore[arg-type]


def how_long(model: Model) -> None:
    """Processor time of a sample, best of five."""
    seconds = []
    for seed in range(5):
        began = time.process_time()
        text_of(model, seed)
        seconds.append(time.process_time() - began)
    print(f"{LENGTH} characters: {min(seconds):.2f} s of processor time, engine {model.engine.name}\n")


def how_many_words(model: Model, known: set[str], real: bytes) -> None:
    """Print a table of words by preset and temperature, and beside them of a real text."""
    print("| preset | temperature | words | in the list | gzip, bits/byte |\n| --- | --: | --: | --: | --: |")
    for preset in range(PRESETS):
        for temperature in TEMPERATURES:
            texts = [text_of(model, seed, preset=preset, temperature=temperature) for seed in range(SAMPLES)]
            print(f"| {preset} | {temperature} | {_row(texts, known)} |")
    pieces = [real[at : at + LENGTH] for at in range(0, SAMPLES * LENGTH, LENGTH)]
    print(f"| *real prose* | | {_row(pieces, known)} |\n")


def _row(texts: Sequence[bytes], known: set[str]) -> str:
    found = [
        word for text in texts for word in re.findall(r"[a-z]{2,}", text.decode(errors="ignore").lower())
    ]
    share = sum(word in known for word in found) / max(1, len(found))
    bits = 8 * sum(len(zlib.compress(text, 9)) for text in texts) / sum(map(len, texts))
    return f"{len(found)} | {100 * share:.0f} % | {bits:.2f}"


def how_alike(model: Model, texts: Sequence[bytes]) -> None:
    """Print how many samples drawn like a file, in this or that way, are nearest to it."""
    heads = [text[:HEAD] for text in texts]
    presets = [PresetChoice(model, head).preset for head in heads]
    zs = [
        [vaezip.sample(model=model, like=text, seed=seed, length=0).z for seed in range(DRAWN)]
        for text in texts
    ]
    different = len({z for drawn in zs for z in drawn})
    null = [0] * model.architecture.latents
    ways: dict[str, Callable[[int, int], bytes]] = {
        "z and preset": lambda i, seed: text_of(model, seed, z=zs[i][seed], preset=presets[i]),
        "z alone, preset 0": lambda i, seed: text_of(model, seed, z=zs[i][seed], preset=0),
        "preset alone, z 0": lambda i, seed: text_of(model, seed, z=null, preset=presets[i]),
        "the first 4 KB, as prompt": lambda i, seed: text_of(model, seed, prompt=heads[i]),
        "*the file itself, from 8 KB on*": lambda i, seed: texts[i][8192 + LENGTH * seed :][:LENGTH],
    }
    by_vaezip: list[Cost] = [
        _bits_after(model, head, preset) for head, preset in zip(heads, presets, strict=True)
    ]
    by_zlib: list[Cost] = [_deflated_after(head) for head in heads]
    print(f"{len(texts)} files, presets {presets}; {different} different z of {DRAWN * len(texts)}\n")
    print("| from the file | nearest by vaezip | nearest by zlib |\n| --- | --: | --: |")
    for name, draw in ways.items():
        drawn = [(i, draw(i, seed)) for i in range(len(texts)) for seed in range(DRAWN)]
        hits = [
            sum(min(range(len(costs)), key=lambda k: costs[k](text)) == i for i, text in drawn)
            for costs in (by_vaezip, by_zlib)
        ]
        print(f"| {name} | {hits[0]} of {len(drawn)} | {hits[1]} of {len(drawn)} |", flush=True)
    print(f"| *chance* | {DRAWN} of {DRAWN * len(texts)} | {DRAWN} of {DRAWN * len(texts)} |")


def _bits_after(model: Model, head: bytes, preset: int) -> Cost:
    def bits(text: bytes) -> float:
        both = np.frombuffer(head + text, np.uint8)
        predictor = model.predictor(model.latent.null(), preset, len(both))
        return float(-np.log2(predictor.intervals(both)[len(head) :, 1] / 2**24).sum())

    return bits


def _deflated_after(head: bytes) -> Cost:
    def size(text: bytes) -> float:
        compressor = zlib.compressobj(9, zdict=head)
        return len(compressor.compress(text) + compressor.flush())

    return size


if __name__ == "__main__":
    main()
