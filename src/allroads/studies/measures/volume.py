"""Local volume where a run ends: the mass of the parameters about as good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field

from allroads.errors import InputError
from allroads.status import VolumeStatus
from allroads.studies.measures.measure import Measure, Options, Quantity, Row

if TYPE_CHECKING:
    from allroads.studies.units import Unit


class VolumeOptions(Options):
    """Options of the local volume.

    Args:
        enabled: Off by default: it is the costliest number of a point.
        cutoff: Loss above that of the point up to which parameters count as about as good.
        sigma: Standard deviation of the reference measure, a normal distribution around the point.
        budget: Seconds per run, compilation included. Where it ends first the number is a bound, as its status says.
    """

    enabled: bool = False
    cutoff: Annotated[float, Field(gt=0)] = 0.1
    sigma: Annotated[float, Field(gt=0)] = 1.0
    budget: Annotated[float, Field(gt=0)] = 60.0


QUANTITY = Quantity(
    "local volume",
    "Log mass, under a normal distribution around the last point, of the basin in which the training loss is at most "
    "the cutoff above that of the point.",
    symbol="log μ",
    conventions="In nats. Volumes compare under one cutoff and one reference measure, both options of the measure.",
    source="scherlis2025",
)


def measure_volume(unit: Unit, options: VolumeOptions) -> list[Row]:
    """The local volume at the end; a point whose loss is not finite has none."""
    from allroads.points.volume.local_volume import local_volume
    from allroads.points.volume.measures import Gaussian

    run = unit.run
    row: dict[str, Any] = {"step": int(run.steps[-1]), "cutoff": options.cutoff, "sigma": options.sigma}
    if run.status != "ok":
        return [row | {"status": VolumeStatus.DIVERGED.value}]
    try:
        found = local_volume(
            run.problem,
            run.end,
            cutoff=options.cutoff,
            measure=Gaussian(options.sigma),
            seed=run.study_seed,
            budget=options.budget,
            progress=False,
        )
    except InputError as error:  # a loss that does not vary, or a cutoff that rounding hides
        return [row | {"status": VolumeStatus.DEGENERATE.value, "reason": str(error)}]
    if found.stats.get("ended") == "interrupted":
        raise KeyboardInterrupt
    number = {"value": float(found.value), "error": float(found.error)} if np.isfinite(found.value) else {}
    return [row | number | {"status": found.status.value, "ended": found.stats.get("ended")}]


MEASURE = Measure(
    "volume",
    1,
    "checkpoint",
    measure_volume,
    {
        "value": pl.Float64,
        "error": pl.Float64,
        "status": pl.String,
        "cutoff": pl.Float64,
        "sigma": pl.Float64,
        "ended": pl.String,
        "reason": pl.String,
    },
    options=VolumeOptions,
    quantities=(QUANTITY,),
    chunk=1,
)
