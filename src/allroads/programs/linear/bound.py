"""A bound on how far an affine network's outputs are from a recurrence, over all inputs of a range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.programs.linear.affine import AffineCell
from allroads.programs.linear.recurrence import Recurrence

SPARE_BITS = 192
LONGEST = 1000
"""Length at which the search for a longer one stops."""
WORK = 2_000_000
"""Products of whole numbers that a bound may take."""
STEPS = 2**20
"""Steps in which the growth of errors is rounded up."""
CARE = 1 + 1e-9
"""Factor on every bound, above what the rounding of its own positive sums can take away."""


@dataclass(frozen=True)
class Bound:
    """What was shown of a network and a recurrence.

    Args:
        length: Length L up to which the network rounds to the recurrence, for all inputs of the range.
        always: Whether it does at every length.
        error: Largest distance of an output from the whole number, over these lengths.
    """

    length: int
    always: bool
    error: float


def bound(cell: AffineCell, program: Recurrence, reach: np.ndarray, positions: int) -> Bound:
    """Length up to which an affine network answers as a recurrence, for all inputs up to a size.

    Let G_k and g_t be the impulse and free response of the network, H_k and c_t those of the recurrence, and |x| ≤ X.
    An output at position t is off by at most ``Σ_k |G_k − H_k| X + |g_t − c_t|`` and the network's own rounding. That
    rounding is bounded step by step from the sizes of its weights and of its states. Powers of A are enclosed in
    fixed-point arithmetic. Below ½ the rounded answers are equal.

    All lengths are shown where, at some power, ``‖A^L‖ < 10⁻⁶`` and the recurrence forgets its inputs: then all sums
    converge, and geometric series bound what is left.

    Args:
        cell: The network's step.
        program: The recurrence.
        reach: X, the largest size of an input, ``[inputs]``.
        positions: Length T at which the network is used; at least 2 T is tried.

    Returns:
        A :class:`Bound`.

    When it fails: a bound is no estimate. A network may agree beyond it.

    References: [higham2002]

    Example:
        A leaky sum is no sum for long: it forgets a share of 10⁻³ at each position.

        >>> leak = AffineCell(*(np.array(m) for m in ([[0.999]], [[1.0]], [0.0], [[0.999]], [[1.0]], [0.0], [0.0])),
        ...                   state_size=np.ones((1, 3)), output_size=np.ones((1, 3)), rounding=1e-15)
        >>> add = Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0])
        >>> bound(leak, add, np.array([1.0]), 10).length  # 0.999^k is off by k 10⁻³: Σ_k k 10⁻³ reaches ½ at k = 32
        32
    """
    states, outputs = cell.a.shape[0], cell.c.shape[0]
    work = max((states + outputs) * states**2, 1)
    longest = max(2 * positions, min(LONGEST, WORK // work))
    powers = _Powers(cell, longest)
    response, free = program.responses(longest + 2)
    settled = _settles(program, response, free)
    drive = np.abs(cell.b) @ reach
    held, grown = np.abs(cell.start), np.zeros((states, states))
    seen, inflow, straying = np.zeros((outputs, states)), np.zeros(states), np.zeros(outputs)
    shifted, answered = np.zeros(states, dtype=object), np.zeros(outputs, dtype=object)
    noise, worst = np.zeros(states), 0.0
    for position in range(longest):
        # |G_k − H_k| X at lag k = position, and |g_t − c_t|
        impulse = powers.difference(
            powers.weights(cell.d, powers.scale + powers.fraction) if position == 0 else powers.passed,
            np.array(response[position], dtype=object),
        )
        straying = straying + impulse @ reach
        free_now = powers.shown(powers.start) + answered + powers.weights(cell.rest, powers.scale + powers.fraction)
        off = powers.difference(free_now, np.array(free[position], dtype=object), powers.slack)
        vector = np.concatenate([held, reach, [1.0]])
        local = cell.rounding * (cell.output_size @ vector) + 1e-300
        error = (straying + off + local + seen @ noise) * CARE
        worst_now = float(error.max())
        if not worst_now < 0.5:
            return Bound(position, False, worst)
        worst = max(worst, worst_now)
        noise = np.maximum(noise, cell.rounding * (cell.state_size @ vector) + 1e-300)
        grown = grown + powers.sizes(slice(0, states))
        seen = seen + powers.sizes(slice(states, None))
        inflow = inflow + powers.entering(reach)
        shifted, answered = shifted + powers.shown(powers.shift, states=True), answered + powers.shown(powers.shift)
        powers.advance()
        resting = powers.sizes_of(powers.shown(powers.start, states=True) + shifted)
        held = np.maximum(held, (resting + inflow + grown @ noise) * CARE)
        if settled is not None and position > max(settled, positions) and powers.norm < 1e-6:
            total = _tail(cell, powers, grown, seen, drive, reach, straying, off)
            if total < 0.5:
                return Bound(position + 1, True, max(worst, total))
    return Bound(longest, False, worst)


def _settles(program: Recurrence, response: Any, free: Any) -> int | None:
    """Position from which the impulse response is 0 and the free one constant; ``None`` where that is never."""
    n = program.states
    if len(response) < 2 * n + 3:
        return None
    quiet = all(not any(map(any, block)) for block in response[n + 1 : 2 * n + 2])
    steady = all(block == free[n] for block in free[n : 2 * n + 2])
    return n if quiet and steady else None


def _tail(
    cell: AffineCell,
    powers: _Powers,
    grown: np.ndarray,
    seen: np.ndarray,
    drive: np.ndarray,
    reach: np.ndarray,
    straying: np.ndarray,
    off: np.ndarray,
) -> float:
    """Largest error at any later position, from the power A^L reached and the sums over the powers below it."""
    share = powers.norm / (1 - powers.norm)
    left = share * float(grown.max(initial=0.0)) * CARE
    later = np.abs(cell.c).sum(axis=1) * left
    everything = grown + left
    seen_all = seen + later[:, None]
    state = everything @ (np.abs(cell.start) + np.abs(cell.shift) + drive)
    held = 2 * state + 1e-6
    vector = np.concatenate([held, reach, [1.0]])
    noise = cell.rounding * (cell.state_size @ vector) + 1e-300
    if not (state + everything @ noise <= held).all():
        return math.inf
    local = cell.rounding * (cell.output_size @ vector) + 1e-300
    last = powers.last_shown
    drift = (last + later[:, None]) @ (np.abs(cell.shift) + np.abs(cell.start) + drive)
    total = straying + off + drift + local + seen_all @ noise
    return float(total.max(initial=0.0)) * CARE


class _Powers:
    """Powers of A, and C times them, in fixed-point arithmetic with a bound on its error."""

    def __init__(self, cell: AffineCell, longest: int):
        numbers = [cell.a, cell.b, cell.shift, cell.c, cell.d, cell.rest, cell.start]
        self.fraction = max(
            (float(value).as_integer_ratio()[1].bit_length() - 1 for part in numbers for value in part.ravel()),
            default=0,
        )
        growth = float(np.abs(cell.a).sum(axis=0).max(initial=0.0)) * CARE
        self.growth = math.ceil(growth * STEPS)
        self.scale = self.fraction + SPARE_BITS + math.ceil(longest * math.log2(max(1.0, growth)))
        self.states = cell.a.shape[0]
        self.a, self.b = self.weights(cell.a, self.fraction), self.weights(cell.b, self.fraction)
        self.shift, self.start = self.weights(cell.shift, self.fraction), self.weights(cell.start, self.fraction)
        first = np.concatenate([np.eye(self.states), cell.c])
        self.rows = self.weights(first, self.scale)
        self.unsure = 0  # of every entry of rows, in units of its last place
        self.passed = self.rows[self.states :] @ self.b
        weighed = (np.abs(cell.b).sum(axis=0).max(initial=0.0), np.abs(cell.shift).sum(), np.abs(cell.start).sum())
        self.spread = math.ceil(max(map(float, weighed)) * CARE) + 1
        self.slack = 0
        self.last_shown = self.sizes(slice(self.states, None))

    def weights(self, values: np.ndarray, scale: int) -> np.ndarray:
        """Doubles as whole multiples of 2^−scale."""
        found = np.empty(values.shape, dtype=object)
        for place, value in np.ndenumerate(values):
            above, below = float(value).as_integer_ratio()
            found[place] = above * 2**scale // below
        return found

    def advance(self) -> None:
        """From the power j to j + 1."""
        self.last_shown = self.sizes(slice(self.states, None))
        self.slack += self.unsure * self.spread
        self.passed = self.rows[self.states :] @ self.b
        self.rows = (self.rows @ self.a) >> self.fraction
        self.unsure = self.unsure * self.growth // STEPS + 2

    def sizes(self, rows: slice) -> np.ndarray:
        """Upper bounds of the sizes of entries of A^j, or of C A^j."""
        return _floats(np.abs(self.rows[rows]), self.scale) + _float(self.unsure, self.scale)

    @property
    def norm(self) -> float:
        """Upper bound of the largest sum of a row of ``|A^j|``."""
        return float(self.sizes(slice(0, self.states)).sum(axis=1).max(initial=0.0)) * CARE

    def entering(self, reach: np.ndarray) -> np.ndarray:
        """``|A^j B| X``."""
        exact = _floats(np.abs(self.rows[: self.states] @ self.b), self.scale + self.fraction)
        found: np.ndarray = (exact + _float(self.unsure, self.scale) * self.spread) @ reach
        return found

    def shown(self, vector: np.ndarray, states: bool = False) -> np.ndarray:
        """``C A^j h`` of a fixed-point vector (or ``A^j h``), in units of products."""
        rows = self.rows[: self.states] if states else self.rows[self.states :]
        found: np.ndarray = rows @ vector
        return found

    def sizes_of(self, products: np.ndarray) -> np.ndarray:
        """Upper bounds of the sizes of sums of products so far."""
        return _floats(np.abs(products), self.scale + self.fraction) + _float(
            self.slack + self.unsure * self.spread, self.scale
        )

    def difference(self, products: np.ndarray, whole: np.ndarray, slack: int = 0) -> np.ndarray:
        """Upper bounds of the distances of products from whole numbers."""
        exact = products - whole * 2 ** (self.scale + self.fraction)
        unsure = slack + 2 * self.unsure * self.spread
        return _floats(np.abs(exact), self.scale + self.fraction) + _float(unsure, self.scale)


def _floats(whole: np.ndarray, scale: int) -> np.ndarray:
    unit = 2**scale
    found: np.ndarray = np.array([value / unit for value in whole.ravel()], dtype=float).reshape(whole.shape) * CARE
    return found


def _float(units: int, scale: int) -> float:
    return float(units / 2**scale) * CARE
