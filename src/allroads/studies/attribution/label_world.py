"""The bias and the spread of information that is estimated from counts, by a bootstrap whose truth is shrunk.

Distributions that are counted from few runs differ by chance, so information from counts is too large. A correction by
the number of labels [miller1955] removes less than half of it where there are as many labels as runs in a cell.
Subtracting what permuted runs show removes too much where the factors decide the label. Here runs are drawn from
distributions whose differences are shrunk by the part that chance explains. Without an effect, that is a permutation;
where each cell has one label, nothing is subtracted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from allroads.studies.attribution.design import Design
from allroads.studies.attribution.information import information
from allroads.studies.attribution.resampling import CHUNK

RARE = 2.0
"""Runs per cell below which a label counts as rare."""
DOUBT = 0.1
"""Share of a correction by which the correction itself may be wrong; measured by ``benchmarks/attribution.py``."""


def shrunk_shares(counts: Int[np.ndarray, "*cells labels"], design: Design) -> Float[np.ndarray, "*cells labels"]:
    """Distributions of the cells with the differences that chance explains taken off.

    The shares of each label are split into the effects of all terms. In the norm of chi-square, a term's effects are
    expected to have some size by chance alone. They are scaled so that this part is gone, and to 0 where no more was
    found. Labels that a cell reaches less than twice on average are scaled apart from the others, because chance
    explains more of them. Negative shares become 0.

    Args:
        counts: ``[*shape, labels]``.
        design: The terms.

    Example:
        >>> shrunk_shares(np.array([[4, 4], [4, 4]]), Design((2,), 8, 1)).tolist()
        [[0.5, 0.5], [0.5, 0.5]]
        >>> shrunk_shares(np.array([[8, 0], [0, 8]]), Design((2,), 8, 1)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    shares = counts / design.seeds
    flat = shares.reshape(design.cells, -1)
    pooled = flat.mean(axis=0)
    weights = 1 / np.where(pooled > 0, pooled, 1.0)
    noise = (flat * (1 - flat)).mean(axis=0) * weights / (design.seeds - 1) / design.cells
    rare = pooled * design.seeds < RARE
    found = np.broadcast_to(pooled, shares.shape).copy()
    for term, df, effects in zip(design.terms, design.df, design.effects(shares[None]), strict=True):
        sizes = (effects**2 * weights).reshape(-1, len(weights)).sum(axis=0)
        sizes /= math.prod(design.shape[axis] for axis in term)
        for alike in (rare, ~rare):
            size, chance = sizes[alike].sum(), df * noise[alike].sum()
            if size > chance:
                found[..., alike] += math.sqrt(1 - chance / size) * effects[0][..., alike]
    found = np.maximum(found, 0.0)
    scaled: np.ndarray = found / found.sum(axis=-1, keepdims=True)
    return scaled


@dataclass(frozen=True)
class LabelWorld:
    """Information in a table of counts, in a population like it, and in tables drawn from that population.

    Args:
        counted: From the counts, for every set of factors, ``[sets]``.
        truth: In the population, ``[sets]``.
        drawn: From counts of the tables drawn, ``[tables, sets]``.
    """

    counted: np.ndarray
    truth: np.ndarray
    drawn: np.ndarray

    @property
    def bias(self) -> np.ndarray:
        """What counting adds, ``[sets]``."""
        bias: np.ndarray = self.drawn.mean(axis=0) - self.truth
        return bias

    @property
    def corrected(self) -> np.ndarray:
        """Information without what counting adds, ``[sets]``."""
        return np.asarray(self.counted - self.bias)

    @property
    def drawn_corrected(self) -> np.ndarray:
        """The same for each of the tables drawn, ``[tables, sets]``."""
        return np.asarray(self.drawn - self.bias)


def label_world(
    counts: Int[np.ndarray, "*cells labels"], design: Design, resamples: int, rng: np.random.Generator
) -> LabelWorld:
    """The table, the population and the tables drawn from it.

    Args:
        counts: Runs of each label in each cell, ``[*shape, labels]``.
        design: The terms.
        resamples: How many tables are drawn.
        rng: For the draws.

    When it fails: labels that are mostly seen once, so that cells cannot be told from each other by chance or not. See
    :func:`allroads.studies.attribution.information.unseen`.

    References:
        [davison1997]
    """
    population = shrunk_shares(counts, design)
    step = max(1, CHUNK // counts.size)
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    tables = (rng.multinomial(design.seeds, population, size=(size, *design.shape)) for size in sizes)
    drawn = [information(table / design.seeds) for table in tables]
    counted = information(counts[None] / design.seeds)[0]
    return LabelWorld(counted, information(population[None])[0], np.concatenate(drawn))


def basic_interval(
    estimate: np.ndarray, truth: np.ndarray, drawn: np.ndarray, level: float, doubt: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The interval of an estimate by the errors of the tables drawn.

    Args:
        estimate: ``[quantities]``.
        truth: In the population, ``[quantities]``.
        drawn: Estimates from the tables drawn, ``[tables, quantities]``.
        level: Confidence.
        doubt: By how much both ends are moved outwards.

    References:
        [davison1997]

    Example:
        >>> low, high = basic_interval(np.array([1.0]), np.array([0.0]), np.linspace(-1, 1, 101)[:, None], 0.9)
        >>> low.round(9).tolist(), high.round(9).tolist()
        ([0.1], [1.9])
    """
    tail = (1 - level) / 2
    errors = np.nanquantile(drawn - truth, [tail, 1 - tail], axis=0)
    return estimate - errors[1] - doubt, estimate - errors[0] + doubt


def root_interval(
    counted: Float[np.ndarray, " quantities"],
    truth: Float[np.ndarray, " quantities"],
    drawn: Float[np.ndarray, "tables quantities"],
    level: float,
) -> tuple[Float[np.ndarray, " quantities"], Float[np.ndarray, " quantities"]]:
    """The interval of a quantity that is never negative, by the errors of its square root before correction.

    Information from counts is nearly a quadratic form of them. So the spread of its root hardly depends on its size,
    while its own spread does. Both ends are moved outwards by the doubt about the correction, and are 0 or more.

    Args:
        counted: From the counts, not corrected, ``[quantities]``.
        truth: In the population, ``[quantities]``.
        drawn: From the counts of the tables drawn, ``[tables, quantities]``.
        level: Confidence.

    Example:
        >>> low, high = root_interval(np.array([1.0]), np.array([1.0]), np.ones((9, 1)), 0.95)
        >>> low.tolist(), high.tolist()
        ([1.0], [1.0])
    """
    tail = (1 - level) / 2
    bias = drawn.mean(axis=0) - truth
    middle = np.sqrt(np.maximum(truth + bias, 0.0))
    errors = np.quantile(np.sqrt(np.maximum(drawn, 0.0)) - middle, [tail, 1 - tail], axis=0)
    root = np.sqrt(np.maximum(counted, 0.0))
    ends = [np.maximum(root - error, 0.0) ** 2 - bias for error in (errors[1], errors[0])]
    doubt = DOUBT * np.abs(bias)
    return np.maximum(ends[0] - doubt, 0.0), np.maximum(ends[1] + doubt, 0.0)
