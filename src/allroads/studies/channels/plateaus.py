"""Plateaus of a loss curve: where a run stays, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.checks import check_number
from allroads.errors import InputError

FLAT = 0.01
"""Share of the band that a loss may move in the middle third of a stretch that is flat."""
SLOWER = 0.9
"""The middle third moves by less than this share of what an outer third does."""


@dataclass(frozen=True)
class Plateau:
    """A stretch on which the loss hardly changes.

    Args:
        first: Its first record.
        last: Its last record.
        loss: Mean loss on it, weighted by time.
        residence: Time from its first to its last record, in the unit of ``times``.
        ended: Whether the run left it. The last plateau of a run is not over, so its residence is a lower bound.
    """

    first: int
    last: int
    loss: float
    residence: float
    ended: bool


def plateaus(times: Any, losses: Any, *, width: float = 0.05, least: float = 0.05) -> tuple[Plateau, ...]:
    """The plateaus of one loss curve, in order of time.

    The longest stretch on which the loss stays within a band comes first, then the longest of what is left, and so on
    while they last. The band is as wide as ``width`` times the range of the curve, as in :func:`~allroads.stages`. A
    stretch counts where the loss moves less in the middle third of its time than in the first and in the last. So the
    slow foot of a fall is no plateau. The first third does not count at the start of the run, nor the last at its end.

    Args:
        times: Of the records, rising, ``[T]``: steps, or steps times the learning rate.
        losses: At the records, ``[T]``.
        width: Of the band, as a share of the range of the loss.
        least: Shortest plateau, as a share of the time before the last plateau begins.

    Returns:
        Plateaus; none where the loss does not vary.

    Raises:
        InputError: If the arrays do not match, are not finite or not rising, or a share lies outside (0, 1).

    When it fails: records that lie far apart cut plateaus short, by up to the distance of two records at each end.
    Noise wider than the band hides a plateau.

    References: [saxe2014]

    Example:
        Ten records at 1, a fall, twenty at ½, a fall, and the end:

        >>> curve = [1.0] * 10 + [0.75] + [0.5] * 20 + [0.25] + [0.0] * 5
        >>> [(p.loss, p.residence, p.ended) for p in plateaus(range(37), curve)]
        [(1.0, 9.0, True), (0.5, 19.0, True), (0.0, 4.0, False)]
    """
    for name, share in (("width", width), ("least", least)):
        check_number(name, share, 0, 0.5, open_low=True)
    when, curve = np.asarray(times, float), np.asarray(losses, float)
    if when.ndim != 1 or when.shape != curve.shape or len(when) < 2:
        raise InputError(f"times and losses: expected two records or more of each; got {when.shape} and {curve.shape}.")
    if not (np.isfinite(when).all() and np.isfinite(curve).all() and (np.diff(when) > 0).all()):
        raise InputError(
            "times and losses: expected finite losses at rising times; cut the run off before it diverges."
        )
    band = width * float(np.ptp(curve))
    if band == 0:
        return ()
    free = np.ones(len(curve), bool)
    found: list[tuple[int, int]] = []
    end = _longest(when, curve, np.ones(len(curve), bool), band, last=len(curve) - 1)
    found.append(end)
    free[end[0] :] = False
    shortest = least * (when[end[0]] - when[0])
    while free.sum() > 1:
        first, last = _longest(when, curve, free, band)
        if last == first or when[last] - when[first] < shortest:
            break
        if _slowest_inside(when, curve, first, last, band):
            found.append((first, last))
        free[first : last + 1] = False
    return tuple(
        Plateau(a, b, _mean(when[a : b + 1], curve[a : b + 1]), float(when[b] - when[a]), b < len(curve) - 1)
        for a, b in sorted(found)
    )


def _longest(
    when: np.ndarray, curve: np.ndarray, free: np.ndarray, band: float, last: int | None = None
) -> tuple[int, int]:
    """The stretch of free records within the band that takes most time; with ``last``, the one that ends there."""
    best = (0, 0) if last is None else (last, last)
    span = -1.0
    for start in range(len(curve)):
        if not free[start]:
            continue
        low = np.minimum.accumulate(curve[start:])
        high = np.maximum.accumulate(curve[start:])
        out = np.flatnonzero((high - low > band) | ~free[start:])
        stop = start + (int(out[0]) - 1 if out.size else len(curve) - 1 - start)
        if last is not None and stop != last:
            continue
        if when[stop] - when[start] > span:
            best, span = (start, stop), float(when[stop] - when[start])
    return best


def _slowest_inside(when: np.ndarray, curve: np.ndarray, first: int, last: int, band: float) -> bool:
    """Whether the loss moves least in the middle third of a stretch."""
    thirds = np.interp(np.linspace(when[first], when[last], 4), when, curve)
    before, middle, after = np.abs(np.diff(thirds))
    outer = [change for change, counts in ((before, first > 0), (after, last < len(curve) - 1)) if counts]
    return bool(middle <= FLAT * band or middle < SLOWER * min(outer, default=np.inf))


def _mean(when: np.ndarray, curve: np.ndarray) -> float:
    span = when[-1] - when[0]
    return float(np.trapezoid(curve, when) / span) if span > 0 else float(curve[0])
