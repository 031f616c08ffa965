"""Barrier: how far the loss rises on the straight segment between two points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import check_count
from allroads.compiled import quickly_compiled
from allroads.paths.align import align as moved_near
from allroads.paths.repair import repair_method
from allroads.pfmap.losses import bce, cross_entropy, resolve_loss
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.problem import Problem
from allroads.results import Result, finish
from allroads.status import PathStatus, Status


@dataclass(frozen=True, repr=False)
class Barrier(Result):
    """A barrier and the profile that it was read from.

    Args:
        height: ``max_t L(t) − [(1−t) L(0) + t L(1)]``, ≥ 0, in the unit of the loss; also ``value``.
        ts: Where the loss was evaluated, from 0 to 1.
        losses: The loss there; the mean over the examples.
        status: ``ok``; ``diverged`` where a loss on the segment is not finite (height is then infinite); ``not
            applicable`` where a repair was asked for and there is nothing to repair.
        errors: Share of wrong answers there, with ``"cross_entropy"`` and ``"bce"``; else ``None``.
    """

    height: float
    ts: np.ndarray
    losses: np.ndarray
    status: Status
    errors: np.ndarray | None = None

    @property
    def value(self) -> float:
        """The height."""
        return self.height

    @property
    def error(self) -> None:
        """``None``: the height is exact on the grid of ``ts``."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """``evaluations`` of the loss, and ``top``: the t of the highest of them over the line between the ends."""
        above = self.losses - (1 - self.ts) * self.losses[0] - self.ts * self.losses[-1]
        return {"evaluations": len(self.ts), "top": float(self.ts[np.nan_to_num(above, nan=np.inf).argmax()])}

    @property
    def error_height(self) -> float | None:
        """The barrier of the error, ``max_t E(t) − [(1−t) E(0) + t E(1)]``, a share of the examples."""
        return None if self.errors is None else above_line(self.ts, self.errors)


def barrier(
    problem: Problem,
    a: Params,
    b: Params,
    *,
    points: int = 25,
    align: str | None = None,
    repair: str | None = None,
    calibration: Any | None = None,
    throw: bool = False,
) -> Barrier:
    """Loss barrier ``max_t L((1−t)a + t b) − [(1−t)L(a) + t L(b)]`` on the straight segment between two points.

    With ``align`` the segment leads to ``b`` moved by a symmetry of the map so as to lie near ``a``: the same function,
    most often with a far lower barrier.

    Args:
        problem: Network, loss and the examples over which the loss is taken.
        a: One point.
        b: The other, with the same names and shapes.
        points: Evaluations of the loss, evenly in t, both ends included; default 25, as is usual. The maximum between
            them is missed; doubling them shows by how much.
        align: ``None``, or a method of :func:`~allroads.align`: ``"weights"``, ``"activations"`` or ``"search"``. The
            last two look at the problem's inputs: to measure on held-out data, call ``align`` with the training data
            and give its ``params`` as ``b``.
        repair: ``None``, or a method of :func:`~allroads.paths.repair.repair`, applied between the ends: ``"units"``,
            or ``"statistics"`` for batch norms whose running statistics are parameters.
        calibration: Inputs on which the repair takes its statistics; default the problem's. On held-out data, give the
            training inputs.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`Barrier`.

    Raises:
        InputError: If the points are not finite points of one architecture.
        UnknownNameError: If there is no such method of alignment or repair.

    References:
        [ainsworth2023], [entezari2022], [jordan2023]

    Example:
        The double well ``(w² − 1)²`` has a barrier of 1 between its minima:

        >>> import jax.numpy as jnp
        >>> from allroads import Network, Problem
        >>> well = Network(lambda key: jnp.ones(1), lambda w, x: x * (w**2 - 1))
        >>> barrier(Problem(well, "mse", jnp.ones((1, 1)), jnp.zeros((1, 1))), -jnp.ones(1), jnp.ones(1)).height
        1.0
    """
    a, b = problem.points(a, b)
    check_count("points", points, 2)
    data = problem.data
    if align is not None:
        b = moved_near(problem.network, a, b, data.inputs, method=align, loss=problem.loss, progress=False).params
    ts = np.linspace(0.0, 1.0, points)
    if repair is None:
        losses, errors = compiled_profile(problem.objective)(a, b, jnp.asarray(ts), data)
        return finish(read_barrier(ts, losses, errors), throw)
    calibration = data.inputs if calibration is None else jax.tree.map(jnp.asarray, calibration)
    changed = repair_method(problem.network, a, calibration, repair).changed
    profile = _compiled_repaired_profile(problem.objective, repair)
    losses, errors = profile(a, b, jnp.asarray(ts), data, calibration)
    return finish(read_barrier(ts, losses, errors, PathStatus.OK if changed else PathStatus.NOT_APPLICABLE), throw)


def above_line(ts: np.ndarray, values: np.ndarray) -> float:
    """Largest height of a profile over the line between its ends, ≥ 0; infinite where a value is not finite."""
    if not np.isfinite(values).all():
        return float("inf")
    return float((values - (1 - ts) * values[0] - ts * values[-1]).max())


def read_barrier(ts: np.ndarray, losses: Any, errors: Any | None, status: Status = PathStatus.OK) -> Barrier:
    """A barrier from a profile."""
    losses = np.asarray(losses, np.float64)
    errors = None if errors is None else np.asarray(errors, np.float64)
    height = above_line(ts, losses)
    return Barrier(height, ts, losses, status if np.isfinite(height) else PathStatus.DIVERGED, errors)


def reader(objective: Objective, apply: Any = None) -> Any:
    """``read(params, data) -> (loss, error)``, means over the examples; no error without classes.

    Args:
        objective: The loss and its penalty.
        apply: Outputs of points that are not the network's own, such as repaired ones; default the network's.
    """
    classes = resolve_loss(objective.loss) in (cross_entropy, bce)

    def read(params: Params, data: Examples) -> tuple[Any, Any]:
        outputs = (apply or objective.network.apply)(params, data.inputs)
        loss = objective.from_outputs(outputs, data).mean()
        if apply is None and objective.regulariser != 0.0:
            loss = loss + objective.penalty(params)
        return loss, 1 - objective.correct(outputs, data).mean() if classes else None

    return read


@lru_cache(maxsize=64)
def compiled_profile(objective: Objective) -> Any:
    """``profile(a, b, ts, data) -> (losses, errors)``, one point after another to bound memory."""
    read = reader(objective)

    def profile(a: Params, b: Params, ts: Any, data: Examples) -> Any:
        return jax.lax.map(lambda t: read(between(a, b, t), data), ts)

    return jax.jit(profile, compiler_options=quickly_compiled())


@lru_cache(maxsize=64)
def _compiled_repaired_profile(objective: Objective, repair: str) -> Any:
    """As :func:`compiled_profile`, of the repaired points; the penalty is that of the points as they were."""

    @jax.jit
    def profile(a: Params, b: Params, ts: Any, data: Examples, calibration: Any) -> Any:
        how = repair_method(objective.network, a, calibration, repair)
        read, known = reader(objective, how.network.apply), how.statistics(a, b, calibration)

        def at(t: Any) -> Any:
            point = between(a, b, t)
            loss, error = read(how.fix(point, t, known, calibration), data)
            return loss + objective.penalty(point), error

        return jax.lax.map(at, ts)

    return profile


def between(a: Params, b: Params, t: Any) -> Params:
    """``(1−t) a + t b``."""
    return jax.tree.map(lambda p, q: p + t.astype(p.dtype) * (q - p), a, b)
