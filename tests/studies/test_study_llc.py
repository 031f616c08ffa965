"""Learning coefficients of a study: their numbers, their table, and that a study resumes with them."""

import json
import shutil
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from made_up_units import a_run, counted, entries_of, unit_of

from allroads import Network, Target, run_study
from allroads.errors import ConfigError
from allroads.report import write_report
from allroads.status import LLCStatus
from allroads.studies.measures.llc import MEASURE
from allroads.studies.measures.measure import checked_table
from allroads.studies.store import Store
from allroads.studies.summary import find

LINE = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
DATA = Target(
    "three times",
    inputs=np.array([[1.0], [-1.0], [2.0], [-2.0]] * 8),
    labels=np.array([[3.0], [-3.0], [6.0], [-6.0]] * 8),
    loss="mse",
    train_fraction=1,
)


def measure_points(params, steps, seed, **options):
    options = MEASURE.options(**options)
    return MEASURE.compute(unit_of(a_run(DATA, LINE, params, steps, seed=seed)), options)


@pytest.mark.slow
def test_a_line_has_half_a_parameter_at_its_minimum_and_a_status_elsewhere(seed):
    """λ = ½ · nβh/(nβh + γ) at w = 3; at w = 0 lower loss is near; at infinity there is no loss."""
    params = np.array([[0.0], [3.0], [np.inf]], np.float32)
    start, end, lost = rows = measure_points(params, np.array([0, 10, 20]), seed, budget=3600)
    assert [row["step"] for row in rows] == [0, 10, 20]
    stiff = end["nbeta"] * 2 * 2.5  # the Hessian is 2 mean(x²)
    assert end["nbeta"] == pytest.approx(32 / np.log(32))
    assert end["value"] == pytest.approx(0.5 * stiff / (stiff + end["localisation"]), abs=max(end["error"], 0.02))
    assert end["status"] != "not at a minimum"
    assert start["value"] < -10 and start["status"] == "not at a minimum"
    assert lost["status"] == "diverged" and "value" not in lost
    assert {start["ended"], end["ended"]} <= {"precision", "rounds"} and "ended" not in lost
    assert measure_points(params, np.array([0, 10, 20]), seed, budget=3600) == rows
    table = checked_table(rows, MEASURE.stored)
    assert table["value"].null_count() == 1 and not table["stage"][2]


@pytest.fixture
def quick(monkeypatch):
    """Coefficients from a formula in place of chains: the loss at a checkpoint, the last one converged."""

    def curve(problem, params, *, steps, precision, seed, budget, progress):
        values = np.array([float(np.sum(leaf)) for leaf in params["in"]])
        status = (LLCStatus.NOT_AT_MINIMUM,) * (len(steps) - 1) + (LLCStatus.CONVERGED,)
        ended = [SimpleNamespace(stats={"ended": "precision"})] * len(steps)
        return SimpleNamespace(
            value=values,
            error=values * 0 + precision * budget,
            statuses=status,
            measurements=ended,
            nbeta=3.0,
            localisation=0.1,
            boundaries=np.array([1]),
        )

    monkeypatch.setattr("allroads.points.curve.llc_curve", curve)


def run(study, out, *overrides):
    return run_study(study, out, "process", overrides=["measures.llc.checkpoints=3", *overrides], report=False)


def content(directory):
    kept = ("cells", "measures", "tables")
    paths = (path for kind in kept for path in (directory / kind).rglob("*") if path.is_file())
    derived = {"index.json", "summary.json"}  # these hold times
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths if path.name not in derived}


def test_a_study_measures_stores_and_resumes(study, tmp_path, quick):
    directory = tmp_path / "run"
    plain = run_study(study, directory, "process", report=False)
    assert "llc" not in plain.computed and not (directory / "tables/llc.parquet").exists()
    before = content(directory)
    first = run(study, directory)
    assert counted(first) == {"llc": 10}
    whole = content(directory)
    assert before.items() <= whole.items()  # nothing that was stored changed

    table = pl.read_parquet(directory / "tables/llc.parquet")
    runs = pl.read_parquet(directory / "tables/runs.parquet")
    assert dict(table.schema) == MEASURE.columns
    assert table["run"].unique(maintain_order=True).to_list() == runs["run"].to_list()
    from safetensors.numpy import load_file

    for run_, cell in runs.select("run", "cell").iter_rows():
        mine = table.filter(run=run_)
        weights = load_file(directory / f"cells/{cell[:2]}/{cell}/weights.safetensors")
        np.testing.assert_allclose(mine["value"], weights["in"][[0, 2, 5]].sum((1, 2)), rtol=1e-5)
        assert mine["step"].is_sorted()
        assert mine["step"][-1] == 20 and mine["stage"].to_list() == [False, True, False]

    store = Store(directory)
    for name in [*entries_of(store, "llc")[:4], *entries_of(store, "pairs")]:
        shutil.rmtree(store.path("measures", name))
    (directory / "tables/llc.parquet").unlink()
    assert counted(run(study, directory)) == {"pairs": 1, "llc": 4}
    assert content(directory) == whole
    assert not any(run(study, directory).computed.values())
    assert run(study, tmp_path / "again").computed["llc"] == 10
    assert content(tmp_path / "again") == whole

    summary = json.loads((directory / "tables/summary.json").read_text())
    assert "learning coefficient" in [quantity["name"] for quantity in summary["quantities"]]
    assert [found["chart"] for found in summary["findings"]].count("llc") == 1
    page = write_report(directory).read_text()
    assert 'id="llc-parity"' in page and "10 converged" in page and LLCStatus.NOT_AT_MINIMUM.meaning in page


def test_changed_options_measure_anew_and_equal_ones_resume(study, tmp_path, quick):
    """The error of the formula is precision × seconds of all three points of a run."""
    directory = tmp_path / "run"
    error = lambda: pl.read_parquet(directory / "tables/llc.parquet")["error"].unique().to_list()  # noqa: E731
    assert counted(run(study, directory))["llc"] == 10
    assert error() == [pytest.approx(0.01 * 5.0 * 3)]
    for option, wanted in (("budget=2", 0.01 * 2.0 * 3), ("precision=0.5", 0.5 * 5.0 * 3)):
        assert counted(run(study, directory, f"measures.llc.{option}")) == {"llc": 10}
        assert error() == [pytest.approx(wanted)]
        assert not any(run(study, directory, f"measures.llc.{option}").computed.values())
    same = run(study, directory, "measures.llc.budget=5", "measures.llc.precision=0.01")
    assert not any(same.computed.values()) and error() == [pytest.approx(0.15)]


@pytest.mark.parametrize(
    "option", ["budget=0", "budget=-1.5", "budget=soon", "budget=inf", "precision=0", "precision=[1]"]
)
def test_a_budget_or_a_precision_that_is_no_number_above_zero_is_refused_first(study, tmp_path, option):
    name = option.partition("=")[0]
    with pytest.raises(ConfigError, match=rf"measures\.llc\.{name}: .*"):
        run(study, tmp_path / "run", f"measures.llc.{option}")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_budget_that_is_over_gives_numbers_with_errors_and_statuses_of_their_own(seed):
    """The budget is over once its chains are compiled, so that hardly a draw is left."""
    params = np.array([[2.0], [3.0]], np.float32)
    rows = measure_points(params, np.array([0, 10]), seed, budget=1e-3)
    assert [row["ended"] for row in rows] == ["budget"] * 2
    truth = 0.5 * (stiff := rows[1]["nbeta"] * 2 * 2.5) / (stiff + rows[1]["localisation"])
    for row in rows:
        assert row["status"] in {"not equilibrated", "not at a minimum", "ok"}
    assert rows[1]["error"] is None or abs(rows[1]["value"] - truth) <= rows[1]["error"]
    checked_table(rows, MEASURE.stored)


def test_what_the_user_stopped_is_not_stored(study, tmp_path, monkeypatch):
    def stopped(problem, params, *, steps, **options):
        found = SimpleNamespace(stats={"ended": "interrupted"})
        return SimpleNamespace(measurements=[found] * len(steps))

    monkeypatch.setattr("allroads.points.curve.llc_curve", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(study, tmp_path / "run")
    assert not entries_of(Store(tmp_path / "run"), "llc")


def test_the_finding_counts_only_sound_ends():
    runs = pl.DataFrame(
        {
            "grid": ["g"] * 2, "target": ["t"] * 2, "run": ["a", "b"], "parameters": [8, 8], "status": ["ok", "ok"],
        }
    )  # fmt: skip

    def said(statuses):
        values = {"run": ["a", "a", "b", "b"], "step": [0, 9, 0, 9], "value": [9.0, 1.5, 9.0, 77.0], "error": [0.1] * 4}
        values |= {"status": statuses}
        (found,) = find([MEASURE], {"runs": runs, "llc": pl.DataFrame(values)}, ["g"])
        assert found.chart == "llc"
        return found.text

    bad = "not at a minimum"
    assert said([bad, "converged", bad, bad]) == (
        "Where they end, 1 of 2 runs have a learning coefficient at nβ = n/ln n: median 1.5. In 1 of 1 it lies below "
        "4.0, the value without degeneracy, by more than its error."
    )
    assert said([bad, "ok", bad, "scale-dependent"]).startswith(
        "Where they end, all 2 runs have a learning coefficient"
    )
    assert said(["converged", bad, "converged", "diverged"]) == (
        "No run ends at a point with a learning coefficient at nβ = n/ln n: 1 diverged, 1 not at a minimum."
    )
