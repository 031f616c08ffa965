"""The tables of a study, folded over its measures: the same entries give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from allroads.studies.measures.measure import LABELS, DataType, Measure, Schema
from allroads.studies.store import Store
from allroads.studies.trajectories import COLUMNS, SCALARS, run_rows
from allroads.studies.units import KIND, PATH, RunRef, StoredChunk, stored_tables

if TYPE_CHECKING:
    from allroads.studies.graph import Graph, Node

T = TypeVar("T")

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
    columns = schemas(graph.known.values())
    rows, curves = _trajectories(graph.runs, store)
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


PLACE, NUMBER, STEPS = ".place", ".number", ".steps"
"""Columns beside those of measures: the place of a unit among those of its node, that of a row in its unit, and the
recorded steps of a run."""

BATCH = 1000
"""Entries whose tables are read at once: one by one, small tables take far more time and memory than their rows."""


def _trajectories(runs: Sequence[RunRef], store: Store) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The runs whose cells are stored, and their recorded steps, where runs of one cell have them once."""
    cells = _cells(list(dict.fromkeys(run.cell for run in runs)), store)
    rows = run_rows(runs).with_row_index(PLACE).cast({PLACE: pl.Int64})
    rows = rows.join(cells, on="cell", maintain_order="left")
    steps = rows.unique("cell", keep="first", maintain_order=True).select(PLACE, "run", pl.col(STEPS).alias("step"))
    steps = steps.with_columns(pl.int_ranges(0, pl.col("step").list.len()).alias(NUMBER))
    curves = steps.explode("step", NUMBER).drop_nulls("step")
    return rows.select(PLACE, *COLUMNS), curves.select(PLACE, *CURVE_KEYS, NUMBER)


def _cells(names: Sequence[str], store: Store) -> pl.DataFrame:
    """What the headers of those cells say that are stored."""
    schema = {"cell": pl.String, **SCALARS, STEPS: pl.List(pl.Int64)}
    parts = [pl.DataFrame(schema=schema)]
    for batch in _batches(names):
        heads = {name: store.read("cells", name).header for name in batch if store.has("cells", name)}
        said = {name: [head["scalars"][name] for head in heads.values()] for name in SCALARS}
        steps = [head["steps"] for head in heads.values()]
        parts.append(pl.DataFrame({"cell": list(heads), **said, STEPS: steps}, schema=schema))
    return pl.concat(parts, rechunk=True)


def _batches(every: Sequence[T]) -> Iterator[Sequence[T]]:
    return (every[first : first + BATCH] for first in range(0, len(every), BATCH))


def _numbered(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.int_range(pl.len()).over(PLACE).alias(NUMBER))


def _results(node: Node, store: Store) -> dict[str, pl.DataFrame]:
    """Rows, and columns along the steps, of every unit of a node that has a result, in the order of the units."""
    held: dict[str, list[tuple[str, int]]] = {}
    for at, place in enumerate(node.places):
        name = place.find(store)
        if name is not None:
            held.setdefault(name, []).append((place.key, at))
    parts: dict[str, list[pl.DataFrame]] = {name: [pl.DataFrame()] for name in StoredChunk.TABLES}
    for batch in _batches(list(held.items())):
        chunks = [(StoredChunk(store.read(KIND, name)), units) for name, units in batch]
        for name, found in parts.items():
            found.append(_of_units(chunks, name))
    stacked = {name: pl.concat(found, how="diagonal") for name, found in parts.items()}
    return {name: table.sort(PLACE, maintain_order=True) if table.width else table for name, table in stacked.items()}


def _of_units(chunks: Sequence[tuple[StoredChunk, Sequence[tuple[str, int]]]], name: str) -> pl.DataFrame:
    """One table of some entries, for those of their units that are wanted, with the places of these."""
    wanted: list[tuple[str, int, int]] = []
    for chunk, units in chunks:
        path = chunk.path(name)
        if path is not None:
            wanted += [(path, chunk.position(key), at) for key, at in units]
    if not wanted:
        return pl.DataFrame()
    schema: Schema = {PATH: pl.String, "unit": pl.Int64, PLACE: pl.Int64}
    order = pl.DataFrame(wanted, schema=schema, orient="row")
    table = stored_tables(order[PATH].unique(maintain_order=True).to_list())
    return table.join(order, on=[PATH, "unit"], maintain_order="left").drop(PATH, "unit").rechunk()


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
    labels = list(dict.fromkeys(tuple(run.labels[name] for name in LABELS) for run in graph.runs))
    order = pl.DataFrame(labels, schema=LABELS, orient="row")
    return order.join(table, on=list(LABELS), maintain_order="left_right").select(table.columns)
