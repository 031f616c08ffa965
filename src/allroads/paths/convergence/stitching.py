"""Stitching: how well an affine map from one representation predicts another on held-out inputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from allroads.checks import check_number
from allroads.paths.convergence.cka import reordered
from allroads.paths.convergence.comparison import Comparison

RIDGE = 1e-2
"""Penalty of the map, as a share of the mean variance of a direction of the source."""


class Stitch(NamedTuple):
    """A representation as source and as goal.

    Attributes:
        residual: ``[n, n]``: the squared error of a goal with kernel G, predicted from this source, is ⟨residual, G⟩.
        spread: ``[n, n]``: the same of the prediction by the mean of the held-in inputs.
        goal: The kernel of this representation as a goal, ``[n, n]``.
    """

    residual: np.ndarray
    spread: np.ndarray
    goal: np.ndarray


def stitching(x: Any, y: Any, *, ridge: float = RIDGE) -> float:
    """Share R² of the variance of ``y`` on held-out inputs that an affine map from ``x`` predicts.

    The map is fitted on the inputs at even places and scored on those at odd ones, then the reverse; both scores are
    pooled. Variance is taken about the mean of the held-in inputs. The direction counts: ``y`` may be a part of ``x``.

    Args:
        x: Representation ``[n, d]`` of n inputs, the source. Inputs in a regular order should be shuffled.
        y: Representation ``[n, e]`` of the same inputs, the goal.
        ridge: Penalty of the squared weights, as a share of the mean variance of a direction of the source on the
            held-in inputs; default 0.01.

    Returns:
        At most 1; 0 is as good as the mean. Unrelated representations give less than 0. NaN where ``y`` is constant.

    Raises:
        InputError: If the matrices are no representations of the same four or more inputs, or ``ridge`` is not
            positive.

    When it fails: with fewer held-in inputs than twice the units of ``x`` the map fits noise, and R² falls for related
    representations too. A trained stitching layer, judged by the loss of the second network, may find more.

    References:
        [lenc2015], [bansal2021]

    Example:
        The first two units of three are predicted from all, and not the reverse:

        >>> x = np.random.default_rng(0).normal(size=(200, 3))
        >>> round(stitching(x, x[:, :2]), 3), 0.5 < stitching(x[:, :2], x) < 0.75
        (1.0, True)
    """
    check_number("ridge", ridge, 0, open_low=True)
    return stitch(ridge).between(x, y)


def stitch(ridge: float = RIDGE) -> Comparison:
    """The stitching score as a comparison."""
    return Comparison("stitching", 1, lambda x: _prepare(x, ridge), _reorder, _value, symmetric=False)


def _prepare(x: np.ndarray, ridge: float) -> Stitch:
    n, centred = len(x), x - x.mean(axis=0)
    residual, spread = np.zeros((n, n)), np.zeros((n, n))
    for fold in (0, 1):
        held_out, held_in = np.arange(fold, n, 2), np.arange(1 - fold, n, 2)
        baseline = np.zeros((len(held_out), n))
        baseline[:, held_in] = -1 / len(held_in)
        baseline[np.arange(len(held_out)), held_out] = 1.0
        fitted = baseline.copy()
        mean = centred[held_in].mean(axis=0)
        source, asked = centred[held_in] - mean, centred[held_out] - mean
        kernel = source @ source.T
        penalty = ridge * np.trace(kernel) / min(source.shape)
        if penalty > 0:
            weights = np.linalg.solve(kernel + penalty * np.eye(len(kernel)), source @ asked.T).T
            fitted[:, held_in] -= weights  # of rows that sum to 0, since the source is centred
        residual += fitted.T @ fitted
        spread += baseline.T @ baseline
    return Stitch(residual, spread, centred @ centred.T)


def _reorder(found: Stitch, order: np.ndarray) -> Stitch:
    return found._replace(goal=reordered(found.goal, order))


def _value(a: Stitch, b: Stitch) -> float:
    variance = np.vdot(a.spread, b.goal)
    return float(1 - np.vdot(a.residual, b.goal) / variance) if variance > 0 else float("nan")
