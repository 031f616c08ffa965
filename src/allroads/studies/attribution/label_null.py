"""Exact tests that a factor does nothing to the distribution of labels."""

from __future__ import annotations

import numpy as np

from allroads.studies.attribution.information import information


def permuted_information(
    codes: np.ndarray, labels: int, factor: int | None, permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Information between cell and label where runs are exchanged between the levels of a factor.

    Runs are exchanged within each combination of the levels of the other factors. If the factor does nothing, neither
    alone nor together with others, each exchange is as likely as the table. Information about the other factors stays
    as it is, so what varies is I(label; factor | others).

    Args:
        codes: Labels as numbers, ``[*shape, seeds]``.
        labels: How many labels there are.
        factor: Its axis; ``None`` exchanges runs between all cells.
        permutations: How many exchanges.
        rng: For them.

    Returns:
        In bits, ``[permutations]``.

    References:
        [anderson2001]
    """
    shape, seeds = codes.shape[:-1], codes.shape[-1]
    moved = (
        codes.reshape(1, -1) if factor is None else np.moveaxis(codes, factor, -2).reshape(-1, shape[factor] * seeds)
    )
    cells = codes.size // seeds
    base = np.arange(cells)[:, None] * labels
    found = np.empty(permutations)
    for index in range(permutations):
        drawn = rng.permuted(moved, axis=1).reshape(cells, seeds)
        counts = np.bincount((base + drawn).ravel(), minlength=cells * labels).reshape(1, cells, labels)
        found[index] = information(counts / seeds)[0, -1]
    return found


def p_value(observed: float, drawn: np.ndarray) -> float:
    """Share of permutations that reach what was observed, the table itself among them.

    Example:
        >>> p_value(2.0, np.array([0.0, 1.0, 3.0]))
        0.5
    """
    return float((1 + (drawn >= observed - 1e-9).sum()) / (1 + len(drawn)))
