"""From ends to trained curves: where the free points start, and the rounds of a band that grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.paths.connect.band import inserted
from allroads.paths.connect.curves import POLYGON, even_knots, joined, weights
from allroads.paths.connect.measure import readings
from allroads.paths.connect.method import Fixed, Method, Problem
from allroads.paths.connect.train import compiled_training

NOISE = 0.01
"""Random offset of the free points at the start, as a share of the ends' root mean square difference.

Without it a segment that is symmetric under a reflection stays where it is.
"""
CHECKS = 8
"""Times that a round looks at its curves, evenly over its steps."""
INSIDE = 3
"""Places between two images at which it is seen whether another is needed."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast.

    Args:
        bends: Free points at the start.
        steps: Of all rounds together, at least.
        rounds: Images may be put in between two of them.
        learning_rate: In units of the ends' root mean square difference.
        batch_size: Examples a step; ``None`` for all.
        seed: Of everything random.
    """

    bends: int
    steps: int
    rounds: int
    learning_rate: float
    batch_size: int | None
    seed: int


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
    """

    free: np.ndarray
    knots: np.ndarray
    peaks: np.ndarray
    broken: np.ndarray
    steps: int
    gradients: int


def train_curves(
    make: Callable[[Problem, int], Method], problem: Problem, plan: Plan, ends: np.ndarray, inputs: Any, labels: Any
) -> Curves:
    """Curves between the ends ``[M, 2, P]``, or one star of ``[1, M, P]``, side by side.

    Every member starts with the same offset in units of its own size and sees the same batches, so that a pair comes
    out as it does alone.
    """
    knots = even_knots(plan.bends + 2)
    sizes = np.sqrt(((ends[:, 1:] - ends[:, :1]) ** 2).mean(axis=(1, 2)))
    noise = np.random.default_rng(plan.seed).normal(size=(plan.bends, ends.shape[-1])).astype(ends.dtype)
    start = make(problem, plan.bends).start
    free = np.stack([start(pair, knots) + NOISE * size * noise for pair, size in zip(ends, sizes, strict=True)])
    steps = CHECKS * -(-plan.steps // (CHECKS * plan.rounds))
    peaks, broken, gradients = [], np.zeros(len(ends), bool), 0
    for number in range(plan.rounds):
        if number:
            free, knots = _grown(problem, free, knots, ends, inputs, labels)
        run = compiled_training(make, problem, free.shape[1], plan.batch_size)
        state, fixed = run.start(free, ends, knots.astype(ends.dtype), inputs, labels)
        for part in np.split(np.arange(steps), CHECKS):
            peaks.append(_peaks(problem, run.method, np.asarray(state.free), ends, knots, inputs, labels))
            seed = plan.seed * plan.rounds + number
            rates = plan.learning_rate * sizes.astype(ends.dtype)
            state = run.advance(state, fixed, part, steps, rates, inputs, labels, seed)
        free = np.asarray(state.free)
        broken |= np.asarray(state.broken)
        gradients += steps * run.method.gradients(ends.shape[1])
    peaks.append(_peaks(problem, run.method, free, ends, knots, inputs, labels))
    return Curves(free, knots, np.stack(peaks, axis=1), broken, steps * plan.rounds, gradients)


def _peaks(
    problem: Problem, method: Method, free: np.ndarray, ends: np.ndarray, knots: np.ndarray, inputs: Any, labels: Any
) -> np.ndarray:
    """Highest loss along every curve, ``[M]``."""
    places = [method.along(own, Fixed(pair, knots, ())) for own, pair in zip(free, ends, strict=True)]
    losses, _ = readings(problem, np.concatenate(places).astype(ends.dtype), inputs, labels)
    return losses.reshape(len(ends), -1).max(axis=1)


def _grown(
    problem: Problem, free: np.ndarray, knots: np.ndarray, ends: np.ndarray, inputs: Any, labels: Any
) -> tuple[np.ndarray, np.ndarray]:
    """The same polygons with further corners where the loss asks for them."""
    control = np.stack([joined(pair, own) for pair, own in zip(ends, free, strict=True)])
    places = np.arange((len(knots) - 1) * (INSIDE + 1) + 1) / (INSIDE + 1)
    inside = weights(POLYGON, np.interp(places, np.arange(len(knots)), knots), knots) @ control
    losses, _ = readings(problem, inside.reshape(-1, ends.shape[-1]).astype(ends.dtype), inputs, labels)
    more = inserted(knots, losses.reshape(len(ends), -1), INSIDE)
    return (weights(POLYGON, more[1:-1], knots) @ control).astype(ends.dtype), more
