"""Turning of a run's road."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from allroads.studies.measures.measure import Measure, Options, Quantity, Row

if TYPE_CHECKING:
    from allroads.studies.units import Unit

QUANTITY = Quantity(
    "turning",
    "Total angle by which the tangent of that image turns.",
    symbol="Γ",
    conventions="Radians; resampled to 256 points evenly by arc length.",
    source="lucas2021",
)


def measure_turning(unit: Unit, options: Options) -> Row:
    """Turning of one run with its status."""
    from allroads.paths.turning import turning

    found = turning(unit.run.need("values").arrays["values"], unit.run.need("chart").row["chart"])
    return {"turning": None if np.isnan(found) else float(found), "turning_status": found.status.value}


MEASURE = Measure(
    "turning",
    1,
    "run",
    measure_turning,
    {"turning": pl.Float64, "turning_status": pl.String},
    needs=("values", "chart"),
    quantities=(QUANTITY,),
)
