"""Operations that move, cut, join and repeat axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jax.extend import core

from allroads.pfmap.jaxpr import shaped
from allroads.pfmap.symmetries.axes import Atom, is_pinned, pin
from allroads.pfmap.symmetries.constraints import SIGN, Array, Axis, Constraints, compound_axis
from allroads.pfmap.symmetries.degrees import zero


def transpose(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Axes in another order."""
    (x,) = operands
    return [Array(tuple(x.axes[d] for d in equation.params["permutation"]))]


def broadcast_in_dim(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Repeats along new axes, which may be permuted freely."""
    x, shape = operands[0], equation.params["shape"]
    axes = [Axis(Atom(size)) for size in shape]
    for axis, dimension in zip(x.axes, equation.params["broadcast_dimensions"], strict=True):
        if axis.size == shape[dimension]:
            axes[dimension] = axis
        else:
            constraints.require_degree_zero(axis)
    return [Array(tuple(axes))]


def squeeze(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Axes of size 1 dropped."""
    (x,) = operands
    dropped = {d % len(x.axes) for d in equation.params["dimensions"]}
    for d in dropped:
        constraints.require_degree_zero(x.axes[d])
    return [Array(tuple(axis for d, axis in enumerate(x.axes) if d not in dropped))]


def expand_dims(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """New axes of size 1."""
    axes = list(operands[0].axes)
    for d in sorted(equation.params["dimensions"]):
        axes.insert(d, Axis(Atom(1)))
    return [Array(tuple(axes))]


def reshape(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Axes merged and split, from the first to the last; those of size 1 come and go."""
    (x,) = operands
    queue = [axis for axis in x.axes if axis.size != 1]
    for axis in x.axes:
        if axis.size == 1:
            constraints.require_degree_zero(axis)
    axes = []
    for size in shaped(equation.outvars[0]).shape:
        if size == 1:
            axes.append(Axis(Atom(1)))
            continue
        taken, need = [], size
        while need > 1:
            axis = queue.pop(0)
            if axis.size > need and axis.size % need == 0:
                axis, rest = axis.split(axis.size // need)
                queue.insert(0, rest)
            elif need % axis.size:
                return _scrambled(constraints, equation, x)
            taken.append(axis)
            need //= axis.size
        axes.append(compound_axis("prod", taken))
    return [Array(tuple(axes))]


def _scrambled(constraints: Constraints, equation: core.JaxprEqn, x: Array) -> list[Array]:
    reason = "a reshape whose sizes do not divide each other"
    for axis in x.axes:
        constraints.require_degree_zero(axis)
        pin(axis.atom, reason)
    return [constraints.new_array(shaped(equation.outvars[0]).shape, reason)]


def concatenate(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Arrays side by side along one axis; the others are common, unless each array is one index of a new axis."""
    along = equation.params["dimension"]
    if len(operands) > 1 and all(_is_new(operand.axes[along]) for operand in operands):
        layers = [Array((*operand.axes[:along], *operand.axes[along + 1 :]), operand.value) for operand in operands]
        return [_stacked(constraints, layers, along)]
    axes = [
        compound_axis("cat", [_part(constraints, operand, along) for operand in operands])
        if d == along
        else _common(constraints, [operand.axes[d] for operand in operands], operands)
        for d in range(len(operands[0].axes))
    ]
    return [Array(tuple(axes))]


def _is_new(axis: Axis) -> bool:
    """Whether an axis has one index and no units on it."""
    return axis.size == 1 and axis.degrees == (zero, zero)


def _part(constraints: Constraints, operand: Array, along: int) -> Axis:
    """One of the arrays side by side: zeros have any degree; what is pinned no longer stands at its old index."""
    axis = operand.axes[along]
    if is_pinned(axis.atom):
        return constraints.pin_ordered(operand, along, "a concatenation")
    return constraints.unknown(axis.atom) if operand.invariant_under(SIGN) else axis


def _common(constraints: Constraints, axes: Sequence[Axis], operands: Sequence[Array]) -> Axis:
    counted = [axis for axis, operand in zip(axes, operands, strict=True) if not operand.invariant_under(SIGN)]
    for axis in axes:
        constraints.unify(axes[0], axis)
    return constraints.equate(counted) if counted else constraints.unknown(axes[0].atom)


def stack(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Arrays side by side along a new axis."""
    return [_stacked(constraints, operands, equation.params["axis"] % (len(operands[0].axes) + 1))]


def _stacked(constraints: Constraints, operands: Sequence[Array], along: int) -> Array:
    """Arrays as the indices of a new axis. Their axes may differ from one index to the next."""
    layers = Atom(len(operands), {"a stack"})
    axes = []
    for parts in zip(*(operand.axes for operand in operands), strict=True):
        if len(parts) == 1 or any(is_pinned(part.atom) for part in parts):
            axes.append(_common(constraints, parts, operands))
            continue
        whole = constraints.unknown(Atom(parts[0].size))
        for index, (part, operand) in enumerate(zip(parts, operands, strict=True)):
            held = constraints.at_index(whole, layers, index)
            if operand.invariant_under(SIGN):
                constraints.unify(held, part)
            else:
                constraints.equate([held, part])
        axes.append(whole)
    axes.insert(along, Axis(layers))
    return Array(tuple(axes))


def split(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """An array cut along one axis."""
    (x,), along, start, outputs = operands, equation.params["axis"], 0, []
    for size in map(int, equation.params["sizes"]):
        outputs.append(section(constraints, x, along, start, start + size))
        start += size
    return outputs


def section(constraints: Constraints, x: Array, along: int, start: int, stop: int) -> Array:
    """Indices ``start … stop−1`` of an axis. A single index pins it, and other axes may depend on it."""
    axes = list(x.axes)
    if stop - start == axes[along].size:
        return x
    if stop - start == 1 or is_pinned(axes[along].atom):
        pin(axes[along].atom, "an index is taken of it")
        if stop - start == 1:
            axes = [constraints.at_index(a, axes[along].atom, start) if d != along else a for d, a in enumerate(axes)]
        else:
            constraints.pin_ordered(x, along, "a part is taken of it")
        constraints.require_degree_zero(axes[along])
        axes[along] = Axis(Atom(stop - start, {"a part of a pinned axis"}))
    else:
        axes[along] = axes[along].cut(start, stop)
    return Array(tuple(axes))


def slice_(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """A range of indices along every axis."""
    (x,) = operands
    starts, limits = equation.params["start_indices"], equation.params["limit_indices"]
    strides = equation.params["strides"] or (1,) * len(starts)
    for along, (start, limit, stride) in enumerate(zip(starts, limits, strides, strict=True)):
        if stride == 1 or limit - start == 1:
            x = section(constraints, x, along, start, limit)
        else:
            axis = constraints.pin_ordered(x, along, "a slice with steps")
            constraints.require_degree_zero(axis)
            axes = list(x.axes)
            axes[along] = Axis(Atom(math.ceil((limit - start) / stride), {"a slice with steps"}))
            x = Array(tuple(axes))
    return [x]


def pad(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """A border of one number."""
    x, border = operands
    axes = []
    for along, ((low, high, between), axis) in enumerate(zip(equation.params["padding_config"], x.axes, strict=True)):
        if low == high == between == 0:
            if not border.invariant_under(SIGN):
                constraints.require_degree_zero(axis)
            axes.append(axis)
        elif between or min(low, high) < 0 or is_pinned(axis.atom):
            constraints.require_degree_zero(constraints.pin_ordered(x, along, "padding"))
            axes.append(Axis(Atom(shaped(equation.outvars[0]).shape[along], {"padding"})))
        else:
            sides = [Axis(Atom(size)) for size in (low, high)]
            if border.invariant_under(SIGN):
                sides = [constraints.unknown(side.atom) for side in sides]
            parts = [part for part in (sides[0], axis, sides[1]) if part.size]
            axes.append(compound_axis("cat", parts))
    return [Array(tuple(axes))]


def rev(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Axes turned round."""
    (x,) = operands
    axes = list(x.axes)
    for d in equation.params["dimensions"]:
        constraints.require_degree_zero(constraints.pin_ordered(x, d, "an axis turned round"))
        axes[d] = Axis(Atom(axes[d].size, {"an axis turned round"}))
    return [Array(tuple(axes))]


RULES = {
    "transpose": transpose,
    "broadcast_in_dim": broadcast_in_dim,
    "squeeze": squeeze,
    "expand_dims": expand_dims,
    "reshape": reshape,
    "concatenate": concatenate,
    "stack": stack,
    "split": split,
    "slice": slice_,
    "pad": pad,
    "rev": rev,
}
