"""Figures of a model's card: exact against float, and what the latent does, as Markdown.

    python benchmarks/card.py MODEL CHECKPOINT CORPUS PIECES

CHECKPOINT is what training leaves (`checkpoint.pt`), CORPUS the folder trained on: its validation files, the
first 600 KB or so, give the first table. PIECES is a folder of files named kind.size.number, such as
prose.4k.0; those of up to 16 KB give the second, those of 4 KB the others.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vaezip.bitsback import checksum, encode
from vaezip.container import Block, Method, short_frame
from vaezip.information import network_bits
from vaezip.model import Model, load_model
from vaezip.network.architecture import Architecture
from vaezip.tensors import read_tensors
from vaezip.training.data import read_corpus
from vaezip.training.evaluate import evaluate, posterior, text_bits
from vaezip.training.vae import Vae

Array = NDArray[np.floating]
SIZES = ("200", "1k", "4k", "16k")


class Piece(NamedTuple):
    """Bits per byte of one piece by the network alone, and its posterior."""

    null_exact: float
    null_float: float
    given_exact: float  # x given the z that the exact model draws ...
    given_float: float  # ... and of the float model, given the same z
    kl_bits: Array  # (latents,)
    mean: Array  # (latents,)


def measure(vae: Vae, model: Model, step: Array, text: bytes) -> Piece:
    """Code one piece with both models; `step` is the grid step of every latent."""
    x, size = np.frombuffer(text, np.uint8), len(text)
    null, drawn = (encode(model, text, latent=latent, preset=0) for latent in (False, True))
    z = torch.from_numpy(np.stack([null.z, drawn.z]) * step).float()
    null_bits, given_bits = text_bits(vae, x, z)
    q = posterior(vae, x)
    return Piece(
        network_bits(model, x, null.z) / size,
        null_bits / size,
        network_bits(model, x, drawn.z) / size,
        given_bits / size,
        q.kl()[0].detach().numpy() / math.log(2),
        q.mean[0].detach().numpy(),
    )


def validation(vae: Vae, model: Model, corpus: Path) -> None:
    """Print what `vaezip train` prints at its end."""
    result = evaluate(vae, model, read_corpus([corpus]).validation, limit=600_000)
    print(f"On {result.files} files of validation text, {result.bytes} bytes:\n\n| | bits/byte |\n|---|--:|")
    for name, value in (
        ("as coded, headers counted", result.coded),
        ("exact network alone, null latent", result.exact_null),
        ("float network alone, null latent", result.float_null),
        ("float network alone, −ELBO", result.negative_elbo),
        ("xz -9e", result.xz),
        ("gzip -9", result.gzip),
    ):
        print(f"| {name} | {value:.4f} |")


def network_alone(model: Model, folder: Path) -> None:
    """Print bits per byte of files coded by the network without the mixer, headers and checksums counted."""

    def on_disk(path: Path) -> float:
        x = np.fromfile(path, np.uint8)
        bits = network_bits(model, x, model.latent.null()) + checksum(x.tobytes()).bit_length()
        payload = bytes(math.ceil(bits / 8))
        return 8 * len(short_frame(model.fingerprint, Block(Method.VAE_NULL, len(x), payload))) / len(x)

    kinds = sorted({path.name.split(".")[0] for path in folder.glob("*.4k.*")})
    rows = [[fmean(map(on_disk, folder.glob(f"{kind}.{size}.*"))) for size in SIZES] for kind in kinds]
    print(f"\n| kind | {' | '.join(SIZES)} |\n|---|{'--:|' * len(SIZES)}")
    for kind, row in zip([*kinds, "mean"], [*rows, np.mean(rows, axis=0)], strict=True):
        print(f"| {kind} | {' | '.join(f'{bits:.3f}' for bits in row)} |")


def report(kinds: dict[str, list[Piece]]) -> None:
    """Print means over the kinds, every piece of a kind counting the same."""
    pieces = [piece for group in kinds.values() for piece in group]
    for name in ("null", "given"):
        exact, real = (
            fmean(fmean(getattr(p, f"{name}_{which}") for p in group) for group in kinds.values())
            for which in ("exact", "float")
        )
        print(f"\n{name}: {exact:.4f} bits/byte exact, {real:.4f} float ({100 * (exact / real - 1):+.2f} %)")
    kl = np.mean([piece.kl_bits for piece in pieces], axis=0)
    print(f"\nKL(q ‖ p): {kl.sum():.1f} bits; per latent {', '.join(f'{bits:.1f}' for bits in kl)}.")
    spread = np.std([piece.mean for piece in pieces], axis=0)
    print(f"Standard deviation of the posterior means: {', '.join(f'{s:.2f}' for s in spread)}.\n")
    latents = [f"z{j}" for j in range(len(kl))]
    print(f"| kind | {' | '.join(latents)} |\n|---|{'--:|' * len(latents)}")
    for kind, group in kinds.items():
        means = np.mean([piece.mean for piece in group], axis=0)
        print(f"| {kind} | {' | '.join(f'{m:+.2f}' for m in means)} |")


def main() -> None:
    """Measure the model named on the command line."""
    file, checkpoint, corpus, folder = sys.argv[1:]
    torch.set_num_threads(1)
    model = load_model(Path(file))
    state = torch.load(checkpoint, weights_only=True)
    vae = Vae(Architecture.from_json(state["architecture"]))
    vae.load_state_dict(state["vae"])
    if vae.a.latents != model.architecture.latents:
        sys.exit("latents were dropped in quantisation; their grid steps are unknown")
    validation(vae, model, Path(corpus))
    network_alone(model, Path(folder))
    step = read_tensors(Path(file).read_bytes()).tensors["training.latent_step"].astype(np.float32)
    kinds = defaultdict(list)
    for path in sorted(Path(folder).glob("*.4k.*")):
        piece = measure(vae, model, step, path.read_bytes())
        kinds[path.name.split(".")[0]].append(piece)
    report(kinds)


if __name__ == "__main__":
    main()
