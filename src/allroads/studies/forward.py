"""Forward passes at every recorded point of a run."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    from allroads.pfmap.network import Network, Params
    from allroads.pfmap.objective import Examples, Objective
    from allroads.pfmap.problem import Problem

WIDTH = 8
"""Points that are passed forward side by side."""

Apply = Callable[["Params", Any], Any]


def outputs_along(network: Network, params: Params, inputs: Any) -> np.ndarray:
    """Outputs ``[T, N, …]`` of the network at each of ``T`` points.

    Args:
        network: The network.
        params: The points, leaves ``[T, …]``.
        inputs: ``[N, …]``.

    Example:
        >>> from allroads import Network
        >>> line = Network(lambda key: None, lambda w, x: w * x)
        >>> outputs_along(line, np.array([[1.0], [3.0]], "f4"), np.ones((2, 1), "f4")).tolist()
        [[[1.0], [1.0]], [[3.0], [3.0]]]
    """
    return np.asarray(_outputs(network.apply)(params, inputs))


def curve_along(problem: Problem, params: Params) -> np.ndarray:
    """Mean loss and mean accuracy at each of ``T`` points, ``[2, T]``.

    Args:
        problem: Network, loss and examples.
        params: The points, leaves ``[T, …]``.
    """
    return np.asarray(_curve(problem.objective)(params, problem.data))


@lru_cache(maxsize=32)
def _outputs(apply: Apply) -> Callable[..., Any]:
    def along(params: Params, inputs: Any) -> Any:
        return jax.lax.map(lambda point: apply(point, inputs), params, batch_size=WIDTH)

    return jax.jit(along)


@lru_cache(maxsize=32)
def _curve(objective: Objective) -> Callable[..., Any]:
    def along(params: Params, data: Examples) -> Any:
        def at(point: Params) -> Any:
            outputs = objective.network.apply(point, data.inputs)
            loss = objective.from_outputs(outputs, data).mean() + objective.penalty(point)
            return loss, objective.correct(outputs, data).mean()

        return jax.lax.map(at, params, batch_size=WIDTH)

    return jax.jit(along)
