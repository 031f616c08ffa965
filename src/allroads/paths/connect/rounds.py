"""From ends to trained curves: where the free points start, and the rounds of a band that grows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import numpy as np

from allroads.budget import Budget
from allroads.checks import check_count, check_positive
from allroads.paths.connect.band import inserted
from allroads.paths.connect.curves import POLYGON, even_knots, joined, weights
from allroads.paths.connect.measure import readings
from allroads.paths.connect.method import CurveMethod, CurveObjective, Fixed, Method
from allroads.paths.connect.train import compiled_training
from allroads.pfmap.objective import Examples

NOISE = 0.01
"""Random offset of the free points at the start, as a share of the ends' root mean square difference.

Without it a segment that is symmetric under a reflection stays where it is.
"""
CHECKS = 8
"""Times that a round looks at its curves, evenly over its steps."""
LONGEST = 25
"""Steps of the compiled loop, at most, between two readings of the clock."""
FOR_STEPS = 0.85
"""Share of the time left that steps may take; the profiles need the rest."""
SHORTEST = 1e-6
"""Seconds of a run of the loop, at least: a coarse clock may read 0."""
INSIDE = 3
"""Places between two images at which it is seen whether another is needed."""


@dataclass(frozen=True)
class CurveOptions:
    """How a curve is trained, by Adam in one compiled loop, and how finely its profile is taken.

    Args:
        steps: Steps, rounded up to whole eighths, and eighths of over 25 steps to whole runs of the loop; of a band
            that grows, all its rounds together. Default 800.
        learning_rate: Of Adam, in units of the ends' root mean square difference; default 0.02. It is constant and
            falls to zero over the last 30 % of the steps.
        batch_size: Examples per step, drawn with replacement; default 256, ``None`` for all.
        points: Evaluations of the profile, evenly in t; corners, and 15 places round the top, are added. Default 61.

    Raises:
        InputError: If a number is out of range.
    """

    steps: int = 800
    learning_rate: float = 0.02
    batch_size: int | None = 256
    points: int = 61

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_positive(learning_rate=self.learning_rate)
        check_count("batch_size", self.batch_size, absent=True)
        check_count("points", self.points, 2)


@dataclass(frozen=True, eq=False)
class Curves:
    """Trained curves with a leading member axis.

    Args:
        free: ``[M, K − 2, P]``.
        knots: ``[K]``.
        peaks: Highest loss along each at the start and at even times after, ``[M, T]``.
        broken: Whether a step was not finite, ``[M]``.
        steps: Steps taken.
        gradients: Gradients of the loss of a batch, for each member.
        ended: ``"budget"`` or ``"interrupted"`` where the steps were cut short, else ``None``.
    """

    free: np.ndarray
    knots: np.ndarray
    peaks: np.ndarray
    broken: np.ndarray
    steps: int
    gradients: int
    ended: str | None


def train_curves(
    method: CurveMethod,
    objective: CurveObjective,
    options: CurveOptions,
    ends: np.ndarray,
    data: Examples,
    seed: int,
    budget: Budget,
) -> Curves:
    """Curves between the ends ``[M, 2, P]``, or one star of ``[1, M, P]``, side by side.

    Every member starts with the same offset in units of its own size and sees the same batches, so that a pair comes
    out as it does alone. Where the budget does not last for all steps, as many are taken as it lasts for by the speed
    of those before, and the rate falls to zero with the last of them.
    """
    bends, make, rounds = method.bends, type(method).make, method.insertions + 1
    knots = even_knots(bends + 2)
    sizes = np.sqrt(((ends[:, 1:] - ends[:, :1]) ** 2).mean(axis=(1, 2)))
    noise = np.random.default_rng(seed).normal(size=(bends, ends.shape[-1])).astype(ends.dtype)
    start = make(objective, bends).start
    free = np.stack([start(pair, knots) + NOISE * size * noise for pair, size in zip(ends, sizes, strict=True)])
    eighth = -(-options.steps // (CHECKS * rounds))
    runs = -(-eighth // LONGEST)
    length = -(-eighth // runs)
    peaks, broken, gradients, taken = [], np.zeros(len(ends), bool), 0, 0
    for number in range(rounds):
        if number:
            if budget.ended:
                break
            free, knots = _grown(objective, free, knots, ends, data)
        run = compiled_training(make, objective, free.shape[1], options.batch_size)
        state, fixed = run.start(free, ends, knots.astype(ends.dtype), data)
        rates = options.learning_rate * sizes.astype(ends.dtype)
        pace = _Pace(CHECKS * runs, budget, rounds - number)
        while pace.done < pace.total:
            done, total = pace.done * length, pace.total * length
            budget.say(f"round {number + 1} of {rounds}, step {done} of {total}")
            with budget.interruptible():
                if pace.done % runs == 0:
                    peaks.append(_peaks(objective, run.method, np.asarray(state.free), ends, knots, data))
                steps = np.arange(done, done + length)
                after = run.advance(state, fixed, steps, total, rates, data, seed * rounds + number)
                state = jax.block_until_ready(after)
                pace.ran()
            if budget.interrupted:
                break
        free = np.asarray(state.free)
        broken |= np.asarray(state.broken)
        taken += pace.done * length
        gradients += pace.done * length * run.method.gradients(ends.shape[1])
    peaks.append(_peaks(objective, run.method, free, ends, knots, data))
    cut_short = taken < CHECKS * runs * length * rounds
    ended = ("interrupted" if budget.interrupted else "budget") if cut_short else None
    return Curves(free, knots, np.stack(peaks, axis=1), broken, taken, gradients, ended)


class _Pace:
    """How many runs of the loop a budget lasts for in one round; thrown away at its end.

    Attributes:
        done: Runs that were made.
        total: Runs that are made in all, by the time that the fastest so far took.
    """

    def __init__(self, total: int, budget: Budget, rounds: int):
        self.done, self.total, self.whole, self.budget = 0, total, total, budget
        self.began, self.fastest = budget.spent, math.inf
        self.end = self.began + FOR_STEPS * budget.left / rounds

    def ran(self) -> None:
        """One more; the first waited for the compiler, so it says little."""
        now = self.budget.spent
        self.done += 1
        self.fastest = min(self.fastest, now - self.began)
        self.began = now
        left = max(self.end - now, 0.0)
        if self.budget.limited and (self.done > 1 or left == 0):
            self.total = min(self.whole, self.done + int(left / max(self.fastest, SHORTEST)))


def _peaks(
    objective: CurveObjective, method: Method, free: np.ndarray, ends: np.ndarray, knots: np.ndarray, data: Examples
) -> np.ndarray:
    """Highest loss along every curve, ``[M]``."""
    places = [method.along(own, Fixed(pair, knots, ())) for own, pair in zip(free, ends, strict=True)]
    losses, _ = readings(objective, np.concatenate(places).astype(ends.dtype), data)
    highest: np.ndarray = losses.reshape(len(ends), -1).max(axis=1)
    return highest


def _grown(
    objective: CurveObjective, free: np.ndarray, knots: np.ndarray, ends: np.ndarray, data: Examples
) -> tuple[np.ndarray, np.ndarray]:
    """The same polygons with further corners where the loss asks for them."""
    control = np.stack([joined(pair, own) for pair, own in zip(ends, free, strict=True)])
    places = np.arange((len(knots) - 1) * (INSIDE + 1) + 1) / (INSIDE + 1)
    inside = weights(POLYGON, np.interp(places, np.arange(len(knots)), knots), knots) @ control
    losses, _ = readings(objective, inside.reshape(-1, ends.shape[-1]).astype(ends.dtype), data)
    more = inserted(knots, losses.reshape(len(ends), -1), INSIDE)
    return (weights(POLYGON, more[1:-1], knots) @ control).astype(ends.dtype), more
