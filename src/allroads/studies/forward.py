"""Forward passes at every recorded point of a run."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from allroads.pfmap.losses import correct, resolve_loss

if TYPE_CHECKING:
    from allroads.pfmap.losses import PerExampleLoss
    from allroads.pfmap.network import Network, Params

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


def curve_along(network: Network, params: Params, inputs: Any, labels: Any, loss: str | PerExampleLoss) -> np.ndarray:
    """Mean loss and mean accuracy at each of ``T`` points, ``[2, T]``.

    Args:
        network: The network.
        params: The points, leaves ``[T, …]``.
        inputs: ``[N, …]``.
        labels: ``[N, …]``.
        loss: A loss as everywhere.
    """
    return np.asarray(_curve(network.apply, loss)(params, inputs, labels))


@lru_cache(maxsize=32)
def _outputs(apply: Apply) -> Callable[..., Any]:
    def along(params: Params, inputs: Any) -> Any:
        return jax.lax.map(lambda point: apply(point, inputs), params, batch_size=WIDTH)

    return jax.jit(along)


@lru_cache(maxsize=32)
def _curve(apply: Apply, loss: str | PerExampleLoss) -> Callable[..., Any]:
    per_example = resolve_loss(loss)

    def along(params: Params, inputs: Any, labels: Any) -> Any:
        def at(point: Params) -> Any:
            outputs = apply(point, inputs)
            return per_example(outputs, labels).mean(), correct(outputs, labels, loss).mean()

        return jax.lax.map(at, params, batch_size=WIDTH)

    return jax.jit(along)
