"""Channel gain: how many bits of search an explorer saves against blind draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allroads.checks import check_number, check_options
from allroads.errors import InputError
from allroads.explorers.trajectory import Trajectory
from allroads.pfmap.problem import Problem
from allroads.points.prior import FunctionPosterior
from allroads.points.volume import Volume
from allroads.results import Measurement, Result, finish
from allroads.status import ChannelStatus
from allroads.studies.channels.first_fit import first_fit
from allroads.studies.channels.neutral_cost import neutral_cost
from allroads.studies.channels.search_cost import FEWEST, restart_cutoff, search_cost


@dataclass(frozen=True, repr=False)
class ChannelGain(Result):
    """Bits of search that an explorer saves.

    Args:
        value: ``log₂`` neutral cost − ``log₂`` the explorer's; or the bound that the status names.
        error: The larger side of its interval; ``None`` for a bound.
        status: ``ok``; ``lower bound`` where no draw fits; ``upper bound`` where no run fits; ``undersampled`` where
            too few runs fit; ``never reached`` where neither fits.
        neutral: ``log₂`` of the draws until a fit.
        explorer: ``log₂`` of the forward-equivalents until a fit, with restarts.
        stats: ``low`` and ``high``, the 95 % interval; ``pilot`` (runs that chose the cutoff) and ``resolution``.
    """

    value: float
    error: float | None
    status: ChannelStatus
    neutral: Measurement
    explorer: Measurement
    stats: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        low, high = self.stats["low"], self.stats["high"]
        return (
            f"channel gain {self.value:.2f} bits [{low:.2f}, {high:.2f}] ({self.status.value}): neutral "
            f"2^{self.neutral.value:.2f}, explorer 2^{self.explorer.value:.2f} forward passes"
        )


def channel_gain(
    neutral: Measurement | Volume | FunctionPosterior,
    runs: Trajectory,
    problem: Problem,
    *,
    pilot: float = 0.25,
    throw: bool = False,
) -> ChannelGain:
    """``log₂`` of the cost of a neutral search minus ``log₂`` of an explorer's, in the same unit.

    Both are searches for any parameters that fit the training data, drawn from one prior. A neutral search draws until
    a draw fits: 1 / P forward passes over the data. The explorer starts from such a draw, and starts anew from another
    where it fails; a gradient counts as 3 forward passes. An explorer that takes no steps *is* the neutral search, so
    its gain is 0. Above 0 the explorer has a channel to the target; below 0 blind draws are cheaper.

    Args:
        neutral: P that a draw of the prior fits the data, see :func:`~allroads.studies.channels.neutral_cost`.
        runs: Runs of the explorer from draws of the same prior, 8 or more.
        problem: What they were trained on.
        pilot: Share of the runs, the first ones, that choose when to give a run up; the others measure the cost. 0: a
            run is given up at its last step.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not sound.

    Returns:
        A :class:`ChannelGain`. Its interval joins those of both costs [zou2008].

    Raises:
        InputError: On fewer than 8 runs, a P that cannot be used, or as
            :func:`~allroads.studies.channels.first_fit`.

    When it fails: members of an explorer that mixes them, such as ``smc``, are no independent runs, and the interval is
    then too narrow. Steps, learning rate and batch are choices of the caller, and the gain is that of these choices. A
    search that knows more, such as elimination for parities, can be far cheaper than both.

    References: [fieller1954, zou2008]

    Example:
        One weight, which must be positive. Half of all draws fit, so a neutral search takes two draws. The explorer
        lifts the others at once, and costs more than it saves:

        >>> import jax, jax.numpy as jnp
        >>> from allroads import GD, Network, Recording, explore, function_prior
        >>> unit = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: x @ w[:, None])
        >>> problem = Problem(unit, "bce", [[1.0], [2.0]], [1, 1])
        >>> half = function_prior(unit, problem.inputs, 4096, progress=False).probability([1, 1])
        >>> runs = explore(problem, GD(learning_rate=20.0), 64, steps=2, record=Recording(records=3))
        >>> found = channel_gain(half, runs, problem)
        >>> found.status.value, found.stats["low"] < math.log2(2 / 2.5) < found.stats["high"]
        ('ok', True)
    """
    check_number("pilot", pilot, 0, 0.5)
    check_options("runs", runs, Trajectory)
    if len(runs.members) < 2 * FEWEST:
        raise InputError(
            f"runs: expected {2 * FEWEST} or more, got {len(runs.members)}. How often an explorer fails cannot be told "
            "from so few; run more members."
        )
    blind, fit = neutral_cost(neutral), first_fit(runs, problem)
    if isinstance(neutral, FunctionPosterior) and neutral.stats["examples"] != len(problem):
        raise InputError(
            f"neutral: this posterior is given {neutral.stats['examples']} examples, and the problem has "
            f"{len(problem)}; expected function_posterior of the training data of the runs."
        )
    first = round(pilot * len(fit.spent))
    spent, fitted = fit.spent[first:], fit.fitted[first:]
    cutoff = restart_cutoff(fit.spent[:first], fit.fitted[:first]) if first else fit.whole
    driven = search_cost(spent, fitted, cutoff)
    stats = {"pilot": first, "resolution": fit.resolution}
    return finish(_difference(blind, driven, stats), throw)


def _difference(blind: Measurement, driven: Measurement, stats: dict[str, Any]) -> ChannelGain:
    (a, c), (b, d) = ((m.stats["low"], m.stats["high"]) for m in (blind, driven))
    unseen, unfit = (m.status is ChannelStatus.LOWER_BOUND for m in (blind, driven))
    if unseen and unfit:
        return ChannelGain(
            math.nan, None, ChannelStatus.NEVER, blind, driven, stats | {"low": -math.inf, "high": math.inf}
        )
    if unseen:
        status = ChannelStatus.LOWER_BOUND if math.isfinite(d) else ChannelStatus.UNDERSAMPLED
        return ChannelGain(a - d, None, status, blind, driven, stats | {"low": a - d, "high": math.inf})
    if unfit:
        return ChannelGain(
            c - b, None, ChannelStatus.UPPER_BOUND, blind, driven, stats | {"low": -math.inf, "high": c - b}
        )
    value = blind.value - driven.value
    low = value - float(np.hypot(blind.value - a, d - driven.value))
    high = value + float(np.hypot(c - blind.value, driven.value - b))
    return ChannelGain(
        value,
        max(value - low, high - value),
        ChannelStatus(driven.status),
        blind,
        driven,
        stats | {"low": low, "high": high},
    )
