"""A layer of tanh units that has nothing to learn."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.points.zoo.ground_truth import GroundTruth, namespace, whole_numbers

_RANGE = 2.0
"""Inputs reach so far: tanh is well beyond its linear part there, so that units with other slopes differ."""


def tanh_units_learning_coefficient(units: int) -> tuple[float, int]:
    """λ and m of H tanh units ``Σ_h a_h tanh(b_h x)`` at 0 where the truth is 0.

    With ``i = ⌊√H⌋``: ``λ = (H + i² + i) / (4i + 2)``, and m = 2 where ``i² = H``, else 1.

    Args:
        units: H.

    Returns:
        (λ, m).

    Raises:
        InputError: If H is not a positive whole number.

    References: [aoyagi2005layered]

    Example:
        >>> [tanh_units_learning_coefficient(units) for units in (1, 4)]
        [(0.5, 2), (1.0, 2)]
    """
    (units,) = whole_numbers("units", [units], 1)
    root = math.isqrt(units)
    return float(Fraction(units + root**2 + root, 4 * root + 2)), 2 if root**2 == units else 1


def tanh_units(units: int = 2, *, examples: int = 1000) -> GroundTruth:
    """H tanh units ``f(x) = Σ_h a_h tanh(b_h x)`` with ``mse`` against 0, at ``a = b = 0``.

    The inputs are evenly spaced in 0 … 2, without 0; the data set is the population. f is odd in x, and H inputs of
    different size are enough for it to vanish on all inputs where it vanishes on these, to every order at the point,
    so λ does not depend on them.

    Args:
        units: H.
        examples: Number of inputs, at least H.

    Returns:
        The model, with parameters ``{"inner": b [H], "outer": a [H]}``.

    Raises:
        InputError: If there are fewer inputs than units.

    References: [aoyagi2005layered]

    Example:
        >>> truth = tanh_units(2)
        >>> round(truth.learning_coefficient, 6), truth.multiplicity, truth.dimension
        (0.666667, 1, 4)
    """
    coefficient, multiplicity = tanh_units_learning_coefficient(units)
    (examples,) = whole_numbers("examples", [examples], 1)
    if examples < units:
        raise InputError(f"examples: {units} units need at least {units} inputs to be told apart, got {examples}.")
    inputs = _RANGE * np.arange(1, examples + 1)[:, None] / examples

    def excess(params: Params) -> Any:
        inner, outer = params["inner"][..., None], params["outer"][..., None]
        outputs = (outer * namespace(inner).tanh(inner * inputs[:, 0])).sum(-2)
        return (outputs**2).mean(-1)

    return GroundTruth(
        name=f"{units} tanh units learning 0",
        network=_network(units),
        params={"inner": np.zeros(units), "outer": np.zeros(units)},
        loss="mse",
        inputs=inputs,
        labels=np.zeros((examples, 1)),
        learning_coefficient=coefficient,
        multiplicity=multiplicity,
        source="aoyagi2005layered",
        excess=excess,
    )


@lru_cache(maxsize=64)
def _network(units: int) -> Network:
    def init(key: Any) -> Params:
        inner, outer = jax.random.normal(key, (2, units))
        return {"inner": inner, "outer": outer}

    def apply(params: Params, inputs: Any) -> Any:
        return (jnp.tanh(inputs * params["inner"]) @ params["outer"])[:, None]

    return Network(init, apply, name=f"{units} tanh units")
