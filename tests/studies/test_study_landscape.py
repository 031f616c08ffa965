"""Planes of the loss in a study: their numbers against closed forms and calls by hand, and that a study resumes."""

import itertools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from made_up_units import a_run, counted, entries_of, result, unit_of

from allroads import Network, Target, path_plane, run_study
from allroads.errors import ConfigError, InputError
from allroads.studies.graph import plan_study
from allroads.studies.measures.landscape import MEASURE
from allroads.studies.measures.measure import checked_table
from allroads.studies.store import Store
from allroads.studies.summary import find
from allroads.studies.toml import load_study
from allroads.studies.units import Reader, Unit

LABEL = np.array([1.0, 2.0, 3.0])
BOWL = Network(lambda key: jnp.zeros(3), lambda w, x: x * w + LABEL)
"""Its loss is the mean of the squares of its three weights."""
ZERO = Target("zero", inputs=np.ones((1, 3)), labels=LABEL[None], loss="mse", train_fraction=1)
BENT = np.array([[0.0, 1.0, 5.0], [2.0, 0.0, 5.0], [4.0, 1.0, 5.0]])


def bowl_run(name, path, seed=0, status="ok", explorer="e"):
    """A run on the bowl with these weights at its records."""
    path = np.asarray(path, np.float64)
    losses = (path**2).mean(axis=1)
    run = a_run(ZERO, BOWL, path, np.arange(len(path)) * 10, name=name, curves=result(along={"train_loss": losses}))
    run.end, run.member, run.status = path[-1], seed, status
    run.labels = {"grid": "g", "target": "zero", "architecture": "a", "explorer": explorer}
    return run


def planes(*runs, **options):
    """Rows of the measure by plane and kind of point, held against its schema."""
    rows = MEASURE.compute(unit_of(*runs), MEASURE.options(**options))
    table = checked_table(rows, MEASURE.stored)
    return dict(table.partition_by("plane", "point", as_dict=True, maintain_order=True))


def test_a_bent_path_on_the_bowl_has_its_plane_in_closed_form():
    """Around its mean (2, 2/3, 5) the path varies along the first weight (16/2) and then along the second (2/3)."""
    found = planes(bowl_run("a", BENT), points=4)
    assert set(found) == {("path", "ground"), ("path", "record")}
    ground, records = found["path", "ground"], found["path", "record"]
    wanted = ((2 + ground["x"]) ** 2 + (2 / 3 + ground["y"]) ** 2 + 25) / 3
    assert ground.height == 16 and ground["loss"].to_numpy() == pytest.approx(wanted.to_numpy(), rel=1e-5)
    np.testing.assert_allclose(records.select("x", "y"), [[-2, 1 / 3], [0, -2 / 3], [2, 1 / 3]], atol=1e-5)
    np.testing.assert_allclose(records["loss"], (BENT**2).mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(records["distance"], 0, atol=1e-5)
    assert records["run"].to_list() == ["a"] * 3 and records["step"].to_list() == [0, 10, 20]
    first = 8 / (8 + 2 / 3)
    row = records.row(0, named=True)
    assert (row["explained_x"], row["explained_y"]) == (pytest.approx(first, rel=1e-6), pytest.approx(1, rel=1e-6))
    # Two equal steps of a random walk: 6/(n(n + 2) · 4 sin²(πk/6)) at n = 2 is 3/4 and 1/4.
    assert (row["walk_x"], row["walk_y"]) == (pytest.approx(0.75, rel=1e-6), pytest.approx(1, rel=1e-6))
    assert row["status"] == "ok" and row["around"] == "a"


def five(**more):
    """Five runs that end at distances 1 to 5 from the bottom, each in a direction of its own, in another order."""
    ways = {"a": (3, (1, 0, 0)), "b": (1, (0, 1, 0)), "c": (5, (0, 0, 1)), "d": (2, (1, 1, 0)), "e": (4, (0, 1, 1))}
    return [
        bowl_run(name, [*BENT[:2].tolist(), (distance * np.array(way) / np.linalg.norm(way)).tolist()], seed, **more)
        for seed, (name, (distance, way)) in enumerate(ways.items())
    ]


def test_the_path_is_that_of_the_median_run_and_the_ends_are_the_lowest_the_median_and_the_highest():
    found = planes(*five(), points=3)
    assert set(found["path", "record"]["run"]) == {"a"}
    ends = found["ends", "end"]
    assert ends["run"].to_list() == ["b", "a", "c"] and set(ends["around"]) == {"a"}
    np.testing.assert_allclose(ends["loss"], [1 / 3, 9 / 3, 25 / 3], rtol=1e-5)
    # b = (0, 1, 0) is the origin, a = (3, 0, 0) is on the first axis.
    across = 26 - (1 / np.sqrt(10)) ** 2
    expected = [[0, 0], [np.sqrt(10), 0], [1 / np.sqrt(10), np.sqrt(across)]]
    np.testing.assert_allclose(ends.select("x", "y"), expected, atol=1e-5)
    ground = found["ends", "ground"]
    u = np.array([3, -1, 0]) / np.sqrt(10)
    v = np.array([0, -1, 5]) - (1 / np.sqrt(10)) * u
    v /= np.linalg.norm(v)
    points = np.array([0, 1, 0]) + ground["x"].to_numpy()[:, None] * u + ground["y"].to_numpy()[:, None] * v
    np.testing.assert_allclose(ground["loss"], (points**2).mean(axis=1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("choice", "drawn"), [("path", {"path"}), ("ends", {"ends"}), ("none", set()), ("both", {"path", "ends"})]
)
def test_the_planes_that_are_asked_for_are_measured(choice, drawn):
    assert {plane for plane, _ in planes(*five(), points=2, planes=choice)} == drawn


def test_a_run_may_be_chosen_by_its_seed():
    found = planes(*five(), points=2, seed=4)
    assert set(found["path", "record"]["run"]) == {"e"} and found["ends", "end"]["run"].to_list() == ["b", "a", "c"]
    with pytest.raises(InputError, match="no run of seed 9; the seeds are 0 to 4"):
        planes(*five(), seed=9)


def test_each_architecture_and_explorer_has_planes_of_its_own():
    found = planes(*five(), *five(explorer="other"), points=2)
    assert found["path", "ground"].height == 8 and found["ends", "end"].height == 6


def test_what_is_not_defined_has_a_status_and_what_diverged_is_left_out():
    line = bowl_run("a", np.outer([1.0, 2.0, 3.0], [1.0, 0.0, 0.0]))
    assert planes(line)["path", "none"]["status"].to_list() == ["degenerate"]
    assert planes(bowl_run("a", BENT[:2]))["path", "none"]["status"].to_list() == ["degenerate"]
    lost = bowl_run("lost", BENT, status="diverged")
    assert planes(lost) == {} and planes(lost, seed=0) == {}
    both = planes(lost, bowl_run("a", BENT, 1), seed=0)
    assert list(both) == [("path", "none")] and both["path", "none"]["status"].to_list() == ["diverged"]
    same = planes(*(bowl_run(name, BENT, seed) for seed, name in enumerate("abc")), points=2)
    assert same["ends", "none"]["around"].to_list() == ["b"] and ("path", "record") in same


def test_longer_paths_are_thinned_with_both_ends():
    path = np.random.default_rng(0).standard_normal((41, 3))
    records = planes(bowl_run("a", path), points=2, records=5)["path", "record"]
    assert records["step"].to_list() == [0, 100, 200, 300, 400]


ON = ("measures.landscape.points=4", "measures.landscape.records=5")


def run(study, out, *overrides):
    off = [f"measures.{name}=false" for name in ("pairs", "embedding", "stages", "turning")]
    return run_study(study, out, "process", overrides=[*off, *overrides], report=False)


def test_a_study_stores_what_calls_by_hand_give_and_resumes(study, tmp_path):
    directory = tmp_path / "run"
    assert "landscape" not in run(study, directory).computed
    assert counted(run(study, directory, *ON)) == {"landscape": 1}
    table = pl.read_parquet(directory / "tables/landscape.parquet")
    assert dict(table.schema) == MEASURE.columns

    runs = pl.read_parquet(directory / "tables/runs.parquet").sort("train_loss", "run")
    median = runs.row((runs.height - 1) // 2, named=True)
    _, graph = plan_study(*load_study(study))
    (ref,) = [ref for ref in graph.runs if ref.name == median["run"]]
    mine = Unit(next(unit for unit in graph.nodes["curves"].units if ref in unit.runs), Reader(Store(directory))).run
    chosen = [0, 1, 2, 4, 5]  # of six records
    by_hand = path_plane(mine.problem, jax.tree.map(lambda leaf: leaf[np.array(chosen)], mine.params), points=4)
    path = table.filter(plane="path")
    assert set(path["around"]) == {median["run"]}
    records, ground = path.filter(point="record"), path.filter(point="ground")
    np.testing.assert_allclose(records.select("x", "y"), by_hand.coordinates, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ground["loss"], by_hand.plane.losses.ravel(), rtol=1e-4)
    assert path["explained_y"][0] == pytest.approx(by_hand.explained, rel=1e-5)
    assert path["walk_y"][0] == pytest.approx(by_hand.walk_explained, rel=1e-5)
    ends = table.filter(plane="ends", point="end")
    assert ends["run"].to_list() == [runs["run"][0], median["run"], runs["run"][-1]]
    stored = [runs.filter(run=name)["train_loss"].item() for name in ends["run"]]
    np.testing.assert_allclose(ends["loss"], stored, rtol=1e-4)

    assert not any(run(study, directory, *ON).computed.values())
    assert counted(run(study, directory, *ON, "measures.landscape.points=3")) == {"landscape": 1}
    for name in entries_of(Store(directory), "landscape"):
        shutil.rmtree(Store(directory).path("measures", name))
    assert counted(run(study, directory, *ON)) == {"landscape": 1}
    assert pl.read_parquet(directory / "tables/landscape.parquet").equals(table)


@pytest.mark.parametrize("option", ["points=1", "records=2", "seed=-1", "planes=all"])
def test_options_that_cannot_be_are_refused_first(study, tmp_path, option):
    with pytest.raises(ConfigError, match=rf"measures\.landscape\.{option.partition('=')[0]}: .* is not allowed"):
        run(study, tmp_path / "run", f"measures.landscape.{option}")
    assert not (tmp_path / "run").exists()


def said(explained, walk):
    rows = itertools.chain.from_iterable(
        [{"target": "t", "grid": "g", "plane": "path", "around": str(k), "point": point, "explained_y": a, "walk_y": b}]
        * 2
        for k, (a, b) in enumerate(zip(explained, walk, strict=True))
        for point in ("ground", "record")
    )
    table = pl.DataFrame(list(rows), schema_overrides={"explained_y": pl.Float64, "walk_y": pl.Float64})
    runs = pl.DataFrame({"grid": ["g"], "target": ["t"], "run": ["0"], "status": ["ok"]})
    return [found.text for found in find([MEASURE], {"runs": runs, "landscape": table}, ["g"])]


def test_the_finding_follows_from_the_shares():
    one = "Two principal components explain {} % of the path of one run in parameter space, and {} % of a random walk "
    assert said([0.9], [0.8]) == [one.format(90, 80) + "with the same steps, which is less."]
    assert said([0.7], [0.8]) == [one.format(70, 80) + "with the same steps, which is no less."]
    (many,) = said([0.9, 0.7, 0.6], [0.8, 0.8, 0.8])
    assert many == (
        "Two principal components explain 70 [65–80] % of the paths of 3 runs in parameter space, and 80 % of a random "
        "walk with the same steps. They explain more of the path than of the walk in 1 of 3 runs."
    )
    assert said([None], [None]) == []
