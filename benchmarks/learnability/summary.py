"""What the table says at a glance."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from scipy.stats import spearmanr

from .tables import DATA


def ceilings(runs: pl.DataFrame) -> pl.DataFrame:
    """Spearman correlation of the steps of one seed with those of another, over the targets both learned.

    One row a map and explorer with ten such targets or more, over all domains.
    """
    keys = ["target", "map", "explorer"]
    both = runs.filter(pl.col("learned")).select(*keys, "seed", "steps_to_learn")
    pairs = both.filter(pl.col("seed") == 0).join(both.filter(pl.col("seed") == 1), on=keys)
    rows = [
        {"map": m, "explorer": e, "targets": len(part), "spearman": _rank_correlation(part)}
        for (m, e), part in pairs.group_by("map", "explorer", maintain_order=True)
        if len(part) >= 10
    ]
    rows.append({"map": "all", "explorer": "all", "targets": len(pairs), "spearman": _rank_correlation(pairs)})
    return pl.DataFrame(rows)


def _rank_correlation(pairs: pl.DataFrame) -> float | None:
    if len(pairs) < 3:
        return None
    return float(spearmanr(pairs["steps_to_learn"], pairs["steps_to_learn_right"]).statistic)


def by(runs: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Share learned, median steps of those learned, held-out accuracy and stages, by some columns."""
    return runs.group_by(*columns, maintain_order=True).agg(
        pl.len().alias("cells"),
        pl.col("learned").mean().round(3),
        pl.col("steps_to_learn").median().round(0).alias("median steps"),
        pl.col("held_out_accuracy").filter(pl.col("learned")).mean().round(3).alias("held out"),
        pl.col("directness").median().round(3),
        pl.col("stage_count").median().alias("stages"),
    )


def summary(folder: Path = DATA) -> str:
    """The text that the runner prints at its end."""
    runs = pl.read_parquet(folder / "runs.parquet")
    if runs.is_empty():
        return "no cell is finished"
    diverged = runs.filter(pl.col("status") != "ok").height
    tables = [
        by(runs, "map", "explorer"),
        by(runs, "domain", "family"),
        ceilings(runs).with_columns(pl.col("spearman").round(3)),
    ]
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, fmt_str_lengths=40):
        text = "\n\n".join(str(table) for table in tables)
    return f"{runs.height} cells, {runs['target'].n_unique()} targets, {diverged} diverged\n{text}"
