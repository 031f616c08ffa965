"""Operations that act on every element by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from allroads.pfmap.symmetries.grades import Grade, total, zero
from allroads.pfmap.symmetries.trace import SYSTEMS, Array, Axis, Trace

Policy = Callable[[Trace, int, Sequence[Axis], Sequence[Array], Any], Grade]
"""``policy(trace, system, axes of the operands along one dimension, operands, parameters) -> grade``."""


def same(trace: Trace, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any) -> Grade:
    """All operands scale alike, and so does the result; zeros go with everything."""
    grades = [axis.grades[system] for axis, operand in zip(axes, operands, strict=True) if not operand.neutral(system)]
    if not grades:
        return trace.unknown(axes[0].atom).grades[system]
    for grade in grades[1:]:
        if grade is not grades[0]:
            trace.equations[system].append(total([(1, grades[0]), (-1, grade)]))
    return grades[0]


def none(trace: Trace, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any) -> Grade:
    """No operand may scale."""
    for axis in axes:
        trace.vanish(axis, system)
    return zero


def gone(trace: Trace, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any) -> Grade:
    """Operands may scale as they like; the result does not."""
    return zero


def compared(trace: Trace, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any) -> Grade:
    """Operands scale alike; the result does not."""
    same(trace, system, axes, operands, params)
    return zero


def weighted(*weights: Fraction | int) -> Policy:
    """The result's grade is a weighted sum of the operands'."""

    def policy(trace: Trace, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any) -> Grade:
        return total([(w, axis.grades[system]) for w, axis in zip(weights, axes, strict=True)])

    return policy


def power(trace: Trace, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any) -> Grade:
    """A whole power multiplies the grade."""
    return total([(params["y"], axes[0].grades[system])])


def clamped(trace: Trace, system: int, axes: Sequence[Axis], operands: Sequence[Array], params: Any) -> Grade:
    """Clipping is odd where its bounds are opposite."""
    low, _, high = operands
    if system == 1 and low.value is not None and high.value is not None and (low.value == -high.value).all():
        return axes[1].grades[system]
    return none(trace, system, axes, operands, params)


NO_SYMMETRY = (
    "exp exp2 expm1 log log1p logistic erfc acos acosh atan2 pow rem floor ceil round nextafter lgamma digamma "
    "and or not xor population_count shift_left shift_right_logical shift_right_arithmetic"
)
"""Functions of one element that are neither odd nor homogeneous, and those of bits."""

POLICIES: dict[str, tuple[Policy, Policy]] = {
    **dict.fromkeys(("add", "sub", "add_any", "neg", "copy", "copy_p", "stop_gradient"), (same, same)),
    **dict.fromkeys(("convert_element_type", "reduce_precision", "select_n", "optimization_barrier"), (same, same)),
    **dict.fromkeys(("max", "min"), (same, none)),
    "mul": (weighted(1, 1), weighted(1, 1)),
    "div": (weighted(1, -1), weighted(1, -1)),
    "square": (weighted(2), weighted(2)),
    "integer_pow": (power, power),
    "sqrt": (weighted(Fraction(1, 2)), none),
    "rsqrt": (weighted(Fraction(-1, 2)), none),
    "cbrt": (weighted(Fraction(1, 3)), same),
    "abs": (same, gone),
    "sign": (gone, same),
    **dict.fromkeys(("tanh", "sin", "tan", "asin", "atan", "sinh", "asinh", "atanh", "erf", "erf_inv"), (none, same)),
    **dict.fromkeys(("cos", "cosh"), (none, gone)),
    **dict.fromkeys(("gt", "ge", "lt", "le"), (compared, none)),
    **dict.fromkeys(("eq", "ne"), (compared, compared)),
    "is_finite": (gone, gone),
    "clamp": (none, clamped),
    **dict.fromkeys(NO_SYMMETRY.split(), (none, none)),
}


def elementwise(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """One output, shaped like the operands that are not scalars."""
    name = equation.primitive.name
    if name == "optimization_barrier":
        return list(operands)
    policies = POLICIES[name]
    if name == "convert_element_type" and equation.params["new_dtype"].kind != "f":
        policies = (none, none)
    graded = operands[1:] if name == "select_n" else operands
    axes = []
    for dimension, size in enumerate(equation.outvars[0].aval.shape):
        full = [o.axes[dimension] for o in operands if o.axes and o.axes[dimension].size == size]
        for axis in full[1:]:
            trace.align(full[0], axis)
        along = [_along(trace, operand, dimension, full[0]) for operand in graded]
        scale, sign = (policies[s](trace, s, along, graded, equation.params) for s in SYSTEMS)
        axes.append(Axis(full[0].atom, (scale, sign)))
    return [Array(tuple(axes))]


def _along(trace: Trace, operand: Array, dimension: int, common: Axis) -> Axis:
    """An operand's axis; scalars and axes of size 1 are repeated along the common one."""
    if operand.axes and operand.axes[dimension].size == common.size:
        return operand.axes[dimension]
    if operand.axes:
        trace.vanish(operand.axes[dimension])
    return Axis(common.atom)


RULES = dict.fromkeys(POLICIES, elementwise)
