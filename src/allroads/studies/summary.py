"""The summary of a study: what its report and the last lines of a run say about it as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import polars as pl

from allroads.studies.measures.measure import QUESTIONS, Finding, Measure
from allroads.studies.store import SCHEMA_VERSION
from allroads.studies.toml import to_toml

if TYPE_CHECKING:
    from allroads.studies.failures import Failure
    from allroads.studies.graph import Graph, Node
    from allroads.studies.plan import Plan

NAMED = 3
"""Failures of one measure that a finding names one by one."""


def make_summary(
    plan: Plan,
    graph: Graph,
    tables: Mapping[str, pl.DataFrame],
    failures: Sequence[Failure],
    provenance: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """The summary.

    Args:
        plan: For the study and its targets.
        graph: For its measures.
        tables: Its tables.
        failures: What went wrong.
        provenance: Of this invocation.
        seconds: That the study has taken so far.
    """
    runs = tables["runs"]
    shown = graph.shown
    return {
        "schema_version": SCHEMA_VERSION,
        "name": plan.study.name,
        "question": plan.study.question,
        "grids": [
            {
                "name": grid.name,
                "question": grid.question,
                "targets": [_target(plan, key) for key in plan.tasks() if key[0] == grid.name],
            }
            for grid in plan.study.sections
        ],
        "measures": [_measure(node) for node in shown],
        "tables": {name: {column: str(kind) for column, kind in t.schema.items()} for name, t in tables.items()},
        "quantities": [asdict(quantity) for node in shown for quantity in node.measure.quantities],
        "status_counts": dict(sorted(Counter(runs["status"]).items())),
        "failures": [failure.plain for failure in failures],
        "cost": {"seconds": round(seconds, 3)} | {name: _known_sum(runs[name]) for name in ("gradients", "examples")},
        "provenance": dict(provenance),
        "config_toml": to_toml(plan.study),
        "questions": dict(QUESTIONS),
        "findings": stated(
            find([node.measure for node in shown], tables, [grid.name for grid in plan.study.sections], failures)
        ),
    }


def stated(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as the summary has them, with ``headline``: whether none of the whole study says it for this one.

    Example:
        >>> whole, part = Finding("all", "learning"), Finding("some", "learning", "a grid")
        >>> [found["headline"] for found in stated([whole, part])], stated([part])[0]["headline"]
        ([True, False], True)
    """
    whole = {(found.chart, found.question) for found in findings if not found.grid}
    return [
        asdict(found) | {"headline": not found.grid or (found.chart, found.question) not in whole} for found in findings
    ]


def _known_sum(costs: pl.Series) -> int | None:
    """What the runs cost together as far as it is known; ``None`` where it is known of none of them."""
    return int(costs.sum()) if costs.is_empty() or costs.is_not_null().any() else None


def find(
    measures: Sequence[Measure],
    tables: Mapping[str, pl.DataFrame],
    grids: Sequence[str],
    failures: Sequence[Failure] = (),
) -> list[Finding]:
    """Sentences for the top of the report and the end of a run.

    Medians come with the middle half of the values in brackets, rank correlations with a 95 % bootstrap interval over
    targets.

    Args:
        measures: In the order of their sentences.
        tables: The tables of the study.
        grids: Names of its grids, in order.
        failures: What went wrong.
    """
    runs = {grid: tables["runs"].filter(pl.col("grid") == grid) for grid in grids}
    held = [grid for grid, table in runs.items() if not table.is_empty()]
    found = [_failed(name, [f for f in failures if f.measure == name]) for name in _names(failures)]
    found += [_diverged(grid, runs[grid]) for grid in held]
    for measure in measures:
        found += measure.findings(tables, held) if held else []
    return [finding for finding in found if finding.text]


def _names(failures: Sequence[Failure]) -> list[str]:
    return list(dict.fromkeys(failure.measure for failure in failures))


def _failed(name: str, failures: Sequence[Failure]) -> Finding:
    units = "; ".join(f"{failure.unit} ({failure.message.rstrip('.')})" for failure in failures[:NAMED])
    more = f"; and {len(failures) - NAMED} more" if len(failures) > NAMED else ""
    what = "Training" if name == "trajectories" else f"The measure {name!r}"
    return Finding(f"{what} failed for {units}{more}.", "runs")


def _diverged(grid: str, runs: pl.DataFrame) -> Finding:
    count = runs.filter(pl.col("status") != "ok").height
    text = f"{count} of {runs.height} runs diverged; every figure below is read up to their last finite step."
    return Finding(text if count else "", "runs", grid)


def _measure(node: Node) -> dict[str, Any]:
    measure = node.measure
    return {
        "name": measure.name,
        "version": measure.version,
        "scope": measure.scope,
        "options": node.asked.options.identity,
        "grids": {grid: options.identity for grid, options in node.asked.own.items()},
        "table": measure.table,
        "columns": list(measure.schema),
        "along": list(measure.along),
    }


def _target(plan: Plan, key: tuple[str, str]) -> dict[str, Any]:
    target = plan.targets[key]
    recipe = plan.tasks()[key][0].recipe
    return {
        "name": key[1],
        "baseline": target.baseline,
        "truth": target.truth,
        "loss": recipe.loss,
        "train_examples": len(target.train.inputs),
        "held_out_examples": 0 if target.held_out is None else len(target.held_out.inputs),
    }
