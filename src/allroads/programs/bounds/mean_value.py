"""Mean-value form of every intermediate array: bounds over a set, met with what slopes allow around its centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jax.extend import core

from allroads.programs.bounds.bound import ROUNDING, Bound, constant
from allroads.programs.bounds.equation import bound_equation

Pair = tuple[Bound, Bound]
"""Bounds over a set, and at its centre."""


def exact(value: Any) -> Pair:
    """An array that is known exactly, over a set and at its centre."""
    found = constant(np.asarray(value))
    return found, found


def mean_value(number: int, equation: core.JaxprEqn, operands: Sequence[Pair]) -> list[Pair]:
    """An operation over sets and at their centres; values lie within their slopes' reach of the centre's.

    Raises:
        UnboundedError: If there is no rule for its primitive.
    """
    over = bound_equation(number, equation, [pair[0] for pair in operands])
    at = bound_equation(number, equation, [pair[1] for pair in operands])
    return [(_refined(o, c), c) for o, c in zip(over, at, strict=True)]


def _refined(over: Bound, at: Bound) -> Bound:
    if over.slow is None or over.shigh is None or not np.issubdtype(over.low.dtype, np.floating):
        return over
    middle = (at.low + at.high) / 2
    slack = (at.high - at.low) * (0.5 + ROUNDING) + 8 * ROUNDING * np.abs(middle)
    reach = np.maximum(np.abs(over.slow), np.abs(over.shigh)).sum(axis=0) * (1 + 1e-9) + slack
    low, high = np.fmax(over.low, middle - reach), np.fmin(over.high, middle + reach)
    return replace(over, low=low, high=high)
