"""Robustness where a run ends: the share of small moves of its parameters that keep the function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
from pydantic import Field

from allroads.errors import InputError
from allroads.status import PathStatus
from allroads.studies.measures.measure import Measure, Options, Quantity, Row
from allroads.studies.measures.neighbours import run_seed
from allroads.studies.probes import road_probes

if TYPE_CHECKING:
    from allroads.studies.units import Unit


class RobustnessOptions(Options):
    """Options of the robustness.

    Args:
        enabled: Off by default: it takes ``moves`` forward passes of all inputs.
        move: Standard deviation of the moves, relative to the root mean square of each array.
        moves: Moves per run.
        inputs: Inputs, at most, on which the function must stay the same.
    """

    enabled: bool = False
    move: Annotated[float, Field(gt=0)] = 0.1
    moves: Annotated[int, Field(ge=1)] = 512
    inputs: Annotated[int, Field(ge=1)] = 1024


QUANTITY = Quantity(
    "robustness",
    "Share of Gaussian moves of the last parameters of a run that keep its answers on all inputs.",
    symbol="ρ",
    conventions="On the whole domain where it is known, else on the held-out examples. Relative to the root mean "
    "square of each array, so that the size of an array plays no part. Each run has moves of its own.",
    source="greenbury2016",
)


def measure_robustness(unit: Unit, options: RobustnessOptions) -> list[Row]:
    """The share of moves that keep the function at the end, with its interval."""
    from allroads.points.prior.point_robustness import point_robustness

    run = unit.run
    row: dict[str, Any] = {"step": int(run.steps[-1]), "move": options.move}
    inputs = road_probes(run.target, options.inputs).inputs
    try:
        found = point_robustness(
            run.network, run.end, inputs, move=options.move, moves=options.moves, loss=run.loss, seed=run_seed(run)
        )
    except InputError:  # all parameters are zero
        return [row | {"status": PathStatus.DEGENERATE.value}]
    if not found.status.sound:
        return [row | {"status": found.status.value}]
    number = {"value": float(found.value), "low": found.stats["low"], "high": found.stats["high"]}
    return [row | number | {"status": found.status.value}]


MEASURE = Measure(
    "robustness",
    2,
    "checkpoint",
    measure_robustness,
    {"value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "status": pl.String, "move": pl.Float64},
    options=RobustnessOptions,
    quantities=(QUANTITY,),
)
