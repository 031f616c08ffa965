"""The bands of learning curves are the median and the middle half of all runs, whichever of them are drawn."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from synthetic_study import Task, write_study

from allroads.report import grids as sorted_runs
from allroads.report.charts import learning
from allroads.report.grids import read_grids
from allroads.report.stored import read_stored


def test_a_band_is_the_median_and_the_middle_half_where_most_runs_were_recorded():
    random = np.random.default_rng(0)
    rows = [
        {"run": str(run), "step": step, "mark": "", "baseline": 0.5, "train_accuracy": random.random()}
        for step in range(12)
        for run in (range(9) if step % 2 == 0 else range(4))  # at odd steps fewer than half of the runs
    ]
    found = learning.bands(pl.DataFrame(rows))
    for row in found.iter_rows(named=True):
        values = [one["train_accuracy"] for one in rows if one["step"] == row["step"]]
        assert row["train_accuracy_runs"] == len(values)
        told = [row[f"train_accuracy_{side}"] for side in ("low", "mid", "high")]
        if row["step"] % 2:
            assert told == [None] * 3
        else:
            assert told == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]))


def test_a_sample_is_drawn_and_the_bands_are_of_all(tmp_path, monkeypatch):
    write_study(tmp_path, [Task("g", "t", seeds=40), Task("g", "u", seeds=20)], records=12, pairs=False)
    stored = read_stored(tmp_path)
    whole = learning.figures(stored, read_grids(stored)[0])
    monkeypatch.setattr(sorted_runs, "MOST_RUNS", 15)
    (grid,) = read_grids(stored)
    sampled = learning.figures(stored, grid)
    shown = grid.runs.filter(pl.col("run").is_in(list(grid.shown)))
    assert shown.group_by("target").len().sort("target").rows() == [("t", 10), ("u", 5)]
    seeds = shown.filter(pl.col("target") == "t")["seed"].sort().to_list()
    assert seeds[0] == 0 and seeds[-1] == 39 and max(np.diff(seeds)) <= 5  # spread over all of them
    for many, few in zip(whole[0].panels, sampled[0].panels, strict=True):
        assert few.note == many.note  # of all runs
        assert few.rows.filter(pl.col("run").is_null()).equals(many.rows.filter(pl.col("run").is_null()))
        drawn = set(few.rows["run"].drop_nulls())
        assert drawn <= grid.shown and len(drawn) in (5, 10)
