"""Operations that act on every element by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from jax.extend import core

from allroads.pfmap.jaxpr import shaped
from allroads.pfmap.symmetries.constraints import SIGN, SYSTEMS, Array, Axis, Constraints
from allroads.pfmap.symmetries.degrees import Degree, total, zero

Policy = Callable[[Constraints, int, Sequence[Axis], Sequence[Array], Any], Degree]
"""``policy(constraints, system, axes of the operands along one dimension, operands, parameters) -> degree``."""


def same(constraints: Constraints, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any) -> Degree:
    """All operands scale alike, and so does the result; zeros have any degree."""
    pairs = zip(axes, operands, strict=True)
    degrees = [axis.degrees[system] for axis, operand in pairs if not operand.invariant_under(system)]
    if not degrees:
        return constraints.unknown(axes[0].atom).degrees[system]
    for degree in degrees[1:]:
        constraints.equate_degrees(degrees[0], degree, system)
    return degrees[0]


def fixed(
    constraints: Constraints, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any
) -> Degree:
    """No operand may scale."""
    for axis in axes:
        constraints.require_degree_zero(axis, system)
    return zero


def invariant(
    constraints: Constraints, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any
) -> Degree:
    """Operands may scale as they like; the result does not."""
    return zero


def compared(
    constraints: Constraints, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any
) -> Degree:
    """Operands scale alike; the result does not."""
    same(constraints, system, axes, operands, params)
    return zero


def weighted(*weights: Fraction | int) -> Policy:
    """The result's degree is a weighted sum of the operands'."""

    def policy(
        constraints: Constraints, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any
    ) -> Degree:
        return total([(w, axis.degrees[system]) for w, axis in zip(weights, axes, strict=True)])

    return policy


def power(
    constraints: Constraints, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any
) -> Degree:
    """A whole power multiplies the degree."""
    return total([(params["y"], axes[0].degrees[system])])


def clamped(
    constraints: Constraints, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any
) -> Degree:
    """Clipping is odd where its bounds are opposite."""
    low, _, high = operands
    if system == SIGN and low.value is not None and high.value is not None and (low.value == -high.value).all():
        return axes[1].degrees[system]
    return fixed(constraints, system, axes, operands, params)


NO_SYMMETRY = (
    "exp exp2 expm1 log log1p logistic erfc acos acosh atan2 pow rem floor ceil round nextafter lgamma digamma "
    "and or not xor population_count shift_left shift_right_logical shift_right_arithmetic"
)
"""Functions of one element that are neither odd nor homogeneous, and those of bits."""

POLICIES: dict[str, tuple[Policy, Policy]] = {
    **dict.fromkeys(("add", "sub", "add_any", "neg", "copy", "copy_p", "stop_gradient"), (same, same)),
    **dict.fromkeys(("convert_element_type", "reduce_precision", "select_n", "optimization_barrier"), (same, same)),
    **dict.fromkeys(("max", "min"), (same, fixed)),
    "mul": (weighted(1, 1), weighted(1, 1)),
    "div": (weighted(1, -1), weighted(1, -1)),
    "square": (weighted(2), weighted(2)),
    "integer_pow": (power, power),
    "sqrt": (weighted(Fraction(1, 2)), fixed),
    "rsqrt": (weighted(Fraction(-1, 2)), fixed),
    "cbrt": (weighted(Fraction(1, 3)), same),
    "abs": (same, invariant),
    "sign": (invariant, same),
    **dict.fromkeys(("tanh", "sin", "tan", "asin", "atan", "sinh", "asinh", "atanh", "erf", "erf_inv"), (fixed, same)),
    **dict.fromkeys(("cos", "cosh"), (fixed, invariant)),
    **dict.fromkeys(("gt", "ge", "lt", "le"), (compared, fixed)),
    **dict.fromkeys(("eq", "ne"), (compared, compared)),
    "is_finite": (invariant, invariant),
    "clamp": (fixed, clamped),
    **dict.fromkeys(NO_SYMMETRY.split(), (fixed, fixed)),
}


def elementwise(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """One output, shaped like the operands that are not scalars."""
    name = equation.primitive.name
    if name == "optimization_barrier":
        return list(operands)
    policies = POLICIES[name]
    if name == "convert_element_type" and equation.params["new_dtype"].kind != "f":
        policies = (fixed, fixed)
    scaled_operands = operands[1:] if name == "select_n" else operands
    axes = []
    for dimension, size in enumerate(shaped(equation.outvars[0]).shape):
        full = [o.axes[dimension] for o in operands if o.axes and o.axes[dimension].size == size]
        for axis in full[1:]:
            constraints.unify(full[0], axis)
        along = [_along(constraints, operand, dimension, full[0]) for operand in scaled_operands]
        scale, sign = (policies[s](constraints, s, along, scaled_operands, equation.params) for s in SYSTEMS)
        axes.append(Axis(full[0].atom, (scale, sign)))
    return [Array(tuple(axes))]


def _along(constraints: Constraints, operand: Array, dimension: int, common: Axis) -> Axis:
    """An operand's axis; scalars and axes of size 1 are repeated along the common one."""
    if operand.axes and operand.axes[dimension].size == common.size:
        return operand.axes[dimension]
    if operand.axes:
        constraints.require_degree_zero(operand.axes[dimension])
    return Axis(common.atom)


RULES = dict.fromkeys(POLICIES, elementwise)
