"""The learning coefficient as the exponent with which volume shrinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.pfmap.network import Params
from allroads.pfmap.precision import float64
from allroads.pfmap.problem import Problem
from allroads.points.volume.asymptotics import FEWEST, read
from allroads.points.volume.level import LogPrior, level_function
from allroads.points.volume.local_volume import check_cutoff, check_varies, mixing
from allroads.points.volume.measures import Gaussian, Measure, checked_measure
from allroads.points.volume.ray import starting_axes
from allroads.points.volume.splitting import Splitting, descend
from allroads.results import Result, finish
from allroads.status import Status, VolumeStatus

_HIGHEST = 5
"""Highest multiplicity that is tried by itself; m is at most the number of parameters."""


@dataclass(frozen=True, eq=False, repr=False)
class VolumeScaling(Result):
    """The exponent of a volume that shrinks, and the volumes it was read from.

    Args:
        value: λ.
        error: Half-width of its 95 % interval: disagreement of the replicas, the forms that fit nearly as well,
            the change of λ when only the lower half of the range is fitted, the multiplicities that remain possible.
        multiplicity: m, as given, or where all others have together a probability of less than 5 %; ``None`` where
            the volumes do not tell, which is so for most.
        status: ``ok``, ``not equilibrated`` or ``not at a minimum``.
        cutoffs: ``[K]``, decreasing: those that were fitted.
        log_masses: ``[R, K]``, of each replica.
        stats: ``by_multiplicity`` (λ and error for each m tried), ``weights`` (the probability of each m), ``fitted``
            (levels), ``evaluations`` of the loss, ``decorrelation`` (see :class:`Volume`) and ``lowest`` excess met.
    """

    value: float
    error: float
    multiplicity: int | None
    status: Status
    cutoffs: np.ndarray
    log_masses: np.ndarray
    stats: Mapping[str, Any]


def volume_scaling(
    problem: Problem,
    params: Params,
    *,
    cutoffs: tuple[float, float] = (1e-2, 1e-7),
    multiplicity: int | None = None,
    kind: str = "loss",
    method: Splitting = Splitting(),  # noqa: B008 (frozen)
    measure: Measure = Gaussian(1.0),  # noqa: B008 (frozen)
    log_prior: LogPrior | None = None,
    seed: int = 0,
    throw: bool = False,
) -> VolumeScaling:
    """λ and m of ``V(ε) = μ{w : L(w) − L(w*) ≤ ε} ≈ c ε^λ (−log ε + b)^{m−1}`` from volumes at many ε.

    One splitting run from the reference measure to the last cutoff gives V at every level. The increments of V between
    levels are fitted, because their errors are independent. b is the first correction to the asymptotic form and
    stands for the unit of the loss. Where m = 1, the correction is a term with the next exponent, if it is needed. The
    largest ε are left out of the fit as far as they do not follow the form: the range is shortened from above until its
    misfit is that of noise.

    λ is that of the most singular minimum that the reference measure covers: centre it on the point and make it
    narrow for the λ *at* the point. Costs grow with ``λ log(1/ε)`` nats; meant for λ up to about ten. Far from
    asymptotic cutoffs bias λ, which the error shows only as far as the halves of the range differ.

    Args:
        problem: Network, loss and data.
        params: The point w*, a minimum.
        cutoffs: The range of ε that is fitted, largest first, in the unit of the loss. The default suits losses of
            order one at distance one.
        multiplicity: m where it is known; ``None`` weighs 1 … 5, at most the number of parameters, by how well they
            fit (BIC). λ is then the mean over them, and its error covers every one of 5 % or more. Volumes hardly tell
            m, and a wrong one costs about 0.1 in λ: give it where it is known.
        kind: ``"loss"`` or ``"kl"``, see :func:`local_volume`.
        method: Particles, replicas and sweeps; its scope is ``"everywhere"`` in the measure by default, or ``"basin"``:
            what is connected to the point below the first cutoff.
        measure: Reference measure.
        log_prior: Log of a further factor of the density, ``params -> scalar``, not normalised; default none.
        seed: Decides all draws.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`VolumeScaling`.

    Raises:
        InputError: As :func:`local_volume`, or if the cutoffs do not decrease or m is not a positive whole number.

    References: [watanabe2009, schwarz1978]

    Example:
        Two parameters, regular: λ = d/2 = 1.

        >>> from allroads.points.zoo import quadratic
        >>> t = quadratic((1.0, 1.0), examples=2)
        >>> problem = Problem(t.network, t.loss, t.inputs, t.labels)
        >>> few = Splitting(particles=512)
        >>> found = volume_scaling(problem, t.params, cutoffs=(1e-2, 1e-4), multiplicity=1, method=few)
        >>> abs(found.value - 1.0) < 0.2
        True
    """
    top, bottom = cutoffs
    if not top > bottom:
        raise InputError(f"cutoffs: expected the larger one first, got {cutoffs}.")
    check_count("multiplicity", multiplicity, absent=True)
    with float64():
        params = problem.point(params)
        function = level_function(problem, params, kind)
        offset = checked_measure(measure, function.point)
        check_cutoff(function, bottom)
        check_varies(function, measure, seed)
        axes = starting_axes(function, measure, top, None) if method.scope == "basin" else None
        descent = descend(function, measure, offset, top, bottom, method, axes=axes, log_prior=log_prior, seed=seed)
    chosen = descent.cutoffs <= top
    levels, log_masses = descent.cutoffs[chosen], descent.log_masses[:, chosen]
    status = mixing(descent)
    if descent.lowest < -max(10 * function.resolution, 1e-3 * bottom):
        status = VolumeStatus.NOT_AT_MINIMUM
    stats: dict[str, Any] = {
        "evaluations": descent.evaluations,
        "decorrelation": float(descent.decorrelation.min(initial=1.0)),
        "lowest": descent.lowest,
    }
    if len(levels) < FEWEST or not np.isfinite(log_masses).all():
        raise InputError(
            f"cutoffs: only {len(levels)} levels were met in {cutoffs}; λ needs at least {FEWEST}, in all "
            "replicas. Widen the range; if a replica died out, raise particles; if the point is not a minimum "
            f"(the lowest excess met is {descent.lowest:.3g}), start from one."
        )
    candidates = (multiplicity,) if multiplicity else tuple(range(1, min(offset.size, _HIGHEST) + 1))
    reading = read(levels, log_masses, descent.variances[chosen], candidates)
    stats |= {
        "by_multiplicity": {m: (fit.value, fit.error) for m, fit in reading.exponents.items()},
        "weights": reading.weights,
        "fitted": len(levels) - reading.start,
    }
    found = VolumeScaling(
        value=reading.value,
        error=reading.error,
        multiplicity=reading.multiplicity,
        status=status,
        cutoffs=levels[reading.start :],
        log_masses=log_masses[:, reading.start :],
        stats=stats,
    )
    return finish(found, throw)
