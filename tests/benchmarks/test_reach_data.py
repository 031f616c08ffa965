"""The committed reach matrices: complete, consistent with one another, and read as their data sheet says."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from reach import loader  # noqa: E402

THREE = ("wide", "narrow")


@pytest.mark.parametrize("name", THREE)
def test_every_pair_is_there_with_sixteen_runs(name):
    rows = loader.pairs(name)
    assert (
        rows.height == 65_280
        and (rows["tried"] == 16).all()
        and not rows.select("source", "target").is_duplicated().any()
    )
    assert (rows["reached"] <= 16).all() and (rows["reached_100"] <= rows["reached_600"]).all()
    assert (
        rows["distance"].to_numpy() == np.bitwise_count(rows["source"].to_numpy() ^ rows["target"].to_numpy())
    ).all()
    half = rows["reached"] * 2 > rows["tried"]
    assert rows.filter(half)["cost"].null_count() == 0 and rows.filter(rows["reached"] * 2 < 16)["cost"].count() == 0
    assert (rows["single"] <= rows["changes"]).all() and (rows["away"] <= rows["changes"]).all()
    assert loader.summary()[name]["runs"] == rows["tried"].sum()


@pytest.mark.parametrize("name", THREE)
def test_changes_are_those_of_the_walks(name):
    """Changes by pair and by function are one number; a walk begins in p, and its next function is another."""
    rows, moves = loader.pairs(name), loader.table(name, "transitions")
    assert moves["count"].sum() == rows["changes"].sum()
    walks = loader.table(name, "walks")
    first = walks.filter(pl.col("step") == 0)
    assert first.height == 65_280 and (first["source"] == first["function"]).all()
    same = (walks["source"] == walks["source"].shift()) & (walks["target"] == walks["target"].shift())
    assert not (same & (walks["function"] == walks["function"].shift())).any()


def test_the_matrix_and_the_atlas_are_the_table():
    matrix, rows = loader.matrix("narrow"), loader.pairs("narrow")
    row = rows.filter(source=150, target=23).row(0, named=True)
    assert matrix[150, 23] == row["reached"] / row["tried"] and (np.diagonal(matrix) == 1).all()
    assert loader.name(150) == "01101001"
    with pytest.raises(FileNotFoundError, match="narrow_pairs"):
        loader.table("narrow", "roads")


def test_the_figures_are_those_of_the_tables():
    found = json.loads((BENCHMARKS / "results" / "reach.json").read_text())
    for name in THREE:
        rows = loader.pairs(name)
        assert found[name]["R"][0] == pytest.approx((rows["reached"] / rows["tried"]).mean())


def test_threshold_functions_are_always_reached():
    """A function is a threshold function where a linear program separates it: 104 of 256."""
    from scipy.optimize import linprog

    signs = 1.0 - 2.0 * (np.arange(8)[:, None] >> np.arange(3) & 1)
    points = np.column_stack([signs, np.ones(8)])
    tables = 2.0 * (np.arange(256)[:, None] >> np.arange(8) & 1) - 1
    separable = [linprog(np.zeros(4), -(t[:, None] * points), -np.ones(8), bounds=(None, None)).success for t in tables]
    assert sum(separable) == 104
    rows = loader.pairs("narrow").with_columns(
        pl.col("target").replace_strict(np.arange(256), separable).alias("threshold")
    )
    missed = rows.group_by("threshold").agg((pl.col("tried").sum() - pl.col("reached").sum()) / pl.col("tried").sum())
    share = dict(missed.iter_rows())
    assert share[True] < 0.001 < 0.1 < share[False]
