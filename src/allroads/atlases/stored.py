"""The three tables of an atlas in one, as a study stores them."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from allroads.atlases.atlas import Atlas
from allroads.atlases.tables import EDGES, NODES, WALKS
from allroads.results import Measurement
from allroads.status import AtlasStatus

FURTHER = {
    "status": pl.String,
    "scope": pl.String,
    "checked": pl.Int64,
    "correct": pl.Boolean,
    "diagram": pl.String,
    "llc": pl.Float64,
    "log_volume": pl.Float64,
    "robustness": pl.Float64,
    "robustness_low": pl.Float64,
    "robustness_high": pl.Float64,
    "evolvability": pl.Int64,
    "sharpness": pl.Float64,
}
"""Columns that nodes of a study may have beside the usual ones."""

KINDS = {"node": {**NODES, **FURTHER}, "edge": dict(EDGES), "walk": dict(WALKS)}
"""Columns of the rows of each kind."""

COLUMNS: dict[str, Any] = {"kind": pl.String, "stats": pl.String}
for _columns in KINDS.values():
    COLUMNS |= _columns


def stacked(atlas: Atlas) -> pl.DataFrame:
    """One table with a column ``kind``: a row ``atlas`` with the status and the statistics, then all rows.

    ``source`` is the text of a program in a row ``node``, and a node in a row ``edge``.
    """
    words = Measurement(0.0, stats={**atlas.stats, "conventions": dict(atlas.conventions)}).to_dict()["stats"]
    first = pl.DataFrame({"kind": "atlas", "status": atlas.status.value, "stats": json.dumps(words)})
    parts = [first]
    for kind, table in zip(KINDS, (atlas.nodes, atlas.edges, atlas.walks), strict=True):
        kept = [pl.col(name).cast(type_) for name, type_ in KINDS[kind].items() if name in table.columns]
        parts.append(table.select(pl.lit(kind).alias("kind"), *kept))
    whole = pl.concat(parts, how="diagonal")
    return whole.select(
        (pl.col(name) if name in whole.columns else pl.lit(None, type_).alias(name)) for name, type_ in COLUMNS.items()
    )


def unstacked(rows: pl.DataFrame) -> Atlas:
    """The atlas of one table as :func:`stacked` makes it.

    Example:
        >>> from allroads import atlas
        >>> found = atlas([["a", "b"]] * 5)
        >>> unstacked(stacked(found)).edges.equals(found.edges)
        True
    """
    first = rows.filter(pl.col("kind") == "atlas").row(0, named=True)
    stats = json.loads(first["stats"])
    conventions = stats.pop("conventions")
    nodes, edges, walks = (rows.filter(pl.col("kind") == kind).select(list(own)) for kind, own in KINDS.items())
    nodes = nodes.drop(name for name in FURTHER if nodes[name].is_null().all())
    return Atlas.from_tables(nodes, edges, walks, conventions, stats, AtlasStatus(first["status"]))
