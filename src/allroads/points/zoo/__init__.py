"""Singular models whose learning coefficient is known exactly, to test estimators on.

Every builder gives a :class:`GroundTruth`: a network, a point at which its loss is least, a data set, the exact
learning coefficient λ *at that point* with its multiplicity m where known, and the excess loss in closed form. ::

    truth = normal_crossings((1, 2))
    truth.problem, truth.params     # what an estimator is given
    truth.learning_coefficient      # what it should say

The learning coefficient is defined by how the volume of nearly optimal parameters near the point shrinks,
``V{w : L(w) − L(w*) < ε} ≍ ε^λ (−ln ε)^{m−1}``; it does not depend on the scale of the loss.

``ZOO`` holds the builders by name; :func:`specimens` gives one small model of each kind.
"""

from allroads.points.zoo.deep_linear import deep_linear, deep_linear_learning_coefficient
from allroads.points.zoo.ground_truth import GroundTruth
from allroads.points.zoo.mixtures import shifted_component, two_components
from allroads.points.zoo.powers import normal_crossings, normal_crossings_learning_coefficient, sum_of_powers
from allroads.points.zoo.quadratic import localised_learning_coefficient, quadratic
from allroads.points.zoo.specimens import ZOO, specimens
from allroads.points.zoo.tanh_units import tanh_units, tanh_units_learning_coefficient
from allroads.points.zoo.two_layer_linear import (
    reduced_rank,
    reduced_rank_learning_coefficient,
    two_layer_linear,
    two_layer_linear_learning_coefficient,
)

__all__ = [
    "ZOO",
    "GroundTruth",
    "deep_linear",
    "deep_linear_learning_coefficient",
    "localised_learning_coefficient",
    "normal_crossings",
    "normal_crossings_learning_coefficient",
    "quadratic",
    "reduced_rank",
    "reduced_rank_learning_coefficient",
    "shifted_component",
    "specimens",
    "sum_of_powers",
    "tanh_units",
    "tanh_units_learning_coefficient",
    "two_components",
    "two_layer_linear",
    "two_layer_linear_learning_coefficient",
]
