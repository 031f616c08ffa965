"""Directness of a run's road, and whether less direct roads take longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import rank_correlation, signed

if TYPE_CHECKING:
    from allroads.studies.units import Unit

TARGETS = 5
"""Targets that a grid needs for its rank correlation to be a finding."""

QUANTITY = Quantity(
    "directness",
    "Chord over arc length of the run's image in function space.",
    symbol="D",
    conventions="Euclidean in the stated chart over all road probes; the recorded polygon, at most 256 points evenly "
    "by arc length.",
    source="saxe2014",
)


def measure_directness(unit: Unit, options: Options) -> Row:
    """Directness of one run with its status."""
    from allroads.paths.directness import directness

    found = directness(unit.run.need("values").arrays["values"], unit.run.need("chart").row["chart"])
    return {"directness": None if np.isnan(found) else float(found), "directness_status": found.status.value}


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """The rank correlation of directness with steps to fit, in grids of five targets or more."""
    return [Finding(_related(tables["runs"].filter(pl.col("grid") == grid)), "directness", grid) for grid in grids]


def _related(runs: pl.DataFrame) -> str:
    measured = runs.drop_nulls(["directness", "steps_to_fit"])
    targets = measured["target"].n_unique()
    if targets < TARGETS:
        return ""
    value, low, high = rank_correlation(measured, "directness", "steps_to_fit")
    if np.isnan(value):
        return ""
    clear = "are not clearly related" if low <= 0 <= high else "go together"
    if high < 0:
        clear = "run against each other: less direct roads take longer"
    return (
        f"Directness of the road in function space ({measured['chart'][0]} chart) and steps to fit {clear}; over "
        f"{measured.height} fitted runs of {targets} targets their rank correlation is {signed(value)} (95 % interval "
        f"over targets {signed(low)} to {signed(high)})."
    )


MEASURE = Measure(
    "directness",
    1,
    "run",
    measure_directness,
    {"directness": pl.Float64, "directness_status": pl.String},
    needs=("values", "chart"),
    quantities=(QUANTITY,),
    findings=findings,
)
