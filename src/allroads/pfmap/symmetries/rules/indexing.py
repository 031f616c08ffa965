"""Operations that look up or write at indices."""

from __future__ import annotations

from collections.abc import Sequence

from jax.extend import core

from allroads.pfmap.jaxpr import shaped
from allroads.pfmap.symmetries.axes import Atom
from allroads.pfmap.symmetries.constraints import SIGN, Array, Axis, Constraints
from allroads.pfmap.symmetries.rules.shapes import section


def dynamic_slice(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """A range of indices that starts where an operand says."""
    x, *starts = operands
    for along, (size, start) in enumerate(zip(equation.params["slice_sizes"], starts, strict=True)):
        if start.value is not None:
            at = min(max(int(start.value), 0), x.axes[along].size - size)
            x = section(constraints, x, along, at, at + size)
        elif size != x.axes[along].size:
            constraints.require_degree_zero(constraints.pin_ordered(x, along, "an index that depends on values"))
            axes = list(x.axes)
            axes[along] = Axis(Atom(size, {"an index that depends on values"}))
            x = Array(tuple(axes))
    return [x]


def dynamic_update_slice(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """A range of indices written over; axes written in full are common."""
    x, update, *_ = operands
    axes = []
    for d, (axis, new) in enumerate(zip(x.axes, update.axes, strict=True)):
        if axis.size == new.size:
            counted = [a for a, o in ((axis, x), (new, update)) if not o.invariant_under(SIGN)]
            constraints.unify(axis, new)
            axes.append(constraints.equate(counted) if counted else constraints.unknown(axis.atom))
        else:
            for array in (x, update):
                constraints.require_degree_zero(constraints.pin_ordered(array, d, "written at an index"))
            axes.append(Axis(Atom(axis.size, {"written at an index"})))
    return [Array(tuple(axes))]


def gather(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """A lookup: axes that are taken whole pass, axes that are indexed keep their order."""
    (x, indices), numbers = operands, equation.params["dimension_numbers"]
    if indices.value is not None and len(indices.axes) == 1:
        for d, start in zip(numbers.start_index_map, indices.value, strict=True):
            size = equation.params["slice_sizes"][d]
            at = min(max(int(start), 0), x.axes[d].size - size)
            x = section(constraints, x, d, at, at + size)
        return [Array(tuple(axis for d, axis in enumerate(x.axes) if d not in numbers.collapsed_slice_dims))]
    for axis in indices.axes:
        constraints.require_degree_zero(axis)
    batching = dict(zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True))
    for own, other in batching.items():
        constraints.unify(x.axes[own], indices.axes[other])
    offsets = []
    for d, axis in enumerate(x.axes):
        size = equation.params["slice_sizes"][d]
        if d in batching:
            constraints.require_degree_zero(axis)
        elif size == axis.size and d not in numbers.collapsed_slice_dims:
            offsets.append(axis)
        else:
            constraints.require_degree_zero(constraints.pin_ordered(x, d, "looked up by index"))
            if d not in numbers.collapsed_slice_dims:
                offsets.append(Axis(Atom(size, {"looked up by index"})))
    batch = [Axis(axis.atom) for axis in indices.axes[:-1]]
    rank = len(shaped(equation.outvars[0]).shape)
    return [Array(tuple((offsets if d in numbers.offset_dims else batch).pop(0) for d in range(rank)))]


RULES = {"dynamic_slice": dynamic_slice, "dynamic_update_slice": dynamic_update_slice, "gather": gather}
