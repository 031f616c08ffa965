"""Certified stretches and stages of a study's runs, against roads whose answers are known."""

import itertools
import shutil

import numpy as np
import polars as pl
import pytest
from made_up_units import computed, on_road, unit_of

from allroads import Target, certify, run_study
from allroads.studies.graph import plan_study
from allroads.studies.measures import certified, stages
from allroads.studies.probes import road_probes
from allroads.studies.store import Store
from allroads.studies.tables import make_tables
from allroads.studies.toml import load_study

TRUTH = np.array([[4.0, 3.0], [0.0, 0.0]])
PLANE = Target("a place", inputs=[[0.0], [1.0]], labels=TRUTH, loss="mse", complete=True, train_fraction=1.0)


def measure_stretches(road, target, chart="outputs"):
    """Row and columns along the records of both measures."""
    unit = unit_of(on_road(road, target, chart))
    (row, along), (row_of_stages, joints) = (computed(module.MEASURE, unit) for module in (certified, stages))
    return row | row_of_stages, {name: pl.Series(column) for name, column in (dict(along) | dict(joints)).items()}


def legs(*corners, records=5):
    """A road of the first probe through corners, the second probe right from the start, ``[T, 2, 2]``."""
    pairs = itertools.pairwise(corners)
    road = np.concatenate([[corners[0]], *(np.linspace(a, b, records + 1)[1:] for a, b in pairs)])
    return np.stack([road, np.zeros_like(road)], axis=1)


def test_a_straight_road_is_certified_throughout_and_one_stage():
    scalars, records = measure_stretches(legs((0, 0), (4, 3)), PLANE)
    assert scalars == {"certified_share": pytest.approx(1.0), "certified_status": "ok", "stages": 1}
    assert records["certified"].to_list() == [None, True, True, True, True, True]
    assert not records["joint"].any()


def test_a_detour_is_certified_only_where_it_heads_for_the_target():
    """For mse a stretch is certified where it leaves less than a right angle to the target ahead of it.

    From (0, 0) down by 4, across to below (4, 3), up by 7: the way down leads away; across, the target ahead lies at
    less than a right angle until the corner, where it lies at one.
    """
    scalars, records = measure_stretches(legs((0, 0), (0, -4), (4, -4), (4, 3), records=4), PLANE)
    assert records["certified"].to_list() == [None, *[False] * 4, *[True] * 3, False, *[True] * 4]
    assert scalars["certified_share"] == pytest.approx((3 + 7) / 15)
    assert np.flatnonzero(records["joint"]).tolist() == [4, 8] and scalars["stages"] == 3


def test_stages_that_were_planted_are_found_in_many_dimensions():
    """The same road turned in a space of more dimensions than it has records."""
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(600, 2)))
    flat = legs((0, 0), (3, 0), (3, 2), (0, 2), records=10)[:, 0]
    many = Target("many", inputs=[[0.0], [1.0]], labels=np.eye(2, 300), loss="mse", complete=True, train_fraction=1.0)
    scalars, records = measure_stretches((flat @ turn.T).reshape(-1, 2, 300), many)
    assert scalars["stages"] == 3 and np.flatnonzero(records["joint"]).tolist() == [10, 20]


def test_a_chart_in_which_nothing_can_be_certified_gives_a_status():
    sure = Target(
        "classes", inputs=[[0.0], [1.0]], labels=[0, 1], loss="cross_entropy", complete=True, train_fraction=1
    )
    road = np.linspace(0, 6, 9)[:, None, None] * np.eye(2)
    scalars, records = measure_stretches(road, sure)
    assert scalars == {"certified_share": None, "certified_status": "not applicable", "stages": 1}
    assert records["certified"].null_count() == 9
    on_sphere, _ = measure_stretches(road, sure, "sphere")
    assert on_sphere["certified_share"] == pytest.approx(1.0)


def test_a_study_stores_what_certify_says_and_leaves_what_is_missing_null(shared_study, tmp_path):
    directory = tmp_path / "run"
    done = run_study(shared_study, directory, "process", overrides=["grid.0.seeds=2"], report=False)
    assert {q["name"] for q in done.summary["quantities"]} >= {"certified stretches", "stages"}
    plan, graph = plan_study(*load_study(shared_study, ["grid.0.seeds=2"]))
    store = Store(directory)
    runs, curves = (pl.read_parquet(directory / f"tables/{name}.parquet") for name in ("runs", "curves"))
    recipe, target = plan.combinations[0].recipe, plan.targets["parity", "parity of 3"]
    (chunk,) = {place.chunk for place in graph.nodes["values"].places}
    arrays = store.read("measures", chunk).arrays("arrays.safetensors")
    for index, cell in enumerate(plan.cells):
        values = arrays[f"{index}.values"]
        found = certify(values, road_probes(target, 256).labels, recipe.loss, chart="sphere")
        mine = curves.filter(run=cell[:10])
        assert mine["certified"].to_list() == [None, *found.falls.tolist()]
        row = runs.row(by_predicate=pl.col("cell") == cell, named=True)
        assert row["certified_share"] == pytest.approx(found.share)
        assert mine["joint"].sum() <= row["stages"] - 1

    # What was not computed is null, and its columns stay.
    before = shutil.copytree(directory, tmp_path / "before")
    for name in ("certified", "stages"):
        (chunk,) = {place.chunk for place in graph.nodes[name].places}
        shutil.rmtree(Store(before).path("measures", chunk))
    tables = make_tables(graph, Store(before))
    assert tables["runs"].select("certified_share", "certified_status", "stages").rows() == [(None, None, None)] * 2
    assert tables["curves"].schema == curves.schema and tables["curves"]["joint"].null_count() == 12
