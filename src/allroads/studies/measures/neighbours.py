"""Neighbours: the functions to which small moves of the last parameters of a run lead."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
from pydantic import Field

from allroads.errors import InputError
from allroads.status import AtlasStatus, PathStatus
from allroads.studies.measures.ends import last_function
from allroads.studies.measures.functions import domain, function_name, truth_table
from allroads.studies.measures.measure import Measure, Options, Quantity, Row

if TYPE_CHECKING:
    from allroads.studies.units import Run, Unit


class NeighboursOptions(Options):
    """Options of the neighbours.

    Args:
        enabled: Off by default: it takes ``moves`` forward passes of the whole domain per run.
        move: Standard deviation of the moves, relative to the root mean square of each array.
        moves: Moves per run.
        inputs: Inputs of a domain, at most; runs with a larger one are left out.
    """

    enabled: bool = False
    move: Annotated[float, Field(gt=0)] = 0.1
    moves: Annotated[int, Field(ge=1)] = 256
    inputs: Annotated[int, Field(ge=1)] = 1024


QUANTITY = Quantity(
    "neighbour share",
    "Share of Gaussian moves of the last parameters of the runs that end at p which lead to q.",
    symbol="φ(q|p; σ)",
    conventions="Moves are relative to the root mean square of each array. Functions are read as programs are, on the "
    "whole domain. 95 % intervals are by run, since moves of one run depend on each other. The share that stays is the "
    "robustness, the number of other functions seen the evolvability.",
    source="greenbury2016",
)


def measure_neighbours(unit: Unit, options: NeighboursOptions) -> list[Row]:
    """A row per function that moves lead to, with how many; one with a status alone where there is none."""
    from allroads.atlases.neighbours.of_point import functions_around

    run = unit.run
    name = last_function(run)
    row: dict[str, Any] = {"step": int(run.steps[-1]), "function": name, "move": options.move, "moves": options.moves}
    inputs = domain(run.target).inputs
    if name is None:
        diverged = run.status != "ok"
        return [row | {"status": PathStatus.DIVERGED.value}] if diverged else []
    if len(inputs) > options.inputs:
        return [row | {"status": AtlasStatus.NOT_APPLICABLE.value}]
    try:
        found, counts = functions_around(
            run.network, run.end, inputs, loss=run.loss, move=options.move, moves=options.moves, seed=run_seed(run)
        )
    except InputError:  # all parameters are zero
        return [row | {"status": PathStatus.DEGENERATE.value}]
    return [
        row | {"neighbour": function_name(said, truth_table(said, inputs)), "count": int(count), "status": "ok"}
        for said, count in zip(found, counts, strict=True)
    ]


def run_seed(run: Run) -> int:
    """A seed of the run's own, below 2⁵⁶: draws of two runs are independent."""
    return int.from_bytes(hashlib.sha256(f"{run.study_seed} {run.name}".encode()).digest()[:7])


MEASURE = Measure(
    "neighbours",
    1,
    "checkpoint",
    measure_neighbours,
    {
        "function": pl.String,
        "neighbour": pl.String,
        "count": pl.Int64,
        "moves": pl.Int64,
        "move": pl.Float64,
        "status": pl.String,
    },
    options=NeighboursOptions,
    needs=("programs",),
    quantities=(QUANTITY,),
)
