"""Costs of straight roads between programs, from the ends of runs."""

from __future__ import annotations

import numpy as np
import polars as pl

from allroads.atlases.measured.places import Places
from allroads.atlases.tables import EDGES
from allroads.distributions import median_interval
from allroads.status import AtlasStatus

STATUSES = (AtlasStatus.OK.value, AtlasStatus.NOT_FOLLOWED.value)


def road_edges(table: pl.DataFrame, places: Places) -> pl.DataFrame:
    """Edges ``road_cost``: the median over the roads that were followed, with its 95 % interval.

    Args:
        table: ``road_costs`` of a study: a row per road.
        places: Of the atlas.
    """
    rows = places.placed(table.filter(pl.col("status").is_in(STATUSES)), "to_function").drop_nulls("target")
    rows = rows.filter(pl.col("source") != pl.col("target"))
    followed = pl.col("cost").filter(pl.col("status") == STATUSES[0])
    pairs = rows.group_by("source", "target", maintain_order=True).agg(costs=followed, tried=pl.len().cast(pl.Int64))
    most = max((len(costs) for costs in pairs["costs"]), default=0)
    padded = np.full((pairs.height, max(most, 1)), np.nan)
    for at, costs in enumerate(pairs["costs"]):
        padded[at, : len(costs)] = costs.to_numpy()
    value, low, high = (np.where(np.isfinite(all), all, np.nan) for all in median_interval(padded))
    status = np.where(np.isnan(value), STATUSES[1], STATUSES[0])
    numbers = {"value": value, "low": low, "high": high, "status": status}
    edges = pairs.with_columns(
        pl.lit("road_cost").alias("quantity"), *(pl.Series(n, all) for n, all in numbers.items())
    )
    return edges.with_columns(pl.col("value", "low", "high").fill_nan(None)).select(list(EDGES)).cast(pl.Schema(EDGES))
