"""Whether chains are in equilibrium: agreement, drift, acceptance, discretisation, and two exact identities."""

from __future__ import annotations

import numpy as np

from allroads.points.sampling.diagnostics import ESS, Diagnostics, diagnose
from allroads.points.sampling.schedule import Level

R_HAT = 1.1
"""Above it, chains disagree, unless their means are close."""
TOLERANCE = 0.05
"""Largest relative error that an equilibrium may state: half of the 10 % that it must never exceed."""
VIRIAL = 0.5
"""Largest departure of the virial from its value, as a share of the mean energy. Where chains leave out the narrow ends
of w₀²w₁²w₂², a mean energy that is 3 % low goes with a virial that departs by this; 8 % goes with 1.2."""
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
    virial: np.ndarray | None,
    dimension: int,
) -> bool:
    """Whether chains agree, do not drift, and have the variance and the virial that equilibrium demands.

    Args:
        found: Diagnostics of the energies.
        scale: What the mean is held against: its size, or 1.
        acceptance: Mean acceptance.
        discretisation: Predicted bias from the step size, in the unit of the energy.
        variance: Of the energies; ``None`` where they are means of batches. In equilibrium it is
            ``E − dE/d ln nβ``, exactly.
        hotter: The level at a tenth of nβ; ``None`` where there is none.
        virial: ``(w − w*)·∇U`` at the draws ``[chains, draws]``; ``None`` where gradients are not known.
        dimension: Number of free parameters, which is the mean of the virial in equilibrium, exactly.
    """
    limit = TOLERANCE * scale
    apart = found.r_hat > R_HAT or found.ess < ESS
    if (apart and not (found.close and found.ess_within >= ESS)) or not acceptance > 0.2:
        return False
    drifts = abs(found.drift) > 3 * found.drift_error + 0.01 * scale
    if drifts or NORMAL * found.standard_error > limit or discretisation > limit:
        return False
    if virial is not None and not virial_holds(virial, dimension, abs(found.mean)):
        return False
    if variance is None or hotter is None or not found.mean > 0:
        return True
    seen, ess = (found.within, found.ess_within) if apart else (variance, found.ess)
    expected = found.mean - (found.mean - hotter.mean) / np.log(10.0)
    noise = 4 * found.mean * np.sqrt(2 / ess) + 2 * hotter.standard_error
    return bool(abs(seen - expected) <= 0.1 * found.mean + noise)


def virial_holds(virial: np.ndarray, dimension: int, energy: float) -> bool:
    """Whether ``E[(w − w*)·∇U] = d``, as it is for every density ``exp(−U)`` that vanishes far away.

    Chains that never enter the narrow ends of a valley seem to agree, and do not drift. They sample a part of the
    density, on whose border it does not vanish, so that their virial differs from d.

    Args:
        virial: ``(w − w*)·∇U`` at the draws ``[chains, draws]``.
        dimension: d, the number of free parameters.
        energy: The mean energy; a departure of half of it, and of four standard errors, is allowed.

    Example:
        Normal draws of variance 1, and the same without those beyond one deviation:

        >>> squares = np.random.default_rng(0).normal(size=(4, 1000)) ** 2
        >>> virial_holds(squares, 1, 0.5), virial_holds(np.where(squares < 1, squares, 0.3), 1, 0.5)
        (True, False)
    """
    found = diagnose(virial)
    return bool(abs(found.mean - dimension) <= VIRIAL * energy + 4 * found.standard_error)
