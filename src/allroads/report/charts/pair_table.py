"""The table of pairs as the charts read it."""

from __future__ import annotations

import polars as pl

from allroads.report.grids import Group
from allroads.report.stored import Stored

MEASURED = ("barrier_train", "barrier_held_out", "aligned_train", "aligned_held_out", "agreement", "chance")


def group_pairs(stored: Stored, group: Group) -> pl.DataFrame:
    """The pairs of a group."""
    return read_pairs(stored).filter(pl.col("run_a").is_in(group.runs["run"].implode()))


def read_pairs(stored: Stored) -> pl.DataFrame:
    """The table of pairs; columns that an earlier allroads did not measure are null."""
    table = stored.tables["pairs"]
    return table.with_columns(pl.lit(None, pl.Float64).alias(name) for name in MEASURED if name not in table.columns)
