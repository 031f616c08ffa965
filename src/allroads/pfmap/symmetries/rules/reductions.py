"""Operations that run along axes."""

from __future__ import annotations

from collections.abc import Sequence

from jax.extend import core

from allroads.pfmap.jaxpr import shaped
from allroads.pfmap.symmetries.axes import Atom
from allroads.pfmap.symmetries.constraints import SIGN, Array, Axis, Constraints


def reduce(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Sums, extrema and products over whole axes do not see the order in them."""
    (x,), name = operands, equation.primitive.name
    axes = []
    for d, axis in enumerate(x.axes):
        if d in equation.params["axes"]:
            constraints.require_degree_zero(axis)
            continue
        if name not in ("reduce_sum", "reduce_max", "reduce_min"):
            constraints.require_degree_zero(axis)
        elif name != "reduce_sum":
            constraints.require_degree_zero(axis, SIGN)
        axes.append(axis)
    return [Array(tuple(axes))]


def arg_reduce(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """The index of an extremum names an index of the axis."""
    (x,) = operands
    for d in equation.params["axes"]:
        constraints.pin_ordered(x, d, f"{equation.primitive.name} over it")
    for axis in x.axes:
        constraints.require_degree_zero(axis)
    kept = (axis for d, axis in enumerate(x.axes) if d not in equation.params["axes"])
    return [Array(tuple(Axis(axis.atom) for axis in kept))]


def cumulate(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Running sums and the like depend on the order."""
    (x,), d = operands, equation.params["axis"]
    linear = equation.primitive.name == "cumsum"
    constraints.pin_ordered(x, d, f"{equation.primitive.name} along it")
    for k, axis in enumerate(x.axes):
        if k == d or not linear:
            constraints.require_degree_zero(axis)
    axes = list(x.axes)
    axes[d] = Axis(Atom(axes[d].size, {f"{equation.primitive.name} along it"}))
    return [Array(tuple(axes))]


def sort(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Sorting forgets the order along one axis and treats the others alike."""
    d = equation.params["dimension"]
    for x in operands:
        constraints.pin_ordered(x, d, "sorting")
        for axis in x.axes:
            constraints.require_degree_zero(axis)
        for axis, first in zip(x.axes, operands[0].axes, strict=True):
            constraints.unify(first, axis)
    axes = [Axis(axis.atom) for axis in operands[0].axes]
    axes[d] = Axis(Atom(axes[d].size, {"sorting"}))
    return [Array(tuple(axes)) for _ in operands]


def reduce_window(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Pooling: axes with windows of one element pass, the others keep their order."""
    x, params = operands[0], equation.params
    axes = []
    for d, axis in enumerate(x.axes):
        if params["window_dimensions"][d] == 1 and shaped(equation.outvars[0]).shape[d] == axis.size:
            if equation.primitive.name != "reduce_window_sum":
                constraints.require_degree_zero(axis, SIGN)
            axes.append(axis)
        else:
            constraints.require_degree_zero(constraints.pin_ordered(x, d, "windows along it"))
            axes.append(Axis(Atom(shaped(equation.outvars[0]).shape[d], {"windows along it"})))
    return [Array(tuple(axes))]


RULES = {
    **dict.fromkeys(("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or"), reduce),
    **dict.fromkeys(("argmax", "argmin"), arg_reduce),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), cumulate),
    "sort": sort,
    **dict.fromkeys(("reduce_window_sum", "reduce_window_max", "reduce_window_min"), reduce_window),
}
