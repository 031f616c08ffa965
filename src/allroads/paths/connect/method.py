"""What every method of connecting is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from allroads.paths.connect.layout import Layout
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network


@dataclass(frozen=True)
class Problem:
    """Points as vectors, and what is asked of the network at them; hashable.

    Args:
        network: The network.
        loss: Name or callable.
        layout: How its parameters lie in a vector.
        kind: Of the curve: ``"bezier"`` or ``"polygon"``.
        samples: Points of the curve looked at in one step.
        chart: Of function space, for geodesics.
    """

    network: Network
    loss: str | PerExampleLoss
    layout: Layout
    kind: str
    samples: int
    chart: str

    def values(self, point: Any, inputs: Any) -> Any:
        """Outputs at a vector."""
        return self.network.apply(self.layout.unflatten(point), inputs)

    def risk(self, point: Any, inputs: Any, labels: Any) -> Any:
        """Mean loss at a vector."""
        return resolve_loss(self.loss)(self.values(point, inputs), labels).mean()


class Fixed(NamedTuple):
    """What stays while a curve is trained.

    Attributes:
        ends: ``[2, P]``; of a star all its points, ``[M, P]``.
        knots: ``[K]``, where the curve is at its control points.
        context: What the method found out beforehand.
    """

    ends: Any
    knots: Any
    context: Any


class Method(NamedTuple):
    """A way of moving the free points ``[K − 2, P]`` of one curve.

    Attributes:
        start: ``start(ends, knots)``, in NumPy: the free points before training.
        context: ``context(fixed, inputs, labels)``: taken once, on all data.
        direction: ``direction(free, fixed, inputs, labels, key)``: what to step against, like ``free``.
        settle: ``settle(free, fixed)``: what is done after every step.
        along: ``along(free, fixed) -> [T, P]``, in NumPy: where the loss is looked at to see whether it still falls.
        gradients: ``gradients(ends)``: gradients of the loss of one batch that a step takes, with so many ends.
    """

    start: Callable[..., Any]
    context: Callable[..., Any]
    direction: Callable[..., Any]
    settle: Callable[..., Any]
    along: Callable[..., Any]
    gradients: Callable[[int], int]


def spread(key: Any, count: int, dtype: Any) -> Any:
    """``count`` numbers in (0, 1), one at random in each of ``count`` equal parts."""
    return (jax.numpy.arange(count) + jax.random.uniform(key, (count,), dtype)) / count


def nothing(*_: Any) -> tuple[()]:
    """No context."""
    return ()


def unchanged(free: Any, fixed: Fixed) -> Any:
    """Free points as they are."""
    return free
