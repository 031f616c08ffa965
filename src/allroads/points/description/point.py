"""The point whose description is asked for, checked once, and what counts as a rise of its loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import check_number
from allroads.pfmap.arrays import as_array
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.problem import Problem
from allroads.results import Measurement
from allroads.status import DescriptionStatus


@dataclass(frozen=True)
class Point:
    """A point of parameter space with the data that its loss is taken on.

    Args:
        objective: The loss and its penalty.
        leaves: Its arrays, in the order of the pytree.
        tree: The structure of the pytree.
        data: The examples.
        loss: Mean loss at the point, NaN or infinite where it is.
    """

    objective: Objective
    leaves: list[Any]
    tree: Any
    data: Examples
    loss: float

    @property
    def count(self) -> int:
        """How many numbers the point has."""
        return sum(leaf.size for leaf in self.leaves)

    @property
    def stored_bits(self) -> int:
        """Bits of one number as the point stores it."""
        return 8 * max((leaf.dtype.itemsize for leaf in self.leaves), default=4)

    def allowed(self, delta: float, empty: float) -> float:
        """The largest loss that is no rise by more than δ.

        Sums in floating point are not exact, so 16 units of rounding are allowed beside δ, of the larger of the loss
        and ``empty``, the loss with nothing kept.
        """
        scale = max([abs(value) for value in (self.loss, empty) if math.isfinite(value)])
        rounding = max((float(jnp.finfo(leaf.dtype).eps) for leaf in self.leaves), default=0.0)
        return self.loss + delta + 16 * rounding * scale


def checked_point(problem: Problem, params: Params, delta: float) -> Point:
    """The point with its loss, in the precision that it is stored in.

    Raises:
        InputError: If it is no point of the network, or δ is not a finite number ≥ 0.
    """
    check_number("delta", delta, 0)
    problem.point(params)
    leaves, tree = jax.tree.flatten(jax.tree.map(lambda leaf: jnp.asarray(as_array(leaf)), params))
    data = problem.data
    loss = float(mean_loss(problem.objective)(jax.tree.unflatten(tree, leaves), data))
    return Point(problem.objective, leaves, tree, data, loss)


def not_finite(point: Point, stats: dict[str, Any]) -> Measurement:
    """The result where the loss at the point itself is not finite."""
    return Measurement(np.nan, status=DescriptionStatus.DIVERGED, stats={**stats, "loss": point.loss})


@lru_cache(maxsize=64)
def mean_loss(objective: Objective) -> Any:
    """``mean_loss(params, data)``, compiled."""
    return jax.jit(objective.mean)
