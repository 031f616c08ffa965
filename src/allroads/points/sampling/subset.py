"""A subset of many examples as the surrogate of all, with the gradient of all at the point, and what it costs.

Chains move on ``L_S(w) + (∇L − ∇L_S)(w*) · (w − w*)``, the loss over a random subset S tilted so that its gradient at
the point is that of all examples: the control variate of stochastic variance reduction, held fixed. A mean energy
counts directions; it hardly depends on how steep each of them is, so that a subset which sees all directions sees λ̂.
What is left of the difference is measured: the energies over all examples, at some of the draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.precision import kept_per_precision
from allroads.points.sampling.free_parameters import FreeParameters
from allroads.points.sampling.posterior import LocalPosterior, build_posterior

FEWEST = 1024
"""Examples of a subset at least, where no budget asks for fewer."""
PER_PARAMETER = 4
"""Outputs over the subset per free parameter: with fewer than one, directions would be flat that are not."""
CHECKED = 64
"""Draws at which the energy over all examples is taken."""


def subset_size(examples: int, dimension: int, outputs: int) -> int | None:
    """Examples that gradients are taken of; ``None``: all, as fewer than half of them would not do.

    Args:
        examples: Number n of examples.
        dimension: Number d of free parameters.
        outputs: Numbers that the network gives per example.

    Example:
        >>> subset_size(100_000, 65, 7), subset_size(100_000, 4_000, 1), subset_size(2_000, 65, 7)
        (1024, 16000, None)
    """
    size = max(FEWEST, -(-PER_PARAMETER * dimension // max(outputs, 1)))
    return size if 2 * size < examples else None


def choose_subset(examples: int, size: int, seed: int) -> np.ndarray:
    """Rows of the subset, drawn without replacement, ascending."""
    return np.sort(np.random.default_rng([seed, examples, size]).choice(examples, size, replace=False))


@kept_per_precision
def compiled_energies(objective: Objective, free: FreeParameters) -> Callable[..., Any]:
    """``(z [points, draws, d], local, data, nβ [points]) -> nβ (L(w) − L(w*))`` over all data, ``[points, draws]``."""

    def at(z: Any, local: LocalPosterior, data: Examples, nbeta: Any) -> Any:
        posterior = build_posterior(objective, free, local, data, nbeta, None)
        return jax.lax.map(posterior.energy, z)

    return jax.jit(lambda z, local, data, nbeta: jax.lax.map(lambda a: at(a[0], a[1], data, a[2]), (z, local, nbeta)))


def subset_error(surrogate: np.ndarray, full: np.ndarray) -> float:
    """Size of the difference of the mean energies under all examples and under a subset, to first order.

    Under all examples draws have the weights ``exp(−Δ)`` with Δ = full − surrogate, so that the mean of the energy is
    ``E[full] − Cov(full, Δ)`` to first order. The number of draws limits how small a difference can be seen.

    Args:
        surrogate: Energies that the chains followed, of draws from them.
        full: Energies over all examples, at the same draws.

    Example:
        A Gaussian in 40 directions has a mean energy of 20, however steep they are. The energies of draws from one that
        is 2 % flatter are off by 0.4, and the covariance takes that away:

        >>> energy = np.random.default_rng(0).normal(size=(100_000, 40)) ** 2 @ np.full(40, 0.5)
        >>> subset_error(energy, 1.02 * energy) < 0.05
        True
    """
    difference = full - surrogate
    if not np.isfinite(difference).all() or len(full) < 2:
        return float("inf")
    return float(abs(difference.mean() - np.cov(full, difference)[0, 1]))
