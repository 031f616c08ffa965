"""Affine cells: the step of a recurrent network as one affine map, read off its operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from allroads.pfmap.jaxpr.walk import bind, interpret, trace
from allroads.pfmap.precision import float64
from allroads.programs.subject import Subject

UNIT = 2.0**-53
"""Relative error of one rounding in double precision."""

ONE_ARGUMENT = ("neg", "reshape", "transpose", "broadcast_in_dim", "squeeze", "slice", "rev", "copy", "split",
                "expand_dims", "reduce_sum")  # fmt: skip
SEVERAL = ("add", "sub", "add_any", "concatenate")
PRODUCTS = ("mul", "dot_general")
EXACT = ("neg", "reshape", "transpose", "broadcast_in_dim", "squeeze", "slice", "rev", "copy", "split", "expand_dims",
         "concatenate", "convert_element_type", "iota")  # fmt: skip
"""Operations that only move numbers, so that constants made by them are exact."""


class NotAffine(Exception):
    """The step holds an operation that is not affine."""


@dataclass(frozen=True)
class AffineCell:
    """A step ``h ← A h + B x + b`` that answers ``C h + D x + e`` from the state before it.

    The network's own arithmetic differs from it by at most ``rounding`` times ``|h|, |x|, 1`` weighted by the sizes.

    Args:
        a: A, ``[n, n]``.
        b: B, ``[n, inputs]``.
        shift: b, ``[n]``.
        c: C, ``[outputs, n]``.
        d: D, ``[outputs, inputs]``.
        rest: e, ``[outputs]``.
        start: First state, ``[n]``.
        state_size: Sums over all paths of the sizes of products of weights, ``[n, n + inputs + 1]``.
        output_size: The same of the outputs, ``[outputs, n + inputs + 1]``.
        rounding: 2 γ_K, with K roundings on the longest path: γ_K = K u / (1 − K u), u = 2⁻⁵³.

    References: [higham2002]
    """

    a: np.ndarray
    b: np.ndarray
    shift: np.ndarray
    c: np.ndarray
    d: np.ndarray
    rest: np.ndarray
    start: np.ndarray
    state_size: np.ndarray
    output_size: np.ndarray
    rounding: float


@dataclass(frozen=True)
class _Value:
    """An affine function of (h, x, 1): coefficients and sizes ``[..., n + inputs + 1]``, and roundings on the way."""

    coefficients: np.ndarray
    size: np.ndarray
    roundings: int


def affine_cell(subject: Subject) -> AffineCell | str:
    """The step of a recurrent network as an affine map, or the name of an operation that is not affine.

    Every operation of the traced step is followed, so the answer holds for all states and inputs and not for those that
    were tried. Constants must stand in the parameters: what the step computes from them alone counts as not affine.

    Example:
        >>> from allroads import Target
        >>> from allroads.programs.linear import Recurrence, compile_recurrence
        >>> from allroads.programs.subject import subject_of
        >>> target = Target("sum", alphabet=5, length=4, step=lambda s, x: (s + x, s + x), initial_state=0,
        ...                 as_numbers=True)
        >>> add = Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0])
        >>> cell = affine_cell(subject_of(*compile_recurrence(add, length=4), target))
        >>> cell.c @ cell.a @ cell.b
        array([[1.]])
    """
    cell = subject.network.cell
    if cell is None:
        return "no cell"
    shape = (1, *subject.target.interface.input_shape[1:])
    with float64():
        state = cell.initial_state(subject.params, 1)
        leaves, _ = jax.tree.flatten(state)
        sizes = [int(np.size(leaf)) for leaf in leaves]
        if any(np.asarray(leaf).dtype != np.float64 for leaf in leaves):
            return "states that are not in double precision"
        traced = trace(cell.step, subject.params, state, np.zeros(shape))
        n, inputs = sum(sizes), int(np.prod(shape))
        ends = np.cumsum([0, *sizes])
        given: list[Any] = [np.asarray(leaf) for leaf in jax.tree.leaves(subject.params)]
        given += [_variable(n + inputs + 1, int(i), np.shape(leaf)) for i, leaf in zip(ends, leaves, strict=False)]
        given.append(_variable(n + inputs + 1, n, shape))
        try:
            consts = [np.asarray(c) for c in traced.consts]
            found = interpret(
                traced.jaxpr, consts, given, lambda _, equation, values: _operation(equation, values), np.asarray
            )
        except NotAffine as error:
            return str(error)
    values = [_as_value(value, n + inputs + 1) for value in found]
    width = n + inputs + 1
    states = np.concatenate([v.coefficients.reshape(-1, width) for v in values[: len(leaves)]])
    state_size = np.concatenate([v.size.reshape(-1, width) for v in values[: len(leaves)]])
    output, output_size = values[-1].coefficients.reshape(-1, width), values[-1].size.reshape(-1, width)
    steps = max(value.roundings for value in values) * UNIT
    return AffineCell(
        a=states[:, :n],
        b=states[:, n:-1],
        shift=states[:, -1],
        c=output[:, :n],
        d=output[:, n:-1],
        rest=output[:, -1],
        start=np.concatenate([np.asarray(leaf, dtype=float).ravel() for leaf in leaves]),
        state_size=state_size,
        output_size=output_size,
        rounding=2 * steps / (1 - steps),
    )


def _variable(width: int, first: int, shape: tuple[int, ...]) -> _Value:
    rows = np.eye(width)[first : first + int(np.prod(shape))].reshape(*shape, width)
    return _Value(rows, rows, 0)


def _as_value(value: Any, width: int) -> _Value:
    if isinstance(value, _Value):
        return value
    rows = np.zeros((*np.shape(value), width))
    rows[..., -1] = value
    return _Value(rows, np.abs(rows), 0)


def _operation(equation: Any, operands: list[Any]) -> list[Any]:
    name, options = equation.primitive.name, equation.params
    moving = [operand for operand in operands if isinstance(operand, _Value)]

    def apply(*parts: Any) -> list[Any]:
        return bind(equation, list(parts))

    if not moving:
        if name not in EXACT:
            raise NotAffine(f"{name} of weights alone")
        return [np.asarray(part) for part in apply(*operands)]
    width = moving[0].coefficients.shape[-1]
    roundings = max(value.roundings for value in moving)
    if name == "convert_element_type" and np.dtype(options["new_dtype"]) == np.float64:
        return [moving[0]]
    if name in ONE_ARGUMENT:
        count = operands[0].coefficients[..., 0].size if name == "reduce_sum" else 0
        return _columns(apply, moving, [moving[0].size], roundings + count)
    if name in SEVERAL:
        parts = [_as_value(operand, width) for operand in operands]
        if name != "concatenate":
            first, second = parts
            sign = -1 if name == "sub" else 1
            total = first.coefficients + sign * second.coefficients
            return [_Value(total, first.size + second.size, roundings + 1)]
        return _columns(apply, parts, [part.size for part in parts], roundings)
    if len(moving) == 1 and (name in PRODUCTS or (name == "div" and isinstance(operands[0], _Value))):
        place = next(i for i, operand in enumerate(operands) if isinstance(operand, _Value))
        value, other = moving[0], operands[1 - place]
        if name == "dot_general":
            return [_dot(value, other, options["dimension_numbers"], place)]
        if name == "div":
            return [_Value(value.coefficients / other[..., None], value.size / np.abs(other[..., None]), roundings + 1)]
        return [_Value(value.coefficients * other[..., None], value.size * np.abs(other[..., None]), roundings + 1)]
    raise NotAffine(name)


def _dot(value: _Value, other: np.ndarray, numbers: Any, place: int) -> _Value:
    """A product with constant weights, without batch axes; the value is its operand ``place``."""
    (contracted, batch) = numbers
    if any(batch):
        raise NotAffine("dot_general with batch axes")

    def product(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        if place:
            return np.tensordot(weights, rows, axes=contracted)
        return np.moveaxis(np.tensordot(rows, weights, axes=contracted), rows.ndim - 1 - len(contracted[0]), -1)

    count = int(np.prod([other.shape[axis] for axis in contracted[1 - place]])) + 1
    sizes = product(value.size, np.abs(other))
    return _Value(product(value.coefficients, other), sizes, value.roundings + count)


def _columns(
    apply: Callable[..., Any], values: Sequence[_Value], sizes: Sequence[np.ndarray], roundings: int
) -> list[Any]:
    """An operation that is linear, done to every coefficient and to the sizes."""

    def each(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(part) for part in jax.vmap(apply, in_axes=-1, out_axes=-1)(*parts)]

    moved, grown = each([value.coefficients for value in values]), each(sizes)
    return [_Value(m, np.abs(g), roundings) for m, g in zip(moved, grown, strict=True)]
