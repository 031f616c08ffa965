"""The learning coefficient as the exponent with which volume shrinks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import chi2
from scipy.stats import t as student

from allroads.errors import InputError, UnknownNameError
from allroads.measurement import Status
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.points.volume.local_volume import SCOPES, check_cutoff, check_varies, mixing, pooled
from allroads.points.volume.measures import Gaussian, Measure, checked_measure
from allroads.points.volume.problem import make_problem
from allroads.points.volume.splitting import Splitting, descend

_SHORTEST, _LONGEST = 1.0, 40.0
"""Bounds of ``−log ε + b`` at the first ε of a fit, in nats."""
_FEWEST = 6
"""Levels that a fit keeps at least."""
_CORRELATED = 1.5
"""Variance of an increment over what independent particles would have, as found on regular models."""


@dataclass(frozen=True, eq=False)
class VolumeScaling:
    """The exponent of a volume that shrinks, and the volumes it was read from.

    Args:
        value: λ.
        error: Half-width of its 95 % interval: disagreement of the replicas, and the change of λ when only the lower
            half of the range is fitted.
        multiplicity: m, as given or as selected.
        status: ``ok``, ``not equilibrated`` or ``not at a minimum``.
        cutoffs: ``[K]``, decreasing: those that were fitted.
        log_masses: ``[R, K]``, of each replica.
        stats: ``by_multiplicity`` (λ and error for each m tried), ``shift`` (b), ``fitted`` (levels), ``evaluations``
            of the loss, ``stirring`` (see :class:`Volume`) and ``lowest`` excess met.
    """

    value: float
    error: float
    multiplicity: int
    status: Status
    cutoffs: np.ndarray
    log_masses: np.ndarray
    stats: Mapping[str, Any]

    def __float__(self) -> float:
        return self.value


def volume_scaling(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    cutoffs: tuple[float, float] = (1e-2, 1e-7),
    multiplicity: int | None = None,
    kind: str = "loss",
    scope: str = "everywhere",
    measure: Measure = Gaussian(1.0),  # noqa: B008 (frozen)
    log_prior: Callable[[Params], Any] | None = None,
    particles: int = 4096,
    replicas: int = 8,
    sweeps: int = 40,
    seed: int = 0,
) -> VolumeScaling:
    """λ and m of ``V(ε) = μ{w : L(w) − L(w*) ≤ ε} ≈ c ε^λ (−log ε + b)^{m−1}`` from volumes at many ε.

    One splitting run from the reference measure to the last cutoff gives V at every level on its way; its increments
    between levels are what is fitted, because their errors are independent. b is the first correction to the
    asymptotic form and stands for the unit of the loss.

    The largest ε are left out of the fit as far as they do not follow the asymptotic form: the range is shortened from
    above until its misfit is that of noise.

    λ is that of the most singular minimum that the reference measure covers: centre it on the point and make it
    narrow for the λ *at* the point. Costs grow with ``λ log(1/ε)`` nats; meant for λ up to about ten. Far from
    asymptotic cutoffs bias λ, which the error shows only as far as the halves of the range differ.

    Args:
        network: The network.
        params: The point w*, a minimum.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[N, …]``.
        labels: ``[N, …]``.
        cutoffs: The range of ε that is fitted, largest first, in the unit of the loss. The default suits losses of
            order one at distance one.
        multiplicity: m where it is known; ``None`` selects among 1, 2, 3: whichever fits the longest range,
            then the least misfit with a penalty for each further parameter (BIC). Every other one that fits at least
            half of that range widens the error, because volumes hardly tell m: give it where it is known.
        kind: ``"loss"`` or ``"kl"``, see :func:`local_volume`.
        scope: ``"everywhere"`` in the measure, or ``"basin"``: what is connected to the point below the first cutoff.
        measure: Reference measure.
        log_prior: Log of a further factor of the density, ``params -> scalar``, not normalised; default none.
        particles: In all replicas together.
        replicas: Independent populations.
        sweeps: Most sweeps of moves after each level.
        seed: Decides all draws.

    Returns:
        A :class:`VolumeScaling`.

    Raises:
        InputError: As :func:`local_volume`, or if the cutoffs do not decrease or m is not a positive whole number.

    References: [watanabe2009]

    Example:
        Two parameters, regular: λ = d/2 = 1.

        >>> from allroads.points.zoo import quadratic
        >>> t = quadratic((1.0, 1.0), examples=2)
        >>> found = volume_scaling(
        ...     t.network, t.params, t.loss, t.inputs, t.labels, cutoffs=(1e-2, 1e-4), multiplicity=1, particles=512
        ... )
        >>> abs(found.value - 1.0) < 0.2
        True
    """
    if scope not in SCOPES:
        raise UnknownNameError("scope", scope, SCOPES)
    top, bottom = cutoffs
    if not top > bottom:
        raise InputError(f"cutoffs: expected the larger one first, got {cutoffs}.")
    if multiplicity is not None and not (isinstance(multiplicity, int) and multiplicity >= 1):
        raise InputError(f"multiplicity: expected a positive whole number or None, got {multiplicity!r}.")
    options = Splitting(particles, replicas, sweeps)
    with float64():
        problem = make_problem(network, params, loss, inputs, labels, kind)
        offset = checked_measure(measure, problem.point)
        check_cutoff(problem, bottom)
        check_varies(problem, measure, seed)
        descent = descend(
            problem, measure, offset, top, bottom, options, grow=scope == "basin", log_prior=log_prior, seed=seed
        )
    chosen = descent.cutoffs <= top
    levels, log_masses = descent.cutoffs[chosen], descent.log_masses[:, chosen]
    status = mixing(descent)
    if descent.lowest < -max(10 * problem.resolution, 1e-3 * bottom):
        status = Status.NOT_AT_MINIMUM
    stats = {
        "evaluations": descent.evaluations,
        "stirring": float(descent.stirring.min(initial=1.0)),
        "lowest": descent.lowest,
    }
    if len(levels) < _FEWEST or not np.isfinite(log_masses).all():
        raise InputError(
            f"cutoffs: only {len(levels)} levels were met in {cutoffs}; λ needs at least {_FEWEST}, in all "
            "replicas. Widen the range; if a replica died out, raise particles; if the point is not a minimum "
            f"(the lowest excess met is {descent.lowest:.3g}), start from one."
        )
    noise = np.diff(descent.variances[chosen])
    fits = {m: _fit(levels, log_masses, noise, m) for m in ((multiplicity,) if multiplicity else (1, 2, 3))}
    m = min(fits, key=lambda m: (fits[m].start, fits[m].misfit))
    best = fits[m]
    rivals = [fit for fit in fits.values() if len(levels) - fit.start >= (len(levels) - best.start) / 2]
    error = math.hypot(best.error, max(abs(fit.value - best.value) for fit in rivals))
    by_multiplicity = {m: (fit.value, fit.error) for m, fit in fits.items()}
    stats |= {"by_multiplicity": by_multiplicity, "shift": best.shift, "fitted": len(levels) - best.start}
    return VolumeScaling(best.value, error, m, status, levels[best.start :], log_masses[:, best.start :], stats)


@dataclass(frozen=True)
class _Fit:
    """λ, its error, b, ``χ² + (number of parameters) log(number of increments)``, and the first level of the fit."""

    value: float
    error: float
    shift: float
    misfit: float
    start: int


def _fit(cutoffs: np.ndarray, log_masses: np.ndarray, noise: np.ndarray, multiplicity: int) -> _Fit:
    """λ at one multiplicity from the longest range that ends at the last level and fits its asymptotic form.

    The error is from the jackknife over replicas and from the lower half of the range.
    """
    replicas, noise = len(log_masses), noise / len(log_masses)
    parameters = 1 + (multiplicity > 1)
    start, value, shift, square = 0, *_slope(cutoffs, pooled(log_masses)[0], noise, multiplicity)
    while len(cutoffs) > _FEWEST and chi2.sf(square / _CORRELATED, len(noise) - parameters) < 0.01:
        start, cutoffs, log_masses, noise = start + 1, cutoffs[1:], log_masses[:, 1:], noise[1:]
        value, shift, square = _slope(cutoffs, pooled(log_masses)[0], noise, multiplicity)
    without = [
        _slope(cutoffs, pooled(np.delete(log_masses, r, axis=0))[0], noise, multiplicity)[0] for r in range(replicas)
    ]
    deviation = math.sqrt((replicas - 1) * np.var(without))
    half = len(cutoffs) // 2
    lower = _slope(cutoffs[half:], pooled(log_masses[:, half:])[0], noise[half:], multiplicity, shift)[0]
    error = math.hypot(float(student.ppf(0.975, replicas - 1)) * deviation, lower - value)
    return _Fit(value, error, shift, square + parameters * math.log(len(noise)), start)


def _slope(
    cutoffs: np.ndarray, log_masses: np.ndarray, noise: np.ndarray, multiplicity: int, shift: float | None = None
) -> tuple[float, float, float]:
    """λ, b and χ² of the increments; b as given, or fitted."""
    logs = -np.log(cutoffs)
    steps, gains = np.diff(logs), np.diff(log_masses)

    def at(b: float) -> tuple[float, float]:
        known = (multiplicity - 1) * np.diff(np.log(logs + b))
        value = -((gains - known) * steps / noise).sum() / (steps**2 / noise).sum()
        return float(value), float(((gains - known + value * steps) ** 2 / noise).sum())

    if multiplicity == 1:
        shift = 1.0 - logs[0]
    if shift is None:
        found = minimize_scalar(lambda b: at(b)[1], bounds=(_SHORTEST - logs[0], _LONGEST - logs[0]), method="bounded")
        shift = float(found.x)
    return at(shift)[0], shift, at(shift)[1]
