from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from synthetic_study import Task, write_study

from allroads.report.charts import compared, directness, overview, pairs
from allroads.report.grids import read_grids
from allroads.report.stored import read_stored


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return read_stored(write_study(tmp_path_factory.mktemp("pairs"), [Task("g", "t", seeds=12)], records=4))


def cells_of(stored) -> pl.DataFrame:
    agreement, barriers, aligned = pairs.figures(stored, read_grids(stored)[0])
    assert barriers.panels[0].rows.equals(agreement.panels[0].rows)
    assert barriers.panels[0].rows.equals(aligned.panels[0].rows)
    return barriers.panels[0].rows


def test_each_cell_holds_the_pair_it_stands_for(stored):
    known = {frozenset((row["run_a"], row["run_b"])): row for row in stored.tables["pairs"].iter_rows(named=True)}
    seeds = dict(stored.runs.select("run", "seed").iter_rows())
    cells = cells_of(stored)
    assert cells.height == 12 * 11
    for cell in cells.iter_rows(named=True):
        pair = known[frozenset((cell["run"], cell["other"]))]
        above = cell["place"] < cell["place_other"]
        assert (cell["row"], cell["column"]) == (str(seeds[cell["run"]]), str(seeds[cell["other"]]))
        assert cell["held_out"] == above
        assert cell["barrier"] == pair["barrier_held_out" if above else "barrier_train"]
        assert cell["aligned"] == pair["aligned_held_out" if above else "aligned_train"]
        assert cell["agreement"] == pair["agreement"]


def test_runs_without_a_barrier_between_them_stand_side_by_side(stored):
    cells = cells_of(stored)
    near = np.eye(12, dtype=bool)
    for cell in cells.iter_rows(named=True):
        near[cell["place"], cell["place_other"]] = cell["barrier"] < 0.5
    clusters = len({tuple(row) for row in near.tolist()})
    assert clusters == 3  # the synthetic study draws its runs from three programs
    assert (np.diff(near.argmax(axis=1)) != 0).sum() == clusters - 1


def test_without_barriers_agreement_decides_the_order(stored):
    none = pl.lit(None, pl.Float64)
    bare = stored.tables["pairs"].with_columns(
        barrier_train=none, barrier_held_out=none, aligned_train=none, aligned_held_out=none
    )
    changed = replace(stored, tables={**stored.tables, "pairs": bare})
    (figure,) = pairs.figures(changed, read_grids(changed)[0])
    assert figure.chart == "agreement"
    near = np.eye(12, dtype=bool)
    for cell in figure.panels[0].rows.iter_rows(named=True):
        near[cell["place"], cell["place_other"]] = cell["agreement"] > 0.95
    assert (np.diff(near.argmax(axis=1)) != 0).sum() == 2


def test_groups_are_compared_by_the_middle_half_of_their_pairs(stored):
    (figure,) = compared.compare_groups(stored, read_grids(stored))
    table = stored.tables["pairs"]
    columns = [column for _, columns in compared.KINDS.values() for column in columns]
    rows = [row for panel in figure.panels for row in panel.rows.to_dicts()]
    assert len(rows) == len(columns) == 4
    for row, column in zip(rows, columns, strict=True):
        quarters = np.quantile(table[column].to_numpy(), [0.25, 0.5, 0.75])
        assert (row["low"], row["middle"], row["high"]) == pytest.approx(tuple(quarters))
        assert row["pairs"] == 66 and row["group"] == "t"


def test_a_study_of_an_earlier_allroads_has_no_chance_and_no_aligned_barrier(stored):
    old = stored.tables["pairs"].drop("chance", "aligned_train", "aligned_held_out")
    changed = replace(stored, tables={**stored.tables, "pairs": old})
    (figure,) = compared.compare_groups(changed, read_grids(changed))
    assert [panel.rows["what"].to_list() for panel in figure.panels] == [["agreement"], ["barrier"]]
    assert [figure.chart for figure in pairs.figures(changed, read_grids(changed)[0])] == ["agreement", "barriers"]


def test_the_overview_has_the_medians_of_each_group(stored):
    (figure,) = overview.overview_section([pairs.SECTION, directness.SECTION]).whole(stored, read_grids(stored))
    shown = dict(figure.panels[0].rows.select("column", "text").iter_rows())
    assert shown["directness"] == f"{stored.runs['directness'].median():.2f}"
    assert shown["barrier"] == f"{stored.tables['pairs']['barrier_train'].median():.2g}"
    assert set(shown) == {"agreement", "by chance", "barrier", "units matched", "directness", "turning"}
