"""Sharpness where a run ends: the largest eigenvalue of the Hessian of its training loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import jax
import numpy as np
import polars as pl
from pydantic import Field

from allroads.status import SpectrumStatus
from allroads.studies.measures.measure import Measure, Options, Quantity, Row

if TYPE_CHECKING:
    from allroads.studies.units import Unit


class SharpnessOptions(Options):
    """Options of the sharpness.

    Args:
        enabled: Off by default: it takes about a hundred products with the Hessian.
        tolerance: Largest residual over the largest absolute eigenvalue.
    """

    enabled: bool = False
    tolerance: Annotated[float, Field(gt=0)] = 1e-3


QUANTITY = Quantity(
    "sharpness",
    "Largest eigenvalue of the Hessian of the training loss at the last point of a run.",
    symbol="h_max",
    conventions="In the unit of the loss per squared unit of the parameters. Rescaling hidden units of a homogeneous "
    "network changes it without changing the function.",
    source="dinh2017",
)


def measure_sharpness(unit: Unit, options: SharpnessOptions) -> list[Row]:
    """The largest eigenvalue of the Hessian at the end, with its residual."""
    from allroads.points.spectrum.top_eigenvalue import top_eigenvalue

    run = unit.run
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.end)):
        return [{"step": int(run.steps[-1]), "status": SpectrumStatus.DIVERGED.value}]
    found = top_eigenvalue(run.problem, run.end, tolerance=options.tolerance, seed=run.study_seed)
    number = {"value": float(found.value), "error": found.error} if np.isfinite(found.value) else {}
    return [{"step": int(run.steps[-1]), "status": found.status.value, **number}]


MEASURE = Measure(
    "sharpness",
    1,
    "checkpoint",
    measure_sharpness,
    {"value": pl.Float64, "error": pl.Float64, "status": pl.String},
    options=SharpnessOptions,
    quantities=(QUANTITY,),
)
