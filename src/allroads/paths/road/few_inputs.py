"""What a budget has time for: the road of few of the inputs, and then that of all.

A step takes as long as the kernel of the inputs takes to form and to factor. A road of few inputs therefore ends in
seconds. It is a road of its own: a motion that moves fewer outputs as asked, and so usually a shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from allroads.budget import Budget
from allroads.paths.road.integrate import End, LiftedPath, integrate_lift
from allroads.paths.road.options import RoadOptions
from allroads.paths.road.tangent_lift import Lifter, make_lifter
from allroads.pfmap.inputs import choose, number_of_examples
from allroads.pfmap.network import Network, Params

OUTPUTS = 128
"""Outputs of few inputs, about."""

SAVED = 4
"""How many times as many all inputs are at least, for a road of few to come first."""

AS_FAR = 0.5
"""A road of all inputs is preferred where it came this share of the way that the road of few came."""


@dataclass(frozen=True)
class Segment:
    """A straight way through function space and where it is followed from.

    Args:
        network: The network.
        params: θ₀.
        inputs: The probes.
        target: z*, ``[N, …, C]``; or ``None``.
        target_params: In its place, a point.
        chart: Where it is straight.
        dtype: Precision of the outputs.
    """

    network: Network
    params: Params
    inputs: Any
    target: np.ndarray | None
    target_params: Params | None
    chart: str
    dtype: Any

    def goal(self, lifter: Lifter) -> np.ndarray:
        """z*, flat."""
        return lifter.values(self.target_params) if self.target is None else self.target.ravel()

    def ends(self, lifter: Lifter) -> tuple[np.ndarray, np.ndarray]:
        """F(θ₀) and z*, flat; the same where they differ by rounding alone."""
        start, goal = lifter.values(self.params), self.goal(lifter)
        rounding = np.finfo(self.dtype).eps * np.linalg.norm(np.abs(goal) + np.abs(start))
        return start, start if np.linalg.norm(goal - start) <= rounding else goal


@dataclass(frozen=True)
class Followed:
    """A road that was followed.

    Args:
        lifter: What lifted it.
        path: Its points.
        chord: Length of the segment.
        examples: Inputs that it holds to.
        seconds: What its steps took.
    """

    lifter: Lifter
    path: LiftedPath
    chord: float
    examples: int
    seconds: float

    @property
    def reached(self) -> float:
        """Share of the segment."""
        return self.path.kept[-1].t


def few_rows(examples: int, outputs: int) -> np.ndarray | None:
    """The few inputs that come first, ascending, drawn once; ``None`` where all inputs are few.

    Args:
        examples: Number N of inputs.
        outputs: Outputs per input.

    Example:
        >>> len(few_rows(256, 10)), few_rows(40, 10), len(few_rows(256, 10_000))
        (12, None, 1)
    """
    size = max(1, OUTPUTS // outputs)
    return np.sort(np.random.default_rng(0).permutation(examples)[:size]) if SAVED * size <= examples else None


def follow_within(segment: Segment, options: RoadOptions, budget: Budget) -> Followed:
    """Follow the segment; with a budget few inputs first, and all where there may be time.

    The steps of all inputs take N/n times as long as those of n at least, and most of the time far longer. Where less
    than that is left, they are not begun.
    """
    examples = number_of_examples(segment.inputs)
    outputs = jax.eval_shape(segment.network.apply, segment.params, segment.inputs).size // examples
    rows = few_rows(examples, outputs) if budget.limited else None
    if rows is None:
        return _follow(segment, options, budget, "")
    target = None if segment.target is None else segment.target[rows]
    inputs = choose(jax.tree.map(np.asarray, segment.inputs), rows)  # JAX would compile this for each shape
    of_few = replace(segment, inputs=inputs, target=target)
    few = _follow(of_few, options, budget, f"{len(rows)} of {examples} inputs, ")
    if few.chord > 0 and (budget.ended or budget.left < few.seconds * examples / len(rows)):
        return few
    whole = _follow(segment, options, budget, "")
    cut = whole.path.end in (End.BUDGET, End.INTERRUPTED)
    return few if few.chord > 0 and cut and whole.reached < AS_FAR * few.reached else whole


def _follow(segment: Segment, options: RoadOptions, budget: Budget, told: str) -> Followed:
    lifter = make_lifter(
        segment.network, segment.params, segment.inputs, segment.chart, options.regularisation, options.dense,
        options.memory,
    )  # fmt: skip
    start, goal = segment.ends(lifter)
    began = budget.spent
    path = integrate_lift(
        lifter, segment.params, start, goal,
        tolerance=options.tolerance, most_steps=options.most_steps, records=options.records, budget=budget, told=told,
    )  # fmt: skip
    chord = float(np.linalg.norm(goal - start))
    return Followed(lifter, path, chord, number_of_examples(segment.inputs), budget.spent - began)
