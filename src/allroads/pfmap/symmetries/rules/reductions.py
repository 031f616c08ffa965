"""Operations that run along axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allroads.pfmap.symmetries.axes import Atom
from allroads.pfmap.symmetries.trace import Array, Axis, Trace


def reduce(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Sums, extrema and products over whole axes do not see the order in them."""
    (x,), name = operands, equation.primitive.name
    axes = []
    for d, axis in enumerate(x.axes):
        if d in equation.params["axes"]:
            trace.vanish(axis)
            continue
        if name not in ("reduce_sum", "reduce_max", "reduce_min"):
            trace.vanish(axis)
        elif name != "reduce_sum":
            trace.vanish(axis, 1)
        axes.append(axis)
    return [Array(tuple(axes))]


def arg_reduce(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """The index of an extremum names an index of the axis."""
    (x,) = operands
    for d in equation.params["axes"]:
        trace.mixed(x, d, f"{equation.primitive.name} over it")
    for axis in x.axes:
        trace.vanish(axis)
    kept = (axis for d, axis in enumerate(x.axes) if d not in equation.params["axes"])
    return [Array(tuple(Axis(axis.atom) for axis in kept))]


def cumulate(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Running sums and the like depend on the order."""
    (x,), d = operands, equation.params["axis"]
    linear = equation.primitive.name == "cumsum"
    trace.mixed(x, d, f"{equation.primitive.name} along it")
    for k, axis in enumerate(x.axes):
        if k == d or not linear:
            trace.vanish(axis)
    axes = list(x.axes)
    axes[d] = Axis(Atom(axes[d].size, {f"{equation.primitive.name} along it"}))
    return [Array(tuple(axes))]


def sort(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Sorting forgets the order along one axis and treats the others alike."""
    d = equation.params["dimension"]
    for x in operands:
        trace.mixed(x, d, "sorting")
        for axis in x.axes:
            trace.vanish(axis)
        for axis, first in zip(x.axes, operands[0].axes, strict=True):
            trace.align(first, axis)
    axes = [Axis(axis.atom) for axis in operands[0].axes]
    axes[d] = Axis(Atom(axes[d].size, {"sorting"}))
    return [Array(tuple(axes)) for _ in operands]


def reduce_window(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Pooling: axes with windows of one element pass, the others keep their order."""
    x, params = operands[0], equation.params
    axes = []
    for d, axis in enumerate(x.axes):
        if params["window_dimensions"][d] == 1 and equation.outvars[0].aval.shape[d] == axis.size:
            if equation.primitive.name != "reduce_window_sum":
                trace.vanish(axis, 1)
            axes.append(axis)
        else:
            trace.vanish(trace.mixed(x, d, "windows along it"))
            axes.append(Axis(Atom(equation.outvars[0].aval.shape[d], {"windows along it"})))
    return [Array(tuple(axes))]


RULES = {
    **dict.fromkeys(("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or"), reduce),
    **dict.fromkeys(("argmax", "argmin"), arg_reduce),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), cumulate),
    "sort": sort,
    **dict.fromkeys(("reduce_window_sum", "reduce_window_max", "reduce_window_min"), reduce_window),
}
