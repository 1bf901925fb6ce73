"""Places on a plane for things of which only distances are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FEW = 8  # things, which classical scaling places well enough
_NEIGHBOURS = 5  # that matter to each, the perplexity
_STEPS, _EARLY = 600, 150  # all, and those in which neighbours pull harder
_PULL = 12.0


def place(distances: Floats) -> Floats:
    """Places float64 (n, 2) for n things; distances: float64 (n, n), symmetric, zeros on the diagonal.

    Near things are placed near each other by t-SNE (van der Maaten, Hinton 2008), which begins with classical
    scaling and is left at that for a few things. How far apart far things lie says little. The same
    distances give the same picture, but for rounding.
    """
    places = scale(distances)
    if len(distances) < _FEW or not places.any():
        return places
    affinities = _affinities(distances**2, min(_NEIGHBOURS, (len(distances) - 1) / 3))
    rate = max(10.0, len(distances) / _PULL)  # Belkina et al. 2019
    places *= 1e-2 / places.std()
    speed = np.zeros_like(places)
    for step in range(_STEPS):
        early = step < _EARLY
        kernel = 1 / (1 + _squares(places))
        np.fill_diagonal(kernel, 0)
        forces = (affinities * (_PULL if early else 1.0) - kernel / kernel.sum()) * kernel
        gradient = 4 * (forces.sum(axis=1)[:, None] * places - forces @ places)
        speed = (0.5 if early else 0.8) * speed - rate * gradient
        places += speed
    return places


def scale(distances: Floats) -> Floats:
    """Classical multidimensional scaling (Torgerson 1952) into two dimensions: float64 (n, 2)."""
    squares = distances**2
    centred = squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    chosen = vectors[:, : -min(2, len(values)) - 1 : -1]
    signs = np.sign(
        chosen[np.abs(chosen).argmax(axis=0), range(chosen.shape[1])]
    )  # as good as the other ones
    places = np.zeros((len(distances), 2))
    places[:, : chosen.shape[1]] = chosen * signs * np.sqrt(values[: -min(2, len(values)) - 1 : -1].clip(0))
    return places


def _squares(places: Floats) -> Floats:
    """Squared distances between places: float64 (n, n)."""
    norms = (places**2).sum(axis=1)
    squares: Floats = (norms[:, None] + norms - 2 * places @ places.T).clip(0)
    return squares


def _affinities(squares: Floats, neighbours: float) -> Floats:
    """The affinities of all pairs as neighbours: float64 (n, n), summing to 1."""
    others = squares + np.diag(np.full(len(squares), np.inf))
    others -= others.min(axis=1, keepdims=True)
    low, high = np.full(len(squares), 1e-6), np.full(len(squares), 1e12)
    for _ in range(100):  # the precisions that give each so many neighbours
        precision = np.sqrt(low * high)
        shares = np.exp(-np.minimum(precision[:, None] * others, 700))
        shares[~np.isfinite(others)] = 0
        shares /= shares.sum(axis=1, keepdims=True)
        entropy = -(shares * np.log(shares.clip(1e-300))).sum(axis=1)
        too_many = entropy > np.log(neighbours)
        low, high = np.where(too_many, precision, low), np.where(too_many, high, precision)
    both: Floats = (shares + shares.T) / (2 * len(squares))
    return both
