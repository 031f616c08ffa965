"""The point whose description is asked for, checked once, and what counts as a rise of its loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.map import ParameterFunctionMap
from allroads.pfmap.network import Network, Params
from allroads.results import Measurement
from allroads.status import DescriptionStatus


@dataclass(frozen=True)
class Point:
    """A point of parameter space with the data that its loss is taken on.

    Args:
        leaves: Its arrays, in the order of the pytree.
        tree: The structure of the pytree.
        data: ``(inputs, labels)``.
        loss: Mean loss at the point, NaN or infinite where it is.
    """

    leaves: list[Any]
    tree: Any
    data: tuple[Any, Any]
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


def checked_point(
    network: Network, params: Params, loss: str | PerExampleLoss, inputs: Any, labels: Any, delta: float
) -> Point:
    """The point with its loss.

    Raises:
        InputError: On parameters that are not floating-point or not finite, empty or non-finite data, labels that do
            not match, or a δ that is not a finite number ≥ 0.
    """
    if not math.isfinite(delta) or delta < 0:
        raise InputError(f"delta must be a finite number ≥ 0, in the unit of the loss; got {delta!r}.")
    values = jax.eval_shape(ParameterFunctionMap(network, inputs).values, params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not np.isfinite(np.asarray(leaf)).all():
            raise InputError(
                f"params{jax.tree_util.keystr(path)} has a NaN or an infinity, which no number of bits describes. "
                "Take an earlier point of the run."
            )
    inputs, labels = jnp.asarray(inputs), jnp.asarray(labels)
    if labels.shape[:1] != inputs.shape[:1]:
        raise InputError(f"{inputs.shape[0]} inputs but labels of shape {labels.shape}; expected one label an input.")
    losses = jax.eval_shape(resolve_loss(loss), values, labels)
    if losses.shape != inputs.shape[:1]:
        raise InputError(f"the loss gives shape {losses.shape}; expected one number an example: {inputs.shape[:1]}.")
    leaves, tree = jax.tree.flatten(jax.tree.map(jnp.asarray, params))
    return Point(leaves, tree, (inputs, labels), float(mean_loss(network, loss)(params, inputs, labels)))


def not_finite(point: Point, stats: dict[str, Any]) -> Measurement:
    """The result where the loss at the point itself is not finite."""
    return Measurement(np.nan, status=DescriptionStatus.DIVERGED, stats={**stats, "loss": point.loss})


@lru_cache(maxsize=64)
def mean_loss(network: Network, loss: str | PerExampleLoss) -> Any:
    """``mean_loss(params, inputs, labels)``, compiled."""
    per_example = resolve_loss(loss)
    return jax.jit(lambda params, inputs, labels: per_example(network.apply(params, inputs), labels).mean())
