"""Normal crossings and sums of powers: the singularities that all others resolve into."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.points.zoo.ground_truth import GroundTruth, namespace, whitened_inputs, whole_numbers


def normal_crossings_learning_coefficient(
    powers: Sequence[int], prior_powers: Sequence[int] | None = None
) -> tuple[float, int]:
    """λ and m of ``K = Π_i w_i^{2k_i}`` at 0 under the prior ``Π_i |w_i|^{h_i}``.

    ``λ = min_i (h_i + 1) / (2k_i)`` and m is how many i attain it. A parameter with k = 0 does not count.

    Args:
        powers: k, of 0 or more, one of them positive.
        prior_powers: h, of 0 or more; default all 0, a flat prior.

    Returns:
        (λ, m).

    Raises:
        InputError: If a power is negative, none is positive, or the numbers of powers differ.

    References: [watanabe2009]

    Example:
        >>> normal_crossings_learning_coefficient((1, 2)), normal_crossings_learning_coefficient((1, 1, 1))
        ((0.25, 1), (0.5, 3))
        >>> normal_crossings_learning_coefficient((1, 2), prior_powers=(0, 1))
        (0.5, 2)
    """
    powers, prior_powers = _checked(powers, prior_powers)
    ratios = [Fraction(h + 1, 2 * k) for k, h in zip(powers, prior_powers, strict=True) if k]
    return float(min(ratios)), ratios.count(min(ratios))


def normal_crossings(
    powers: Sequence[int] = (1, 1),
    prior_powers: Sequence[int] | None = None,
    *,
    examples: int = 1000,
    seed: int = 0,
) -> GroundTruth:
    """``K(w) = Π_i w_i^{2k_i}`` at 0: the network ``f(w, x) = x Π_i w_i^{k_i}`` with ``mse`` against 0.

    Args:
        powers: k, of 0 or more, one of them positive.
        prior_powers: h of the prior ``Π_i |w_i|^{h_i}``; default a flat one.
        examples: Number of examples.
        seed: Decides the inputs.

    Raises:
        InputError: As :func:`normal_crossings_learning_coefficient`.

    References: [watanabe2009]

    Example:
        >>> truth = normal_crossings((1, 3))
        >>> truth.name, round(truth.learning_coefficient, 6), float(truth.excess(np.array([2.0, 1.0])))
        ('normal crossings w0^2 w1^6', 0.166667, 4.0)
    """
    powers, prior_powers = _checked(powers, prior_powers)
    coefficient, multiplicity = normal_crossings_learning_coefficient(powers, prior_powers)
    exponents, prior = np.array(powers), np.array(prior_powers)

    def log_prior(w: Params) -> Any:
        """``Σ h_i log |w_i|``, over the parameters with h > 0."""
        return (prior[prior > 0] * namespace(w).log(abs(w[..., prior > 0]))).sum(-1)

    name = "normal crossings " + " ".join(f"w{i}^{2 * k}" for i, k in enumerate(powers) if k)
    return GroundTruth(
        name=name + (f" under the prior powers {prior_powers}" if any(prior_powers) else ""),
        network=_product(powers),
        params=np.zeros(len(powers)),
        loss="mse",
        inputs=whitened_inputs(examples, 1, seed),
        labels=np.zeros((examples, 1)),
        learning_coefficient=coefficient,
        multiplicity=multiplicity,
        source="watanabe2009",
        excess=lambda w: (w ** (2 * exponents)).prod(-1),
        log_prior=log_prior if any(prior_powers) else None,
    )


def sum_of_powers(powers: Sequence[int] = (2, 1), *, examples: int = 1000, seed: int = 0) -> GroundTruth:
    """``K(w) = Σ_i w_i^{2k_i}`` at 0: ``λ = Σ_i 1/(2k_i)``, m = 1.

    The network is ``f(w, x) = Σ_i x_i w_i^{k_i}`` on whitened inputs, with ``mse`` against 0.

    Args:
        powers: k, of 1 or more.
        examples: Number of examples.
        seed: Decides the inputs.

    Raises:
        InputError: If a power is not a positive whole number.

    References: [watanabe2009]

    Example:
        >>> sum_of_powers((2, 1)).learning_coefficient
        0.75
    """
    powers = whole_numbers("powers", powers, 1)
    exponents = np.array(powers)
    return GroundTruth(
        name="sum of powers " + " + ".join(f"w{i}^{2 * k}" for i, k in enumerate(powers)),
        network=_sum(powers),
        params=np.zeros(len(powers)),
        loss="mse",
        inputs=whitened_inputs(examples, len(powers), seed),
        labels=np.zeros((examples, 1)),
        learning_coefficient=float(sum(Fraction(1, 2 * k) for k in powers)),
        multiplicity=1,
        source="watanabe2009",
        excess=lambda w: (w ** (2 * exponents)).sum(-1),
    )


def _checked(powers: Sequence[int], prior_powers: Sequence[int] | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    powers = whole_numbers("powers", powers, 0)
    prior_powers = whole_numbers("prior_powers", (0,) * len(powers) if prior_powers is None else prior_powers, 0)
    if not any(powers):
        raise InputError("powers: all are 0, which is a constant; make one positive.")
    if len(prior_powers) != len(powers):
        raise InputError(f"prior_powers: expected one for each of the {len(powers)} powers, got {len(prior_powers)}.")
    return powers, prior_powers


@lru_cache(maxsize=64)
def _product(powers: tuple[int, ...]) -> Network:
    def apply(w: Any, inputs: Any) -> Any:
        # Whole powers as products: the gradient of w**k through a logarithm would not be finite at 0.
        return inputs * math.prod([w[i] for i, k in enumerate(powers) for _ in range(k)])

    return Network(lambda key: jax.random.normal(key, (len(powers),)), apply, name="product of powers")


@lru_cache(maxsize=64)
def _sum(powers: tuple[int, ...]) -> Network:
    def apply(w: Any, inputs: Any) -> Any:
        return sum(inputs[:, i] * w[i] ** k for i, k in enumerate(powers))[:, None]

    return Network(lambda key: jax.random.normal(key, (len(powers),)), apply, name="sum of powers")
