"""A picture of the latent space: where the encoder puts the files of each folder.

    python benchmarks/latent_map.py FILES... -o docs/latent.svg [--model MODEL]

One dot per file (a long one's first block), coloured by folder, at its posterior mean in the two latents
whose means vary the most, in units of the prior's standard deviation.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from vaezip.block import DEFAULT_BLOCK_SIZE
from vaezip.latent import PHASES
from vaezip.model import load_model, read_model_file
from vaezip.tensors import read_tensors

COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2", "#9c6b4e", "#9498a0")
SIZE, MARGIN, LEGEND = 480, 40, 170  # pixels


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--model", default="standard", show_default=True)
def main(files: tuple[Path, ...], output: Path, model: str) -> None:
    """Draw FILES."""
    loaded = load_model(model)
    tensors = read_tensors(read_model_file(model)).tensors
    steps = tensors["training.latent_step"].astype(np.float64) / PHASES
    blocks = {path: np.fromfile(path, np.uint8, DEFAULT_BLOCK_SIZE) for path in files}
    long_enough = [path for path in files if len(blocks[path]) >= loaded.encoder.least_bytes]
    means = np.array([loaded.encoder(blocks[path])[0] * steps for path in long_enough])
    widest = sorted(np.argsort(means.std(axis=0))[-2:])
    output.write_text(
        picture(means[:, widest], [path.parent.name for path in long_enough], widest), encoding="utf-8"
    )


def picture(points: np.ndarray, folders: list[str], latents: list[int]) -> str:
    """The SVG; points: (n, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    place = MARGIN + (points - low) / (high - low) * (SIZE - 2 * MARGIN)
    colour = dict(zip(sorted(set(folders)), COLOURS, strict=False))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE + LEGEND}" height="{SIZE}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        *(
            f'<circle cx="{x:.1f}" cy="{SIZE - y:.1f}" r="4" fill="{colour[folder]}" fill-opacity="0.7"/>'
            for (x, y), folder in zip(place, folders, strict=True)
        ),
        f'<text x="{SIZE / 2}" y="{SIZE - 10}" text-anchor="middle">'
        f"z{latents[0]}, {low[0]:.2f} to {high[0]:.2f}</text>",
        f'<text transform="translate(16 {SIZE / 2}) rotate(-90)" text-anchor="middle">'
        f"z{latents[1]}, {low[1]:.2f} to {high[1]:.2f}</text>",
    ]
    for i, (folder, fill) in enumerate(colour.items()):
        y = MARGIN + 22 * i
        lines.append(f'<circle cx="{SIZE + 10}" cy="{y}" r="5" fill="{fill}"/>')
        lines.append(f'<text x="{SIZE + 22}" y="{y + 4}">{folder}</text>')
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    main()
