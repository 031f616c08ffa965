"""The tables of a study, folded over its measures: the same entries give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from allroads.studies.measures.measure import LABELS, DataType, Measure, Schema
from allroads.studies.store import Entry, Store
from allroads.studies.trajectories import COLUMNS, cell_row
from allroads.studies.units import KIND, StoredChunk

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
        cell: _head(store.read("cells", cell))
        for cell in dict.fromkeys(run.cell for run in graph.runs)
        if store.has("cells", cell)
    }
    finished = [run for run in graph.runs if run.cell in cells]
    alike = {run.cell: run for run in reversed(finished)}
    first = {cell: alike[cell] for cell in cells}
    columns = schemas(graph.known.values())
    rows = pl.DataFrame(
        [{PLACE: run.index, **cell_row(run, cells[run.cell])} for run in finished],
        schema={PLACE: pl.Int64, **COLUMNS},
    )
    steps = [
        (first[cell].index, first[cell].name, step) for cell, head in cells.items() for step in head.header["steps"]
    ]
    curves = _numbered(pl.DataFrame(steps, schema={PLACE: pl.Int64, **CURVE_KEYS}, orient="row"))
    own: dict[str, pl.DataFrame] = {}
    for node in graph.shown:
        found = _results(node, store)
        if node.measure.scope == "run":
            rows = (
                rows.join(found["rows"], on=PLACE, how="left", maintain_order="left") if found["rows"].width else rows
            )
            if found["along"].width:
                along = _numbered(found["along"])
                curves = curves.join(along, on=[PLACE, NUMBER], how="left", maintain_order="left")
        elif node.measure.table is not None:
            own[node.measure.name] = _labelled(node, found["rows"])
    tables = {"runs": _fitted([rows], columns["runs"]), "curves": _fitted([curves], columns["curves"])}
    for name, part in own.items():
        measure = graph.known[name]
        table = _in_plan_order(_fitted([part], measure.columns), graph)
        if measure.tabulate is not None:
            table = _fitted([measure.tabulate(table, tables)], measure.columns)
        tables[name] = table
    return tables


PLACE, NUMBER, ENTRY = ".place", ".number", ".entry"
"""Columns beside those of measures: the place of a unit among those of its node, that of a row in its unit, and that of
an entry among those that are read."""

BATCH = 1000
"""Tables of entries that are put under one another at once: small ones take far more memory than their rows."""


def _head(entry: Entry) -> Entry:
    """An entry of a cell with what tables need of its header."""
    return replace(entry, header={name: entry.header[name] for name in ("scalars", "steps")})


def _numbered(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.int_range(pl.len()).over(PLACE).alias(NUMBER))


def _results(node: Node, store: Store) -> dict[str, pl.DataFrame]:
    """Rows, and columns along the steps, of every unit of a node that has a result, in the order of the units."""
    held: dict[str, list[tuple[str, int]]] = {}
    for at, place in enumerate(node.places):
        name = place.find(store)
        if name is not None:
            held.setdefault(name, []).append((place.key, at))
    wanted: list[tuple[int, int, int]] = []
    parts: dict[str, list[pl.DataFrame]] = {"rows": [], "along": []}
    for number, (name, units) in enumerate(held.items()):
        chunk = StoredChunk(store.read(KIND, name))
        wanted += [(at, number, chunk.position(key)) for key, at in units]
        for kind, tables in parts.items():
            table = chunk.tables[kind]
            if table is not None:
                tables.append(table.select(pl.lit(number, pl.Int64).alias(ENTRY), pl.all()))
            if len(tables) > BATCH:
                tables[:] = [pl.concat(tables, how="diagonal").rechunk()]
    order = pl.DataFrame(sorted(wanted), schema=dict.fromkeys((PLACE, ENTRY, "unit"), pl.Int64), orient="row")
    joined = {}
    for kind, tables in parts.items():
        table = pl.concat(tables, how="diagonal") if tables else pl.DataFrame()
        on = [ENTRY, "unit"]
        joined[kind] = order.join(table, on=on, maintain_order="left_right").drop(on) if table.width else table
    return joined


def _labelled(node: Node, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of a measure with those keys that follow from their units."""
    if not rows.width:
        return rows
    if node.measure.scope == "map":
        said = [
            {PLACE: at, NUMBER: number, **{name: run.labels[name] for name in LABELS}}
            for at, unit in enumerate(node.units)
            for number, run in enumerate(unit.firsts)
        ]
        keys = pl.DataFrame(said, schema={PLACE: pl.Int64, NUMBER: pl.Int64, **LABELS})
        return _numbered(rows).join(keys, on=[PLACE, NUMBER], how="left", maintain_order="left")
    if node.measure.scope == "checkpoint":
        keys = pl.DataFrame({PLACE: range(len(node.units)), "run": [unit.runs[0].name for unit in node.units]})
    else:
        keys = pl.DataFrame([{PLACE: at, **unit.labels} for at, unit in enumerate(node.units)])
    return rows.join(keys, on=PLACE, how="left", maintain_order="left")


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
