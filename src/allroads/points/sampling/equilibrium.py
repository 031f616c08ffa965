"""Whether chains are in equilibrium: agreement, drift, acceptance, discretisation, and the variance of the energy."""

from __future__ import annotations

import numpy as np

from allroads.points.sampling.diagnostics import ESS, Diagnostics
from allroads.points.sampling.schedule import Level

R_HAT = 1.1
"""Above it, chains disagree, unless their means are close."""
TOLERANCE = 0.05
"""Largest relative error that an equilibrium may state: half of the 10 % that it must never exceed."""
NORMAL = 1.96
"""Standard errors in half a 95 % interval."""


def in_equilibrium(
    found: Diagnostics,
    *,
    scale: float,
    acceptance: float,
    discretisation: float,
    variance: float | None,
    hotter: Level | None,
) -> bool:
    """Whether chains agree, do not drift, and have the variance that equilibrium demands.

    Args:
        found: Diagnostics of the energies.
        scale: What the mean is held against: its size, or 1.
        acceptance: Mean acceptance.
        discretisation: Predicted bias from the step size, in the unit of the energy.
        variance: Of the energies; ``None`` where they are means of batches. In equilibrium it is
            ``E − dE/d ln nβ``, exactly.
        hotter: The level at a tenth of nβ; ``None`` where there is none.
    """
    limit = TOLERANCE * scale
    apart = found.r_hat > R_HAT or found.ess < ESS
    if (apart and not (found.close and found.ess_within >= ESS)) or not acceptance > 0.2:
        return False
    drifts = abs(found.drift) > 3 * found.drift_error + 0.01 * scale
    if drifts or NORMAL * found.standard_error > limit or discretisation > limit:
        return False
    if variance is None or hotter is None or not found.mean > 0:
        return True
    seen, ess = (found.within, found.ess_within) if apart else (variance, found.ess)
    expected = found.mean - (found.mean - hotter.mean) / np.log(10.0)
    noise = 4 * found.mean * np.sqrt(2 / ess) + 2 * hotter.standard_error
    return bool(abs(seen - expected) <= 0.1 * found.mean + noise)
