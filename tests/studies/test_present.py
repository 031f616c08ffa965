"""Measures of several runs where one run failed: they are of the others, until it is there."""

import polars as pl
import pytest

from allroads import run_study
from allroads.errors import WorkerError
from allroads.studies.graph import plan_study
from allroads.studies.present import of_present
from allroads.studies.store import Store
from allroads.studies.toml import load_study

MODULE = """

import os

import polars as pl
from allroads.studies.measures.measure import Measure


def shaky() -> Measure:
    def compute(unit, options):
        if unit.run.seed == 3 and os.environ.get("SHAKY"):
            raise RuntimeError("the third one shakes")
        return {"shaken": float(unit.run.seed)}

    return Measure("shaky", 1, "run", compute, {"shaken": pl.Float64})


def counts() -> Measure:
    def compute(unit, options):
        seeds = [int(run.need("shaky").row["shaken"]) for run in unit.runs]
        return [{"count": len(seeds), "seeds": ",".join(map(str, seeds))}]

    return Measure("counts", 1, "grid", compute, {"count": pl.Int64, "seeds": pl.String}, needs=("shaky",))
"""


def run(study, out):
    off = ("pairs", "embedding", "certified", "directness", "turning", "stages", "fit", "curves", "values", "chart")
    overrides = ["grid.0.seeds=5", *(f"measures.{name}=false" for name in off)]
    return run_study(study, out, "process", overrides=overrides, report=False)


def counted(out):
    return pl.read_parquet(out / "tables/counts.parquet").rows()


@pytest.fixture
def shaken(study, module):
    """The small study with a measure that fails for one run, and one of all runs that needs it."""
    module.write_text(module.read_text() + MODULE)
    own = "".join(
        f'\n[[measures.own]]\nkind = "factory"\npath = "{module.stem}:{name}"\n' for name in ("shaky", "counts")
    )
    study.write_text(study.read_text() + own)
    return study


def test_a_run_that_lacks_something_holds_no_other_up(shaken, tmp_path, monkeypatch):
    out = tmp_path / "run"
    monkeypatch.setenv("SHAKY", "1")
    with pytest.raises(WorkerError, match="the third one shakes") as error:
        run(shaken, out)
    assert counted(out) == [("parity", 4, "0,1,2,4")]
    assert error.value.finished.computed["counts"] == 1

    # The same failure again: what is of the others is not computed once more.
    with pytest.raises(WorkerError) as error:
        run(shaken, out)
    assert error.value.finished.computed["counts"] == 0 and counted(out) == [("parity", 4, "0,1,2,4")]

    monkeypatch.delenv("SHAKY")
    assert run(shaken, out).computed["counts"] == 1
    assert counted(out) == [("parity", 5, "0,1,2,3,4")]


def test_a_unit_keeps_its_key_where_no_run_is_missing(shaken, tmp_path):
    _, graph = plan_study(*load_study(shaken, ["grid.0.seeds=3"]))
    store = Store(tmp_path / "run")
    (key,) = graph.nodes["counts"].keys
    assert of_present(graph, "counts", store).nodes["counts"].units == ()
    assert of_present(graph, "shaky", store) is graph
    for run in graph.runs:
        assert of_present(graph, "pairs", store).nodes["pairs"].units == () or run is graph.runs[2]
        store.write("cells", run.cell, {}, {})
    assert of_present(graph, "counts", store).nodes["counts"].units == ()
    for place in graph.nodes["shaky"].places[:2]:
        store.write("measures", place.key, {}, {})
    (fewer,) = of_present(graph, "counts", store).nodes["counts"].keys
    store.write("measures", graph.nodes["shaky"].places[2].key, {}, {})
    found = of_present(graph, "counts", store).nodes["counts"]
    assert found.keys == (key,) != (fewer,) and found.units == graph.nodes["counts"].units
    assert of_present(graph, "pairs", store).nodes["pairs"].keys == graph.nodes["pairs"].keys
