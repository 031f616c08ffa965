"""The singular fluctuation."""

from __future__ import annotations

import numpy as np


def singular_fluctuation(first: np.ndarray, second: np.ndarray, nbeta: float) -> tuple[float, float]:
    """ν̂ = (β/2) Σ_i Var_w[ℓ_i(w)], from the draws around a point, and its standard error.

    ν/n at β = 1 is half of the gap between a Bayesian learner's generalisation loss and its training loss. A regular
    model with the noise that its loss stands for has ν = λ = d/2. Where the model fits the data without noise, ν goes
    to 0 as nβ grows.

    Args:
        first: Means of ``ℓ_i(w) − ℓ_i(w*)`` over the draws of each round, ``[rounds, n]``.
        second: The same of its square.
        nbeta: nβ, with n the number of all examples, of which these may be some.

    Returns:
        ν̂, and its standard error by the jackknife over rounds; infinite for one round.

    It fails where rounds are few: the error then says little.

    References: [watanabe2010]

    Example:
        One example whose loss has variance 2, at β = 1:

        >>> singular_fluctuation(np.zeros((4, 1)), np.full((4, 1), 2.0), 1.0)
        (1.0, 0.0)
    """

    def of(rounds: np.ndarray) -> float:
        return float(nbeta / 2 * np.maximum(second[rounds].mean(0) - first[rounds].mean(0) ** 2, 0).mean())

    count = len(first)
    everything = np.arange(count)
    if count < 2:
        return of(everything), float("inf")
    left_out = np.array([of(everything != k) for k in range(count)])
    return of(everything), float(np.sqrt((count - 1) * left_out.var()))
