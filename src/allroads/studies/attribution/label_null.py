"""Exact tests that a factor does nothing to the distribution of labels."""

from __future__ import annotations

import numpy as np

from allroads.studies.attribution.information import information
from allroads.studies.attribution.resampling import CHUNK


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
    step = max(1, CHUNK // (cells * max(labels, seeds)))
    parts = []
    for start in range(0, permutations, step):
        size = min(step, permutations - start)
        drawn = rng.permuted(np.broadcast_to(moved, (size, *moved.shape)), axis=2).reshape(size * cells, seeds)
        flat = np.arange(size * cells)[:, None] * labels + drawn
        counts = np.bincount(flat.ravel(), minlength=size * cells * labels).reshape(size, cells, labels)
        parts.append(information(counts / seeds)[:, -1])
    return np.concatenate(parts)


def p_value(observed: float, drawn: np.ndarray) -> float:
    """Share of permutations that reach what was observed, the table itself among them.

    Example:
        >>> p_value(2.0, np.array([0.0, 1.0, 3.0]))
        0.5
    """
    return float((1 + (drawn >= observed - 1e-9).sum()) / (1 + len(drawn)))
