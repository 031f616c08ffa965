"""Operations that move, cut, join and repeat axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from allroads.pfmap.symmetries.axes import Atom, is_pinned, pin
from allroads.pfmap.symmetries.trace import Array, Axis, Trace, joined


def transpose(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Axes in another order."""
    (x,) = operands
    return [Array(tuple(x.axes[d] for d in equation.params["permutation"]))]


def broadcast_in_dim(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Repeats along new axes, which may be permuted freely."""
    x, shape = operands[0], equation.params["shape"]
    axes = [Axis(Atom(size)) for size in shape]
    for axis, dimension in zip(x.axes, equation.params["broadcast_dimensions"], strict=True):
        if axis.size == shape[dimension]:
            axes[dimension] = axis
        else:
            trace.vanish(axis)
    return [Array(tuple(axes))]


def squeeze(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Axes of size 1 dropped."""
    (x,) = operands
    dropped = {d % len(x.axes) for d in equation.params["dimensions"]}
    for d in dropped:
        trace.vanish(x.axes[d])
    return [Array(tuple(axis for d, axis in enumerate(x.axes) if d not in dropped))]


def expand_dims(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """New axes of size 1."""
    axes = list(operands[0].axes)
    for d in sorted(equation.params["dimensions"]):
        axes.insert(d, Axis(Atom(1)))
    return [Array(tuple(axes))]


def reshape(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Axes merged and split, from the first to the last; those of size 1 come and go."""
    (x,) = operands
    queue = [axis for axis in x.axes if axis.size != 1]
    for axis in x.axes:
        if axis.size == 1:
            trace.vanish(axis)
    axes = []
    for size in equation.outvars[0].aval.shape:
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
                return _scrambled(trace, equation, x)
            taken.append(axis)
            need //= axis.size
        axes.append(joined("prod", taken))
    return [Array(tuple(axes))]


def _scrambled(trace: Trace, equation: Any, x: Array) -> list[Array]:
    reason = "a reshape whose sizes do not divide each other"
    for axis in x.axes:
        trace.vanish(axis)
        pin(axis.atom, reason)
    return [trace.fresh(equation.outvars[0].aval.shape, reason)]


def concatenate(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Arrays side by side along one axis; the others are common."""
    along = equation.params["dimension"]
    axes = [
        joined("cat", [_part(trace, operand, along) for operand in operands])
        if d == along
        else _common(trace, [operand.axes[d] for operand in operands], operands)
        for d in range(len(operands[0].axes))
    ]
    return [Array(tuple(axes))]


def _part(trace: Trace, operand: Array, along: int) -> Axis:
    """What lies side by side: zeros scale as one likes; what is pinned no longer stands at its old index."""
    axis = operand.axes[along]
    if is_pinned(axis.atom):
        return trace.mixed(operand, along, "a concatenation")
    return trace.unknown(axis.atom) if operand.neutral(1) else axis


def _common(trace: Trace, axes: Sequence[Axis], operands: Sequence[Array]) -> Axis:
    counted = [axis for axis, operand in zip(axes, operands, strict=True) if not operand.neutral(1)]
    for axis in axes:
        trace.align(axes[0], axis)
    return trace.same(counted) if counted else trace.unknown(axes[0].atom)


def stack(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Arrays side by side along a new axis."""
    rank, along = len(operands[0].axes), equation.params["axis"]
    axes = [_common(trace, [operand.axes[d] for operand in operands], operands) for d in range(rank)]
    axes.insert(along % (rank + 1), Axis(Atom(len(operands), {"a stack"})))
    return [Array(tuple(axes))]


def split(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """An array cut along one axis."""
    (x,), along, start, outputs = operands, equation.params["axis"], 0, []
    for size in map(int, equation.params["sizes"]):
        outputs.append(section(trace, x, along, start, start + size))
        start += size
    return outputs


def section(trace: Trace, x: Array, along: int, start: int, stop: int) -> Array:
    """Indices ``start … stop−1`` of an axis. One index of it holds it still, and other axes may depend on it."""
    axes = list(x.axes)
    if stop - start == axes[along].size:
        return x
    if stop - start == 1 or is_pinned(axes[along].atom):
        pin(axes[along].atom, "an index is taken of it")
        if stop - start == 1:
            axes = [trace.member(a, axes[along].atom, start) if d != along else a for d, a in enumerate(axes)]
        else:
            trace.mixed(x, along, "a part is taken of it")
        trace.vanish(axes[along])
        axes[along] = Axis(Atom(stop - start, {"a part of a pinned axis"}))
    else:
        axes[along] = axes[along].cut(start, stop)
    return Array(tuple(axes))


def slice_(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """A range of indices along every axis."""
    (x,) = operands
    starts, limits = equation.params["start_indices"], equation.params["limit_indices"]
    strides = equation.params["strides"] or (1,) * len(starts)
    for along, (start, limit, stride) in enumerate(zip(starts, limits, strides, strict=True)):
        if stride == 1 or limit - start == 1:
            x = section(trace, x, along, start, limit)
        else:
            axis = trace.mixed(x, along, "a slice with steps")
            trace.vanish(axis)
            axes = list(x.axes)
            axes[along] = Axis(Atom(math.ceil((limit - start) / stride), {"a slice with steps"}))
            x = Array(tuple(axes))
    return [x]


def pad(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """A border of one number."""
    x, border = operands
    axes = []
    for along, ((low, high, between), axis) in enumerate(zip(equation.params["padding_config"], x.axes, strict=True)):
        if low == high == between == 0:
            if not border.neutral(1):
                trace.vanish(axis)
            axes.append(axis)
        elif between or min(low, high) < 0 or is_pinned(axis.atom):
            trace.vanish(trace.mixed(x, along, "padding"))
            axes.append(Axis(Atom(equation.outvars[0].aval.shape[along], {"padding"})))
        else:
            sides = [Axis(Atom(size)) for size in (low, high)]
            if border.neutral(1):
                sides = [trace.unknown(side.atom) for side in sides]
            parts = [part for part in (sides[0], axis, sides[1]) if part.size]
            axes.append(joined("cat", parts))
    return [Array(tuple(axes))]


def rev(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """Axes turned round."""
    (x,) = operands
    axes = list(x.axes)
    for d in equation.params["dimensions"]:
        trace.vanish(trace.mixed(x, d, "an axis turned round"))
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
