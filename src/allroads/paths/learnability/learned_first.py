"""Targets that are learned first, so that the law for the others knows the map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from allroads.explorers.explore import explore
from allroads.explorers.explorer import Explorer
from allroads.explorers.recording import Recording
from allroads.paths.learnability.calibration import Calibration
from allroads.paths.learnability.forecast import Forecast
from allroads.paths.learnability.reached import reached
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.problem import Problem


def spread_out(expected: np.ndarray, count: int) -> list[int]:
    """Some targets spread evenly over the expected order, NaN left out: the middles of ``count`` equal parts.

    Example:
        >>> spread_out(np.array([5.0, np.nan, 1.0, 3.0, 4.0]), 2)
        [3, 0]
    """
    order = np.argsort(expected, kind="stable")[: np.isfinite(expected).sum()]
    count = min(count, len(order))
    return [int(k) for k in order[((np.arange(count) + 0.5) / max(count, 1) * len(order)).astype(int)]]


def learned(
    network: Network,
    loss: str | PerExampleLoss,
    explorer: Explorer,
    inputs: Any,
    *,
    labels: Any,
    goal: float,
    starts: Params,
    budget: int,
    expected: float,
    seed: int,
) -> np.ndarray:
    """Steps in which a target is learned from each start; infinite past the budget, NaN where a run diverges first.

    Runs half as long again as expected; where one has not learned by then, all anew and four times as long.
    """
    count, length = len(jax.tree.leaves(starts)[0]), math.ceil(min(1.5 * expected, budget))
    problem = Problem(network, loss, inputs, labels)
    while True:
        run = explore(problem, explorer, count, steps=length, seed=seed, start=starts, record=Recording(records=128))
        found = [reached(run.steps, curve, goal) for curve in run.curves["train_loss"]]
        lost = [status == "diverged" for status in run.statuses]
        if length == budget or all(steps is not None or gone for steps, gone in zip(found, lost, strict=True)):
            break
        length = min(4 * length, budget)
    missed = [np.nan if gone else np.inf for gone in lost]
    return np.array([other if steps is None else max(steps, 0.5) for steps, other in zip(found, missed, strict=True)])


def after_runs(law: Calibration, x: np.ndarray, runs: Mapping[int, np.ndarray], budget: int) -> Calibration:
    """The law after runs on some of the targets with features ``x [T, F]``; those that diverged say nothing."""
    known = [
        (x[k], min(steps, budget), steps <= budget) for k, own in runs.items() for steps in own if not np.isnan(steps)
    ]
    return law.given(*map(np.array, zip(*known, strict=True))) if known else law


def as_learned(row: Forecast, steps: np.ndarray) -> Forecast:
    """The row of a target that every start has learned."""
    middle = float(np.exp(np.log(steps).mean()))
    return replace(
        row,
        steps=middle,
        interval=(float(steps.min()), float(steps.max())),
        probability=1.0,
        probability_interval=(1.0, 1.0),
    )
