"""What a network with some inputs fixed still is as a function of the others: its affine parts in front of each kink.

Every array is an affine part and a rest. Units that are affine over the box (on, off, or a function of one free bit)
stay in the affine part. All others go into the rest, and what stands in front of them is recorded. Two boxes in which
all that is recorded agrees are the same function of their free inputs: by induction over the equations, the rests agree
because they are computed from the same operands, and the affine parts agree where they are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jax.extend import core

from allroads.pfmap.jaxpr.walk import shaped
from allroads.programs.bounds.bound import Bound, UnboundedError, constant
from allroads.programs.bounds.equation import bound_equation
from allroads.programs.bounds.mean_value import mean_value
from allroads.programs.bounds.structural import STRUCTURAL

LINEAR = frozenset(("add", "add_any", "sub", "neg", "split", *STRUCTURAL))
"""Operations that are affine in all operands; products and quotients are where the other operand is constant."""

ELEMENTWISE = frozenset(("max", "min", "abs", "square", "integer_pow", "tanh", "logistic", "exp", "mul"))
"""Operations whose units may be affine although the operation is not."""

NEAR = 1e-9
"""How far, relative to its size, a unit may reach beyond a kink and be taken as affine; the difference is an error."""

NOTHING = 1e-250
"""Weights below are taken as no weights when it is asked what reaches a unit."""

Key = tuple[int, int]
"""The number of an equation and the place of an operand; (-1, 0) for the outputs."""


@dataclass(frozen=True, eq=False)
class Part:
    """The affine part of an array over boxes, and where there is a rest.

    Args:
        over: Bounds of the affine part over the boxes, with its slopes.
        at: Bounds of it at their centres.
        rest: Where the array has another part; ``None`` for nowhere.
    """

    over: Bound
    at: Bound
    rest: np.ndarray | None = None

    @property
    def known(self) -> bool:
        """Whether the array is the same on all boxes."""
        return self.over.slow is None and self.rest is None


Record = dict[Key, tuple[Part, np.ndarray]]
"""What stands in front of each kink, and which of its units are not affine there."""


def residual(
    number: int,
    equation: core.JaxprEqn,
    operands: Sequence[Part],
    record: Record,
    slack: Mapping[Key, np.ndarray] | None,
) -> list[Part]:
    """The affine parts of the outputs of one equation; what is not affine is recorded.

    Args:
        number: The number of the equation.
        equation: The equation.
        operands: Its operands.
        record: Gets what stands in front of a kink.
        slack: Differences that operands may have, by site.

    Raises:
        UnboundedError: If there is no rule for its primitive.
    """
    if all(part.known for part in operands):
        return [Part(found, found) for found in bound_equation(number, equation, [part.at for part in operands])]
    if _linear(equation.primitive.name, operands):
        pairs = mean_value(number, equation, [(part.over, part.at) for part in operands])
        rests = _rests(number, equation, operands)
        return [Part(*pair, rest) for pair, rest in zip(pairs, rests, strict=True)]
    if slack is not None:
        operands = [loosened(part, slack.get((number, place))) for place, part in enumerate(operands)]
    shape = shaped(equation.outvars[0]).shape
    fits = equation.primitive.name in ELEMENTWISE
    fits = fits and all(part.known or part.at.low.shape == shape for part in operands)
    if fits:
        found = _elementwise(number, equation, operands)
    else:
        found = [_unknown(shaped(var).shape, operands) for var in equation.outvars]
    for place, part in enumerate(operands):
        if not part.known:
            record[number, place] = part, _mask(found[0].rest, part, fits)
    return found


def _mask(rest: np.ndarray | None, part: Part, elementwise: bool) -> np.ndarray:
    """Which units of an operand of a kink are read by a rest."""
    if not elementwise:
        return np.ones(part.at.low.shape, bool)
    return np.zeros(part.at.low.shape, bool) if rest is None else rest


def _linear(name: str, operands: Sequence[Part]) -> bool:
    moving = [place for place, part in enumerate(operands) if not part.known]
    if name in ("mul", "dot_general"):
        return len(moving) == 1
    if name == "div":
        return moving == [0]
    if name == "select_n":
        return operands[0].known
    return name in LINEAR


def _rests(number: int, equation: core.JaxprEqn, operands: Sequence[Part]) -> list[np.ndarray | None]:
    """Where the outputs of an affine operation have a rest: where a rest reaches them through some weight."""
    if all(part.rest is None for part in operands):
        return [None] * len(equation.outvars)
    weights = equation.primitive.name in ("mul", "dot_general", "div")
    given = []
    for place, part in enumerate(operands):
        if part.known and (weights or (equation.primitive.name == "select_n" and place == 0)):
            given.append(part.at)
        else:
            mask = np.zeros(part.at.low.shape) if part.rest is None else part.rest.astype(float)
            given.append(Bound(-mask, mask, np.zeros(mask.shape)))
    return [found.high > NOTHING for found in bound_equation(number, equation, given)]


def _elementwise(number: int, equation: core.JaxprEqn, operands: Sequence[Part]) -> list[Part]:
    """Units of one free bit are affine in it; those of a maximum also where it is one operand all over the box."""
    shape = shaped(equation.outvars[0]).shape
    width = max(len(part.over.slopes[0]) for part in operands if not part.known)
    depends, mixed = np.zeros((width, *shape), bool), np.zeros(shape, bool)
    for part in operands:
        if not part.known:
            slow, shigh = part.over.slopes
            depends |= np.maximum(np.abs(slow), np.abs(shigh)) > NOTHING
            mixed |= False if part.rest is None else part.rest
    affine = ~mixed & (depends.sum(axis=0) <= 1)
    up, down = (bound_equation(number, equation, [_end(part, sign) for part in operands])[0] for sign in (1, -1))
    middle = _half(up.low + down.low, True), _half(up.high + down.high, False)
    steep = (
        np.where(depends, _half(up.low - down.high, True), 0.0),
        np.where(depends, _half(up.high - down.low, False), 0.0),
    )
    error = np.maximum(up.error, down.error)
    for chosen, on, short, more in _larger(equation.primitive.name, operands):
        on = on & ~mixed & ~affine
        slow, shigh = chosen.over.slopes
        middle = np.where(on, chosen.at.low, middle[0]), np.where(on, chosen.at.high + short, middle[1])
        steep = np.where(on, slow, steep[0]), np.where(on, shigh, steep[1])
        error = np.where(on, chosen.over.error + more, error)
        affine = affine | on
    low, high = (np.where(affine, side, 0.0) for side in middle)
    slow, shigh = (np.where(affine, side, 0.0) for side in steep)
    error = np.where(affine, error, 0.0)
    reach = np.maximum(np.abs(slow), np.abs(shigh)).sum(axis=0) * (1 + 1e-9)
    over = Bound(low - reach, high + reach, error, slow, shigh)
    return [Part(over, Bound(low, high, np.zeros(shape)), None if affine.all() else ~affine)]


def _larger(name: str, operands: Sequence[Part]) -> list[tuple[Part, np.ndarray, np.ndarray, np.ndarray]]:
    """For each operand of a maximum where it is the result over the whole box, and by how much it may fall short.

    That is twice: of exact values, and how much more of computed ones.
    """
    if name != "max" or len(operands) != 2:
        return []
    found = []
    for own, other in (operands, operands[::-1]):
        short = np.maximum(0.0, other.over.high - own.over.low) * (1 + 1e-15)
        more = short + other.over.error + own.over.error
        size = 1 + np.abs(own.over.low) + np.abs(own.over.high)
        apart = own.over.low - own.over.error - other.over.high - other.over.error
        on = apart >= -NEAR * size
        found.append((own, on, short, np.where(apart >= 0, 0.0, more)))
    return found


def _end(part: Part, sign: int) -> Bound:
    """The affine part with all its free bits at one end: for units of one free bit, its value there."""
    if part.known:
        return part.at
    slow, shigh = (side.sum(axis=0) for side in part.over.slopes)
    low, high = (part.at.low + slow, part.at.high + shigh) if sign > 0 else (part.at.low - shigh, part.at.high - slow)
    own = 1e-15 * (np.abs(part.at.low) + np.abs(slow) + np.abs(shigh)) + 1e-200
    return Bound(low - own, high + own, np.broadcast_to(part.over.error, low.shape))


def _half(total: np.ndarray, down: bool) -> np.ndarray:
    half: np.ndarray = total / 2
    own = 1e-15 * np.abs(half) + 1e-200
    return np.asarray(half - own if down else half + own)


def _unknown(shape: tuple[int, ...], operands: Sequence[Part]) -> Part:
    """An array of which nothing is affine."""
    width = max(len(part.over.slopes[0]) for part in operands if not part.known)
    zero, none = np.zeros(shape), np.zeros((width, *shape))
    return Part(Bound(zero, zero.copy(), zero, none, none), constant(zero), np.ones(shape, bool))


def loosened(part: Part, more: np.ndarray | None) -> Part:
    """An array whose computed values may be further from the affine part."""
    if more is None or not more.any():
        return part
    return replace(part, over=replace(part.over, error=part.over.error + more))


@dataclass(frozen=True, eq=False)
class Sites:
    """The kinks of a network for a fixed number of boxes.

    Args:
        axes: For each site the axis of the boxes, and the shape of the array.
    """

    axes: Mapping[Key, tuple[int, tuple[int, ...]]]

    def spread(self, slack: np.ndarray) -> dict[Key, np.ndarray]:
        """Differences ``[N, F]`` as arrays in front of each kink."""
        found, first = {}, 0
        for key, (axis, shape) in self.axes.items():
            own = (shape[axis], *shape[:axis], *shape[axis + 1 :])
            size = int(np.prod(own[1:]))
            found[key] = np.moveaxis(slack[:, first : first + size].reshape(own), 0, axis)
            first += size
        return found

    def gathered(self, record: Record, rows: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Signatures ``[N, F, 2 + K]``, how far exact values may be from them, and how far computed ones ``[N, F]``."""
        signatures: list[np.ndarray] = []
        spreads: list[np.ndarray] = []
        errors: list[np.ndarray] = []
        for key, (axis, shape) in self.axes.items():
            part, mask = record[key]
            slow, shigh = (np.broadcast_to(side, (width, *shape)) for side in part.over.slopes)
            low, high = np.broadcast_to(part.at.low, shape), np.broadcast_to(part.at.high, shape)
            spread = (high - low) / 2 + ((shigh - slow) / 2).sum(axis=0)
            spread = spread * (1 + 1e-9) + 1e-15 * (np.abs(low) + np.abs(high) + np.abs(slow).sum(axis=0))
            parts = [mask.astype(float), (low + high) / 2, *((slow + shigh) / 2)]
            flat = [np.moveaxis(np.where(mask, p, 0.0), axis, 0).reshape(rows, -1) for p in parts]
            signatures.append(np.stack(flat, axis=-1))
            for some, whole in ((spreads, spread), (errors, (spread + part.over.error) * (1 + 1e-15))):
                some.append(np.moveaxis(np.where(mask, whole, 0.0), axis, 0).reshape(rows, -1))
        return np.concatenate(signatures, axis=1), np.concatenate(spreads, axis=1), np.concatenate(errors, axis=1)


def sites_of(
    first: Mapping[Key, tuple[int, ...]], second: Mapping[Key, tuple[int, ...]], rows: int, fewer: int
) -> Sites:
    """The sites, from the shapes of arrays for two numbers of boxes.

    Raises:
        UnboundedError: If an array has no axis of the boxes.
    """
    axes = {}
    for key, shape in first.items():
        other = second.get(key, ())
        moved = [i for i, (a, b) in enumerate(zip(shape, other, strict=False)) if a != b]
        if len(shape) != len(other) or len(moved) != 1 or (shape[moved[0]], other[moved[0]]) != (rows, fewer):
            raise UnboundedError("an intermediate array has no axis of its own for the examples")
        axes[key] = moved[0], shape
    return Sites(axes)
