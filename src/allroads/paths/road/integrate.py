"""Gauss–Newton continuation along the straight segment of function space."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from allroads.budget import Budget
from allroads.paths.road.tangent_lift import Lifter, LocalGeometry, TangentLift, combined, difference, norm
from allroads.pfmap.network import Params

FOLD = 10.0
"""How much faster than on average so far the lift is on both sides of a fold of the map."""

HELD_BACK = 0.15
"""Share of the budget that is kept for what is measured along the road afterwards."""

_FIRST_STEP, _SMALLEST_STEP = 0.05, 1e-10

_HOPELESS = 100.0
"""How many times the tolerance a step's first stage may be off the segment, or turn the motion, before it is left."""

_AFTER_HOPELESS = 0.03
"""What such a step is shortened to: how far the lift holds cannot be told from where it no longer does."""

# The method of Bogacki and Shampine: third order, with an estimate of second, and the last stage is the next first.
_STAGES = np.array([1 / 2]), np.array([0, 3 / 4])
_WEIGHTS = np.array([2 / 9, 1 / 3, 4 / 9])
_ESTIMATE = np.array([-5 / 72, 1 / 12, 1 / 9, -1 / 8])


class End(Enum):
    """How the following ended."""

    REACHED = "reached"
    STEP_UNDERFLOW = "no step follows"
    NOT_FINITE = "not finite"
    STEPS = "steps used up"
    BUDGET = "budget ended"
    INTERRUPTED = "interrupted"


class Kept(NamedTuple):
    """What is kept of a point of a road.

    Args:
        t: Share of the segment covered.
        lifted: Integral of the lift's speed so far.
        chords: Length of the polygon of all steps so far, corrections included.
        bows: What the polygon's corners are to be rounded by so far.
        speed: ‖θ̇‖.
        outside: Share of the direction out of the kernel's reach.
        smallest: Smallest eigenvalue of the kernel, or ``None`` where it is not formed.
        params: The point.
    """

    t: float
    lifted: float
    chords: float
    bows: float
    speed: float
    outside: float
    smallest: float | None
    params: Params


@dataclass(frozen=True)
class LiftedPath:
    """A road as it was followed.

    Args:
        end: How it ended.
        kept: Points of it, the first and the last among them.
        deviation: Largest distance from where the segment should be, over the chord's length, of any step's end.
        drifted: Sum of the estimated errors of the steps' motions.
        steps: Steps taken.
        rejected: Steps that were tried and shortened.
    """

    end: End
    kept: list[Kept]
    deviation: float
    drifted: float
    steps: int
    rejected: int

    def column(self, name: str) -> np.ndarray:
        """One figure at every kept point."""
        return np.array([getattr(point, name) for point in self.kept])


@dataclass(frozen=True)
class _Node:
    """A point of the road: its kernel, the lift of the chord and that of what is left to correct."""

    t: float
    lifted: float
    chords: float
    bows: float
    place: LocalGeometry
    along: TangentLift
    back: TangentLift
    before: Params | None

    def kept(self) -> Kept:
        """The point without its kernel, which is large."""
        along, place = self.along, self.place
        progress = self.t, self.lifted, self.chords, self.bows
        return Kept(*progress, along.length, along.outside, place.smallest, place.params)


def integrate_lift(
    lifter: Lifter,
    params: Params,
    start: np.ndarray,
    target: np.ndarray,
    *,
    tolerance: float,
    most_steps: int,
    records: int,
    budget: Budget,
    told: str = "",
) -> LiftedPath:
    """Follow ``z(t) = (1−t) start + t target`` from ``params``.

    A step integrates ``θ̇ = Jᵀ(K + r)⁻¹ ż`` by Bogacki and Shampine's method, and from its first stage on adds the lift
    of ``z(t) − F(θ)``, so that errors of the image are corrected and do not add up. It is taken where it ends within
    ``tolerance`` of z(t + h), as a share of the chord, and the embedded estimate of its own error is within the same
    share of the road's length so far; where units switch, the lift jumps, and steps become short. A step is left at its
    first stage where that is farther off the segment than the step is long, or has another lift. The clock is read
    before every step. ``told`` is what progress begins with.
    """
    chord = target - start
    scale = float(np.linalg.norm(chord))

    def node(t: float, lifted: float, chords: float, bows: float, params: Params, values: Any, before: Any) -> _Node:
        place = lifter.at(params)
        return _Node(t, lifted, chords, bows, place, place.lift(chord), place.lift(start + t * chord - values), before)

    here = node(0.0, 0.0, 0.0, 0.0, params, start, None)
    kept = [here.kept()]
    if scale == 0:
        return LiftedPath(End.REACHED, kept, 0.0, 0.0, 0, 0)
    h, deviation, drifted, steps, rejected = _FIRST_STEP, 0.0, 0.0, 0, 0
    end, took, held_back = End.STEPS, 0.0, HELD_BACK * budget.left if budget.limited else 0.0
    while steps + rejected < most_steps:
        began = budget.spent
        if budget.ended or budget.left < took + held_back:
            end = End.BUDGET
            break
        budget.say(f"{told}t = {here.t:.3g} after {steps} steps")
        with budget.interruptible():
            h = min(h, 1.0 - here.t)
            at, lifts = here.place.params, [here.along]
            for weights in _STAGES:
                stage = combined(np.array([1.0, *(h * weights), 1.0]), at, *(v.motion for v in lifts), here.back.motion)
                if len(lifts) == 1 and h > _SMALLEST_STEP:
                    left = start + (here.t + h / 2) * chord - lifter.values(stage)
                    if not np.linalg.norm(left) <= scale * max(h, _HOPELESS * tolerance):
                        break
                lifts.append(lifter.at(stage).lift(chord))
                if h > _SMALLEST_STEP and _turned(
                    lifts[0], lifts[1], (here.chords / h + here.along.length) * tolerance
                ):
                    break
            if len(lifts) <= len(_STAGES):
                rejected, h = rejected + 1, max(_SMALLEST_STEP, _AFTER_HOPELESS * h)
                continue
            moves = [v.motion for v in lifts]
            there = combined(np.array([1.0, *(h * _WEIGHTS), 1.0]), at, *moves, here.back.motion)
            t = 1.0 if h == 1.0 - here.t else here.t + h
            values = lifter.values(there)
            off = float(np.linalg.norm(values - (start + t * chord))) / scale
            strain = (off / tolerance) if np.isfinite(off) else np.inf
            if strain <= 1:
                lifted = here.lifted + h * float(_WEIGHTS @ [v.length for v in lifts])
                chords, bows = _with_step(here, there)
                after = node(t, lifted, chords, bows, there, values, at)
                drift = h * norm(combined(_ESTIMATE, *moves, after.along.motion))
                share = drift / chords if drift > 0 else 0.0
                strain = max(strain, share / tolerance) if np.isfinite(share) else np.inf
                if _over_a_fold(here.along, after.along, chords / t):
                    strain = max(strain, 1e3)
            if strain <= 1:
                here, deviation, drifted, steps = after, max(deviation, off), drifted + drift, steps + 1
                if t == 1.0:
                    end = End.REACHED
                    break
                if t >= len(kept) / records:
                    kept.append(here.kept())
            elif h <= _SMALLEST_STEP:
                end = End.STEP_UNDERFLOW if np.isfinite(strain) else End.NOT_FINITE
                break
            else:
                rejected += 1
            # Both errors fall with the third power of the step.
            h = max(_SMALLEST_STEP, h * float(np.clip(0.9 / np.cbrt(max(strain, 1e-9)), 0.1, 3.0)))
        took = budget.spent - began
        if budget.interrupted:
            end = End.INTERRUPTED
            break
    if kept[-1].t < here.t:
        kept.append(here.kept())
    return LiftedPath(end, kept, deviation, drifted, steps, rejected)


def _turned(before: TangentLift, after: TangentLift, allowed: float) -> bool:
    """Whether the lift of a step's first stage is another one: it differs by its own length, and by far too much."""
    differs = float(norm(difference(after.motion, before.motion)))
    return not differs <= max(before.length, _HOPELESS * allowed)


def _over_a_fold(before: TangentLift, after: TangentLift, usual: float) -> bool:
    """Whether a step jumped to where the way leads back: the lift is far faster than usual and has turned round.

    So it is on the two sides of a point at which the kernel loses the direction.
    """
    fast = min(before.length, after.length) > FOLD * usual
    return fast and float(norm(difference(after.motion, before.motion))) > np.hypot(before.length, after.length)


def _with_step(here: _Node, there: Params) -> tuple[float, float]:
    """Chords and bows with one step more.

    On a circle the arcs over chords a and b exceed them by a³ and b³ where the arc over both exceeds its chord c by
    (a + b)³, so ``a + b − c`` tells the bow over b. That over the first step is told by the second.
    """
    at = here.place.params
    b = float(norm(difference(there, at)))
    if here.before is None:
        return b, 0.0
    a, c = float(norm(difference(at, here.before))), float(norm(difference(there, here.before)))
    per_cube = max(0.0, a + b - c) / (3 * a * b * (a + b)) if a * b > 0 else 0.0
    return here.chords + b, here.bows + per_cube * (b**3 + (a**3 if here.bows == 0 else 0.0))
