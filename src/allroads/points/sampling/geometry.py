"""The loss around a point before chains start: gradient and curvature, and the temperature that they allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.objective import Examples, Objective
from allroads.points.sampling.free_parameters import FreeParameters
from allroads.points.sampling.metric import Metric, moments, rotate_back, uniform
from allroads.points.sampling.posterior import (
    compiled_curvature,
    compiled_curvature_metric,
    compiled_gradient,
    compiled_losses,
)

LARGEST_STIFFNESS = 1e12
"""nβ h_max that a minimum is asked at where it is one that precisely: far down every valley of up to eighth order, and
far above the rounding of double precision."""
SLOPE = 0.02
"""Fall of nβL that the gradient at a minimum may allow."""
NEAR = 0.1
"""Standard deviation of a displacement at which curvature is looked at too, as it vanishes at some singular points."""


Look = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""``(step, vector) -> `` gradient at ``w* + step``, and product of the Hessian there with it, ``[points, d]`` each."""


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
    generator, products = np.random.default_rng([seed, 0]), compiled_curvature(objective, free)
    here = np.zeros((len(leaves[0]), free.dimension), leaves[0].dtype)

    def noise() -> np.ndarray:
        return np.asarray(generator.standard_normal(here.shape), here.dtype)

    def look(step: np.ndarray, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gradient, product = products(leaves, step, part, vector)
        return np.asarray(gradient), np.asarray(product)

    iterations = 10 if quick else 40
    top, seen = _top_eigenvalue(look, here, noise(), iterations)
    beside, _ = _top_eigenvalue(look, NEAR * noise(), noise(), iterations)
    curvature = np.maximum(np.nan_to_num(top), np.nan_to_num(beside))
    metric = tuple(uniform(jnp.asarray(curvature)) for _ in free.blocks)
    if rotated:
        probes = 16 if quick or free.dimension > 100_000 else 64
        metric = _curvature_metric(free, (look(here, noise())[1] / probes**0.5 for _ in range(probes)))
    gradient = seen if rows is None else np.asarray(compiled_gradient(objective, free)(leaves, data))
    squares = tuple(
        rotate_back(part, *(None if side is None else np.asarray(side) for side in (of.left, of.right))) ** 2
        for part, of in zip(free.split(gradient), metric, strict=True)
    )
    penalty = jax.vmap(lambda leaves: objective.penalty(free.params(leaves)))(leaves)
    tilt = None if rows is None else tuple(map(jnp.asarray, free.split(gradient - seen)))
    return LocalGeometry(leaves, baseline, rows, tilt, np.asarray(penalty), top, curvature, metric, squares)


def _top_eigenvalue(look: Look, step: np.ndarray, vector: np.ndarray, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Largest eigenvalue in size at ``w* + step`` by power iteration, ``[points]``, and the gradient there."""
    for _ in range(iterations):
        length = np.linalg.norm(vector, axis=1, keepdims=True)
        gradient, vector = look(step, vector / np.maximum(length, np.finfo(vector.dtype).tiny))
    return np.linalg.norm(vector, axis=1), gradient


def _curvature_metric(free: FreeParameters, products: Iterable[np.ndarray]) -> tuple[Metric, ...]:
    """The metric whose masses are curvatures, from products with random vectors, ``[points, d]`` each."""
    total = None
    for product in products:
        seen = [tuple(map(moments, free.blocks, free.split(of))) for of in product]
        stacked = jax.tree.map(lambda *points: np.stack(points), *seen)
        total = stacked if total is None else jax.tree.map(np.add, total, stacked)
    found: tuple[Metric, ...] = compiled_curvature_metric()(total)
    return found


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
