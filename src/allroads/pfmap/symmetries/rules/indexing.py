"""Operations that look up or write at indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    return [_written(constraints, x, update, {d: d for d in range(len(x.axes))})]


def scatter(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Slices written or added at places; axes that a slice holds in full are common."""
    (x, indices, update), numbers = operands, equation.params["dimension_numbers"]
    for axis in indices.axes:
        constraints.require_degree_zero(axis)
    apart = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    windows = [d for d in range(len(x.axes)) if d not in apart]
    return [_written(constraints, x, update, dict(zip(windows, numbers.update_window_dims, strict=True)))]


def _written(constraints: Constraints, x: Array, update: Array, common: Mapping[int, int]) -> Array:
    """An array with parts of it written over.

    Args:
        constraints: What is known so far.
        x: The array.
        update: The parts.
        common: Dimension of the array → dimension of the parts, where both have one; those of one size are common.
    """
    whole = {d: k for d, k in common.items() if x.axes[d].size == update.axes[k].size}
    for array, kept in ((x, whole.keys()), (update, set(whole.values()))):
        for d in range(len(array.axes)):
            if d not in kept:
                constraints.require_degree_zero(constraints.pin_ordered(array, d, "written at an index"))
    axes = []
    for d, axis in enumerate(x.axes):
        if d in whole:
            new = update.axes[whole[d]]
            counted = [a for a, o in ((axis, x), (new, update)) if not o.invariant_under(SIGN)]
            constraints.unify(axis, new)
            axes.append(constraints.equate(counted) if counted else constraints.unknown(axis.atom))
        else:
            axes.append(Axis(axis.atom))
    return Array(tuple(axes))


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


RULES = {
    "dynamic_slice": dynamic_slice,
    "dynamic_update_slice": dynamic_update_slice,
    "gather": gather,
    "scatter": scatter,
    "scatter-add": scatter,
}
