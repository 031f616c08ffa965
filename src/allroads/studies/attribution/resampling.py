"""Seeds drawn again within cells: what noise adds to the sums of squares of a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from allroads.studies.attribution.anova import Anova

CHUNK = 2**23
"""Numbers that one batch of resamples may hold."""

Draw = Callable[[int], np.ndarray]
"""Weights of the seeds of each cell for some resamples, ``[cells, resamples, seeds]``."""


@dataclass(frozen=True)
class Noise:
    """What the noise of resamples adds.

    Where the true effects of a term have the sum of squares t and the direction of the effects found, its sum of
    squares in a resample is t + 2√t·cross + own.

    Args:
        cross: Products of the noise with the unit direction of each term's effects, ``[resamples, terms]``.
        own: Sums of squares of the noise alone, ``[resamples, terms]``.
        within: Sums of squares within cells, ``[resamples]``.
    """

    cross: np.ndarray
    own: np.ndarray
    within: np.ndarray


def bootstrap(found: Anova, resamples: int, rng: np.random.Generator) -> Noise:
    """Noise by the bootstrap: the seeds of each cell are drawn again from that cell.

    Deviations from cell means are scaled by √(n/(n − 1)) for n seeds per cell, so that their variance is unbiased.

    References:
        [davison1997]
    """
    seeds, cells = found.design.seeds, found.design.cells

    def draw(count: int) -> np.ndarray:
        weights: np.ndarray = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=(cells, count)) / seeds
        return weights

    scaled = (found.values - found.values.mean(axis=1, keepdims=True)) * np.sqrt(seeds / (seeds - 1))
    cross, own, means, squares = _drawn(found, scaled, resamples, draw)
    return Noise(cross, own, seeds * (squares - means))


def seed_split(found: Anova, resamples: int, rng: np.random.Generator) -> Noise:
    """Noise by splitting seeds: half the difference of two random halves of a cell stands for the noise of its mean.

    No factor acts on this difference, and its variance is that of the cell mean. It takes one degree of freedom from
    each cell; the sum of squares that remains within cells is scaled to the degrees of freedom of the table.
    """
    seeds, cells = found.design.seeds, found.design.cells
    half = seeds // 2
    signs = np.where(np.arange(seeds) < half, 1 / half, -1 / (seeds - half))
    signs *= np.sqrt((1 / seeds) / (1 / half + 1 / (seeds - half)))

    def draw(count: int) -> np.ndarray:
        return rng.permuted(np.broadcast_to(signs, (cells, count, seeds)), axis=2)

    centred = found.values - found.values.mean(axis=1, keepdims=True)
    cross, own, means, _ = _drawn(found, centred, resamples, draw)
    df = found.design.df_within
    return Noise(cross, own, (found.within - seeds * means) * df / (df - cells))


def _drawn(
    found: Anova, deviations: np.ndarray, resamples: int, draw: Draw
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cross and own products of the terms; sums over cells of squared means and of weighted squares."""
    design, signs = found.design, found.signs
    effects = design.effects(found.table(found.values.mean(axis=1)[None]))
    norms = np.sqrt(np.abs(found.ss))
    squares = deviations**2 @ signs
    size = design.cells * max(deviations.shape[-1], design.seeds)
    step = max(1, CHUNK // size)
    parts = []
    for start in range(0, resamples, step):
        weights = draw(min(step, resamples - start))
        means = np.ascontiguousarray((weights @ deviations).transpose(1, 0, 2))
        drawn = design.effects(found.table(means))
        cross = design.products(drawn, effects, signs) / np.where(norms > 0, norms, 1.0)
        own = design.products(drawn, drawn, signs)
        parts.append((cross, own, (means**2 @ signs).sum(axis=1), np.einsum("cbs,cs->b", weights, squares)))
    cross, own, mean_squares, weighted = (np.concatenate(part) for part in zip(*parts, strict=True))
    return cross, own, mean_squares, weighted
