"""Stages: of which direct pieces a run's road is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from allroads.studies.measures.measure import Measure, Options, Outcome, Quantity

if TYPE_CHECKING:
    from allroads.studies.units import Unit

QUANTITY = Quantity(
    "stages",
    "The fewest pieces of the road that each have a directness of at least 0.95; joints lie between.",
    conventions="In the stated chart; joints at the nearest record by length. A road that bends evenly is cut all the "
    "same, and a step size that makes it zigzag gives many.",
    source="saxe2014",
)


def measure_stages(unit: Unit, options: Options) -> Outcome:
    """Number of stages, and whether one ends and another begins at each record."""
    from allroads.paths.stages import stages

    run = unit.run
    values = run.need("values").arrays["values"]
    pieces = stages(values, chart=run.need("chart").row["chart"])
    joints = np.isin(np.arange(len(values)), [joint.record for joint in pieces.joints])
    return Outcome(({"stages": pieces.count or None},), {"joint": joints})


MEASURE = Measure(
    "stages",
    1,
    "run",
    measure_stages,
    {"stages": pl.Int64},
    along={"joint": pl.Boolean},
    needs=("values", "chart"),
    quantities=(QUANTITY,),
)
