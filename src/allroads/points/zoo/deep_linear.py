"""Deep linear networks, whose learning coefficient is known for all widths and ranks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache, reduce
from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.points.zoo.ground_truth import GroundTruth, orthogonal, whitened_inputs, whole_numbers


def deep_linear_learning_coefficient(widths: Sequence[int], rank: int) -> tuple[float, int]:
    """λ and m of the deep linear network ``x W₁ … W_L`` where the truth is a linear map of known rank.

    With ``M_i = H_i − r`` in ascending order, S the first ℓ+1 of them such that ``max S < min Sᶜ``,
    ``ΣS ≥ ℓ max S`` and ``ΣS < ℓ min Sᶜ`` (nothing is asked of an empty Sᶜ), ``M = ⌈ΣS/ℓ⌉`` and ``a = ΣS − (M−1)ℓ``:
    ``λ = r(H₀+H_L−r)/2 + a(ℓ−a)/(4ℓ) − (ℓ(ℓ−1)/4)(ΣS/ℓ)² + ½ Σ_{i<j∈S} M_i M_j`` and ``m = a(ℓ−a) + 1``.

    This is the smallest λ of all points that compute the truth; it is attained where every layer has rank r. At others
    it may be larger, see :func:`~allroads.points.zoo.two_layer_linear_learning_coefficient`.

    Args:
        widths: ``H₀ … H_L``, inputs first.
        rank: r of the true map, 0 … the smallest width.

    Returns:
        (λ, m).

    Raises:
        InputError: If a width is not positive or the rank does not fit.

    References: [aoyagi2024]

    Example:
        >>> deep_linear_learning_coefficient((4, 7, 3, 6, 5), 2)
        (8.0, 1)
        >>> [deep_linear_learning_coefficient((50,) * 5, rank)[0] for rank in (10, 50)]
        [950.0, 1250.0]
    """
    widths, rank = _checked(widths, rank)
    spare = sorted(width - rank for width in widths)
    regular = Fraction(rank * (widths[0] + widths[-1] - rank), 2)
    # The first prefix with ΣS < ℓ min Sᶜ: none before it had that, which makes its other two conditions hold.
    ell = next(n for n in range(1, len(spare)) if sum(spare[: n + 1]) < n * min(spare[n + 1 :], default=math.inf))
    chosen = spare[: ell + 1]
    total = sum(chosen)
    remainder = total - (-(-total // ell) - 1) * ell
    pairs = sum(a * b for a, b in itertools.combinations(chosen, 2))
    singular = (
        Fraction(remainder * (ell - remainder), 4 * ell) - Fraction((ell - 1) * total**2, 4 * ell) + Fraction(pairs, 2)
    )
    return float(regular + singular), remainder * (ell - remainder) + 1


def deep_linear(
    widths: Sequence[int] = (5, 5, 5), rank: int | None = None, *, examples: int = 1000, seed: int = 0
) -> GroundTruth:
    """A deep linear network at a point where every layer has the rank of the true map.

    Layer l is ``Q_{l−1} D Q_lᵀ`` with random orthogonal Q and D the first r entries of the identity, so all singular
    values of the layers and of the truth are 1 (r times) or 0. With r the smallest width, every
    point that computes the truth has this λ; below, this one is the most singular. Excess: ``‖W₁ … W_L − W*‖² / H_L``.

    Args:
        widths: ``H₀ … H_L``, inputs first.
        rank: r, 0 … the smallest width, which is the default.
        examples: Number of whitened inputs, at least ``H₀``.
        seed: Decides inputs and Q.

    Returns:
        The model, with parameters ``{"layers": [{"weight": [in, out]}, …]}`` as those of the network ``deep_linear``.

    Raises:
        InputError: If a size does not fit.

    References: [aoyagi2024]

    Example:
        >>> truth = deep_linear((4, 7, 3, 6, 5), rank=2)
        >>> truth.learning_coefficient, truth.multiplicity, truth.dimension
        (8.0, 1, 97)
    """
    widths, rank = _checked(widths, min(widths, default=0) if rank is None else rank)
    coefficient, multiplicity = deep_linear_learning_coefficient(widths, rank)
    generator = np.random.default_rng([seed, 1])
    frames = [orthogonal(width, generator)[:, :rank] for width in widths]
    return linear_truth(
        name=f"deep linear {'-'.join(map(str, widths))} of rank {rank}",
        weights=[before @ after.T for before, after in itertools.pairwise(frames)],
        coefficient=coefficient,
        multiplicity=multiplicity,
        source="aoyagi2024",
        examples=examples,
        seed=seed,
    )


def linear_truth(
    name: str,
    weights: list[np.ndarray],
    coefficient: float,
    multiplicity: int | None,
    source: str,
    examples: int,
    seed: int,
) -> GroundTruth:
    """A product of matrices at the point ``weights``, learning the map that it computes there."""
    truth = reduce(np.matmul, weights)
    widths = (*(len(w) for w in weights), truth.shape[1])
    inputs = whitened_inputs(examples, widths[0], seed)

    def excess(params: Params) -> Any:
        error = reduce(lambda a, b: a @ b, (layer["weight"] for layer in params["layers"])) - truth
        return (error**2).sum((-2, -1)) / truth.shape[1]

    return GroundTruth(
        name=name,
        network=_network(widths),
        params={"layers": [{"weight": weight} for weight in weights]},
        loss="mse",
        inputs=inputs,
        labels=inputs @ truth,
        learning_coefficient=coefficient,
        multiplicity=multiplicity,
        source=source,
        excess=excess,
    )


@lru_cache(maxsize=64)
def _network(widths: tuple[int, ...]) -> Network:
    def init(key: Any) -> Params:
        keys = jax.random.split(key, len(widths) - 1)
        sizes = itertools.pairwise(widths)
        return {"layers": [{"weight": jax.random.normal(k, s) / s[0] ** 0.5} for k, s in zip(keys, sizes, strict=True)]}

    def apply(params: Params, inputs: Any) -> Any:
        return reduce(lambda x, layer: x @ layer["weight"], params["layers"], inputs)

    return Network(init, apply, name=f"deep linear {'-'.join(map(str, widths))}")


def _checked(widths: Sequence[int], rank: int) -> tuple[tuple[int, ...], int]:
    widths = whole_numbers("widths", widths, 1, count=2)
    (rank,) = whole_numbers("rank", [rank], 0)
    if rank > min(widths):
        raise InputError(f"rank: a map through widths {widths} has rank at most {min(widths)}, got {rank}.")
    return widths, rank
