"""The funnel: how an ensemble of runs narrows in function space, beside neutral ensembles of the same loss."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allroads.checks import check_options
from allroads.errors import InputError
from allroads.explorers.trajectory import Trajectory
from allroads.paths.agreement import answers
from allroads.paths.convergence import disagreement
from allroads.pfmap.charts import to_chart
from allroads.results import Measurement, Result, finish
from allroads.status import ChannelStatus
from allroads.studies.channels.spread import FEWEST, dimension, jackknife, spread

ENOUGH = 8
"""Members of each population from which on a bin of the loss counts as matched."""
BINS = 6
MOST = 1024
"""Members of a population that enter a bin, at most: the first ones. All pairs are compared."""


@dataclass(frozen=True, eq=False)
class Narrowing:
    """One population within one bin of the loss.

    Args:
        members: How many members pass through the bin.
        loss: Mean of their losses.
        spread: Mean squared distance of two members per coordinate, see :func:`~allroads.studies.channels.spread`.
        interval: Its 95 % interval; 0 to infinity where all members but one are alike.
        disagreement: Mean share of probes on which two members answer differently.
        dimension: Effective dimension, see :func:`~allroads.studies.channels.dimension`.
    """

    members: int
    loss: float
    spread: float
    interval: tuple[float, float]
    disagreement: Measurement
    dimension: Measurement


@dataclass(frozen=True, eq=False, repr=False)
class Funnel(Result):
    """Ensembles at matched loss, and along the run.

    Args:
        ratio: ``log₂`` of the spread of the runs over that of the neutral ensemble, in the matched bin of the least
            loss; below 0 the runs are narrower.
        edges: Of the bins, rising, ``[B + 1]``.
        runs: One :class:`Narrowing` per bin, ``None`` where fewer than four members pass.
        neutral: The same of the neutral ensemble.
        ratios: ``log₂`` ratio of each bin with its interval, ``None`` where the bin is not matched. Its status is
            ``constant`` where all members of one ensemble are alike, and ``undersampled`` where all but one are.
        along: Arrays over the records of the runs, ``[T]``: ``steps``, ``loss`` (mean) and ``spread``.
        status: ``ok``, or ``no match``.
        stats: ``chart``, ``matched`` (bins).
    """

    ratio: Measurement
    edges: np.ndarray
    runs: tuple[Narrowing | None, ...]
    neutral: tuple[Narrowing | None, ...]
    ratios: tuple[Measurement | None, ...]
    along: Mapping[str, np.ndarray]
    status: ChannelStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The ratio."""
        return self.ratio.value

    @property
    def error(self) -> float | None:
        """Half the width of its interval."""
        return self.ratio.error


def funnel(
    runs: Trajectory,
    neutral: Trajectory | tuple[Any, Any],
    loss: Any = "bce",
    *,
    edges: Sequence[float] | None = None,
    chart: str = "outputs",
    throw: bool = False,
) -> Funnel:
    """How far apart runs are as functions, beside members of a neutral ensemble with the same training loss.

    Every ensemble narrows as its loss falls, since fewer functions have a low loss. What an explorer adds is seen at
    matched loss. Each member enters a bin of the loss once, at its first record within it, so the members of a bin are
    independent.

    Args:
        runs: Runs of the explorer; their ``values`` are the outputs on the probes.
        neutral: The other ensemble: runs of a sampler, or ``(values, losses)`` of draws of the prior, ``[S, N, …]`` on
            the same probes and ``[S]``.
        loss: How outputs are read as answers: ``"bce"``, ``"cross_entropy"``, or else they are rounded.
        edges: Of the bins of the training loss, rising, ``[B + 1]``; default six bins of equal width over the losses
            that both ensembles have.
        chart: ``"outputs"``, ``"probabilities"`` or ``"sphere"``: where distances are taken.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`Funnel`. Intervals leave out members in turn [efron1981].

    Raises:
        InputError: If there are fewer than four runs, the probes differ, losses are absent or not finite, or edges do
            not rise.
        UnknownNameError: If there is no such chart.

    When it fails: equal loss is not equal margin; networks that scale their outputs up have a lower loss and lie
    farther apart in the chart ``"outputs"``. Within a bin the losses of the two ensembles may lie at different ends;
    compare ``runs[b].loss`` with ``neutral[b].loss``.

    References: [efron1981]

    Example:
        On ½‖w‖² with equal curvatures descent only shrinks its draws, so it is as wide as the draws of that loss:

        >>> import jax, jax.numpy as jnp
        >>> from allroads import GD, Network, Problem, explore
        >>> plane = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w[:, None])
        >>> problem = Problem(plane, "mse", np.eye(2), np.zeros((2, 1)))
        >>> draws = explore(problem, GD(), range(400, 2400), steps=0)
        >>> runs = explore(problem, GD(learning_rate=0.02), 200, steps=60)
        >>> found = funnel(runs, draws, "mse", edges=[0.38, 0.42])
        >>> found.status.value, abs(found.value) < 2 * found.error
        ('ok', True)
    """
    check_options("runs", runs, Trajectory)
    ours, seen = _population(runs, chart), _losses(runs, "runs")
    others, theirs = _population(neutral, chart), _losses(neutral, "neutral")
    if len(ours) < FEWEST or len(others) < FEWEST:
        raise InputError(
            f"funnel: got {len(ours)} runs and {len(others)} neutral members; expected {FEWEST} or more of each, as "
            "one member has no distance to others."
        )
    if ours.shape[2:] != others.shape[2:]:
        raise InputError(
            f"neutral: its outputs {others.shape[2:]} are not on the probes of the runs, {ours.shape[2:]}."
        )
    cuts = _edges(edges, seen, theirs)
    said = _answers(runs, loss), _answers(neutral, loss)
    rows: list[tuple[Narrowing | None, Narrowing | None, Measurement | None]] = []
    for low, high in itertools.pairwise(cuts):
        chosen = [_inside(losses, low, high) for losses in (seen, theirs)]
        ensembles = [
            (points[chosen_], answers_[chosen_], losses[chosen_])
            for points, answers_, losses, chosen_ in zip((ours, others), said, (seen, theirs), chosen, strict=True)
        ]
        found = [_narrowing(*ensemble) for ensemble in ensembles]
        enough = all(len(ensemble[0]) >= ENOUGH for ensemble in ensembles)
        rows.append((found[0], found[1], _ratio(ensembles[0][0], ensembles[1][0]) if enough else None))
    ratios = tuple(row[2] for row in rows)
    matched = [ratio for ratio in ratios if ratio is not None and ratio.status == "ok"]
    ratio = matched[0] if matched else Measurement(math.nan, None, ChannelStatus.NO_MATCH)
    along = {
        "steps": runs.steps,
        "loss": seen.mean(axis=0),
        "spread": np.array([spread(at) for at in ours.swapaxes(0, 1)]),
    }
    stats = {"chart": chart, "matched": len(matched)}
    status = ChannelStatus(ratio.status)
    runs_, neutral_ = tuple(row[0] for row in rows), tuple(row[1] for row in rows)
    return finish(Funnel(ratio, cuts, runs_, neutral_, ratios, along, status, stats), throw)


def _values(population: Any) -> np.ndarray:
    """Outputs ``[M, T, N, …]``; draws have one record."""
    if isinstance(population, Trajectory):
        return np.asarray(population.values)
    if not isinstance(population, tuple | list) or len(population) != 2:
        raise InputError(f"neutral: expected a trajectory, or (values, losses); got {type(population).__name__}.")
    return _numbers("neutral", population[0])[:, None]


def _losses(population: Any, name: str) -> np.ndarray:
    if isinstance(population, Trajectory):
        if "train_loss" not in population.curves:
            raise InputError(f"{name}: they have no training loss; give the problem when they are read from files.")
        losses = np.asarray(population.curves["train_loss"])
    else:
        losses = _numbers(name, population[1])
        if losses.shape != np.shape(population[0])[:1]:
            raise InputError(f"neutral: expected one loss per draw; got {losses.shape} for {np.shape(population[0])}.")
        losses = losses[:, None]
    if not np.isfinite(losses).all():
        raise InputError(f"{name}: losses are not finite; leave out members that diverged.")
    return losses


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        found = np.asarray(values, float)
    except (TypeError, ValueError):
        raise InputError(f"{name}: expected numbers; got {values!r:.80}.") from None
    if not found.ndim:
        raise InputError(f"{name}: expected one entry per member or bin; got {values!r}.")
    return found


def _population(population: Any, chart: str) -> np.ndarray:
    values = _values(population)
    if not np.isfinite(values).all():
        raise InputError("funnel: outputs are not finite; leave out members that diverged.")
    return values if chart == "outputs" else np.asarray(to_chart(values, chart))


def _answers(population: Any, loss: Any) -> np.ndarray:
    said = answers(_values(population), loss)
    return said.reshape(*said.shape[:2], -1)


def _edges(edges: Sequence[float] | None, *losses: np.ndarray) -> np.ndarray:
    if edges is None:
        low, high = max(float(one.min()) for one in losses), min(float(one.max()) for one in losses)
        return np.linspace(low, high, BINS + 1) if low < high else np.array([low, low + 1e-12])
    cuts = _numbers("edges", edges)
    if cuts.ndim != 1 or len(cuts) < 2 or not (np.diff(cuts) > 0).all():
        raise InputError(f"edges: expected two or more rising losses; got {edges!r}.")
    return cuts


def _inside(losses: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Members with a record in the bin, the first ``MOST``, and the first such record of each."""
    within = (losses >= low) & (losses <= high)
    members = np.flatnonzero(within.any(axis=1))
    members = members[:MOST]
    return members, within[members].argmax(axis=1)


def _narrowing(points: np.ndarray, said: np.ndarray, losses: np.ndarray) -> Narrowing | None:
    if len(points) < FEWEST:
        return None
    apart, wide, half = disagreement(said).expected, spread(points), _log_spread(points)[1]
    interval = (wide * 2**-half, wide * 2**half) if wide else (0.0, 0.0)
    return Narrowing(len(points), float(losses.mean()), wide, interval, apart, dimension(points))


def _log_spread(points: np.ndarray) -> tuple[float, float]:
    """``log₂`` of the trace of the covariance, and half the width of its interval: members are left out in turn."""
    flat = points.reshape(len(points), -1)
    squares = ((flat - flat.mean(axis=0)) ** 2).sum(axis=1)
    count, total = len(flat), float(squares.sum())
    if total == 0:
        return -math.inf, math.inf
    # Leaving out i lowers the sum of squares around the mean by n / (n − 1) times the member's own.
    without = (total - count / (count - 1) * squares) / (count - 2)
    half = jackknife(np.log2(without)) if (without > 1e-12 * total).all() else math.inf
    return math.log2(total / (count - 1)), half


def _ratio(ours: np.ndarray, theirs: np.ndarray) -> Measurement:
    """``log₂`` of the ratio of spreads.

    Undersampled where one member alone differs from the others: then nothing says how far apart others would be.
    """
    (a, half_a), (b, half_b) = _log_spread(ours), _log_spread(theirs)
    if math.isinf(a) or math.isinf(b):
        return Measurement(math.nan, None, ChannelStatus.CONSTANT)
    if math.isinf(half_a) or math.isinf(half_b):
        return Measurement(math.nan, None, ChannelStatus.UNDERSAMPLED, {"low": -math.inf, "high": math.inf})
    value, half = a - b, math.hypot(half_a, half_b)
    return Measurement(value, half, ChannelStatus.OK, {"low": value - half, "high": value + half})
