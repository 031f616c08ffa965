"""Pairs: barriers between the ends of runs of one combination, and agreement of their answers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import middle

if TYPE_CHECKING:
    from allroads.studies.units import Unit

QUANTITIES = (
    Quantity(
        "barrier",
        "Largest excess of the loss on the straight segment between two ends over the line between their losses.",
        symbol="B",
        conventions="25 points on the segment, in the unit of the loss; no alignment: permuting hidden units can lower "
        "it.",
        source="entezari2022",
    ),
    Quantity(
        "agreement",
        "Share of examples that two ends answer alike, on the held-out ones where there are any.",
        conventions="All positions of a sequence together.",
    ),
)


def compare_ends(unit: Unit, options: Options) -> list[Row]:
    """Barriers on training and held-out examples, and agreement, for every pair of runs."""
    import jax

    from allroads.paths.agreement import agreement
    from allroads.paths.barrier import barrier

    first = unit.runs[0]
    network, target, loss = first.network, first.target, first.loss
    compared = target.train if target.held_out is None else target.held_out
    apply = jax.jit(network.apply)
    ends = [run.end for run in unit.runs]
    outputs = [np.asarray(apply(end, compared.inputs)) for end in ends]
    rows: list[Row] = []
    problems = {"train": first.problem, "held_out": first.held_out_problem}
    for a, b in itertools.combinations(range(len(ends)), 2):
        row: dict[str, Any] = {"run_a": unit.runs[a].name, "run_b": unit.runs[b].name}
        for part, problem in problems.items():
            if problem is not None:
                row[f"barrier_{part}"] = float(barrier(problem, ends[a], ends[b]).height)
        row["agreement"] = float(agreement(outputs[a], outputs[b], loss))
        rows.append(row)
    return rows


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """How alike two runs of one setting end, grid by grid in one sentence."""
    parts = []
    for grid in grids:
        table = tables["pairs"].filter(pl.col("grid") == grid)
        if table.is_empty():
            continue
        held_out = table["barrier_held_out"].drop_nulls()
        examples = "held-out" if len(held_out) else "training"
        alike = middle(table["agreement"].drop_nulls() * 100, "{} %", 1)
        rise = middle(table["barrier_train"].drop_nulls(), "the training loss rises by {}", 2)
        rise += middle(held_out, " and the held-out loss by {}", 2) if len(held_out) else ""
        parts.append((f"{alike} of {examples} examples", rise, grid))
    if not parts:
        return []
    alike, rise, first = parts[0]
    text = (
        f"The median pair of runs of one setting answers {alike} alike. On the straight line between their weights "
        f"{rise} ({first})"
    )
    text += "".join(f"; {alike}, {rise} ({grid})" for alike, rise, grid in parts[1:])
    return [Finding(f"{text}.", "pairs", first)]


MEASURE = Measure(
    "pairs",
    1,
    "pair",
    compare_ends,
    {"barrier_train": pl.Float64, "barrier_held_out": pl.Float64, "agreement": pl.Float64},
    quantities=QUANTITIES,
    findings=findings,
)
