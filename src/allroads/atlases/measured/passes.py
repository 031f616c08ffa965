"""Upper bounds of passes between programs, from the barriers between the ends of runs."""

from __future__ import annotations

import polars as pl

from allroads.atlases.measured.places import Places
from allroads.atlases.tables import EDGES


def pass_edges(pairs: pl.DataFrame, runs: pl.DataFrame, places: Places) -> pl.DataFrame:
    """Edges ``pass_upper``: the least barrier between two ends, plus the greater of their losses.

    Args:
        pairs: Table of a study, with ``barrier_train`` and ``aligned_train``.
        runs: Its runs, with ``train_loss``.
        places: Of the atlas.
    """
    ends = places.ends.join(runs.select("run", "train_loss"), on="run")
    found = pairs.select("run_a", "run_b", height=pl.min_horizontal("barrier_train", "aligned_train"))
    for side in ("a", "b"):
        names = {"run": f"run_{side}", "node": f"node_{side}", "train_loss": f"loss_{side}"}
        found = found.join(ends.rename(names), on=f"run_{side}")
    both = found.filter(pl.col("node_a") != pl.col("node_b")).drop_nulls()
    value = pl.col("height").clip(0) + pl.max_horizontal("loss_a", "loss_b")
    rows = [
        both.select(source=f"node_{here}", target=f"node_{there}", value=value)
        for here, there in (("a", "b"), ("b", "a"))
    ]
    least = pl.concat(rows).group_by("source", "target", maintain_order=True)
    heights = least.agg(pl.col("value").min(), tried=pl.len().cast(pl.Int64))
    none = pl.lit(None, pl.Float64)
    return heights.select(
        "source", "target", pl.lit("pass_upper").alias("quantity"), "value", none.alias("low"), none.alias("high"),
        "tried", pl.lit("ok").alias("status"),
    ).cast(pl.Schema(EDGES))  # fmt: skip
