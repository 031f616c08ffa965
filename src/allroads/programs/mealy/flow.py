"""Sets of hidden states with slopes, and whether a network answers over them as a machine does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from allroads.programs.bounds.bound import ROUNDING, Bound
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.quotient import Quotient

HELD = 64_000_000
"""Numbers of bounds that are held at once: half a gigabyte."""


def most_sets(steps: Steps, slopes: bool) -> int:
    """How many sets of hidden states may be moved at once, by what the bounds of all intermediates take; may be 0.

    An array has two ends and an error, and with slopes two ends along each of H axes besides.

    Args:
        steps: The network.
        slopes: Whether slopes are bounded.
    """
    return HELD // (steps.numbers * (3 + 2 * steps.width * slopes))


@dataclass(frozen=True, eq=False)
class Flow:
    """Sets of hidden states ``c + Σ_k y_k g_k + e``: centres ``[n, H]``, slopes ``[K, n, H]`` and errors ``[n, H]``.

    ``low`` and ``high`` are a box around ``c + Σ y g``. Without slopes the box is all there is. A region around a
    point p is where ``|Bᵀ (h − p)|`` is at most its half-widths, with B the basis; ``None`` stands for the units' own
    axes.
    """

    centre: np.ndarray | None
    slow: np.ndarray | None
    shigh: np.ndarray | None
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    basis: np.ndarray | None

    @classmethod
    def box(cls, centre: np.ndarray, radius: np.ndarray, basis: np.ndarray | None) -> Flow:
        """The regions with half-widths ``[n, H]`` around points ``[n, H]``."""
        error = np.zeros_like(centre)
        if basis is None:
            own = np.where(radius > 0, 2 * ROUNDING * (np.abs(centre) + radius), 0.0)
            return cls(None, None, None, error, centre - radius - own, centre + radius + own, None)
        # Bᵀ (h − p) = z gives h − p = B (I + E)⁻¹ z with E = Bᵀ B − I, which rounding leaves.
        off = float(np.abs(basis.T @ basis - np.eye(len(basis))).sum(axis=1).max()) + ROUNDING * len(basis)
        radius = radius * (1 + ROUNDING) + 2 * off * radius.max(axis=1, keepdims=True)
        spread = np.moveaxis(basis[None] * radius[:, None, :], 2, 0)
        reach = np.abs(spread).sum(axis=0) * (1 + 1e-9) + 2 * ROUNDING * np.abs(centre)
        return cls(centre, spread, spread, error, centre - reach, centre + reach, basis)

    @classmethod
    def at(cls, points: np.ndarray, basis: np.ndarray | None) -> Flow:
        """Points ``[n, H]``."""
        zero = None if basis is None else np.zeros((1, *points.shape))
        return cls(None if basis is None else points, zero, zero, np.zeros_like(points), points, points, basis)

    @classmethod
    def after(cls, moved: Bound, at: Bound, basis: np.ndarray | None) -> Flow:
        """What becomes of a set: its image bounded over the set, and the image of its centre."""
        if at.point:
            centre, off = at.low, np.zeros_like(at.low)
        else:
            centre = (at.low + at.high) / 2
            off = np.maximum(at.high - centre, centre - at.low) * (1 + ROUNDING)
        slow, shigh = moved.slopes
        return cls(centre, slow, shigh, moved.error + off, moved.low - off, moved.high + off, basis)

    def repeated(self, times: int) -> Flow:
        """The same sets, each several times in a row."""
        parts = {name: getattr(self, name) for name in ("centre", "slow", "shigh", "error", "low", "high")}
        wide: dict[str, Any] = {
            name: None if part is None else np.repeat(part, times, axis=-2) for name, part in parts.items()
        }
        return replace(self, **wide)

    def hull(self) -> tuple[np.ndarray, np.ndarray]:
        """A box around ``c + Σ y g``."""
        if self.centre is None or self.slow is None or self.shigh is None:
            return self.low, self.high
        spread = np.maximum(np.abs(self.slow), np.abs(self.shigh)).sum(axis=0) * (1 + 1e-9)
        own = np.where(spread > 0, 4 * ROUNDING * (np.abs(self.centre) + spread), 0.0)
        low, high = self.centre - spread - own, self.centre + spread + own
        # Both boxes hold the set and its centre, so what they have in common does.
        return np.minimum(np.fmax(low, self.low), self.centre), np.maximum(np.fmin(high, self.high), self.centre)

    def reach(self, around: np.ndarray) -> np.ndarray:
        """Half-widths that regions around points ``[n, H]`` need to hold the set."""
        low, high = self.hull()
        reach = np.maximum(np.abs(low - around), np.abs(high - around)) + self.error
        if self.basis is None or self.centre is None or self.slow is None or self.shigh is None:
            found: np.ndarray = np.where(reach > 0, reach * (1 + 4 * ROUNDING), 0.0)
            return found
        turn = np.abs(self.basis)
        middle, half = (self.slow + self.shigh) / 2, (self.shigh - self.slow) / 2
        spread = (np.abs(middle @ self.basis) + half @ turn).sum(axis=0)
        off = np.abs((self.centre - around) @ self.basis) + self.error @ turn + spread
        own = 8 * ROUNDING * ((np.abs(self.centre) + np.abs(around) + np.abs(self.slow).sum(axis=0)) @ turn)
        both: np.ndarray = np.fmin(off * (1 + 1e-9) + own, (reach @ turn) * (1 + 1e-9))
        return both


def answered(
    steps: Steps,
    machine: Quotient,
    outputs: tuple[Bound, Bound | None],
    states: np.ndarray,
    letters: np.ndarray,
) -> tuple[float, bool]:
    """Smallest margin of the machine's answers over sets of hidden states, a lower bound, and whether all are above 0.

    Args:
        steps: The network.
        machine: The machine.
        outputs: Bounds of the outputs ``[n, C]`` over each set, and at its centre; ``None`` where boxes have no slopes.
        states: Machine state of each set, ``[n]``.
        letters: The letter that each reads, ``[n]``.
    """
    over, at = outputs
    low, high = over.low - over.error, over.high + over.error
    wanted, rows = machine.answers[states, letters], np.arange(len(states))
    loss = steps.subject.target.loss
    if loss == "cross_entropy":
        own = wanted[:, 0]
        gaps = low[rows, own][:, None] - high
        if at is not None:
            gaps = np.fmax(gaps, _mean_gaps(over, at, rows, own))
        gaps[rows, own] = np.inf
        least = float(gaps.min()) / 2
        return least, bool(least > 0)
    if at is not None:
        middle, slack = _middle(over, at)
        reach = np.maximum(*map(np.abs, over.slopes)).sum(axis=0) * (1 + 1e-9) + slack
        low, high = np.fmax(low, middle - reach), np.fmin(high, middle + reach)
    if loss == "bce":
        least = float(np.where(wanted == 1, low, -high).min())
    else:
        least = float((0.5 - np.maximum(np.abs(low - wanted), np.abs(high - wanted))).min())
    return least, bool(least > 0)


def _middle(over: Bound, at: Bound) -> tuple[np.ndarray, np.ndarray]:
    """Outputs at the centre, and how far those that are computed may be from them, slopes apart."""
    middle = (at.low + at.high) / 2
    return middle, (at.high - at.low) * (0.5 + ROUNDING) + over.error + 4 * ROUNDING * np.abs(middle)


def _mean_gaps(over: Bound, at: Bound, rows: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Lower bounds of the answer's score minus each score, by the mean-value form of their difference."""
    (slow, shigh), (middle, slack) = over.slopes, _middle(over, at)
    change = np.maximum(np.abs(slow[:, rows, own][..., None] - shigh), np.abs(shigh[:, rows, own][..., None] - slow))
    apart = middle[rows, own][:, None] - middle - slack[rows, own][:, None] - slack
    gaps: np.ndarray = apart - change.sum(axis=0) * (1 + 1e-9)
    return gaps
