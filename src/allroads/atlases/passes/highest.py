"""The highest loss on a path, looked for on a grid and once more round its top."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.problem import Problem

REFINED = 17
"""Further evaluations between the neighbours of the highest place."""


def highest_loss(
    problem: Problem, path: Callable[[np.ndarray], Params], ts: np.ndarray, losses: np.ndarray | None = None
) -> float:
    """The highest loss of the points ``path(ts)``, infinite where a loss is not finite.

    Args:
        problem: Network, loss and data.
        path: Points along a path, with a leading axis, at several t.
        ts: A grid of t.
        losses: The loss there, where it is known.

    When it fails: a rise between two places of the grid that is not next to the highest of them is missed.

    Example:
        >>> import jax.numpy as jnp
        >>> from allroads import Network
        >>> hill = Network(lambda key: jnp.ones(1), lambda w, x: x * (1 - (w - 0.3) ** 2))
        >>> problem = Problem(hill, lambda outputs, labels: outputs[:, 0], np.ones((1, 1)), np.ones((1, 1)))
        >>> round(highest_loss(problem, lambda ts: jnp.asarray(ts)[:, None], np.linspace(0, 1, 5)), 2)
        1.0
    """
    read, data = _compiled(problem.objective), problem.data
    found = np.asarray(read(path(ts), data) if losses is None else losses, np.float64)
    if not np.isfinite(found).all():
        return np.inf
    top = int(found.argmax())
    around = np.linspace(ts[max(top - 1, 0)], ts[min(top + 1, len(ts) - 1)], REFINED)
    again = np.asarray(read(path(around), data), np.float64)
    return float(max(found.max(), again.max())) if np.isfinite(again).all() else np.inf


@lru_cache(maxsize=64)
def _compiled(objective: Objective) -> Any:
    """``losses(points, data) -> [T]``, one point after another to bound memory."""

    def losses(points: Params, data: Examples) -> Any:
        return jax.lax.map(lambda point: objective.mean(point, data), points)

    return jax.jit(losses)
