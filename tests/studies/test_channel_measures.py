"""Channel gain and funnel as measures: their rows are those of direct calls on the same runs."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from made_up_units import a_run, result, unit_of

from allroads import GD, Network, Recording, Target, channel_gain, explore, function_prior, funnel, run_study
from allroads.explorers.trajectory import Cost
from allroads.studies.channels import search_cost
from allroads.studies.measures.channel_gain import MEASURE as GAIN
from allroads.studies.measures.funnel import FIRST, loss_edges
from allroads.studies.measures.funnel import MEASURE as FUNNEL
from allroads.studies.measures.measure import as_outcome, checked_table

INPUTS = np.array(list(itertools.product([0.0, 1.0], repeat=2)))
LABELS = {"grid": "g", "target": "xor", "architecture": "table", "explorer": "gd"}
TABLE = Network(
    lambda key: jax.random.normal(key, (4,)),
    lambda weights, x: weights[(x @ jnp.array([1, 2])).astype(int)][:, None],
    name="table",
)
"""A weight per input: of all draws 1 in 16 fits."""
TARGET = Target("xor", inputs=INPUTS, labels=[0, 1, 1, 0], complete=True, loss="bce", train_fraction=1)


def as_runs(trained, target=TARGET, **labels):
    """The members of a population as the runs of a study."""
    runs = []
    for place, member in enumerate(trained.members):
        curves = {name: curve[place] for name, curve in trained.curves.items()}
        needs = {"curves": result(along=curves), "chart": result({"chart": "sphere"})}
        needs["values"] = result(arrays={"values": trained.values[place], "labels": np.asarray(target.train.labels)})
        run = a_run(target, TABLE, steps=trained.steps, **needs)
        run.labels, run.member, run.last_step = LABELS | labels, int(member), int(trained.last_step[place])
        run.status, cost = trained.statuses[place].value, trained.cost
        names = ("gradients", "forwards", "gradient_examples", "forward_examples")
        run.cost = Cost(*(getattr(cost, name)[place : place + 1] for name in names))
        runs.append(run)
    return runs


def rows_of(measure, *runs, **options):
    rows = as_outcome(measure.compute(unit_of(*runs), measure.options(**options))).rows
    checked_table(rows, measure.stored)
    return [dict(row) for row in rows]


@pytest.fixture(scope="module")
def trained():
    problem = TARGET.problem(TABLE, "bce")
    record = Recording(records=16)
    return problem, explore(problem, GD(learning_rate=4.0), 24, steps=15, probes=TARGET.train.inputs, record=record)


def test_the_gain_of_a_setting_is_that_of_a_direct_call(trained):
    problem, runs = trained
    (row,) = rows_of(GAIN, *as_runs(runs), samples=4096, pilot=0.125)
    blind = function_prior(TABLE, problem.inputs, 4096, progress=False).probability(problem.labels)
    found = channel_gain(blind, runs, problem, pilot=0.125)
    assert row["gain"] == found.value and row["status"] == found.status.value == "ok"
    assert (row["low"], row["high"]) == (found.stats["low"], found.stats["high"])
    for name, cost in (("neutral", found.neutral), ("gradient", found.explorer)):
        ends = cost.stats["low"], cost.stats["high"]
        assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == (cost.value, *ends)
    assert row["neutral_low"] < 4 < row["neutral_high"]  # bits: 1 draw in 16 fits
    fits = (runs.curves["train_accuracy"] == 1).any(axis=1)
    assert (row["fitted"], row["runs"], row["draws"]) == (fits.sum(), 24, 4096)
    assert row["draws_fitted"] == round(4096 * blind.value)


def test_settings_without_a_gain_say_why(trained):
    runs = as_runs(trained[1])
    few = as_runs(trained[1], explorer="few")[:7]
    foreign = as_runs(trained[1], explorer="foreign")
    for run in foreign:
        run.cost = None
    rows = {row["explorer"]: row for row in rows_of(GAIN, *runs, *few, *foreign, samples=1000)}
    assert {name: row["status"] for name, row in rows.items()} == {"gd": "ok", "few": "refused", "foreign": "refused"}
    assert rows["few"]["reason"].startswith("7 runs") and "not known" in rows["foreign"]["reason"]
    squared = as_runs(trained[1])
    for run in squared:
        run.loss = "mse"
    (row,) = rows_of(GAIN, *squared, samples=1000)
    assert row["status"] == "refused" and "no classes" in row["reason"]


def test_bins_of_the_funnel_are_those_of_a_direct_call(trained):
    problem, runs = trained
    rows = rows_of(FUNNEL, *as_runs(runs), samples=256, bins=4)
    draws = explore(problem, GD(), range(FIRST, FIRST + 256), steps=0, probes=TARGET.train.inputs)
    edges = loss_edges(runs.curves["train_loss"], 4)
    found = funnel(runs, draws, edges=edges, chart="sphere")
    assert edges[0] <= runs.curves["train_loss"].min() and edges[-1] >= runs.curves["train_loss"].max()
    kept = [place for place, pair in enumerate(zip(found.runs, found.neutral, strict=True)) if pair != (None, None)]
    assert [(row["bin_low"], row["bin_high"]) for row in rows] == [(edges[k], edges[k + 1]) for k in kept]
    assert {row["chart"] for row in rows} == {"sphere"}
    for row, place in zip(rows, kept, strict=True):
        for who, narrowing in (("runs", found.runs[place]), ("draws", found.neutral[place])):
            assert row[who] == (0 if narrowing is None else narrowing.members)
            if narrowing is not None:
                names = "loss", "spread", "spread_low", "spread_high", "dimension"
                held = narrowing.loss, narrowing.spread, *narrowing.interval, narrowing.dimension.value
                assert [row[f"{who}_{name}"] for name in names] == list(held)
                assert row[f"{who}_spread_low"] < row[f"{who}_spread"] < row[f"{who}_spread_high"]
        ratio = found.ratios[place]
        assert row.get("ratio") == (None if ratio is None else ratio.value)
        if ratio is not None:
            assert row["ratio"] == pytest.approx(np.log2(row["runs_spread"] / row["draws_spread"]))
    assert sum(row["status"] == "ok" for row in rows) == found.stats["matched"] > 0


def test_settings_without_a_funnel_say_why(trained):
    few = as_runs(trained[1])[:3]
    uneven = as_runs(trained[1], explorer="uneven")
    uneven[0].steps = uneven[0].steps[:-1]
    lost = as_runs(trained[1], explorer="lost")
    for run in lost[3:]:
        run.status = "diverged"
    rows = {row["explorer"]: row["reason"] for row in rows_of(FUNNEL, *few, *uneven, *lost)}
    assert rows["gd"].startswith("3 runs") and rows["lost"].startswith("3 runs")
    assert "different steps" in rows["uneven"]


def test_the_interval_of_a_spread_covers_the_truth_as_often_as_it_says():
    """Of normal members the mean squared distance per coordinate is 2; 300 ensembles, binomial bounds."""
    from allroads.studies.channels.funnel import _narrowing

    rng = np.random.default_rng(0)
    said = np.zeros((32, 4), int)
    covered = 0
    for _ in range(300):
        low, high = _narrowing(rng.normal(size=(32, 4)), said, np.ones(32)).interval
        covered += low < 2 < high
    assert 0.90 <= covered / 300 <= 0.985
    alike = _narrowing(np.zeros((8, 2)), said[:8], np.ones(8))
    assert alike.spread == 0 and alike.interval == (0.0, 0.0)


@pytest.mark.slow
def test_a_study_counts_what_its_runs_cost(tmp_path):
    """Full-batch descent spends 1 + 3 steps until its first fit, and 1 + 3 · 40 where it has none."""
    target = {"kind": "boolean", "bits": 3, "rule": "majority", "k": 3, "train_fraction": 1.0}
    grid = {"name": "g", "seeds": 12, "steps": 40, "records": 41, "target": [target]}
    grid |= {"architecture": [{"kind": "mlp", "widths": [6]}], "explorer": [{"kind": "gd", "learning_rate": 1.0}]}
    measures = {"channel_gain": {"samples": 8192, "pilot": 0.0}, "funnel": {"samples": 512}, "pairs": False}
    done = run_study({"name": "c", "grid": [grid], "measures": measures}, tmp_path, "process", report=False)
    assert not done.summary["failures"]
    tables = {
        name: pl.read_parquet(tmp_path / f"tables/{name}.parquet") for name in ("channel_gain", "funnel", "curves")
    }
    row = tables["channel_gain"].row(0, named=True)
    right = tables["curves"].with_columns(step=pl.when(pl.col("train_accuracy") == 1).then("step"))
    first = right.group_by("run").agg(pl.col("step").min())["step"]
    spent = search_cost(1 + 3 * first.fill_null(40).to_numpy(), first.is_not_null().to_numpy(), 121.0)
    assert row["gradient"] == spent.value and row["fitted"] == first.is_not_null().sum() and row["runs"] == 12
    assert row["gain"] == pytest.approx(row["neutral"] - row["gradient"])
    assert tables["funnel"]["runs"].max() == 12 and set(tables["funnel"]["chart"]) == {"sphere"}
