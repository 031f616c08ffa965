"""Barrier clusters: points that paths below one level join, held against labels such as programs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from allroads.atlases.passes.heights import pass_heights
from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.results import Measurement, finish
from allroads.status import AtlasStatus


def barrier_clusters(heights: Any, level: float) -> np.ndarray:
    """Components of ``{B ≤ level}``: the cluster of each point, ``[M]``, counted from 0 by their first point.

    Args:
        heights: Pass heights or upper bounds of them, ``[M, M]``; NaN or +inf where no path is known.
        level: In the unit of the loss.

    Raises:
        InputError: If the matrix is not square, or the level is no number.

    When it fails: upper bounds split a cluster where the search missed the path that joins it.

    Example:
        >>> barrier_clusters([[0, 1, 9], [1, 0, 9], [9, 9, 0]], level=2.0).tolist()
        [0, 0, 1]
    """
    check_number("level", level)
    below = pass_heights(heights) <= level
    np.fill_diagonal(below, True)
    return np.unique(below.argmax(axis=1), return_inverse=True)[1].ravel()


def cluster_agreement(
    heights: Any,
    labels: Sequence[Hashable],
    level: float,
    *,
    permutations: int = 9999,
    seed: int = 0,
    throw: bool = False,
) -> Measurement:
    """Adjusted Rand index of barrier clusters and labels, beside its permutation null.

    It is 1 where the two partitions are one, and 0 on average where they are unrelated. The null deals the labels out
    to the points at random, which keeps both sets of sizes.

    Args:
        heights: As :func:`barrier_clusters` takes them.
        labels: One per point, such as its program.
        level: Stated beforehand: the level of greatest agreement agrees by selection.
        permutations: Of the labels; default 9999.
        seed: Of the permutations.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not sound.

    Returns:
        A :class:`~allroads.Measurement`, without error: the partitions are what they are. ``stats`` holds ``p`` (share
        of the null that is at least as large, this one counted), ``null_mean``, ``null_95``, and the numbers of
        ``clusters``, ``labels`` and ``points``. Status ``one cluster`` where all points, or none, are joined, or all
        have one label: the index is then 0 or 1 whatever the labels.

    Raises:
        InputError: If there is not one label per point, or an option is out of range.

    References:
        [hubert1985]

    Example:
        >>> heights = np.where(np.arange(8)[:, None] // 4 == np.arange(8) // 4, 0.1, 2.0)
        >>> found = cluster_agreement(heights, "aaaabbbb", level=1.0)
        >>> found.value, found.stats["p"] < 0.05
        (1.0, True)
    """
    clusters = barrier_clusters(heights, level)
    check_count("permutations", permutations, 19)
    check_count("seed", seed, 0)
    if len(labels) != len(clusters):
        raise InputError(f"labels: got {len(labels)} for {len(clusters)} points; expected one per point.")
    try:
        places = {label: at for at, label in enumerate(dict.fromkeys(labels))}
    except TypeError as error:
        raise InputError(f"labels: expected hashable ones, such as texts ({error}).") from error
    codes = np.array([places[label] for label in labels])
    value, rng = float(adjusted_rand_score(codes, clusters)), np.random.default_rng(seed)
    null = np.array([adjusted_rand(rng.permutation(codes), clusters) for _ in range(permutations)])
    counts = [len(set(partition.tolist())) for partition in (clusters, codes)]
    trivial = any(count in (1, len(codes)) for count in counts)
    stats = {
        "p": float((1 + (null >= value - 1e-12).sum()) / (1 + permutations)),
        "null_mean": float(null.mean()),
        "null_95": float(np.quantile(null, 0.95)),
        "level": float(level),
        "clusters": counts[0],
        "labels": counts[1],
        "points": len(codes),
    }
    status = AtlasStatus.ONE_CLUSTER if trivial else AtlasStatus.OK
    return finish(Measurement(value, None, status, stats), throw)


def adjusted_rand(left: np.ndarray, right: np.ndarray) -> float:
    """As scikit-learn's, of whole numbers from 0, without the checks that take most of its time."""
    width = int(right.max()) + 1
    table = np.bincount(left * width + right, minlength=(int(left.max()) + 1) * width).reshape(-1, width)
    pairs = (table * (table - 1)).sum() / 2
    rows, columns = ((n * (n - 1)).sum() / 2 for n in (table.sum(axis=1), table.sum(axis=0)))
    expected = rows * columns / max(len(left) * (len(left) - 1) / 2, 1)
    largest = (rows + columns) / 2
    return 1.0 if largest == expected else float((pairs - expected) / (largest - expected))
