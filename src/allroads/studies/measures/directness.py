"""Directness of a run's road, and whether less direct roads take longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid, listed, middle, rank_correlation, signed

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
    """How direct the roads are, and whether less direct ones take longer; of all runs, then grid by grid."""
    return by_grid(_direct, "directness", "road")(tables["runs"], grids)


def _direct(runs: pl.DataFrame) -> str:
    known = runs.drop_nulls("directness")
    if known.is_empty():
        return ""
    charts = listed(known["chart"].unique().sort().to_list())
    text = f"The median road has a directness of {middle(known['directness'], '{}', 2)}; 1 is straight"
    return f"{text} (charts: {charts}). {_related(known)}".rstrip()


def _related(runs: pl.DataFrame) -> str:
    """The rank correlation of directness with steps to fit, within the grids of five targets or more."""
    said = []
    for (grid,), part in runs.drop_nulls("steps_to_fit").group_by("grid", maintain_order=True):
        targets = part["target"].n_unique()
        if targets < TARGETS:
            continue
        value, low, high = rank_correlation(part, "directness", "steps_to_fit")
        if np.isnan(value):
            continue
        verb = "directness and steps to fit are not clearly related"
        verb = "less direct roads took more steps to fit" if high < 0 else verb
        verb = "less direct roads took fewer steps to fit" if low > 0 else verb
        said.append(
            f"Over {part.height} fitted runs of {targets} targets ({grid}), {verb}: rank correlation {signed(value)}, "
            f"95 % interval over targets {signed(low)} to {signed(high)}."
        )
    return " ".join(said)


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
