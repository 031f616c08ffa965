"""What may be said of an estimate: its error, with every bias that is known, and its status."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from allroads.points.llc.diagnostics import ESS, Diagnostics
from allroads.points.llc.schedule import Level
from allroads.status import LLCStatus, Status

R_HAT = 1.1
"""Above it, chains disagree, unless their means are close."""
TOLERANCE = 0.05
"""Largest relative error that a converged estimate may state: half of the 10 % that it must never exceed."""
NORMAL = 1.96
"""Standard errors in half a 95 % interval."""


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on, at one point.

    Attributes:
        diagnostics: Of the measured energies.
        variance: Of the measured energies; ``None`` where they are means of batches. In equilibrium it is
            ``λ̂ − dλ̂/d ln nβ``, exactly.
        quality: Mean acceptance.
        discretisation: Predicted relative bias from the step size.
        loosened: Levels of the group whose localisation was loosened, strongest first, without the last.
        cooled: Levels of the group that was cooled, hottest first, without the last.
        slope: What the gradient at the point would let the energy fall by, ``½ nβ² gᵀ (nβH + γ)⁻¹ g``.
        baseline_error: Rounding of the loss at the point, times nβ.
        flat: Whether the loss does not change at all.
        ladder: Whether there were levels.
    """

    diagnostics: Diagnostics
    variance: float | None
    quality: float
    discretisation: float
    loosened: tuple[Level, ...]
    cooled: tuple[Level, ...]
    slope: float
    baseline_error: float
    flat: bool
    ladder: bool


@dataclass(frozen=True)
class Verdict:
    """Half-width of the 95 % interval, its parts in the same unit, and the status."""

    error: float
    parts: dict[str, float]
    status: Status


def judge(seen: Evidence) -> Verdict:
    """Error and status of an estimate.

    The error is the root of the sum of the squares of: 1.96 Monte Carlo standard errors; the drift from the first to
    the last third, less its standard error; the predicted discretisation bias; the change from a localisation ten
    times as strong; the change from the level half way down in log nβ, which is what is still to come where the answer
    approaches its limit as 1/log nβ, the slowest way there is; both less the standard error of the difference; the
    rounding of the baseline; the fall that the gradient at the point allows.
    """
    d = seen.diagnostics
    if not np.isfinite(d.mean):
        return Verdict(float("inf"), {}, LLCStatus.DIVERGED)
    value = d.mean
    parts = {
        "sampling": NORMAL * d.standard_error,
        "drift": max(0.0, abs(d.drift) - d.drift_error),
        "discretisation": seen.discretisation * abs(value),
        "localisation": _change(d, seen.loosened, len(seen.loosened) - 2),
        "temperature": _change(d, seen.cooled, len(seen.cooled) // 2),
        "baseline": seen.baseline_error,
        "slope": seen.slope,
    }
    error = float(np.sqrt(sum(part**2 for part in parts.values())))
    return Verdict(error, parts, _status(seen, parts))


def _change(d: Diagnostics, levels: tuple[Level, ...], index: int) -> float:
    """Difference to the mean at a level, beyond the standard error of the difference; 0 without levels."""
    if not levels:
        return 0.0
    before = levels[max(index, 0)]
    return max(0.0, abs(d.mean - before.mean) - float(np.hypot(d.standard_error, before.standard_error)))


def _status(seen: Evidence, parts: dict[str, float]) -> Status:
    d, value = seen.diagnostics, seen.diagnostics.mean
    limit = TOLERANCE * abs(value)
    if seen.flat:
        return LLCStatus.PRIOR_DOMINATED
    if (value < 0 and value < -2 * d.standard_error) or seen.slope > max(limit, 0.05):
        return LLCStatus.NOT_AT_MINIMUM
    apart = d.r_hat > R_HAT or d.ess < ESS
    if not value > 0 or (apart and not (d.close and d.ess_within >= ESS)) or not seen.quality > 0.2:
        return LLCStatus.NOT_EQUILIBRATED
    if abs(d.drift) > 3 * d.drift_error + 0.01 * abs(value) or parts["sampling"] > limit:
        return LLCStatus.NOT_EQUILIBRATED
    if seen.variance is not None and seen.cooled:
        before = seen.cooled[-1]
        variance, ess = (d.within, d.ess_within) if apart else (seen.variance, d.ess)
        expected = value - (value - before.mean) / np.log(10.0)
        noise = 4 * value * np.sqrt(2 / ess) + 2 * before.standard_error
        if abs(variance - expected) > 0.1 * value + noise:
            return LLCStatus.NOT_EQUILIBRATED
    if parts["discretisation"] > limit:
        return LLCStatus.NOT_EQUILIBRATED
    if parts["localisation"] > limit / 2:
        return LLCStatus.PRIOR_DOMINATED
    if parts["temperature"] > limit:
        return LLCStatus.SCALE_DEPENDENT
    return LLCStatus.CONVERGED if seen.ladder else LLCStatus.OK
