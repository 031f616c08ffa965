"""What has no rule: everything that it touches is pinned, and its name is kept."""

from __future__ import annotations

from collections.abc import Sequence

from jax.extend import core

from allroads.pfmap.jaxpr import shaped
from allroads.pfmap.symmetries.axes import is_pinned, pin
from allroads.pfmap.symmetries.constraints import Array, Constraints


def opaque(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """The outputs of a primitive about which nothing is known."""
    name = equation.primitive.name
    axes = [axis for operand in operands for axis in operand.axes if operand.value is None]
    constraints.opaque.append((name, tuple(axis.atom for axis in axes if not is_pinned(axis.atom))))
    for axis in axes:
        constraints.require_degree_zero(axis)
        pin(axis.atom, f"the primitive {name}, which has no rule")
    return [
        constraints.new_array(shaped(var).shape, f"the primitive {name}, which has no rule") for var in equation.outvars
    ]
