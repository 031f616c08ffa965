"""Neighbour shares between programs, from the moves around the ends of runs."""

from __future__ import annotations

import numpy as np
import polars as pl

from allroads.atlases.measured.places import Places
from allroads.atlases.tables import EDGES
from allroads.distributions import clustered_interval


def neighbour_edges(table: pl.DataFrame, places: Places) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Edges ``neighbour_share`` and ``boundary``, and what nodes have of their moves.

    A cluster of moves is a run. Moves to functions that no node has count among the moves, and give no edge.

    Args:
        table: ``neighbours`` of a study: of each run the functions that moves lead to.
        places: Of the atlas.

    Returns:
        Edges, and a table of nodes with ``robustness``, its 95 % interval from ``robustness_low`` to
        ``robustness_high``, and ``evolvability``.
    """
    rows, own = placed_moves(table, places), pl.col("neighbour") == pl.col("function")
    starts = rows.group_by("source", maintain_order=True).agg(
        starts=pl.col("run").n_unique(), evolvability=pl.col("neighbour").filter(~own).n_unique().cast(pl.Int64)
    )
    if rows.is_empty():
        return pl.DataFrame(schema=dict(EDGES)), starts.rename({"source": "node"}).drop("starts")
    moves, runs = int(rows["moves"].to_list()[0]), rows["run"].n_unique()
    by_run = (
        rows.drop_nulls("target").group_by("source", "target", "run", maintain_order=True).agg(pl.col("count").sum())
    )
    pairs = by_run.group_by("source", "target", maintain_order=True).agg(
        hits=pl.col("count").sum(), squares=(pl.col("count") ** 2).sum()
    )
    stays = starts.select("source", target="source", hits=0, squares=0).cast(pairs.schema)
    pairs = pl.concat([pairs, stays])
    pairs = pairs.unique(["source", "target"], keep="first", maintain_order=True).join(starts, on="source")
    hits, squares = (pairs[name].to_numpy() for name in ("hits", "squares"))
    shares = _shares(pairs, hits, squares, pairs["starts"].to_numpy(), moves)
    flows = _shares(pairs, hits, squares, np.full(len(hits), runs), moves)
    other = pl.col("source") != pl.col("target")
    edges = [part.filter(other).with_columns(quantity=pl.lit(name))
        for name, part in (("neighbour_share", shares), ("boundary", flows))]  # fmt: skip
    kept = shares.filter(~other).select(node="source", robustness="value", robustness_low="low", robustness_high="high")
    nodes = starts.select(node="source", evolvability="evolvability").join(kept, on="node", how="left")
    return pl.concat(edges).select(list(EDGES)).cast(pl.Schema(EDGES)), nodes


def move_counts(table: pl.DataFrame, places: Places) -> tuple[list[str], np.ndarray]:
    """The programs at which runs end, and the moves from each to each ``[K, K]``, those that stay included.

    Args:
        table: As of :func:`neighbour_edges`.
        places: Of the atlas.
    """
    rows = placed_moves(table, places)
    names = rows["source"].unique(maintain_order=True).to_list()
    place = {name: at for at, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    for p, q, count in rows.filter(pl.col("target").is_in(names)).select("source", "target", "count").iter_rows():
        counts[place[p], place[q]] += count
    return names, counts


def placed_moves(table: pl.DataFrame, places: Places) -> pl.DataFrame:
    """Rows of moves with the nodes ``source`` and ``target``; what keeps the function stays at its node."""
    rows = places.placed(table.filter(pl.col("status") == "ok"), "neighbour")
    stays = pl.col("neighbour") == pl.col("function")
    return rows.with_columns(target=pl.when(stays).then("source").otherwise("target"))


def _shares(
    pairs: pl.DataFrame, hits: np.ndarray, squares: np.ndarray, clusters: np.ndarray, moves: int
) -> pl.DataFrame:
    low, high = clustered_interval(hits, squares, clusters, moves)
    numbers = {"value": hits / (clusters * moves), "low": low, "high": high, "tried": clusters.astype(np.int64) * moves}
    return (
        pairs.select("source", "target")
        .with_columns(**{name: pl.Series(all) for name, all in numbers.items()})
        .with_columns(status=pl.lit("ok"))
    )
