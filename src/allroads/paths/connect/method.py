"""What every method of connecting is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax

from allroads.checks import check_count
from allroads.paths.connect.curves import POLYGON
from allroads.paths.connect.layout import Layout
from allroads.pfmap.objective import Examples, Objective


@dataclass(frozen=True)
class CurveObjective:
    """An objective of points as vectors, and how it is looked at along a curve; hashable.

    Args:
        objective: The loss and its penalty as functions of parameters and examples.
        layout: How the parameters lie in a vector.
        kind: Of the curve: ``"bezier"`` or ``"polygon"``.
        samples: Points of the curve looked at in one step.
        chart: Of function space, for geodesics.
    """

    objective: Objective
    layout: Layout
    kind: str
    samples: int
    chart: str

    def values(self, point: Any, inputs: Any) -> Any:
        """Outputs at a vector."""
        return self.objective.network.apply(self.layout.unflatten(point), inputs)

    def mean(self, point: Any, data: Examples) -> Any:
        """Mean loss at a vector, penalty included."""
        return self.objective.mean(self.layout.unflatten(point), data)


@dataclass(frozen=True)
class CurveMethod:
    """A way of connecting: which curve, and by what its free points are moved.

    Attributes:
        bends: Free points.
        samples: Points of the curve looked at in one step.
    """

    name: ClassVar[str]
    kind: ClassVar[str] = POLYGON
    make: ClassVar[staticmethod[[CurveObjective, int], Method]]
    insertions: ClassVar[int] = 0
    chart: ClassVar[str] = "outputs"

    bends: int = 1
    samples: int = 4

    def __post_init__(self) -> None:
        check_count("bends", self.bends)
        check_count("samples", self.samples)


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
        context: ``context(fixed, data)``: taken once, on all data.
        direction: ``direction(free, fixed, data, key)``: what to step against, like ``free``.
        constrain: ``constrain(free, fixed)``: what is done after every step.
        along: ``along(free, fixed) -> [T, P]``, in NumPy: where the loss is looked at to see whether it still falls.
        gradients: ``gradients(ends)``: gradients of the loss of one batch that a step takes, with so many ends.
    """

    start: Callable[..., Any]
    context: Callable[..., Any]
    direction: Callable[..., Any]
    constrain: Callable[..., Any]
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
