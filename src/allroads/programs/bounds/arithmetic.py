"""Interval arithmetic with slopes and rounding errors: one rule per operation."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from allroads.programs.bounds.bound import GRID, ROUNDING, SMALL, TERMS, TINY, Bound, UnboundedError, constant, none


def _exact(*operands: Bound) -> bool:
    """Whether sums and products of the operands are computed without rounding."""
    return all(
        o.point and bool((np.abs(o.low) < SMALL).all()) and bool((o.low * GRID == np.rint(o.low * GRID)).all())
        for o in operands
        if o.low.dtype != bool
    )


def _made(
    low: np.ndarray, high: np.ndarray, error: np.ndarray, scale: np.ndarray, slopes: Any, exact: bool = False
) -> Bound:
    """A bound widened by the rounding of the network's arithmetic and of its own; ``scale`` is what is rounded."""
    if exact:
        return Bound(low, low, np.zeros(np.shape(low)))
    own = ROUNDING * scale + TINY
    shape = np.shape(low)
    if slopes is None:
        return Bound(low - own, high + own, np.broadcast_to(error + own, shape))
    slow, shigh = (np.broadcast_to(s, (len(s), *shape)) for s in slopes)
    return Bound(low - own, high + own, np.broadcast_to(error + own, shape), slow, shigh)


Interval = tuple[np.ndarray, np.ndarray]


def _plus(a: Interval, b: Interval) -> Interval:
    own = ROUNDING * (np.maximum(np.abs(a[0]), np.abs(a[1])) + np.maximum(np.abs(b[0]), np.abs(b[1])))
    return a[0] + b[0] - own, a[1] + b[1] + own


def _times(a: Interval, b: Interval) -> Interval:
    ends = [x * y for x in a for y in b]
    low, high = (np.minimum.reduce(ends), np.maximum.reduce(ends))
    own = ROUNDING * np.maximum(np.abs(low), np.abs(high)) + TINY
    return low - own, high + own


def _add(params: Any, a: Bound, b: Bound) -> Bound:
    slopes = None if none(a, b) else _plus(a.slopes, b.slopes)
    return _made(a.low + b.low, a.high + b.high, a.error + b.error, a.size + b.size, slopes, _exact(a, b))


def _neg(params: Any, a: Bound) -> Bound:
    if a.point:
        return constant(-a.low)
    slopes = (None, None) if a.slow is None or a.shigh is None else (-a.shigh, -a.slow)
    return Bound(-a.high, -a.low, a.error, *slopes)


def _sub(params: Any, a: Bound, b: Bound) -> Bound:
    return _add(params, a, _neg(params, b))


def _mul(params: Any, a: Bound, b: Bound) -> Bound:
    slopes: Any = None
    if not none(a, b):
        slopes = _plus(_times(a.slopes, (b.low, b.high)), _times((a.low, a.high), b.slopes))
    low, high = _times((a.low, a.high), (b.low, b.high))
    exact = _exact(a, b)
    if exact:
        low = a.low * b.low
    error = a.size * b.error + b.size * a.error
    return _made(low, high, error, a.size * b.size, slopes, exact)


def _monotone(function: Any, slope: Callable[[np.ndarray, np.ndarray], Interval]) -> Callable[..., Bound]:
    """The rule of a rising function, with bounds of its slope over an interval."""

    def rule(params: Any, a: Bound) -> Bound:
        low, high = function(a.low), function(a.high)
        least, most = slope(a.low - a.error, a.high + a.error)
        least, most = least * (1 - ROUNDING), most * (1 + ROUNDING) + ROUNDING * 1e-30
        slopes = None if a.slow is None else _times(a.slopes, (least, most))
        size = np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))  # a logistic function may be made of a tanh
        return _made(low, high, a.error * most, size, slopes)

    return rule


def _sech(low: np.ndarray, high: np.ndarray) -> Interval:
    near, far = (np.minimum(x, 300) for x in _near_far(low, high))
    least, most = (4 / (np.exp(x) + np.exp(-x)) ** 2 for x in (far, near))
    return np.where(far < 300, least, 0.0), most


def _logistic_slope(low: np.ndarray, high: np.ndarray) -> Interval:
    near, far = (np.exp(-np.minimum(x, 600)) for x in _near_far(low, high))
    return np.where(far > np.exp(-600), far / (1 + far) ** 2, 0.0), near / (1 + near) ** 2


def _near_far(low: np.ndarray, high: np.ndarray) -> Interval:
    """Smallest and largest absolute value in an interval."""
    a, b = np.abs(low), np.abs(high)
    return np.where((low < 0) & (high > 0), 0.0, np.minimum(a, b)), np.maximum(a, b)


def _logistic(x: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(x))
    found: np.ndarray = np.where(x >= 0, 1 / (1 + small), small / (1 + small))
    return found


def _exp_slope(low: np.ndarray, high: np.ndarray) -> Interval:
    return np.exp(low), np.exp(high)


def _larger(params: Any, a: Bound, b: Bound) -> Bound:
    low, high = np.maximum(a.low, b.low), np.maximum(a.high, b.high)
    if a.point and b.point:
        return constant(low)
    slopes: Any = (None, None)
    if not none(a, b):
        first, second = a.low - a.error >= b.high + b.error, b.low - b.error >= a.high + a.error
        (alow, ahigh), (blow, bhigh) = a.slopes, b.slopes
        slopes = (
            np.where(first, alow, np.where(second, blow, np.minimum(alow, blow))),
            np.where(first, ahigh, np.where(second, bhigh, np.maximum(ahigh, bhigh))),
        )
    shape = np.shape(low)
    error = np.where(
        a.low - a.error >= b.high + b.error,
        a.error,
        np.where(b.low - b.error >= a.high + a.error, b.error, np.maximum(a.error, b.error)),
    )
    return Bound(low, high, np.broadcast_to(error, shape), *slopes)


def _smaller(params: Any, a: Bound, b: Bound) -> Bound:
    return _neg(params, _larger(params, _neg(params, a), _neg(params, b)))


def _abs(params: Any, a: Bound) -> Bound:
    return _larger(params, a, _neg(params, a))


def _power(params: Any, a: Bound) -> Bound:
    if params["y"] != 2:
        raise UnboundedError(f"there is no bound for the power {params['y']}")
    return _square(params, a)


def _square(params: Any, a: Bound) -> Bound:
    found = _mul(params, a, a)
    return found if found.point else Bound(np.maximum(found.low, 0), found.high, found.error, found.slow, found.shigh)


def _div(params: Any, a: Bound, b: Bound) -> Bound:
    if not b.point or (b.low == 0).any():
        raise UnboundedError("there is no bound for a quotient by what is not constant")
    inverse = 1 / np.asarray(b.low, float)
    own = ROUNDING * np.abs(inverse)
    return _mul(params, a, Bound(inverse - own, inverse + own, np.zeros(inverse.shape)))


def _dot(params: Any, a: Bound, b: Bound) -> Bound:
    """A product sum by midpoints and radii, which is exact where one side is a point."""
    spec = _Einsum(params["dimension_numbers"], a.low.ndim, b.low.ndim)
    if _exact(a, b) and spec.terms(a.low) <= TERMS:
        return constant(spec(a.low, b.low))
    value = _dot_interval(spec, (a.low, a.high), (b.low, b.high))
    slopes: Any = None
    if a.slow is not None:
        slopes = _dot_interval(spec, a.slopes, (b.low, b.high), first=True)
    if b.slow is not None:
        other = _dot_interval(spec, (a.low, a.high), b.slopes, second=True)
        slopes = other if slopes is None else _plus(slopes, other)
    wide = max(1.0, spec.terms(a.low) / TERMS)
    error = spec(a.size, b.error) if b.error.any() else 0.0
    error = error + (spec(a.error, b.size) if a.error.any() else 0.0)
    return _made(*value, np.asarray(error), wide * spec(a.size, b.size), slopes)


def _dot_interval(spec: _Einsum, a: Interval, b: Interval, first: bool = False, second: bool = False) -> Interval:
    (am, ar), (bm, br) = _middle(a), _middle(b)
    middle = spec(am, bm, first, second)
    wide = max(1.0, spec.terms(am[0] if first else am) / TERMS)
    radius = 4 * ROUNDING * wide * spec(np.abs(am) + ar, np.abs(bm) + br, first, second)
    if ar is not None and ar.any():
        radius = radius + spec(ar, np.abs(bm) + br, first, second)
    if br.any():
        radius = radius + spec(np.abs(am), br, first, second)
    return middle - radius, middle + radius


def _middle(a: Interval) -> Interval:
    low, high = np.asarray(a[0], float), np.asarray(a[1], float)
    middle = (low + high) / 2
    return middle, np.maximum(high - middle, middle - low)


class _Einsum:
    """``dot_general`` by its dimension numbers, with one more leading axis on either side."""

    def __init__(self, numbers: Any, left: int, right: int):
        (lc, rc), (lb, rb) = numbers
        names = iter(string.ascii_lowercase)
        a, b = [next(names) for _ in range(left)], [next(names) for _ in range(right)]
        for i, j in (*zip(lc, rc, strict=True), *zip(lb, rb, strict=True)):
            b[j] = a[i]
        free_a = [n for i, n in enumerate(a) if i not in (*lc, *lb)]
        free_b = [n for j, n in enumerate(b) if j not in (*rc, *rb)]
        self.a, self.b = "".join(a), "".join(b)
        self.out = "".join([*(a[i] for i in lb), *free_a, *free_b])
        self.contracted = tuple(lc)

    def __call__(self, a: np.ndarray, b: np.ndarray, first: bool = False, second: bool = False) -> np.ndarray:
        lead = "Z" if first or second else ""
        spec = f"{lead * first}{self.a},{lead * second}{self.b}->{lead}{self.out}"
        found: np.ndarray = np.einsum(spec, np.asarray(a, float), np.asarray(b, float), optimize=True)
        return found

    def terms(self, a: np.ndarray) -> int:
        return int(np.prod([a.shape[i] for i in self.contracted]))


def _compare(operation: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[..., Bound]:
    """The rule of a comparison: false, true, or both where the intervals do not decide it."""

    def rule(params: Any, a: Bound, b: Bound) -> Bound:
        if a.point and b.point:
            return constant(operation(a.low, b.low))
        below = a.high + a.error < b.low - b.error
        above = a.low - a.error > b.high + b.error
        zero, one = np.zeros(below.shape), np.ones(below.shape)
        if_below, if_above = operation(zero, one), operation(one, zero)
        low = np.where(below, if_below, np.where(above, if_above, False))
        high = np.where(below, if_below, np.where(above, if_above, True))
        if np.array_equal(low, high):
            return constant(low)
        return Bound(low, high, (low != high).astype(float), *_jumps(low != high, a, b))

    return rule


def _jumps(where: np.ndarray, *operands: Bound) -> Any:
    """Slopes of what is constant but may jump at some places: none there are bounds; ``None`` without slopes at all."""
    if none(*operands):
        return None, None
    return np.where(where, -np.inf, 0.0)[None], np.where(where, np.inf, 0.0)[None]


def _select(params: Any, which: Bound, *cases: Bound) -> Bound:
    if len(cases) != 2 and not which.point:
        raise UnboundedError("there is no bound for a choice among several that the bounds leave open")
    if which.point:
        index = np.broadcast_to(which.low.astype(int), cases[0].low.shape)
        low = np.choose(index, [c.low for c in cases])
        if all(c.point for c in cases):
            return constant(low)
        parts: Any = [None, None]
        if not none(*cases):
            sides = [c.slopes for c in cases]
            size = max(len(s[0]) for s in sides)
            wide = [[np.broadcast_to(s, (size, *index.shape)) for s in pair] for pair in sides]
            parts = [np.choose(index[None], [pair[i] for pair in wide]) for i in (0, 1)]
        return Bound(low, np.choose(index, [c.high for c in cases]), np.choose(index, [c.error for c in cases]), *parts)
    a, b = cases
    low, high = np.minimum(a.low, b.low), np.maximum(a.high, b.high)
    decided_a, decided_b = ~which.high.astype(bool), which.low.astype(bool)
    low = np.where(decided_a, a.low, np.where(decided_b, b.low, low))
    high = np.where(decided_a, a.high, np.where(decided_b, b.high, high))
    jump = high - low + a.error + b.error
    error = np.where(decided_a, a.error, np.where(decided_b, b.error, jump))
    if none(which, a, b):
        return Bound(low, high, error)
    # Branches may meet with a jump, so no slope is claimed where the choice is open.
    (alow, ahigh), (blow, bhigh) = a.slopes, b.slopes
    slow = np.where(decided_a, alow, np.where(decided_b, blow, -np.inf))
    shigh = np.where(decided_a, ahigh, np.where(decided_b, bhigh, np.inf))
    return Bound(low, high, error, slow, shigh)


RULES: Mapping[str, Callable[..., Bound]] = {
    "add": _add,
    "add_any": _add,
    "sub": _sub,
    "neg": _neg,
    "mul": _mul,
    "div": _div,
    "max": _larger,
    "min": _smaller,
    "abs": _abs,
    "square": _square,
    "integer_pow": _power,
    "tanh": _monotone(np.tanh, _sech),
    "logistic": _monotone(_logistic, _logistic_slope),
    "exp": _monotone(np.exp, _exp_slope),
    "dot_general": _dot,
    "eq": _compare(np.equal),
    "ne": _compare(np.not_equal),
    "lt": _compare(np.less),
    "le": _compare(np.less_equal),
    "gt": _compare(np.greater),
    "ge": _compare(np.greater_equal),
    "select_n": _select,
}
"""Operations with a rule of their own."""
