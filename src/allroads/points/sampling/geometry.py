"""The loss around a point before chains start: gradient and curvature, and the temperature that they allow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.objective import Examples, Objective
from allroads.points.sampling.free_parameters import FreeParameters
from allroads.points.sampling.metric import Metric, uniform
from allroads.points.sampling.posterior import (
    LocalPosterior,
    compiled_curvature_metric,
    compiled_gradient,
    compiled_losses,
    compiled_rotation,
    compiled_stiffness,
    compiled_tilt,
)

LARGEST_STIFFNESS = 1e12
"""nβ h_max that a minimum is asked at where it is one that precisely: far down every valley of up to eighth order, and
far above the rounding of double precision."""
SLOPE = 0.02
"""Fall of nβL that the gradient at a minimum may allow."""
NEAR = 0.1
"""Standard deviation of a displacement at which curvature is looked at too, as it vanishes at some singular points."""


@dataclass(frozen=True)
class LocalGeometry:
    """Loss, gradient and curvature at stacked points.

    Attributes:
        leaves: The parameters.
        baseline: Loss of each example, penalty included, ``[points, n]``.
        rows: The examples that curvature is measured and chains are drawn on; ``None``: all.
        tilt: Gradient over all examples less that over these, in blocks ``[points, …]``; ``None`` where they are all.
        penalty: The penalty alone, ``[points]``.
        top_eigenvalue: Largest eigenvalue in size of the Hessian, ``[points]``.
        curvature: The larger of that and the same a little way off, ``[points]``.
        metric: Metric whose masses are curvatures of the mean loss.
        squared_gradient: Squared components of the gradient in that metric's directions, one entry per block,
            ``[points, …]``.
    """

    leaves: list[Any]
    baseline: Any
    rows: np.ndarray | None
    tilt: tuple[Any, ...] | None
    penalty: np.ndarray
    top_eigenvalue: np.ndarray
    curvature: np.ndarray
    metric: tuple[Metric, ...]
    squared_gradient: tuple[np.ndarray, ...]

    @property
    def losses(self) -> np.ndarray:
        """Mean loss, ``[points]``."""
        return np.asarray(np.asarray(self.baseline).mean(1))

    @property
    def examples(self) -> int:
        """Number n of examples."""
        return int(self.baseline.shape[1])


def measure_local_geometry(
    objective: Objective,
    free: FreeParameters,
    leaves: list[Any],
    data: Examples,
    *,
    rotated: bool,
    seed: int,
    rows: np.ndarray | None = None,
    quick: bool = False,
) -> LocalGeometry:
    """Look at stacked points.

    Args:
        objective: What is sampled.
        free: Its free coordinates.
        leaves: Arrays that lead with the points.
        data: All examples.
        rotated: Whether the metric is made from curvature.
        seed: Decides the random vectors.
        rows: The examples that curvature is measured on; ``None``: all. Losses and gradient are those of all.
        quick: Whether to take a quarter of the random vectors, as time is short.

    Raises:
        InputError: If the loss is not finite at a point.
    """
    baseline = compiled_losses(objective, free)(leaves, data)
    _check_finite(np.asarray(baseline))
    part = data if rows is None else data.batch(rows)
    seen = baseline if rows is None else baseline[:, rows]
    points = baseline.shape[0]
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 0), points)
    units = tuple(uniform(jnp.ones(points)) for _ in free.blocks)
    local = LocalPosterior(leaves, seen, units, jnp.zeros(points))
    stiffness, ones = compiled_stiffness(objective, free, 10 if quick else 40), jnp.ones(points)
    here = jnp.zeros((points, free.dimension))
    near = NEAR * jax.random.normal(keys[0], here.shape)
    top, beside = (np.asarray(stiffness(z, local, part, ones, keys)) for z in (here, near))
    curvature = np.maximum(np.nan_to_num(top), np.nan_to_num(beside))
    probes = 16 if quick or free.dimension > 100_000 else 64
    metric = compiled_curvature_metric(objective, free, rotated, probes)(leaves, part, keys, jnp.asarray(curvature))
    gradient = compiled_gradient(objective, free)(leaves, data)
    tilt = None if rows is None else compiled_tilt(objective, free)(gradient, leaves, part)
    squares = tuple(np.asarray(part) ** 2 for part in compiled_rotation(free)(gradient, metric))
    penalty = jax.vmap(lambda leaves: objective.penalty(free.params(leaves)))(leaves)
    return LocalGeometry(leaves, baseline, rows, tilt, np.asarray(penalty), top, curvature, metric, squares)


def newton_decrease(geometry: LocalGeometry, point: int, nbeta: float, localisation: float) -> float:
    """``½ nβ² gᵀ (nβH + γ)⁻¹ g``: what nβL falls by from the point to the minimum of its quadratic model."""
    total = 0.0
    for squares, of in zip(geometry.squared_gradient, geometry.metric, strict=True):
        masses = nbeta * np.asarray(of.masses[point]) + localisation
        total += float((squares[point] / masses).sum())
    return nbeta**2 * total / 2


def rounding_error(geometry: LocalGeometry, point: int) -> float:
    """Error of a difference of two mean losses in the precision that is computed in."""
    return 8 * float(np.finfo(geometry.leaves[0].dtype).eps) * abs(float(geometry.losses[point]))


def default_nbeta(examples: int) -> float:
    """``n / ln n``, the nβ of WBIC [watanabe2013].

    Example:
        >>> round(default_nbeta(1000), 2)
        144.76
    """
    return examples / math.log(examples) if examples > 2 else float(examples)


def default_localisation(stiffness: np.ndarray) -> np.ndarray:
    """``γ = (nβ h_max)^{1/4} / 10``, at least 1/10, of the stiffness ``nβ h_max``.

    Example:
        >>> float(default_localisation(np.array(1e12)))
        100.0
    """
    return np.asarray(np.maximum(np.asarray(stiffness, float), 1.0) ** 0.25 / 10)


def largest_nbeta(geometry: LocalGeometry, point: int) -> float:
    """The largest nβ at which the point is a minimum and the baseline is precise, at least ``n / ln n``."""
    least = default_nbeta(geometry.examples)
    curvature = float(geometry.curvature[point])
    if curvature <= 0:
        return least
    nbeta = LARGEST_STIFFNESS / curvature
    while nbeta > least:
        gamma = float(default_localisation(np.asarray(nbeta * curvature)))
        precise = nbeta * rounding_error(geometry, point) <= SLOPE / 2
        if precise and newton_decrease(geometry, point, nbeta, gamma) <= SLOPE:
            return nbeta
        nbeta /= 10**0.5
    return least


def _check_finite(baseline: np.ndarray) -> None:
    finite = np.isfinite(baseline).all(0)
    if not finite.all():
        bad = int(np.flatnonzero(~finite)[0])
        raise InputError(
            f"loss: it is not finite at the point, first at example {bad}. Check the data and the weights."
        )
