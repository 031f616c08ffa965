"""Interval arithmetic over the equations of a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jax.extend import core

from allroads.pfmap.jaxpr.walk import bind, shaped
from allroads.programs.bounds.arithmetic import RULES
from allroads.programs.bounds.bound import Bound, UnboundedError, constant
from allroads.programs.bounds.structural import STRUCTURAL, split, structural


def bound_equation(number: int, equation: core.JaxprEqn, operands: Sequence[Bound]) -> list[Bound]:
    """Bounds of the outputs of one equation.

    Raises:
        UnboundedError: If there is no rule for its primitive.
    """
    del number
    name = equation.primitive.name
    if name in RULES:
        if any(_single(var) for var in equation.outvars):
            raise UnboundedError(f"there is no bound for the rounding of {name!r} in less than double precision")
        return [RULES[name](equation.params, *operands)]
    if name == "split":
        return split(equation.params, operands[0])
    if all(o.point for o in operands) and (name in EXACT or not _inexact(equation)):
        return [constant(np.asarray(o)) for o in bind(equation, [o.low for o in operands])]
    if name in STRUCTURAL:
        return [structural(STRUCTURAL[name], equation.params, operands)]
    raise UnboundedError(f"there is no bound for the operation {name!r}")


EXACT = ("gather", "dynamic_slice", "iota", "convert_element_type", "pad")


def _single(var: core.Var) -> bool:
    kind = shaped(var).dtype
    return np.issubdtype(kind, np.inexact) and kind != np.float64


def _inexact(equation: core.JaxprEqn) -> bool:
    return any(np.issubdtype(shaped(var).dtype, np.floating) for var in equation.outvars)
