"""Mixtures of two normal distributions that have one normal distribution to learn.

The network gives the log-likelihood ``log p(x | w)`` of its input, and the loss is the negative of it. Instead of a
sample, the data set is an evenly spaced grid whose points are weighted by the standard normal density, the weights
being the labels: the loss of the data set *is* that of the population, to rounding, and the truth is its exact minimum.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.points.zoo.ground_truth import GroundTruth, namespace, whole_numbers

_RANGE = 10.0
_FEWEST = 40
"""With so many points in −10 … 10, sums of analytic functions times the normal density are integrals to rounding."""


def surprise(outputs: Any, labels: Any) -> Any:
    """Weighted negative log-likelihood, one number an example: ``−weight · log p(x)``.

    Args:
        outputs: ``log p(x)``, ``[N, 1]``.
        labels: Weights ``[N]`` with mean 1.

    Example:
        >>> surprise(np.array([[-2.0]]), np.array([0.5])).tolist()
        [1.0]
    """
    return -labels * outputs[:, 0]


def shifted_component(*, examples: int = 1000) -> GroundTruth:
    """``(1−a) N(0,1) + a N(b,1)`` learning N(0,1), at ``a = b = 0``: λ = ½, m = 2.

    The parameter is a signed a and its size the share, so that ``a = 0`` is no wall. K lies between two positive
    multiples of a²b² near the point, which gives λ and m. The density is one for ``|a| ≤ 1``; stay inside.

    Args:
        examples: Number of grid points, at least 40.

    Returns:
        The model, with parameters ``{"share": a, "mean": b}``, scalars.

    Raises:
        InputError: If the grid is too coarse.

    References: [aoyagi2010]

    Example:
        >>> truth = shifted_component()
        >>> truth.learning_coefficient, truth.multiplicity
        (0.5, 2)
    """
    return _truth(
        "a normal mixture with one free component",
        _shifted_network(),
        {"share": np.zeros(()), "mean": np.zeros(())},
        _shifted_ratio,
        (0.5, 2),
        examples,
    )


def two_components(*, share: float = 0.5, examples: int = 1000) -> GroundTruth:
    """``a N(b₁,1) + (1−a) N(b₂,1)`` learning N(0,1), at ``b₁ = b₂ = 0``: λ = ¾, m = 1.

    The mean ``a b₁ + (1−a) b₂`` is a regular coordinate, worth ½, and where it is 0 K goes as b₁⁴, worth ¼. The
    density is one for a in 0 … 1; stay inside.

    Args:
        share: a at the point, above 0 and below 1.
        examples: Number of grid points, at least 40.

    Returns:
        The model, with parameters ``{"share": a, "means": b [2]}``.

    Raises:
        InputError: If a is not between 0 and 1, or the grid is too coarse.

    References: [aoyagi2010]

    Example:
        >>> truth = two_components()
        >>> truth.learning_coefficient, truth.multiplicity, truth.dimension
        (0.75, 1, 3)
    """
    if not 0 < share < 1:
        raise InputError(f"share: expected a number above 0 and below 1, got {share}.")
    return _truth(
        "a normal mixture with two free components",
        _two_network(),
        {"share": np.array(float(share)), "means": np.zeros(2)},
        _two_ratio,
        (0.75, 1),
        examples,
    )


def _truth(
    name: str,
    network: Network,
    params: Params,
    ratio: Callable[[Params, Any], Any],
    coefficient: tuple[float, int],
    examples: int,
) -> GroundTruth:
    (examples,) = whole_numbers("examples", [examples], _FEWEST)
    grid = np.linspace(-_RANGE, _RANGE, examples)
    weights = np.exp(-(grid**2) / 2)
    weights /= weights.mean()

    def excess(w: Params) -> Any:
        # E[−log(1 + u)] = E[u − log(1 + u)] because E[u] = 0: no term is negative, so nothing cancels near 0.
        u = ratio(w, grid)
        return (weights * (u - namespace(u).log1p(u))).mean(-1)

    return GroundTruth(
        name=name,
        network=network,
        params=params,
        loss=surprise,
        inputs=grid[:, None],
        labels=weights,
        learning_coefficient=coefficient[0],
        multiplicity=coefficient[1],
        source="derived",
        excess=excess,
    )


def _tilt(mean: Any, x: Any) -> Any:
    """``N(x; b, 1) / N(x; 0, 1) − 1`` for means ``[...]`` and x ``[N]``: ``[..., N]``."""
    mean = mean[..., None]
    return namespace(mean).expm1(mean * x - mean**2 / 2)


def _shifted_ratio(params: Params, x: Any) -> Any:
    """``p(x | w) / N(x; 0, 1) − 1``, ``[..., N]``."""
    return abs(params["share"][..., None]) * _tilt(params["mean"], x)


def _two_ratio(params: Params, x: Any) -> Any:
    share, means = params["share"][..., None], params["means"]
    return share * _tilt(means[..., 0], x) + (1 - share) * _tilt(means[..., 1], x)


@lru_cache(maxsize=1)
def _shifted_network() -> Network:
    def init(key: Any) -> Params:
        share, mean = jax.random.uniform(key, (2,))
        return {"share": share, "mean": mean}

    def apply(params: Params, inputs: Any) -> Any:
        share = jnp.abs(params["share"])
        return jnp.log((1 - share) * _normal(inputs, 0.0) + share * _normal(inputs, params["mean"]))

    return Network(init, apply, name="normal mixture with one free component")


@lru_cache(maxsize=1)
def _two_network() -> Network:
    def init(key: Any) -> Params:
        share, *means = jax.random.uniform(key, (3,))
        return {"share": share, "means": jnp.stack(means)}

    def apply(params: Params, inputs: Any) -> Any:
        share, (first, second) = params["share"], params["means"]
        return jnp.log(share * _normal(inputs, first) + (1 - share) * _normal(inputs, second))

    return Network(init, apply, name="normal mixture with two free components")


def _normal(x: Any, mean: Any) -> Any:
    return jnp.exp(-((x - mean) ** 2) / 2) / np.sqrt(2 * np.pi)
