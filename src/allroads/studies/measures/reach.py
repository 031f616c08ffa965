"""Reach: from the ends of runs at one function, descents of the loss of another, with the explorer of the runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import jax
import numpy as np
import polars as pl
from pydantic import Field

from allroads.errors import InputError
from allroads.status import AtlasStatus
from allroads.studies.measures.ends import World, stacked_ends, worlds
from allroads.studies.measures.measure import Measure, Options, Quantity, Row

if TYPE_CHECKING:
    from allroads.atlases.reach import Reach
    from allroads.studies.units import Unit


class ReachOptions(Options):
    """Options of the reach.

    Args:
        enabled: Off by default: it trains from every end that is taken to every function.
        programs: Functions, at most: those at which most runs of the grid end.
        starts: Ends per function, architecture and explorer, at most.
        steps: Budget of a descent; default the steps of the grid.
        inputs: Inputs of a domain, at most; runs with a larger one are left out.
        budget: Seconds per architecture and explorer; what it ends is left out and said.
    """

    enabled: bool = False
    programs: Annotated[int, Field(ge=2)] = 12
    starts: Annotated[int, Field(ge=1)] = 8
    steps: Annotated[int, Field(ge=1)] | None = None
    inputs: Annotated[int, Field(ge=2)] = 1024
    budget: Annotated[float, Field(gt=0)] = 60.0


QUANTITIES = (
    Quantity(
        "reach",
        "Share of descents from ends of runs at p that come to compute q within the budget, under the loss of q on the "
        "whole domain.",
        symbol="R(p→q)",
        conventions="The explorer, the loss and, by default, the steps are those of the grid. A descent ends when it "
        "first computes q. Explorers and architectures of a grid are pooled. 95 % interval by Clopper and Pearson.",
        source="clopper1934",
    ),
    Quantity(
        "cost of reach",
        "Median of log₂(1 + steps) until q is first computed, over the same descents.",
        conventions="Beyond the budget where half of them do not come. 95 % interval by order statistics.",
    ),
    Quantity(
        "asymmetry of reach",
        "R(p→q) − R(q→p).",
        conventions="95 % interval from those of the two shares, by squaring and adding.",
        source="newcombe1998",
    ),
)


def measure_reach(unit: Unit, options: ReachOptions) -> list[Row]:
    """A row per descent; a row with a status and a reason for each architecture and explorer that has none.

    Raises:
        KeyboardInterrupt: If the user stopped it: what is there then is nothing to store.
    """
    rows: list[Row] = []
    for world in worlds(unit.runs):
        chosen = world.commonest(options.programs)
        for (architecture, explorer), part in world.parts("architecture", "explorer"):
            same = {"architecture": architecture, "explorer": explorer}
            try:
                found, starts = _descents(part, chosen, world.answers, options)
            except InputError as error:
                rows.append(same | {"status": AtlasStatus.NOT_APPLICABLE.value, "reason": str(error)})
                continue
            rows += [same | row for row in _rows(found, starts, chosen)]
    return rows


def _descents(
    part: World, chosen: Sequence[str], answers: Mapping[str, np.ndarray], options: ReachOptions
) -> tuple[Reach, dict[str, list[str]]]:
    """The descents of one architecture and explorer, and the runs whose ends each function starts from."""
    from allroads.atlases.reach import Starts, reach

    first = part.runs[0]
    if len(chosen) < 2:
        raise InputError("all runs end at one function.")
    if first.loss not in ("bce", "cross_entropy"):
        raise InputError(f"outputs under the loss {first.loss!r} are no answers; it takes bce or cross_entropy.")
    if len(part.inputs) > options.inputs:
        raise InputError(f"the domain has {len(part.inputs):,} inputs, above the limit of {options.inputs:,}.")
    if first.recipe.explorer is None:
        raise InputError("nothing says how these runs were trained; name an explorer under [runs.like].")
    ends = {name: runs for name in chosen if (runs := part.of(name, options.starts))}
    if not ends:
        raise InputError("no run of this architecture and explorer ends at one of the functions.")
    count = np.array([len(runs) for runs in ends.values()])
    most = int(count.max())
    padded = [run for runs in ends.values() for run in [*runs, *runs[:1] * (most - len(runs))]]
    params = jax.tree.map(lambda leaf: leaf.reshape(len(ends), most, *leaf.shape[1:]), stacked_ends(padded))
    found = reach(
        first.network,
        part.inputs,
        np.stack([answers[name] for name in ends]),
        np.stack([answers[name] for name in chosen]),
        loss=first.loss,
        explorer=first.recipe.explorer.build(),
        steps=options.steps or first.recipe.steps,
        starts=Starts(params, count, np.zeros_like(count)),
        seed=first.study_seed,
        budget=options.budget,
        progress=False,
    )
    if found.stats["ended"] == "interrupted":
        raise KeyboardInterrupt
    return found, {name: [run.name for run in runs] for name, runs in ends.items()}


def _rows(found: Reach, starts: Mapping[str, Sequence[str]], chosen: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row per descent, and one that says so where the budget ended some."""
    from allroads.atlases.reach.result import ABSENT

    budget, sources = int(found.stats["steps"]), list(starts)
    for s, t, k in np.argwhere(found.steps != ABSENT):
        steps, direct = int(found.steps[s, t, k]), float(found.directness[s, t, k])
        yield {
            "run": starts[sources[s]][k],
            "from_function": sources[s],
            "to_function": chosen[t],
            "steps": steps if steps >= 0 else None,
            "budget": budget,
            "directness": direct if np.isfinite(direct) else None,
            "status": "ok",
        }
    if not found.status.sound:
        left = int((found.steps == ABSENT).all((1, 2)).sum())
        undone = f"the budget ended before {left} of {len(sources)} functions were started from"
        reason = f"{undone}; raise measures.reach.budget."
        yield {"status": found.status.value, "reason": reason}


MEASURE = Measure(
    "reach",
    1,
    "grid",
    measure_reach,
    {
        "architecture": pl.String,
        "explorer": pl.String,
        "run": pl.String,
        "from_function": pl.String,
        "to_function": pl.String,
        "steps": pl.Int64,
        "budget": pl.Int64,
        "directness": pl.Float64,
        "status": pl.String,
        "reason": pl.String,
    },
    options=ReachOptions,
    needs=("programs",),
    quantities=QUANTITIES,
)
