"""The tables and the summary of a study, made from its entries: the same entries give the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from allroads.studies.forecasts import BASELINES, NUMBERS, ForecastJob, turned_out
from allroads.studies.plan import Plan
from allroads.studies.store import SCHEMA_VERSION, Entry, Store
from allroads.studies.toml import to_toml
from allroads.studies.work import GroupJob, PointJob, TaskJob

LABELS = {"grid": pl.String, "target": pl.String, "architecture": pl.String, "explorer": pl.String}

SCALARS = {
    "status": pl.String,
    "last_step": pl.Int64,
    "parameters": pl.Int64,
    "steps_to_fit": pl.Int64,
    "steps_to_generalise": pl.Int64,
    "train_loss": pl.Float64,
    "train_accuracy": pl.Float64,
    "held_out_loss": pl.Float64,
    "held_out_accuracy": pl.Float64,
    "baseline_train_accuracy": pl.Float64,
    "baseline_held_out_accuracy": pl.Float64,
    "chart": pl.String,
    "directness": pl.Float64,
    "directness_status": pl.String,
    "turning": pl.Float64,
    "turning_status": pl.String,
    "certified_share": pl.Float64,
    "certified_status": pl.String,
    "stages": pl.Int64,
    "gradients": pl.Int64,
    "forwards": pl.Int64,
    "examples": pl.Int64,
}
"""The scalars of a cell that are columns of the table of runs."""

RUNS = {"run": pl.String, "cell": pl.String, **LABELS, "seed": pl.Int64, "steps": pl.Int64, **SCALARS}

CURVES = {
    "run": pl.String,
    "step": pl.Int64,
    "train_loss": pl.Float64,
    "train_accuracy": pl.Float64,
    "held_out_loss": pl.Float64,
    "held_out_accuracy": pl.Float64,
    "certified": pl.Boolean,
    "joint": pl.Boolean,
}

PAIRS = {
    **LABELS,
    "run_a": pl.String,
    "run_b": pl.String,
    "barrier_train": pl.Float64,
    "barrier_held_out": pl.Float64,
    "agreement": pl.Float64,
}

EMBEDDING = {
    "grid": pl.String,
    "target": pl.String,
    "point": pl.String,
    "run": pl.String,
    "step": pl.Int64,
    "x": pl.Float64,
    "y": pl.Float64,
    "z": pl.Float64,
}


LLC = {
    "run": pl.String,
    "step": pl.Int64,
    "value": pl.Float64,
    "error": pl.Float64,
    "status": pl.String,
    "stage": pl.Boolean,
    "nbeta": pl.Float64,
    "localisation": pl.Float64,
}

PREDICTIONS = {
    "goal": pl.Float64,
    "budget": pl.Int64,
    "predicted": pl.Float64,
    **dict.fromkeys((*NUMBERS, *BASELINES), pl.Float64),
    "outside": pl.String,
    "status": pl.String,
    "reason": pl.String,
}
"""What is stored of one prediction."""

FORECASTS = {**LABELS, "run": pl.String, "actual": pl.Float64, "within": pl.Boolean, **PREDICTIONS}


def make_tables(
    plan: Plan,
    store: Store,
    points: Sequence[PointJob],
    groups: Sequence[GroupJob],
    tasks: Sequence[TaskJob],
    forecasts: Sequence[ForecastJob] = (),
) -> dict[str, pl.DataFrame]:
    """The tables, of what is stored: ``runs``, ``curves``, ``pairs``, ``embedding``; if asked ``llc``, ``forecasts``.

    Rows come in the order of the configuration.

    Raises:
        StoreError: If an entry is damaged.
    """
    cells = {cell: store.read("cells", cell) for cell in plan.cells if store.has("cells", cell)}
    runs = [
        {
            "run": cell[:10],
            "cell": cell,
            **combination.labels,
            "seed": member,
            "steps": combination.recipe.steps,
            **{name: cells[cell].header["scalars"].get(name) for name in SCALARS},
        }
        for combination in plan.combinations
        for member, cell in enumerate(combination.cells)
        if cell in cells
    ]
    tables = {
        "runs": pl.DataFrame(runs, schema=RUNS),
        "curves": _stacked(((entry, {"run": cell[:10]}) for cell, entry in cells.items()), "curves.parquet", CURVES),
        "pairs": _stacked(_stored(store, groups), "pairs.parquet", PAIRS),
        "embedding": _stacked(_stored(store, tasks), "embedding.parquet", EMBEDDING),
    }
    if plan.study.measures.llc:
        measured = (job for job in points if not job.missing(store))
        curves = ((store.read(job.kind, job.hash), {"run": job.cells[0][:10]}) for job in measured)
        tables["llc"] = _stacked(curves, "llc.parquet", LLC)
    if plan.study.measures.learnability:
        predicted = [job.labelled(entry.table("forecasts.parquet")) for job, entry in _entries(store, forecasts)]
        every = pl.concat([pl.DataFrame(schema=LABELS | PREDICTIONS), *predicted])
        order = pl.DataFrame([combination.labels for combination in plan.combinations], schema=LABELS)
        every = order.join(every, on=list(LABELS), maintain_order="left")
        tables["forecasts"] = turned_out(every, tables["runs"], tables["curves"])
    return tables


def _stored(store: Store, jobs: Iterable[GroupJob | TaskJob]) -> Iterable[tuple[Entry, dict[str, str]]]:
    return ((entry, job.labels) for job, entry in _entries(store, jobs))


def _entries(store: Store, jobs: Iterable[Any]) -> Iterable[tuple[Any, Entry]]:
    return ((job, store.read(job.kind, job.hash)) for job in jobs if not job.missing(store))


def _stacked(entries: Iterable[tuple[Entry, Mapping[str, str]]], file: str, schema: Mapping[str, Any]) -> pl.DataFrame:
    """The tables of many entries under one another, each with its own columns added; absent ones are null."""
    parts = [
        entry.table(file).with_columns(*(pl.lit(value).alias(name) for name, value in added.items()))
        for entry, added in entries
    ]
    if not parts:
        return pl.DataFrame(schema=schema)
    stacked = pl.concat(parts, how="diagonal")
    absent = [pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in stacked.columns]
    return stacked.with_columns(*absent).select(pl.col(name).cast(kind) for name, kind in schema.items())


def make_summary(
    plan: Plan,
    store: Store,
    tables: Mapping[str, pl.DataFrame],
    tasks: Sequence[TaskJob],
    provenance: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """What the report and the last lines of a run say about the study as a whole."""
    from allroads.studies.findings import findings
    from allroads.studies.forecasts import QUANTITY as PREDICTED_STEPS
    from allroads.studies.measures import LEARNING_COEFFICIENT, QUANTITIES

    stress = {
        (job.labels["grid"], job.labels["target"]): store.read("tasks", job.hash).header["stats"]["explained_stress"]
        for job in tasks
        if not job.missing(store)
    }
    runs = tables["runs"]
    asked = {"llc": LEARNING_COEFFICIENT, "learnability": PREDICTED_STEPS}
    summary: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": plan.study.name,
        "question": plan.study.question,
        "grids": [
            {
                "name": grid.name,
                "question": grid.question,
                "targets": [_target(plan, key) for key in plan.tasks() if key[0] == grid.name],
                "explained_stress": {target: found for (name, target), found in stress.items() if name == grid.name},
            }
            for grid in plan.study.grid
        ],
        "quantities": [*QUANTITIES, *(found for name, found in asked.items() if getattr(plan.study.measures, name))],
        "status_counts": dict(sorted(Counter(runs["status"]).items())),
        "cost": {
            "seconds": round(seconds, 3),
            "gradients": int(runs["gradients"].sum()),
            "examples": int(runs["examples"].sum()),
        },
        "provenance": dict(provenance),
        "config_toml": to_toml(plan.study),
    }
    return {**summary, "findings": findings(tables, summary)}


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
