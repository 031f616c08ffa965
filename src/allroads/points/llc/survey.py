"""What is looked at before chains start: loss, slope and curvature at a point, and the temperature that they allow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.points.llc.chains import (
    Place,
    compiled_first_metric,
    compiled_gradient,
    compiled_stiffness,
    compiled_turn,
)
from allroads.points.llc.metric import Metric, uniform
from allroads.points.llc.problem import Data, Question

COLD = 1e12
"""nβ h_max that a minimum is asked at where it is one that precisely: far down every valley of up to eighth order, and
far above the rounding of double precision."""
SLOPE = 0.02
"""Fall of nβL that the gradient at a minimum may allow."""
NEAR = 0.1
"""Standard deviation of a displacement at which curvature is looked at too, as it vanishes at some singular points."""


@dataclass(frozen=True)
class Scene:
    """Of stacked points.

    Attributes:
        leaves: The parameters.
        losses: Mean loss, ``[points]``.
        count: Number n of examples.
        top: Largest eigenvalue in size of the Hessian, ``[points]``.
        curvature: The larger of that and the same a little way off, ``[points]``.
        metric: Metric whose masses are curvatures of the mean loss.
        turned: Squared components of the gradient in that metric's directions, a block an entry, ``[points, …]``.
    """

    leaves: list[Any]
    losses: np.ndarray
    count: int
    top: np.ndarray
    curvature: np.ndarray
    metric: tuple[Metric, ...]
    turned: tuple[np.ndarray, ...]


def survey(
    question: Question, structure: Any, leaves: list[Any], baseline: Any, data: Data, rotate: bool, seed: int
) -> Scene:
    """Look at stacked points."""
    points = baseline.shape[0]
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 0), points)
    units = tuple(uniform(jnp.ones(points)) for _ in question.blocks)
    place = Place(leaves, baseline, units, jnp.zeros(points))
    stiffness, ones = compiled_stiffness(question, structure, 40), jnp.ones(points)
    here = jnp.zeros((points, question.dimension))
    near = NEAR * jax.random.normal(keys[0], here.shape)
    top, beside = (np.asarray(stiffness(z, place, data, ones, keys)) for z in (here, near))
    curvature = np.maximum(np.nan_to_num(top), np.nan_to_num(beside))
    probes = 64 if question.dimension <= 100_000 else 16
    first = compiled_first_metric(question, structure, rotate, probes)
    metric = first(leaves, data, keys, jnp.asarray(curvature))
    gradient = compiled_gradient(question, structure)(leaves, data)
    turned = tuple(np.asarray(part) ** 2 for part in compiled_turn(question)(gradient, metric))
    losses = np.asarray(baseline).mean(1)
    return Scene(leaves, losses, len(data.inputs), top, curvature, metric, turned)


def slope_energy(scene: Scene, point: int, nbeta: float, localisation: float) -> float:
    """``½ nβ² gᵀ (nβH + γ)⁻¹ g``: what nβL falls by from the point to the minimum of its quadratic model."""
    total = 0.0
    for squares, of in zip(scene.turned, scene.metric, strict=True):
        masses = nbeta * np.asarray(of.masses[point]) + localisation
        total += float((squares[point] / masses).sum())
    return nbeta**2 * total / 2


def rounding(scene: Scene, point: int) -> float:
    """Error of a difference of two mean losses in the precision that is computed in."""
    return 8 * float(np.finfo(scene.leaves[0].dtype).eps) * abs(float(scene.losses[point]))


def usual_nbeta(count: int) -> float:
    """``n / ln n``.

    Example:
        >>> round(usual_nbeta(1000), 2)
        144.76
    """
    return count / math.log(count) if count > 2 else float(count)


def usual_localisation(scaled: np.ndarray) -> np.ndarray:
    """``γ = (nβ h_max)^{1/4} / 10``, at least 1/10.

    Example:
        >>> float(usual_localisation(np.array(1e12)))
        100.0
    """
    return np.maximum(np.asarray(scaled, float), 1.0) ** 0.25 / 10


def coldest(scene: Scene, point: int) -> float:
    """The largest nβ at which the point is a minimum and the baseline is precise, at least ``n / ln n``."""
    least = usual_nbeta(scene.count)
    curvature = float(scene.curvature[point])
    if curvature <= 0:
        return least
    nbeta = COLD / curvature
    while nbeta > least:
        gamma = float(usual_localisation(nbeta * curvature))
        if slope_energy(scene, point, nbeta, gamma) <= SLOPE and nbeta * rounding(scene, point) <= SLOPE / 2:
            return nbeta
        nbeta /= 10**0.5
    return least
