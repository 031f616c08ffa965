"""Products that sum over an axis: matrix products and convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from jax.extend import core

from allroads.pfmap.jaxpr import shaped
from allroads.pfmap.symmetries.axes import Atom
from allroads.pfmap.symmetries.constraints import SYSTEMS, Array, Axis, Constraints, compound_axis
from allroads.pfmap.symmetries.degrees import total
from allroads.pfmap.symmetries.rules.opaque import opaque


def product(constraints: Constraints, left: Axis, right: Axis) -> Axis:
    """The common axis of two factors."""
    constraints.unify(left, right)
    scale, sign = (total([(1, left.degrees[s]), (1, right.degrees[s])]) for s in SYSTEMS)
    return Axis(left.atom, (scale, sign))


def dot_general(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Batch axes are common, contracted ones cancel, free ones pass."""
    left, right = operands
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    for i, j in zip(left_sum, right_sum, strict=True):
        constraints.require_degree_zero(product(constraints, left.axes[i], right.axes[j]))
    batch = [product(constraints, left.axes[i], right.axes[j]) for i, j in zip(left_batch, right_batch, strict=True)]
    free = [a for i, a in enumerate(left.axes) if i not in (*left_sum, *left_batch)]
    free += [a for j, a in enumerate(right.axes) if j not in (*right_sum, *right_batch)]
    return [Array((*batch, *free))]


def convolution(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """Channels are contracted, in groups where there are several; space keeps its order."""
    image, kernel, params = *operands, equation.params
    if params["batch_group_count"] != 1:
        return opaque(constraints, equation, operands)
    (batch, channels, *space), (out, into, *window), spec = (
        params["dimension_numbers"].lhs_spec,
        params["dimension_numbers"].rhs_spec,
        params["dimension_numbers"].out_spec,
    )
    groups, shape = params["feature_group_count"], shaped(equation.outvars[0]).shape
    for d in space:
        constraints.require_degree_zero(constraints.pin_ordered(image, d, "a convolution along it"))
    for d in window:
        constraints.require_degree_zero(constraints.pin_ordered(kernel, d, "a convolution along it"))
    source, target = image.axes[channels], kernel.axes[out]
    if groups == 1:
        constraints.require_degree_zero(product(constraints, source, kernel.axes[into]))
    else:
        group, within = source.split(source.size // groups)
        group_out, out_within = target.split(target.size // groups)
        constraints.require_degree_zero(product(constraints, within, kernel.axes[into]))
        target = compound_axis("prod", [product(constraints, group, group_out), out_within])
    axes = [Axis(Atom(size, {"a convolution along it"})) for size in shape]
    axes[spec[0]], axes[spec[1]] = image.axes[batch], target
    return [Array(tuple(axes))]


RULES = {"dot_general": dot_general, "conv_general_dilated": convolution}
