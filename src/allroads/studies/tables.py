"""The tables of a study, folded over its measures: the same entries give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import polars as pl

from allroads.studies.measures.measure import LABELS, DataType, Measure, Schema
from allroads.studies.store import Store
from allroads.studies.trajectories import COLUMNS, cell_row
from allroads.studies.units import KIND, StoredChunk, UnitRef

if TYPE_CHECKING:
    from allroads.studies.graph import Graph, Node

CURVE_KEYS: Schema = {"run": pl.String, "step": pl.Int64}


def schemas(measures: Iterable[Measure]) -> dict[str, dict[str, DataType]]:
    """Columns of each table that these measures make, by the table's name.

    Args:
        measures: Of each, a table of its own; and all columns of ``runs`` and ``curves``.
    """
    measures = list(measures)
    runs, curves = dict(COLUMNS), dict(CURVE_KEYS)
    for measure in measures:
        runs |= measure.schema if measure.scope == "run" else {}
        curves |= measure.along
    own = {measure.table: measure.columns for measure in measures if measure.table is not None}
    return {"runs": runs, "curves": curves, **own}


def make_tables(graph: Graph, store: Store) -> dict[str, pl.DataFrame]:
    """The tables, of what is stored: ``runs``, ``curves``, and one for each measure that is no part of these.

    Rows come in the order of the configuration. Columns of measures that the study does not take are null.

    Raises:
        StoreError: If an entry is damaged.
    """
    cells = {
        cell: store.read("cells", cell)
        for cell in dict.fromkeys(run.cell for run in graph.runs)
        if store.has("cells", cell)
    }
    finished = [run for run in graph.runs if run.cell in cells]
    columns = schemas(graph.known.values())
    results = {node.measure.name: list(_results(node, store)) for node in graph.shown}
    by_run = {
        name: {unit.runs[0].index: chunk for unit, chunk in found}
        for name, found in results.items()
        if graph.known[name].scope == "run"
    }

    rows = [
        cell_row(run, cells[run.cell])
        | {column: value for found in by_run.values() if run.index in found for column, value in _row(found[run.index])}
        for run in finished
    ]
    tables = {"runs": pl.DataFrame(rows, schema=columns["runs"])}
    first = {run.cell: run for run in reversed(finished)}
    curves = [
        _along(first[cell].name, entry.header["steps"], [found.get(first[cell].index) for found in by_run.values()])
        for cell, entry in cells.items()
    ]
    tables["curves"] = _fitted(curves, columns["curves"])
    for node in graph.shown:
        measure = node.measure
        if measure.table is not None:
            parts = [_labelled(measure, unit, chunk) for unit, chunk in results[measure.name]]
            table = _in_plan_order(_fitted(parts, measure.columns), graph)
            if measure.tabulate is not None:
                table = _fitted([measure.tabulate(table, tables)], measure.columns)
            tables[measure.name] = table
    return tables


Found = tuple[StoredChunk, str]


def _results(node: Node, store: Store) -> Iterator[tuple[UnitRef, Found]]:
    """Each unit that has a result, with the entry that holds it and its key there."""
    opened: dict[str, StoredChunk] = {}
    for unit, place in zip(node.units, node.places, strict=True):
        name = place.find(store)
        if name is not None:
            if name not in opened:
                opened[name] = StoredChunk(store.read(KIND, name))
            yield unit, (opened[name], place.key)


def _row(found: Found) -> Iterable[tuple[str, object]]:
    rows = found[0].frame("rows", found[1])
    return () if rows is None else rows.row(0, named=True).items()


def _along(run: str, steps: list[int], found: Iterable[Found | None]) -> pl.DataFrame:
    """What is known of a run along its recorded steps."""
    frames = (chunk.frame("along", key) for chunk, key in filter(None, found))
    keys = pl.DataFrame({"run": [run] * len(steps), "step": pl.Series(steps, dtype=pl.Int64)})
    return pl.concat([keys, *(frame for frame in frames if frame is not None)], how="horizontal")


def _labelled(measure: Measure, unit: UnitRef, found: Found) -> pl.DataFrame:
    """The rows of a unit with those keys that follow from it."""
    rows = found[0].frame("rows", found[1])
    if rows is None:
        return pl.DataFrame()
    if measure.scope == "map":
        named = [pl.Series(name, [run.labels[name] for run in unit.firsts]) for name in LABELS]
    elif measure.scope == "checkpoint":
        named = [pl.Series("run", [unit.runs[0].name] * rows.height, dtype=pl.String)]
    else:
        named = [pl.Series(name, [label] * rows.height, dtype=pl.String) for name, label in unit.labels.items()]
    return rows.with_columns(named)


def _fitted(parts: Iterable[pl.DataFrame], schema: Schema) -> pl.DataFrame:
    """Tables under one another, in the columns of a schema; absent ones are null."""
    parts = [part for part in parts if part.width]
    if not parts:
        return pl.DataFrame(schema=schema)
    stacked = pl.concat(parts, how="diagonal")
    absent = [pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in stacked.columns]
    return stacked.with_columns(*absent).select(pl.col(name).cast(kind) for name, kind in schema.items())


def _in_plan_order(table: pl.DataFrame, graph: Graph) -> pl.DataFrame:
    """Rows that carry all four labels in the order of the plan; others as they are."""
    if not set(LABELS) <= set(table.columns):
        return table
    order = pl.DataFrame([dict(run.labels) for run in graph.runs], schema=LABELS).unique(maintain_order=True)
    return order.join(table, on=list(LABELS), maintain_order="left_right").select(table.columns)
