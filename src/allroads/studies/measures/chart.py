"""Chart: where straightness is judged, one choice for all measures that need one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import polars as pl

from allroads.studies.measures.measure import Measure, Options, Row

if TYPE_CHECKING:
    from allroads.studies.units import Unit


class ChartOptions(Options):
    """Options of the chart.

    Args:
        name: ``outputs``, ``probabilities`` or ``sphere``; default: ``outputs`` for ``mse``, else ``sphere``.
    """

    name: Literal["outputs", "probabilities", "sphere"] | None = None


def choose_chart(unit: Unit, options: ChartOptions) -> Row:
    """The chart of one run."""
    return {"chart": options.name or ("outputs" if unit.run.loss == "mse" else "sphere")}


MEASURE = Measure("chart", 1, "run", choose_chart, {"chart": pl.String}, options=ChartOptions)
