"""Hitting time: how many steps the linearised map needs to bring the loss down."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.paths.learnability.spectrum import ResidualSpectrum

LONGEST = 1e12
"""Steps past which a target counts as never reached."""
_ROUNDS, _SECTIONS = 9, 33


def hitting_time(spectrum: ResidualSpectrum, level: float) -> float:
    """Steps until the linearised residual has ``‖r(t)‖² ≤ level · ‖r(0)‖²``, between steps interpolated.

    A mode of rate λ contracts by ``1 − λ`` a step, as by gradient descent: ``‖r(t)‖² = Σ_i w_i (1−λ_i)^{2t}``.

    Args:
        spectrum: Of the residual; its nodes are contractions a step. Those above 1.5, at which steps of that size are
            about to be unstable, count as 1.5.
        level: In (0, 1); where it is 1 or more, 0 steps are needed.

    Returns:
        Steps; infinite where more than ``level`` of the residual lies where the map cannot move, or past 10¹².

    References: [jacot2018], [zancato2020]

    Example:
        One mode that halves each step is at 1/16 of its square after two:

        >>> import numpy as np
        >>> round(hitting_time(ResidualSpectrum(np.array([0.5]), np.array([1.0])), 1 / 16), 6)
        2.0
    """
    if level >= 1:
        return 0.0
    if not remaining(spectrum, LONGEST) <= level:
        return float("inf")
    low, high = 1e-6, LONGEST
    for _ in range(_ROUNDS):
        ts = np.geomspace(low, high, _SECTIONS)
        first = int(np.argmax(remaining(spectrum, ts) <= level))
        low, high = float(ts[max(first - 1, 0)]), float(ts[first])
    return float(high)


def remaining(spectrum: ResidualSpectrum, times: Any) -> Any:
    """Share of ``‖r‖²`` that is left at some times, ``Σ w_i (1−λ_i)^{2t} / Σ w_i``.

    Example:
        >>> float(remaining(ResidualSpectrum(np.array([0.5]), np.array([1.0])), 2.0))
        0.0625
    """
    left = np.exp(-2 * np.multiply.outer(times, _rates(spectrum))) @ spectrum.energies
    return left / spectrum.energies.sum()


def slopes(spectrum: ResidualSpectrum, times: np.ndarray) -> np.ndarray:
    """Length of the gradient at some times as a share of the first: ``√(Σ w_i λ_i (1−λ_i)^{2t} / Σ w_i λ_i)``.

    Example:
        >>> slopes(ResidualSpectrum(np.array([0.5]), np.array([1.0])), np.array([0.0, 2.0])).round(6).tolist()
        [1.0, 0.25]
    """
    weights = spectrum.energies * spectrum.nodes
    return np.sqrt(np.exp(-2 * np.outer(times, _rates(spectrum))) @ weights / weights.sum())


def _rates(spectrum: ResidualSpectrum) -> np.ndarray:
    return -np.log(np.maximum(np.abs(1 - np.minimum(spectrum.nodes, 1.5)), 1e-30))
