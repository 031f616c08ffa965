"""Costs of roads: from the ends of runs at one function, the straight road to the outputs of another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import jax
import numpy as np
import polars as pl
from pydantic import Field

from allroads.errors import InputError
from allroads.status import AtlasStatus
from allroads.studies.forward import outputs_along
from allroads.studies.measures.ends import World, stacked_ends, worlds
from allroads.studies.measures.measure import Measure, Options, Quantity, Row

if TYPE_CHECKING:
    from allroads.studies.units import Run, Unit

FOLLOWED = 0.01
"""Largest distance of the image off its segment, over the segment's length, of a road that counts as followed."""
JACOBIAN = 2**18
"""Numbers, at most, of the Jacobian of all outputs."""


class RoadCostsOptions(Options):
    """Options of the costs of roads.

    Args:
        enabled: Off by default: a road takes two Jacobians per step.
        programs: Functions, at most: those at which most runs of the grid end.
        starts: Ends per function and architecture, at most.
        steps: Steps of a road.
    """

    enabled: bool = False
    programs: Annotated[int, Field(ge=2)] = 12
    starts: Annotated[int, Field(ge=1)] = 4
    steps: Annotated[int, Field(ge=8)] = 128


QUANTITY = Quantity(
    "road cost",
    "Length in parameter space of the lifted straight road from the end of a run at p to the outputs of a run that "
    "ends at q.",
    symbol="∫√(ḟᵀK⁻¹ḟ)dt",
    conventions="On the whole domain, in double precision. Roads whose image leaves the segment by more than 1 % of "
    "its length are left out. The median over roads; 95 % interval by order statistics.",
)


def measure_road_costs(unit: Unit, options: RoadCostsOptions) -> list[Row]:
    """A row per road; a row with a status and a reason for each architecture that has none."""
    rows: list[Row] = []
    for world in worlds(unit.runs):
        chosen = world.commonest(options.programs)
        for (architecture,), part in world.parts("architecture"):
            same = {"architecture": architecture}
            try:
                rows += [same | row for row in _roads(part, chosen, options)]
            except InputError as error:
                rows.append(same | {"status": AtlasStatus.NOT_APPLICABLE.value, "reason": str(error)})
    return rows


def _roads(part: World, chosen: Sequence[str], options: RoadCostsOptions) -> list[dict[str, Any]]:
    from allroads.atlases.reach.roads import road_costs
    from allroads.pfmap.precision import float64

    ends = {name: runs for name in chosen if (runs := part.of(name, options.starts))}
    network, inputs = part.runs[0].network, part.inputs
    if len(ends) < 2:
        raise InputError("the runs of this architecture end at one of the functions alone.")
    if not np.issubdtype(inputs.dtype, np.floating):
        raise InputError("inputs are no floating-point numbers, and roads are followed in double precision.")
    kept = {run.name: (run, name) for name, runs in ends.items() for run in runs}
    points = stacked_ends([run for run, _ in kept.values()])
    values = dict(zip(kept, outputs_along(network, points, inputs), strict=True))
    size = math.prod(next(iter(values.values())).shape)
    weights = sum(leaf[0].size for leaf in jax.tree.leaves(points))
    if size * weights > JACOBIAN:
        raise InputError(f"the Jacobian has {size:,} × {weights:,} numbers, above the limit of {JACOBIAN:,}.")
    pairs = list(_pairs(ends))
    starts = stacked_ends([run for run, _, _ in pairs])
    goals = np.stack([values[goal.name] for _, goal, _ in pairs])
    with float64():
        found = road_costs(network, inputs, starts, goals, steps=options.steps)
    return [
        {"run": run.name, "from_function": kept[run.name][1], "to_function": name, **_numbers(cost, off)}
        for (run, _, name), cost, off in zip(pairs, found.cost, found.deviation, strict=True)
    ]


def _pairs(ends: Mapping[str, Sequence[Run]]) -> Iterator[tuple[Run, Run, str]]:
    """For each ordered pair of functions each start, and in turn the ends of the other whose outputs to reach."""
    for p, q in itertools.permutations(ends, 2):
        for at, run in enumerate(ends[p]):
            yield run, ends[q][at % len(ends[q])], q


def _numbers(cost: float, off: float) -> dict[str, Any]:
    if not (np.isfinite(cost) and np.isfinite(off)):
        return {"status": AtlasStatus.NOT_FOLLOWED.value}
    status = AtlasStatus.OK if off <= FOLLOWED else AtlasStatus.NOT_FOLLOWED
    return {"cost": float(cost), "deviation": float(off), "status": status.value}


MEASURE = Measure(
    "road_costs",
    1,
    "grid",
    measure_road_costs,
    {
        "architecture": pl.String,
        "run": pl.String,
        "from_function": pl.String,
        "to_function": pl.String,
        "cost": pl.Float64,
        "deviation": pl.Float64,
        "status": pl.String,
        "reason": pl.String,
    },
    options=RoadCostsOptions,
    needs=("programs",),
    quantities=(QUANTITY,),
)
