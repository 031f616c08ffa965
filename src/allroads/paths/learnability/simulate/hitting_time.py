"""Hitting time: how many steps the linearised map needs to bring the loss down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allroads.paths.learnability.simulate.residual_spectrum import ResidualSpectrum

UNREACHABLE = 1e12
"""Steps past which a target counts as never reached."""
_ROUNDS, _SECTIONS = 9, 33
_LARGEST_CONTRACTION = 1.5


def hitting_time(spectrum: ResidualSpectrum, level: float, decay_bound: float = np.inf) -> float:
    """Steps until the linearised residual has ``‖r(t)‖² ≤ level · ‖r(0)‖²``, interpolated between steps.

    A mode of rate λ contracts by ``1 − λ`` per step of gradient descent: ``‖r(t)‖² = Σ_i w_i (1−λ_i)^{2t}``.

    Args:
        spectrum: Spectrum of the residual; its nodes are contractions per step. Nodes above 1.5, at which gradient
            descent is about to be unstable, count as 1.5.
        level: In (0, 1); where it is 1 or more, 0 steps are needed.
        decay_bound: Largest decay rate of a mode per step, see :func:`.decay_bound`.

    Returns:
        Steps. They are infinite past 10¹², and where more than ``level`` of the residual lies outside of the kernel's
        range.

    References: [jacot2018], [zancato2020]

    Example:
        One mode that halves at each step is at 1/16 of its square after two:

        >>> import numpy as np
        >>> round(hitting_time(ResidualSpectrum(np.array([0.5]), np.array([1.0])), 1 / 16), 6)
        2.0
    """
    if level >= 1:
        return 0.0
    if not residual_share(spectrum, UNREACHABLE, decay_bound) <= level:
        return float("inf")
    low, high = 1e-6, UNREACHABLE
    for _ in range(_ROUNDS):
        ts = np.geomspace(low, high, _SECTIONS)
        first = int(np.argmax(residual_share(spectrum, ts, decay_bound) <= level))
        low, high = float(ts[max(first - 1, 0)]), float(ts[first])
    return float(high)


def residual_share(spectrum: ResidualSpectrum, times: ArrayLike, decay_bound: float = np.inf) -> Any:
    """Share of ``‖r‖²`` that is left at given times, ``Σ w_i (1−λ_i)^{2t} / Σ w_i``.

    Example:
        >>> float(residual_share(ResidualSpectrum(np.array([0.5]), np.array([1.0])), 2.0))
        0.0625
    """
    left = np.exp(-2 * np.multiply.outer(times, _decay_rates(spectrum, decay_bound))) @ spectrum.energies
    return left / spectrum.energies.sum()


def gradient_share(spectrum: ResidualSpectrum, times: NDArray[Any], decay_bound: float = np.inf) -> NDArray[Any]:
    """Norm of the gradient at given times over the first: ``√(Σ w_i λ_i (1−λ_i)^{2t} / Σ w_i λ_i)``.

    Example:
        >>> gradient_share(ResidualSpectrum(np.array([0.5]), np.array([1.0])), np.array([0.0, 2.0])).round(6).tolist()
        [1.0, 0.25]
    """
    weights = spectrum.energies * spectrum.nodes
    left = np.exp(-2 * np.outer(times, _decay_rates(spectrum, decay_bound))) @ weights
    share: NDArray[Any] = np.sqrt(left / weights.sum())
    return share


def _decay_rates(spectrum: ResidualSpectrum, decay_bound: float) -> NDArray[Any]:
    contraction = np.abs(1 - np.minimum(spectrum.nodes, _LARGEST_CONTRACTION))
    rates: NDArray[Any] = np.minimum(-np.log(np.maximum(contraction, 1e-30)), decay_bound)
    return rates
