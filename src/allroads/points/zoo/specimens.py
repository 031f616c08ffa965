"""The zoo: every builder by name, and one small model of each kind."""

from __future__ import annotations

from collections.abc import Callable

from allroads.points.zoo.deep_linear import deep_linear
from allroads.points.zoo.ground_truth import GroundTruth
from allroads.points.zoo.mixtures import shifted_component, two_components
from allroads.points.zoo.powers import normal_crossings, sum_of_powers
from allroads.points.zoo.quadratic import quadratic
from allroads.points.zoo.tanh_units import tanh_units
from allroads.points.zoo.two_layer_linear import reduced_rank, two_layer_linear

ZOO: dict[str, Callable[..., GroundTruth]] = {
    "quadratic": quadratic,
    "normal_crossings": normal_crossings,
    "sum_of_powers": sum_of_powers,
    "deep_linear": deep_linear,
    "reduced_rank": reduced_rank,
    "two_layer_linear": two_layer_linear,
    "tanh_units": tanh_units,
    "shifted_component": shifted_component,
    "two_components": two_components,
}


def specimens() -> tuple[GroundTruth, ...]:
    """One or a few small models of each kind, regular ones first: what every estimator should be tried on.

    Example:
        >>> max(truth.dimension for truth in specimens())
        97
    """
    return (
        quadratic((4.0, 1.0, 0.25)),
        quadratic((4.0, 1.0, 0.0)),
        normal_crossings((1, 1)),
        normal_crossings((1, 2)),
        normal_crossings((1, 1, 1)),
        normal_crossings((1, 2), prior_powers=(0, 1)),
        sum_of_powers((2, 1)),
        deep_linear((5, 5, 5)),
        deep_linear((4, 7, 3, 6, 5), rank=2),
        reduced_rank((5, 3, 5), rank=0),
        *(
            two_layer_linear((8, 4, 8), ranks)
            for ranks in ((0, 0, 0), (0, 3, 0), (0, 4, 0), (2, 2, 2), (3, 3, 2), (2, 4, 2))
        ),
        *(tanh_units(units) for units in (1, 2, 3, 4)),
        shifted_component(),
        two_components(),
    )
