"""The learning coefficient along a trajectory, and the stages that it passes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from allroads.errors import InputError, UnknownNameError
from allroads.explorers.trajectory import Trajectory
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.points.change_points import SHAPES, change_points
from allroads.points.llc.chains import compiled_losses
from allroads.points.llc.llc import check_memory, check_positive, estimate, make_plan
from allroads.points.llc.problem import Data, Question, checked_question
from allroads.points.llc.survey import survey, usual_localisation, usual_nbeta
from allroads.results import Measurement
from allroads.status import Status


@dataclass(frozen=True)
class LLCCurve:
    """Learning coefficients of K points of one network.

    Attributes:
        steps: What the points are called, ``[K]``.
        value: λ̂, ``[K]``.
        error: Half of a 95 % interval of each, ``[K]``.
        status: One a point.
        measurements: The whole :class:`~allroads.Measurement` of each.
        nbeta: nβ of all.
        localisation: γ of all.
        boundaries: Indices of the points at which a new stage begins, in order.
    """

    steps: np.ndarray
    value: np.ndarray
    error: np.ndarray
    status: tuple[Status, ...]
    measurements: tuple[Measurement, ...]
    nbeta: float
    localisation: float
    boundaries: np.ndarray

    @property
    def boundary_steps(self) -> np.ndarray:
        """The steps at which a new stage begins."""
        return self.steps[self.boundaries]


def llc_curve(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    steps: Any = None,
    nbeta: float | None = None,
    localisation: float | None = None,
    shape: str = "linear",
    mask: Any = None,
    seed: int = 0,
    memory: int = 2**32,
    **sampling: Any,
) -> LLCCurve:
    """Local learning coefficients of stacked points in one run, all at the same nβ and γ, with their stage boundaries.

    Each is what :func:`~allroads.llc` gives at that nβ and γ. As points of a trajectory are mostly no minima, many will
    say ``not at a minimum``: the number is then the mean excess loss of the chains, which may be negative.

    Stages are straight pieces of the curve ``[zhang2007]``, see
    :func:`~allroads.points.change_points.change_points`, judged by the Monte Carlo standard errors; all points with a
    finite number count, whatever their status.

    Args:
        network: The network.
        params: The points: a pytree whose leaves are ``[K, …]``, such as a trajectory's checkpoints.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[n, …]``.
        labels: ``[n, …]``.
        steps: Names of the points, ``[K]`` rising numbers. Default 0 … K − 1.
        nbeta: nβ of all points. Default ``n / ln n``.
        localisation: γ of all points. Default ``(nβ h)^{1/4} / 10``, h the median over points of the largest curvature.
        shape: Of a stage: ``"linear"`` in the index of the point, or ``"constant"``.
        mask: The free parameters, as for :func:`~allroads.llc`, of a single point.
        seed: Decides everything random.
        memory: Bytes that the chains of all points may take together. Default 4 GiB.
        **sampling: ``sampler``, ``chains``, ``draws``, ``burn_in``, ``max_draws``, ``step_size``, ``batch_size``,
            ``metric``, ``precision``, as for :func:`~allroads.llc`.

    Raises:
        InputError: For leaves without a common leading axis, steps that do not fit, and as :func:`~allroads.llc`.
        UnknownNameError: For a loss, sampler or shape that does not exist.
        MemoryBudgetError: If the chains of all points do not fit; says how much they need.

    References: [lau2023], [hoogland2024]

    Example:
        Three minima of one network, each stiff in three directions: λ = 3/2.

        >>> network = Network(lambda key: np.zeros(3), lambda w, x: x @ (w**2 - w)[:, None])
        >>> points = np.tri(3)  # of zeros and ones
        >>> curve = llc_curve(network, points, "mse", np.eye(3), np.zeros(3), nbeta=1e8, localisation=1.0)
        >>> [round(float(v), 1) for v in curve.value]
        [1.5, 1.5, 1.5]
        >>> curve.boundaries.size
        0
    """
    if shape not in SHAPES:
        raise UnknownNameError("shape", shape, SHAPES)
    with float64():
        count = _points(params)
        steps = _steps(steps, count)
        question, stacked, data = checked_question(network, params, loss, inputs, labels, mask, points=True)
        plan = make_plan(question, data, **sampling)
        check_positive(nbeta=nbeta, localisation=localisation)
        check_memory(question, plan.chains * count, memory)
        nbeta = float(usual_nbeta(len(data.inputs)) if nbeta is None else nbeta)
        if localisation is None:
            localisation = _localisation(question, stacked, data, nbeta, seed)
        found = estimate(question, stacked, data, nbeta, float(localisation), plan, seed)
    value = np.array([m.value for m in found])
    return LLCCurve(
        steps=steps,
        value=value,
        error=np.array([m.error for m in found]),
        status=tuple(m.status for m in found),
        measurements=tuple(found),
        nbeta=nbeta,
        localisation=float(localisation),
        boundaries=_boundaries(value, np.array([m.stats["standard_error"] for m in found]), shape),
    )


def trajectory_llc(
    network: Network,
    trajectory: Trajectory,
    member: int,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    **options: Any,
) -> LLCCurve:
    """:func:`llc_curve` of the checkpoints of one member of a population.

    Args:
        network: The network.
        trajectory: What :func:`~allroads.explore` gave.
        member: Position of the member in it.
        loss: As for :func:`llc_curve`, and so on.
        inputs: ``[n, …]``.
        labels: ``[n, …]``.
        **options: The keywords of :func:`llc_curve` but ``steps``, which are those of the checkpoints.

    Raises:
        InputError: If there is no such member, and as :func:`llc_curve`.
    """
    members = len(trajectory.members)
    if not isinstance(member, int | np.integer) or not 0 <= member < members:
        raise InputError(f"member: expected a position from 0 to {members - 1}; got {member!r}.")
    params = trajectory.member(int(member))["params"]
    return llc_curve(network, params, loss, inputs, labels, steps=trajectory.checkpoint_steps, **options)


def _points(params: Params) -> int:
    axes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(params)}
    if len(axes) != 1 or axes in ({()}, {(0,)}):
        raise InputError(f"params: expected leaves [K, …] with one leading axis of points; got first axes {axes}.")
    return int(next(iter(axes))[0])


def _steps(steps: Any, count: int) -> np.ndarray:
    steps = np.arange(count) if steps is None else np.asarray(steps)
    if steps.shape != (count,) or not np.issubdtype(steps.dtype, np.number) or not (np.diff(steps) > 0).all():
        raise InputError(f"steps: expected {count} rising numbers, one a point; got {steps!r}.")
    return steps


def _localisation(question: Question, points: Params, data: Data, nbeta: float, seed: int) -> float:
    """The usual γ at the median of the points' largest curvatures."""
    leaves, structure = jax.tree.flatten(points)
    baseline = compiled_losses(question, structure)(leaves, data)
    curvature = survey(question, structure, leaves, baseline, data, False, seed).curvature
    return float(usual_localisation(nbeta * np.median(curvature)))


def _boundaries(value: np.ndarray, error: np.ndarray, shape: str) -> np.ndarray:
    """Change points among the points with a finite number; an error of 0 counts as the least of the others."""
    usable = np.flatnonzero(np.isfinite(value) & np.isfinite(error))
    sure = error[usable]
    if not (sure > 0).any():
        return np.zeros(0, int)
    return usable[change_points(value[usable], np.maximum(sure, sure[sure > 0].min()), shape=shape)]
