"""The learning coefficient along a trajectory, and the stages that it passes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import jax
import numpy as np

from allroads.budget import budgeted
from allroads.checks import check_choice, check_count, check_positive
from allroads.errors import InputError
from allroads.explorers.samplers import Sampler
from allroads.explorers.trajectory import Trajectory
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.change_points import SHAPES, change_points
from allroads.points.llc.assessment import worst_status
from allroads.points.llc.estimate import LearningCoefficient, estimate, outputs_of
from allroads.points.sampling.free_parameters import Mask, free_parameters
from allroads.points.sampling.memory import check_memory
from allroads.points.sampling.plan import Chains, SamplingOptions, make_plan, resolve_chains
from allroads.results import Result, finish
from allroads.status import LLCStatus


@dataclass(frozen=True, repr=False)
class LLCCurve(Result):
    """Learning coefficients of K points of one network.

    Attributes:
        steps: What the points are called, ``[K]``.
        value: λ̂, ``[K]``.
        error: Half of a 95 % interval of each, ``[K]``.
        statuses: One per point.
        measurements: The whole :class:`~allroads.points.llc.LearningCoefficient` of each.
        nbeta: nβ of all.
        localisation: γ of all.
        boundaries: Indices of the points at which a new stage begins, in order.
    """

    steps: np.ndarray
    value: np.ndarray
    error: np.ndarray
    statuses: tuple[LLCStatus, ...]
    measurements: tuple[LearningCoefficient, ...]
    nbeta: float
    localisation: float
    boundaries: np.ndarray

    @property
    def status(self) -> LLCStatus:
        """The status that says least."""
        return worst_status(self.statuses)

    @property
    def stats(self) -> dict[str, Any]:
        """nβ and γ of all points."""
        return {"nbeta": self.nbeta, "localisation": self.localisation}

    @property
    def boundary_steps(self) -> np.ndarray:
        """The steps at which a new stage begins."""
        return np.asarray(self.steps[self.boundaries])


def llc_curve(
    problem: Problem,
    params: Params,
    *,
    steps: Any = None,
    shape: str = "linear",
    throw: bool = False,
    **sampling: Unpack[SamplingOptions],
) -> LLCCurve:
    """Local learning coefficients of stacked points in one run, all at the same nβ and γ, with their stage boundaries.

    Each is what :func:`~allroads.llc` gives at that nβ and γ. Points of a trajectory are mostly no minima, so many will
    say ``not at a minimum``: the number is then the mean excess loss of the chains, which may be negative.

    Stages are straight pieces of the curve ``[zhang2007]``, see
    :func:`~allroads.points.change_points.change_points`, judged by the Monte Carlo standard errors; all points with a
    finite number count, whatever their status.

    Args:
        problem: Network, loss, penalty and the n examples.
        params: The points: a pytree whose leaves are ``[K, …]``, such as a trajectory's checkpoints. A list of points,
            such as state dicts, becomes one by ``as_population(points, network)`` of ``allroads.pfmap.arrays``.
        steps: Names of the points, ``[K]`` rising numbers. Default 0 … K − 1.
        shape: Of a stage: ``"linear"`` in the index of the point, or ``"constant"``.
        throw: Whether an unsound status of a point raises.
        **sampling: ``sampler``, ``chains``, ``nbeta`` (of all points; default ``n / ln n``), ``localisation`` (of all;
            default ``(nβ h)^{1/4} / 10``, h the median over points of the largest curvature), ``mask`` (of a single
            point), ``precision``, ``seed``, ``budget``, ``progress``, as for :func:`~allroads.llc`. The memory of
            ``chains`` and the budget are for all points.

    Raises:
        InputError: For leaves without a common leading axis, steps that do not fit, and as :func:`~allroads.llc`.
        UnknownNameError: For a sampler or shape that does not exist.
        MemoryBudgetError: If the chains of all points do not fit; says how much they need.
        MeasurementError: With ``throw``, if the status of a point is not sound.

    References: [lau2023], [hoogland2024]

    Example:
        Three minima of one network, each stiff in three directions: λ = 3/2.

        >>> from allroads import Network
        >>> network = Network(lambda key: np.zeros(3), lambda w, x: x @ (w**2 - w)[:, None])
        >>> points = np.tri(3)  # of zeros and ones
        >>> curve = llc_curve(Problem(network, "mse", np.eye(3), np.zeros(3)), points, nbeta=1e8, localisation=1.0)
        >>> [round(float(v), 1) for v in curve.value]
        [1.5, 1.5, 1.5]
        >>> curve.boundaries.size
        0
    """
    check_choice("shape", shape, SHAPES)
    return finish(_curve(problem, params, steps, shape, **sampling), throw)


def trajectory_llc(
    problem: Problem,
    trajectory: Trajectory,
    member: int,
    *,
    shape: str = "linear",
    throw: bool = False,
    **sampling: Unpack[SamplingOptions],
) -> LLCCurve:
    """:func:`llc_curve` of the checkpoints of one member of a population.

    Args:
        problem: Network, loss, penalty and the n examples.
        trajectory: What :func:`~allroads.explore` gave.
        member: Position of the member in it.
        shape: As for :func:`llc_curve`.
        throw: Whether an unsound status of a point raises.
        **sampling: As for :func:`llc_curve`.

    Raises:
        InputError: If there is no such member, and as :func:`llc_curve`.
        MeasurementError: With ``throw``, if the status of a point is not sound.
    """
    members = len(trajectory.members)
    if not isinstance(member, int | np.integer) or not 0 <= member < members:
        raise InputError(f"member: expected a position from 0 to {members - 1}; got {member!r}.")
    params = trajectory.member(int(member))["params"]
    return llc_curve(problem, params, steps=trajectory.checkpoint_steps, shape=shape, throw=throw, **sampling)


def _curve(
    problem: Problem,
    params: Params,
    steps: Any,
    shape: str,
    *,
    sampler: Sampler | str | None = None,
    chains: Chains | None = None,
    nbeta: float | None = None,
    localisation: float | None = None,
    mask: Mask = None,
    precision: float = 0.01,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
) -> LLCCurve:
    chains = resolve_chains(chains)
    check_positive(nbeta=nbeta, localisation=localisation)
    check_count("seed", seed, 0)
    with budgeted("llc_curve", budget, progress) as time, chains.precision():
        points = problem.population(params)
        count = len(jax.tree.leaves(points)[0])
        steps = _steps(steps, count)
        free = free_parameters(points, mask, stacked=True)
        plan = make_plan(free.dimension, len(problem), sampler, chains, precision, outputs_of(problem))
        check_memory(free, plan.chains * count, chains)
        found = estimate(problem, free, points, nbeta, localisation, plan, seed, time, common=True)
    value = np.array([m.value for m in found])
    return LLCCurve(
        steps=steps,
        value=value,
        error=np.array([m.error for m in found]),
        statuses=tuple(LLCStatus(m.status) for m in found),
        measurements=tuple(found),
        nbeta=found[0].stats["nbeta"],
        localisation=found[0].stats["localisation"],
        boundaries=_boundaries(value, np.array([m.stats["standard_error"] for m in found]), shape),
    )


def _steps(steps: Any, count: int) -> np.ndarray:
    found: np.ndarray = np.arange(count) if steps is None else np.asarray(steps)
    if found.shape != (count,) or not np.issubdtype(found.dtype, np.number) or not (np.diff(found) > 0).all():
        raise InputError(f"steps: expected {count} rising numbers, one per point; got {steps!r}.")
    return found


def _boundaries(value: np.ndarray, error: np.ndarray, shape: str) -> np.ndarray:
    """Change points among the points with a finite number; an error of 0 counts as the least of the others."""
    usable = np.flatnonzero(np.isfinite(value) & np.isfinite(error))
    sure = error[usable]
    if not (sure > 0).any():
        return np.zeros(0, int)
    return np.asarray(usable[change_points(value[usable], np.maximum(sure, sure[sure > 0].min()), shape=shape)])
