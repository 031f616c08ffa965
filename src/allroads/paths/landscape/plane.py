"""A plane in parameter space with the loss on a grid of its points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.paths.connect.layout import Layout
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.problem import Problem
from allroads.progress import progress as telling
from allroads.results import Result
from allroads.status import PathStatus, Status

CHUNK = 32
"""Points of a plane that are evaluated in one call."""


@dataclass(frozen=True, eq=False, repr=False)
class LossPlane(Result):
    """The loss on a plane of parameter space, ``P(x, y) = origin + x·u + y·v``.

    Args:
        kind: ``"three points"``, ``"random directions"`` or ``"principal components"``.
        losses: The loss at ``(xs[j], ys[i])``, ``[rows, columns]``; the mean over the examples, penalty included.
        xs: Coordinates along u, ``[columns]``.
        ys: Coordinates along v, ``[rows]``.
        names: Names of the marked points.
        marks: Their coordinates, ``[marked, 2]``.
        mark_losses: The loss at their places on the plane, ``[marked]``.
        origin: The point at (0, 0).
        axes: u and v, each a pytree like the origin.
        stats: What the picture rests on: ``evaluations``, ``lowest`` and ``highest`` finite loss of the grid,
            ``not_finite``, and what the function that made it adds.
        status: ``ok``; ``diverged`` where a loss is not finite.
    """

    kind: str
    losses: Float[np.ndarray, "rows columns"]
    xs: Float[np.ndarray, " columns"]
    ys: Float[np.ndarray, " rows"]
    names: tuple[str, ...]
    marks: Float[np.ndarray, "marked 2"]
    mark_losses: Float[np.ndarray, " marked"]
    origin: Params = field(repr=False)
    axes: tuple[Params, Params] = field(repr=False)
    stats: Mapping[str, Any]
    status: Status

    @property
    def value(self) -> np.ndarray:
        """The losses of the grid."""
        return self.losses

    @property
    def error(self) -> None:
        """``None``: the losses are exact on the grid."""
        return None

    def params_at(self, x: float, y: float) -> Params:
        """The point ``origin + x·u + y·v``.

        Raises:
            InputError: If a coordinate is no finite number.
        """
        check_number("x", x)
        check_number("y", y)

        def moved(o: Any, u: Any, v: Any) -> Any:
            return jnp.asarray((np.asarray(o) + x * np.asarray(u) + y * np.asarray(v)).astype(o.dtype))

        return jax.tree.map(moved, self.origin, *self.axes)


def check_grid(points: Any, margin: Any) -> None:
    """Refuse a grid of fewer than two points per axis, or a margin that is negative.

    Raises:
        InputError: Naming the option.
    """
    check_count("points", points, 2)
    check_number("margin", margin, 0)


def box(marks: np.ndarray, points: int, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Even coordinates of a grid around marked points, with ``margin`` times the longer side of their box around it.

    Example:
        >>> xs, ys = box(np.array([[0.0, 0.0], [4.0, 2.0]]), points=3, margin=0.25)
        >>> xs.tolist(), ys.tolist()
        ([-1.0, 2.0, 5.0], [-1.0, 1.0, 3.0])
    """
    low, high = marks.min(axis=0), marks.max(axis=0)
    room = margin * float((high - low).max())
    xs, ys = (np.linspace(low[d] - room, high[d] + room, points) for d in (0, 1))
    return xs, ys


def evaluated(
    problem: Problem,
    kind: str,
    layout: Layout,
    origin: np.ndarray,
    axes: tuple[np.ndarray, np.ndarray],
    grid: tuple[np.ndarray, np.ndarray],
    marks: Mapping[str, Sequence[float]],
    stats: Mapping[str, Any],
    progress: bool,
) -> LossPlane:
    """A plane with the loss on its grid and at its marked points.

    Args:
        problem: Network, loss and examples.
        kind: Of the plane.
        layout: How a point lies in a vector.
        origin: ``[P]``.
        axes: u and v, ``[P]`` each.
        grid: Coordinates along u and along v.
        marks: Coordinates by name.
        stats: What is added to the plane's ``stats``.
        progress: Whether progress is written.
    """
    xs, ys = grid
    places = np.array(list(marks.values()), np.float64)
    pairs = np.concatenate([np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2), places])
    coordinates = np.concatenate([np.ones((len(pairs), 1)), pairs], axis=1)
    found = losses_of(problem, layout, np.stack([origin, *axes]), coordinates, f"loss on a plane of {kind}", progress)
    losses, mark_losses = found[: len(xs) * len(ys)].reshape(len(ys), len(xs)), found[len(xs) * len(ys) :]
    finite = losses[np.isfinite(losses)]
    counted = {
        "evaluations": len(found),
        "lowest": float(finite.min()) if finite.size else math.nan,
        "highest": float(finite.max()) if finite.size else math.nan,
        "not_finite": int(losses.size - finite.size),
    }
    return LossPlane(
        kind=kind,
        losses=losses,
        xs=xs,
        ys=ys,
        names=tuple(marks),
        marks=places,
        mark_losses=mark_losses,
        origin=layout.unflatten(jnp.asarray(origin, layout.dtype)),
        axes=(
            layout.unflatten(jnp.asarray(axes[0], layout.dtype)),
            layout.unflatten(jnp.asarray(axes[1], layout.dtype)),
        ),
        stats=counted | dict(stats),
        status=PathStatus.OK if np.isfinite(found).all() else PathStatus.DIVERGED,
    )


def losses_of(
    problem: Problem, layout: Layout, basis: np.ndarray, coefficients: np.ndarray, title: str, progress: bool
) -> np.ndarray:
    """The mean loss at ``coefficients @ basis``, ``[T]``; beside ``basis`` memory holds one point at a time.

    Args:
        problem: Network, loss and examples.
        layout: How a point lies in a vector.
        basis: ``[K, P]``.
        coefficients: ``[T, K]``.
        title: What progress says is running.
        progress: Whether progress is written.
    """
    compiled, data = _compiled(problem.objective, layout), problem.data
    dtype = layout.dtype
    count = len(coefficients)
    size = min(CHUNK, count)
    padded = np.concatenate([coefficients, np.repeat(coefficients[-1:], -count % size, axis=0)])
    moved, found = jnp.asarray(basis, dtype), []
    with telling(title, progress) as say:
        for done in range(0, len(padded), size):
            say(f"{done} of {count} points")
            found.append(np.asarray(compiled(moved, jnp.asarray(padded[done : done + size], dtype), data), np.float64))
    losses: np.ndarray = np.concatenate(found)[:count]
    return losses


@lru_cache(maxsize=64)
def _compiled(objective: Objective, layout: Layout) -> Any:
    """``losses(basis, coefficients, data)``, one point after another."""

    def losses(basis: Any, coefficients: Any, data: Examples) -> Any:
        def loss(row: Any) -> Any:
            point = jnp.tensordot(row, basis, axes=1, precision=jax.lax.Precision.HIGHEST)
            return objective.mean(layout.unflatten(point), data)

        return jax.lax.map(loss, coefficients)

    return jax.jit(losses)


def independent(first: np.ndarray, second: np.ndarray, size: float, what: str, remedy: str) -> None:
    """Refuse two directions, in double precision, that span no plane.

    Args:
        first: One direction.
        second: What is left of the other at a right angle to it.
        size: The size of the points that both were computed from: rounding is relative to it.
        what: How the error calls them.
        remedy: What the error advises.

    Raises:
        InputError: If one of them is no longer than rounding.
    """
    if min(np.linalg.norm(first), np.linalg.norm(second)) <= 1e-6 * size:
        raise InputError(f"{what} lie on one line, so they span no plane. {remedy}")
