"""Columns of the three tables of an atlas, and the conventions of its usual quantities."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from allroads.errors import InputError

NONE = "none"
"""The node of what has no program."""
NONE_LABEL = "none/mixed"

Schema = Mapping[str, "pl.DataType | type[pl.DataType]"]

NODES: Schema = {
    "node": pl.String,
    "label": pl.String,
    "language": pl.String,
    "source": pl.String,
    "bits": pl.Float64,
    "parts": pl.List(pl.String),
    "function": pl.String,
    "frequency": pl.Float64,
    "ends": pl.Int64,
    "visits": pl.Int64,
}
EDGES: Schema = {
    "source": pl.String,
    "target": pl.String,
    "quantity": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "tried": pl.Int64,
    "status": pl.String,
}
WALKS: Schema = {"run": pl.String, "place": pl.Int64, "node": pl.String, "step": pl.Int64, "records": pl.Int64}

CONVENTIONS: Mapping[str, str] = {
    "neighbour_share": "φ(q|p;σ): share of small moves from points of p that end in q; the move is stated in stats.",
    "boundary": "f_p φ(q|p): share of all moves that go from p to q; symmetric where moves are.",
    "pass_lower": "A proved lower bound of the height of the pass between p and q, modulo symmetry.",
    "pass_upper": "The lowest maximum of the loss on any path found between p and q, modulo symmetry.",
    "reach": "R(p→q): share of runs that start in p, descend the loss of q and compute q within the budget.",
    "reach_cost": "Median of log₂(1 + steps) until q is first computed, over the runs that start in p.",
    "reach_asymmetry": "R(p→q) − R(q→p).",
    "road_cost": "Length in parameter space of the lifted straight road from p to the values of q.",
    "directness": "Chord over arc, in function space, of the way from p to q.",
    "changes": "Share of the changes of program that leave p which go to q, over the records of all runs; "
    "95 % interval by Clopper and Pearson, which takes changes as independent.",
}
"""What each usual quantity is."""


def completed(name: str, table: pl.DataFrame | None, schema: Schema, needed: int) -> pl.DataFrame:
    """A table with all columns of a schema, in its order, and then its further ones.

    Args:
        name: Of the table, for messages.
        table: ``None`` for an empty one.
        schema: Columns with their types.
        needed: How many of the first columns must be there.

    Raises:
        InputError: If one is absent or its values do not fit its type.

    Example:
        >>> completed("edges", None, EDGES, 4).columns[:3]
        ['source', 'target', 'quantity']
    """
    if table is None:
        return pl.DataFrame(schema=dict(schema))
    if not isinstance(table, pl.DataFrame):
        raise InputError(f"{name}: expected a polars DataFrame; got {type(table).__name__}.")
    first = list(schema)[:needed]
    if absent := [column for column in first if column not in table.columns]:
        raise InputError(f"{name}: the column {absent[0]!r} is absent; expected {', '.join(first)}.")
    columns = []
    for column, kind in schema.items():
        given = table[column] if column in table.columns else pl.Series(column, [None] * table.height, dtype=kind)
        try:
            columns.append(given.cast(kind))
        except pl.exceptions.PolarsError:
            raise InputError(f"{name}: the column {column!r} is {given.dtype}; expected {kind}.") from None
    return pl.DataFrame([*columns, *(table[column] for column in table.columns if column not in schema)])
