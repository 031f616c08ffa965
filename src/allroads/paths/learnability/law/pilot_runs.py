"""Pilot runs: targets that are trained first, so that the law for the others knows the map and the explorer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from allroads.explorers.explore import explore
from allroads.explorers.explorer import Explorer
from allroads.explorers.recording import Recording
from allroads.paths.learnability.forecast import Forecast
from allroads.paths.learnability.law.calibration import Calibration
from allroads.paths.learnability.law.crossing import first_crossing
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.problem import Problem


def evenly_spaced(expected: NDArray[Any], count: int) -> list[int]:
    """Indices of targets spaced evenly over the expected order, without NaN: the middles of ``count`` equal parts.

    Example:
        >>> evenly_spaced(np.array([5.0, np.nan, 1.0, 3.0, 4.0]), 2)
        [3, 0]
    """
    order = np.argsort(expected, kind="stable")[: np.isfinite(expected).sum()]
    count = min(count, len(order))
    return [int(k) for k in order[((np.arange(count) + 0.5) / max(count, 1) * len(order)).astype(int)]]


def steps_to_goal(
    network: Network,
    loss: str | PerExampleLoss,
    explorer: Explorer,
    inputs: Any,
    *,
    labels: Any,
    goal: float,
    starts: Params,
    within: int,
    expected: float,
    seed: int,
) -> NDArray[np.float64]:
    """Steps in which a target is learned from each start; infinite past ``within``, NaN where a run diverges first.

    A run is half as long again as expected. Where one has not learned by then, all are repeated four times as long.
    """
    count, length = len(jax.tree.leaves(starts)[0]), math.ceil(min(1.5 * expected, within))
    problem = Problem(network, loss, inputs, labels)
    while True:
        run = explore(problem, explorer, count, steps=length, seed=seed, start=starts, record=Recording(records=128))
        found = [first_crossing(run.steps, curve, goal) for curve in run.curves["train_loss"]]
        diverged = [status == "diverged" for status in run.statuses]
        if length == within or all(steps is not None or lost for steps, lost in zip(found, diverged, strict=True)):
            break
        length = min(4 * length, within)
    missed = [np.nan if lost else np.inf for lost in diverged]
    return np.array([other if steps is None else max(steps, 0.5) for steps, other in zip(found, missed, strict=True)])


def condition_on_runs(law: Calibration, x: NDArray[Any], runs: Mapping[int, NDArray[Any]], within: int) -> Calibration:
    """The law conditioned on runs of some targets, by index into features ``x [T, F]``; diverged runs do not count."""
    known = [
        (x[k], min(steps, within), steps <= within) for k, own in runs.items() for steps in own if not np.isnan(steps)
    ]
    return law.conditioned_on(*map(np.array, zip(*known, strict=True))) if known else law


def observed_forecast(row: Forecast, steps: NDArray[Any]) -> Forecast:
    """The row of a target that every start has learned: its observed steps."""
    middle = float(np.exp(np.log(steps).mean()))
    return replace(
        row,
        steps=middle,
        interval=(float(steps.min()), float(steps.max())),
        probability=1.0,
        probability_interval=(1.0, 1.0),
    )
