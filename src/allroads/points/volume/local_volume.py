"""Log-volume of the basin of a point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp
from scipy.stats import chi2, norm
from scipy.stats import t as student

from allroads.errors import InputError
from allroads.pfmap.network import Params
from allroads.pfmap.precision import float64
from allroads.pfmap.problem import Problem
from allroads.points.volume.level import LevelFunction, level_function
from allroads.points.volume.measures import Box, Gaussian, Measure, checked_measure
from allroads.points.volume.ray import RayCasting, Rays, cast_rays, preconditioning_matrix, starting_axes
from allroads.points.volume.splitting import Descent, Splitting, descend
from allroads.results import Result, finish
from allroads.status import Status, VolumeStatus

_EFFECTIVE = 0.1
"""Share of effective rays below which the mean over rays is called a lower bound."""
LEAST_DECORRELATION = 0.5
"""Heights that stay more correlated than 1 minus this over the moves after a level have not equilibrated."""
INFLATION = 2.5
"""Replicas that differ by more than this times what independent particles would have not equilibrated."""
FALSE_ALARM = 5e-5
"""Chance, at most, that independent particles fail the test of their replicas, and that of what moves restored."""


@dataclass(frozen=True, eq=False, repr=False)
class Volume(Result):
    """The mass of a set of parameters, as a natural logarithm.

    Args:
        value: Log of the mass of the set under the reference measure, in nats; 0 is everything.
        error: Half-width of its 95 % interval, in nats.
        status: ``ok``, ``lower bound`` or ``not equilibrated``.
        log_volume: Log of the Lebesgue volume, in nats, where the reference is a box; otherwise ``None``.
        cutoffs: ``[K]``, the levels that splitting went through inside the reference measure, decreasing; empty for
            rays.
        log_masses: ``[K]``, log of the mass below each.
        stats: What the number rests on: ``evaluations`` of the loss; for splitting ``levels``, ``acceptance``,
            ``renewal`` and ``decorrelation`` (the least share of decorrelation of parameters and of the loss by the
            moves after a level), ``restored`` (nats by which the moves alone raised the masses on the way: noise around
            0, unless too few particles had stood for much), ``restored_sd`` (of that noise), ``ancestors`` (how many
            first particles have descendants at the end, in the worst replica), ``replica_sd``, ``independent_sd`` (what
            it would be with independent particles) and ``lowest_excess``; for rays ``rays``, ``effective_rays`` and
            ``radii``.
    """

    value: float
    error: float
    status: Status
    log_volume: float | None
    cutoffs: np.ndarray
    log_masses: np.ndarray
    stats: Mapping[str, Any]


def local_volume(
    problem: Problem,
    params: Params,
    *,
    cutoff: float,
    kind: str = "loss",
    method: Splitting | RayCasting = Splitting(),  # noqa: B008 (frozen)
    measure: Measure = Gaussian(1.0),  # noqa: B008 (frozen)
    preconditioner: Any = None,
    seed: int = 0,
    throw: bool = False,
) -> Volume:
    """``log μ{w : L(w) − L(w*) ≤ ε}``, the mass of the parameters about as good as the point, in nats.

    **Splitting** runs populations of particles, a compiled batch, through nested sets. Between the sets, particles move
    by slice sampling along differences of one another. This needs no step size and works however stretched the set
    is. It is right at any shape and estimates its error from replicas that never mix.

    In a basin, its default scope, particles start in a normal distribution around the point. Its shape is that of the
    Hessian or of ``preconditioner``. They spread until the reference measure alone holds them. They also take flights,
    which the gradient reflects at the wall of the set. No move crosses a middle that lies outside. So the basin is the
    part of the set that wide passages connect to the point. The start decides how long a run takes, and not where it
    ends. With ``scope="everywhere"`` particles start from
    the reference measure, lose half of their number at each level, and count every part of the set: costs are in
    proportion to the number of nats and of parameters.

    **Rays** go out from the point in random directions until the excess first passes ε; the measure is integrated along
    them exactly. What is seen from the point along straight lines is the set that it measures, and in d dimensions
    the mean is carried by rare long rays: unless a preconditioner makes the basin round it is a lower bound,
    and the status says so as soon as fewer than a tenth of the rays are effective. Long directions so rare that no ray
    met them cannot be noticed.

    Args:
        problem: Network, loss and data.
        params: The point w*.
        cutoff: ε, in the unit of the loss, or in nats for ``kind="kl"``.
        kind: ``"loss"``, or ``"kl"``: the set is that of mean over inputs of ``KL(p_{w*}(x) ‖ p_w(x)) ≤ ε``, for the
            losses ``cross_entropy`` and ``bce`` (there, as in the loss, the mean over the outputs of an example).
        method: ``Splitting(particles, replicas, sweeps, scope)`` or ``RayCasting(rays)``.
        measure: ``Gaussian(sigma, centre)`` or ``Box(half_width, centre)``, centred on the point or on zero. Default
            the normal distribution of standard deviation 1 around the point. The answer depends on it: state it.
        preconditioner: The shape of the rays' sphere, or of the start of splitting in a basin: ``"hessian"`` (dense, at
            the point), a length for each parameter as a pytree or ``[d]``, or a matrix ``[d, d]`` whose columns are the
            axes. ``None``: round for rays; for splitting the Hessian's for up to 1000 parameters, else round.
        seed: Decides all draws.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`Volume`.

    Raises:
        InputError: If the cutoff is not positive or below the rounding error of the loss, the loss at the point is not
            finite, the loss is constant, the measure has no mass at the point, the kind does not fit the loss, or an
            option cannot be used.

    References: [cerou2012, scherlis2025, skilling2012]

    Example:
        The disc of radius ½ in the square of edge 2, π/16:

        >>> import jax.numpy as jnp
        >>> from allroads import Network
        >>> disc = Network(lambda key: jnp.zeros(2), lambda w, x: w * x)
        >>> problem = Problem(disc, "mse", np.ones((1, 1)), np.zeros((1, 2)))
        >>> found = local_volume(problem, np.zeros(2), cutoff=1 / 8, measure=Box(1.0), method=RayCasting())
        >>> round(math.exp(found.value), 6), round(math.pi / 16, 6), found.status.value
        (0.19635, 0.19635, 'ok')
    """
    if not isinstance(method, Splitting | RayCasting):
        raise InputError(f"method: expected Splitting(…) or RayCasting(…); got {method!r}.")
    with float64():
        params = problem.point(params)
        function = level_function(problem, params, kind)
        offset = checked_measure(measure, function.point)
        check_cutoff(function, cutoff)
        check_varies(function, measure, seed)
        if isinstance(method, RayCasting):
            matrix = preconditioning_matrix(function, measure, cutoff, preconditioner)
            found = cast_rays(function, measure, offset, cutoff, matrix, method.rays, seed)
            return finish(_seen_by_rays(found, measure, offset.size), throw)
        basin = method.scope_or("basin") == "basin"
        if not basin and preconditioner is not None:
            raise InputError("preconditioner: what starts from the measure (scope='everywhere') takes none.")
        axes = starting_axes(function, measure, cutoff, preconditioner) if basin else None
        descent = descend(function, measure, offset, cutoff, cutoff, method, axes=axes, log_prior=None, seed=seed)
    return finish(volume_of(descent, measure, offset.size), throw)


def _seen_by_rays(found: Rays, measure: Measure, dimension: int) -> Volume:
    """The volume that rays found: a lower bound where few of them carry the mean."""
    rays = len(found.radii)
    return Volume(
        value=found.log_mass,
        error=found.error,
        status=VolumeStatus.OK if found.effective >= _EFFECTIVE * rays else VolumeStatus.LOWER_BOUND,
        log_volume=in_lebesgue(measure, found.log_mass, dimension),
        cutoffs=np.zeros(0),
        log_masses=np.zeros(0),
        stats={
            "rays": rays,
            "effective_rays": found.effective,
            "radii": found.radii,
            "evaluations": found.evaluations,
        },
    )


def check_cutoff(function: LevelFunction, cutoff: float) -> None:
    """Refuse a cutoff that is not positive, or below what the loss resolves.

    Raises:
        InputError: If so.
    """
    if not (isinstance(cutoff, int | float | np.number) and math.isfinite(cutoff) and cutoff > 0):
        raise InputError(f"cutoff: expected a positive number, in the unit of the loss, got {cutoff!r}.")
    if cutoff < function.resolution:
        raise InputError(
            f"cutoff: {cutoff:.3g} is below {function.resolution:.3g}, the rounding error of this loss at the point; "
            "choose a larger one."
        )


def check_varies(function: LevelFunction, measure: Measure, seed: int) -> None:
    """Refuse a height that is 0 at 64 random points of three sizes around the point.

    Raises:
        InputError: If so.
    """
    directions = np.random.default_rng([seed, 3]).standard_normal((64, function.point.size))
    sizes = measure.scale * np.array([1.0, 10.0, 100.0])[:, None, None]
    heights = function.height(jnp.asarray((sizes * directions).reshape(-1, function.point.size)), function.data)
    if not np.asarray(heights).any():
        raise InputError(
            "the loss is constant: it is the same at the point and at random ones up to a hundred times the measure's "
            "scale away. Check that the network reads its parameters."
        )


def volume_of(descent: Descent, measure: Measure, dimension: int) -> Volume:
    """The volume at the end of a descent."""
    last = descent.log_masses[:, -1]
    value = pooled(descent.log_masses[:, -1:])[0]
    finite = np.isfinite(last).all()
    spread = float(last.std(ddof=1)) if finite else math.inf
    expected = math.sqrt(descent.variances[-1])
    stats = {
        "evaluations": descent.evaluations,
        "levels": descent.renewals.size,
        "acceptance": descent.acceptance,
        "renewal": float(descent.renewals.min(initial=1.0)),
        "decorrelation": float(descent.decorrelation.min(initial=1.0)),
        "restored": float(descent.restored.sum()),
        "restored_sd": math.sqrt(descent.noise.sum()),
        "ancestors": descent.ancestors,
        "replica_sd": spread,
        "independent_sd": expected,
        "lowest_excess": descent.lowest,
    }
    return Volume(
        value=float(value[0]),
        error=_error(descent),
        status=mixing(descent),
        log_volume=in_lebesgue(measure, float(value[0]), dimension),
        cutoffs=descent.cutoffs,
        log_masses=pooled(descent.log_masses)[0],
        stats=stats,
    )


def mixing(descent: Descent) -> Status:
    """Whether the particles of a descent covered its sets.

    They did not where a level was not reached, a replica died out, or the moves left heights correlated. Nor did they
    where one of two tests against independent particles fails, each with a chance of at most ``FALSE_ALARM``:

    - The log-masses of the replicas have a variance above the quantile of χ² with R − 1 degrees of freedom, and a
      standard deviation above ``INFLATION`` times that of independent particles.
    - The nats that the moves restored are above the quantile of a normal law around 0, and above the error. Its
      variance is that of independent particles, or that of the replicas where theirs is larger.
    """
    last = descent.log_masses[:, -1]
    stuck = descent.decorrelation.min(initial=1.0) < LEAST_DECORRELATION
    if stuck or not descent.reached or not np.isfinite(last).all():
        return VolumeStatus.NOT_EQUILIBRATED
    freedom = last.size - 1
    inflation = last.std(ddof=1) / max(math.sqrt(descent.variances[-1]), 1e-3)
    if inflation > max(INFLATION, math.sqrt(chi2.isf(FALSE_ALARM, freedom) / freedom)):
        return VolumeStatus.NOT_EQUILIBRATED
    doubt = norm.isf(FALSE_ALARM) * max(inflation, 1.0) * math.sqrt(descent.noise.sum())
    return VolumeStatus.NOT_EQUILIBRATED if descent.restored.sum() > max(doubt, _error(descent)) else VolumeStatus.OK


def _error(descent: Descent) -> float:
    """Half-width of the 95 % interval: of the replicas, at least that of independent particles."""
    replicas = len(descent.log_masses)
    floor = 1.96 * math.sqrt(descent.variances[-1] / replicas)
    return max(float(pooled(descent.log_masses[:, -1:])[1][0]), floor)


def pooled(log_masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log of the mean mass of replicas ``[R, K]``, and the half-width of its 95 % interval by the jackknife."""
    replicas = len(log_masses)
    value = np.asarray(logsumexp(log_masses, axis=0)) - math.log(replicas)
    without = np.stack([np.asarray(logsumexp(np.delete(log_masses, r, axis=0), axis=0)) for r in range(replicas)])
    deviations = without - without.mean(0)
    deviation = np.sqrt((replicas - 1) / replicas * (deviations**2).sum(0))
    return value, student.ppf(0.975, replicas - 1) * deviation


def in_lebesgue(measure: Measure, log_mass: float, dimension: int) -> float | None:
    """Log of the Lebesgue volume that has this log-mass; ``None`` where the density is not flat."""
    return log_mass - measure.log_height(dimension) if isinstance(measure, Box) else None
