"""What may be said of an estimate: its error, with every bias that is known, and its status."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from allroads.points.sampling.diagnostics import Diagnostics
from allroads.points.sampling.equilibrium import NORMAL, TOLERANCE, in_equilibrium
from allroads.points.sampling.schedule import Level, half_way
from allroads.status import LLCStatus


@dataclass(frozen=True)
class Evidence:
    """What an assessment rests on, at one point.

    Attributes:
        diagnostics: Of the measured energies.
        variance: Of the measured energies; ``None`` where they are means of batches. In equilibrium it is
            ``λ̂ − dλ̂/d ln nβ``, exactly.
        virial: ``(w − w*)·∇U`` at the draws, whose mean in equilibrium is the dimension, exactly; or ``None``.
        dimension: Number of free parameters.
        acceptance: Mean acceptance.
        discretisation: Predicted relative bias from the step size.
        localisation_anneal: Levels of the group whose localisation was annealed, strongest first, without the last.
        temperature_anneal: Levels of the group whose temperature was annealed, hottest first, without the last.
        slope: What the gradient at the point would let the energy fall by, ``½ nβ² gᵀ (nβH + γ)⁻¹ g``.
        baseline_error: Rounding of the loss at the point, times nβ.
        subset_error: What it costs that gradients were taken of a subset of the examples.
        nbeta: nβ.
        flat: Whether the loss does not change at all.
        ladder: Whether there were levels.
    """

    diagnostics: Diagnostics
    variance: float | None
    virial: np.ndarray | None
    dimension: int
    acceptance: float
    discretisation: float
    localisation_anneal: tuple[Level, ...]
    temperature_anneal: tuple[Level, ...]
    slope: float
    baseline_error: float
    subset_error: float
    nbeta: float
    flat: bool
    ladder: bool


@dataclass(frozen=True)
class Assessment:
    """Half-width of the 95 % interval, its parts in the same unit, and the status."""

    error: float
    parts: dict[str, float]
    status: LLCStatus


def assess(seen: Evidence) -> Assessment:
    """Error and status of an estimate.

    The error is the root of the sum of the squares of: 1.96 Monte Carlo standard errors; the drift from the first to
    the last third, less its standard error; the predicted discretisation bias; the change from a localisation ten
    times as strong; the change from the level half way down in log nβ, which is what is still to come where the answer
    approaches its limit as 1/log nβ, the slowest way there is; both less the standard error of the difference; the
    rounding of the baseline; the fall that the gradient at the point allows; the difference between a subset of the
    examples and all.
    """
    d = seen.diagnostics
    if not np.isfinite(d.mean):
        return Assessment(float("inf"), {}, LLCStatus.DIVERGED)
    value = d.mean
    nbetas = [level.nbeta for level in seen.temperature_anneal]
    parts = {
        "sampling": NORMAL * d.standard_error,
        "drift": max(0.0, abs(d.drift) - d.drift_error),
        "discretisation": seen.discretisation * abs(value),
        "localisation": _change(d, seen.localisation_anneal, len(seen.localisation_anneal) - 2),
        "temperature": _change(d, seen.temperature_anneal, half_way(np.array([*nbetas, seen.nbeta]))),
        "baseline": seen.baseline_error,
        "slope": seen.slope,
        "subset": seen.subset_error,
    }
    error = float(np.sqrt(sum(part**2 for part in parts.values())))
    return Assessment(error, parts, _status(seen, parts))


def _change(d: Diagnostics, levels: tuple[Level, ...], index: int) -> float:
    """Difference to the mean at a level, beyond the standard error of the difference; 0 without levels."""
    if not levels:
        return 0.0
    before = levels[max(index, 0)]
    return max(0.0, abs(d.mean - before.mean) - float(np.hypot(d.standard_error, before.standard_error)))


def _status(seen: Evidence, parts: dict[str, float]) -> LLCStatus:
    d, value = seen.diagnostics, seen.diagnostics.mean
    limit = TOLERANCE * abs(value)
    if seen.flat:
        return LLCStatus.PRIOR_DOMINATED
    if (value < 0 and value < -2 * d.standard_error) or seen.slope > max(limit, 0.05):
        return LLCStatus.NOT_AT_MINIMUM
    equilibrium = in_equilibrium(
        d,
        scale=abs(value),
        acceptance=seen.acceptance,
        discretisation=parts["discretisation"],
        variance=seen.variance,
        hotter=seen.temperature_anneal[-1] if seen.temperature_anneal else None,
        virial=seen.virial,
        dimension=seen.dimension,
    )
    if not value > 0 or not equilibrium or parts["subset"] > limit:
        return LLCStatus.NOT_EQUILIBRATED
    if parts["localisation"] > limit / 2:
        return LLCStatus.PRIOR_DOMINATED
    if parts["temperature"] > limit:
        return LLCStatus.SCALE_DEPENDENT
    return LLCStatus.CONVERGED if seen.ladder else LLCStatus.OK


SEVERITY = (
    LLCStatus.DIVERGED,
    LLCStatus.NOT_EQUILIBRATED,
    LLCStatus.NOT_AT_MINIMUM,
    LLCStatus.PRIOR_DOMINATED,
    LLCStatus.SCALE_DEPENDENT,
    LLCStatus.OK,
    LLCStatus.CONVERGED,
)
"""Statuses from the one that says least."""


def worst_status(statuses: tuple[LLCStatus, ...]) -> LLCStatus:
    """The status of several estimates together: that of the least trustworthy.

    Example:
        >>> worst_status((LLCStatus.CONVERGED, LLCStatus.NOT_AT_MINIMUM)).value
        'not at a minimum'
    """
    return min(statuses, key=SEVERITY.index)
