"""Channel gain of each setting: the bits of search that its runs save against blind draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field

from allroads.studies.measures.ensembles import REFUSED, finite, settings, together
from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid, signed

if TYPE_CHECKING:
    from allroads.results import Measurement
    from allroads.studies.units import Run, Unit

FEWEST = 8
"""Runs of a setting from which on it has a gain."""


class ChannelGainOptions(Options):
    """Options of the channel gain.

    Args:
        enabled: Off by default: it draws many networks for every target and architecture.
        samples: Networks that are drawn.
        pilot: Share of the runs that choose when to give a run up; the others measure the cost.
    """

    enabled: bool = False
    samples: Annotated[int, Field(ge=1000)] = 100_000
    pilot: Annotated[float, Field(ge=0, le=0.5)] = 0.25


QUANTITY = Quantity(
    "channel gain",
    "log₂ of the forward passes until a draw of the initialisation fits the training data, minus log₂ of those until "
    "a run does, with restarts.",
    symbol="G",
    conventions="In bits, with its 95 % interval. A gradient counts as 3 forward passes over all examples. A bound "
    "where no draw fits, or no run does.",
    source="zou2008",
)


def measure_gain(unit: Unit, options: ChannelGainOptions) -> list[Row]:
    """A row per architecture and explorer."""
    rows: list[Row] = []
    for architecture, explorers in settings(unit.runs).items():
        neutral = _fits(next(iter(explorers.values()))[0], options.samples)
        for explorer, runs in explorers.items():
            same = {"architecture": architecture, "explorer": explorer, "runs": len(runs)}
            rows.append(same | _gain(runs, neutral, options.pilot))
    return rows


def _fits(run: Run, samples: int) -> Measurement | None:
    """The share of draws of the initialisation that fit the training data; ``None`` where answers are no classes."""
    from allroads.points.prior import function_prior

    if run.loss not in ("bce", "cross_entropy"):
        return None
    problem = run.problem
    prior = function_prior(run.network, problem.inputs, samples, seed=run.study_seed, progress=False)
    return prior.probability(np.asarray(problem.labels))


def _gain(runs: Sequence[Run], neutral: Measurement | None, pilot: float) -> dict[str, Any]:
    """The columns of one setting, or why it has none."""
    from allroads.studies.channels import channel_gain, first_fit

    if neutral is None:
        return {"status": REFUSED, "reason": "With this loss the answers are no classes."}
    if len(runs) < FEWEST:
        return {"status": REFUSED, "reason": f"{len(runs)} runs; {FEWEST} or more are needed."}
    ensemble = together(runs)
    if ensemble is None or ensemble.cost is None:
        return {"status": REFUSED, "reason": "The cost of runs that were read from files is not known."}
    found = channel_gain(neutral, ensemble, runs[0].problem, pilot=pilot)
    columns: dict[str, Any] = {"gain": found.value} | {end: found.stats[end] for end in ("low", "high")}
    for name, cost in (("neutral", found.neutral), ("gradient", found.explorer)):
        columns |= {name: cost.value, f"{name}_low": cost.stats["low"], f"{name}_high": cost.stats["high"]}
    counts = {"fitted": int(first_fit(ensemble, runs[0].problem).fitted.sum())}
    counts |= {"draws": neutral.stats["samples"], "draws_fitted": neutral.stats["count"]}
    shown = {name: finite(value) for name, value in columns.items()}
    return shown | counts | {"resolution": found.stats["resolution"], "status": found.status.value}


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """Whether runs find a fit with less search than blind draws."""
    return by_grid(_gained, "channel_gain", "learnable")(tables["channel_gain"], grids)


def verdict(row: Row) -> int:
    """1 where the interval of a gain lies above 0, −1 where it lies below, else 0.

    Example:
        >>> verdict({"low": 1.0, "high": None}), verdict({"low": None, "high": -1.0}), verdict({"low": -1, "high": 1})
        (1, -1, 0)
    """
    low, high = row["low"], row["high"]
    return int(low is not None and low > 0) - int(high is not None and high < 0)


def _gained(table: pl.DataFrame) -> str:
    rows = table.filter(pl.col("gain").is_not_null()).to_dicts()
    if not rows:
        return ""
    if len(rows) == 1:
        return _one(rows[0])
    more, less = (sum(verdict(row) == sign for row in rows) for sign in (1, -1))
    text = (
        f"Runs reach a fit with clearly less search than blind draws in {more} of {len(rows)} settings that "
        f"can be compared, and with clearly more in {less}."
    )
    if not more:
        return text
    best = max(rows, key=lambda row: -math.inf if row["low"] is None else row["low"])
    return f"{text} The largest gain that is sure is that of {best['explorer']} on {best['target']}: {_number(best)}."


def _one(row: Row) -> str:
    """Of one setting."""
    verbs = {
        1: "clearly less search than",
        -1: "clearly more search than",
        0: "neither clearly less nor more search than",
    }
    text = f"{row['explorer']} fits {row['target']} with {verbs[verdict(row)]} blind draws: a gain of {_number(row)}."
    return f"{text} {row['fitted']} of {row['runs']} runs and {row['draws_fitted']:,} of {row['draws']:,} draws fit."


def _number(row: Row) -> str:
    if row["low"] is None:
        return f"{signed(row['high'])} bits at most, at 95 %"
    if row["high"] is None:
        return f"{signed(row['low'])} bits at least, at 95 %"
    return f"{signed(row['gain'])} bits (95 % interval {signed(row['low'])} to {signed(row['high'])})"


NUMBERS = ("gain", "low", "high", "neutral", "neutral_low", "neutral_high", "gradient", "gradient_low", "gradient_high")

MEASURE = Measure(
    "channel_gain",
    1,
    "target",
    measure_gain,
    {
        "architecture": pl.String,
        "explorer": pl.String,
        **dict.fromkeys(NUMBERS, pl.Float64),
        "fitted": pl.Int64,
        "runs": pl.Int64,
        "draws_fitted": pl.Int64,
        "draws": pl.Int64,
        "resolution": pl.Float64,
        "status": pl.String,
        "reason": pl.String,
    },
    options=ChannelGainOptions,
    needs=("curves", "values"),
    quantities=(QUANTITY,),
    findings=findings,
)
