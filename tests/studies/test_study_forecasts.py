"""Predictions of a study: their order and exact times, their table, that a study resumes with them, and refusals."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_up_units import counted, entries_of

from allroads import run_study
from allroads.errors import ConfigError
from allroads.paths.learnability.law.crossing import first_crossing
from allroads.report import write_report
from allroads.status import ForecastStatus
from allroads.studies.graph import plan_study
from allroads.studies.measures.forecasts import BASELINES, MEASURE, PREDICTED, compare_outcomes, law
from allroads.studies.measures.measure import LABELS
from allroads.studies.measures.registry import known_measures
from allroads.studies.predict import predict_study
from allroads.studies.store import Store
from allroads.studies.summary import find
from allroads.studies.tables import schemas
from allroads.studies.toml import load_study, to_toml

SCHEMAS = schemas(known_measures().values())
RUNS, CURVES, FORECASTS = (SCHEMAS[name] for name in ("runs", "curves", "forecasts"))
PREDICTIONS = {**LABELS, **PREDICTED}
BITS = {"bit": "x0", "parity of 2": "x0 ^ x1", "parity of 4": "x0 ^ x1 ^ x2 ^ x3"}


def bits(count, expressions=BITS, **options):
    return [
        {"kind": "boolean", "label": label, "bits": count, "expression": rule, "train_fraction": 1.0, **options}
        for label, rule in expressions.items()
    ]


def a_study(targets, architecture, *explorers, **options):
    parts = {"target": targets, "architecture": [architecture], "explorer": list(explorers)}
    return {"name": "mine", "grid": [{"name": "a", "seeds": 3, "steps": 300, **options, **parts}]}


def run(study, out, *overrides):
    return run_study(study, out, "process", overrides=["measures.forecasts=true", *overrides], report=False)


def content(directory):
    paths = (path for path in directory.rglob("*") if path.is_file())
    derived = {"index.json", "summary.json", "study.json", "report.html"}  # these hold times, or what was asked for
    kept = (path for path in paths if path.name not in derived and path.parent.name not in ("provenance", ".claims"))
    return {str(path.relative_to(directory)): path.read_bytes() for path in kept}


@pytest.mark.slow
def test_a_bit_comes_before_a_parity_of_2_before_one_of_4():
    gd = {"kind": "gd", "learning_rate": 0.5}
    found = predict_study(a_study(bits(5), {"kind": "mlp", "widths": [32]}, gd))
    assert found.sort("predicted")["target"].to_list() == list(BITS)
    assert found["probability"].is_between(0, 1).all()
    assert (found["low"] < found["predicted"]).all() and (found["predicted"] < found["high"]).all()
    assert found["degree"].to_list() == [1, 2, 4] == found["leap"].to_list()
    assert found["goal"].to_list() == pytest.approx([0.1 * np.log(2)] * 3)
    assert set(found["budget"]) == {300} and set(found["status"]) == {"ok"}
    assert found.select(*BASELINES).null_count().sum_horizontal().item() == 0


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """A linear teacher and a linear network without hidden layers: learning is the linearised map's, exactly."""
    teacher = {"kind": "linear_teacher", "label": "teacher", "widths": [4, 2], "train_size": 32, "held_out_size": 4}
    network = {"kind": "deep_linear", "label": "line", "widths": []}
    study = a_study([teacher], network, {"kind": "gd", "learning_rate": 0.1}, steps=60, records=61)
    directory = tmp_path_factory.mktemp("linear") / "run"
    plain = run_study(study, directory, "process", report=False)
    before, identity = content(directory), json.loads((directory / "study.json").read_text())
    return study, directory, plain, before, identity, run(study, directory)


def test_the_hitting_time_of_a_linear_network_is_its_time_to_learn(linear):
    table = pl.read_parquet(linear[1] / "tables/forecasts.parquet")
    assert table.height == 3 and table["actual"].null_count() == 0 and table["actual"].min() > 5
    assert table["actual"].mean() == pytest.approx(table["hitting_time"][0], rel=0.02)


def test_a_study_without_predictions_is_as_before_and_keeps_its_store(linear):
    _, directory, plain, before, identity, asked = linear
    assert "forecasts" not in plain.computed and not any(name.endswith("forecasts.parquet") for name in before)
    assert counted(asked) == {"forecasts": 1}
    assert before.items() <= content(directory).items()  # nothing that was stored changed, table or cell
    after = json.loads((directory / "study.json").read_text())
    assert (after["hash"], after["combinations"]) == (identity["hash"], identity["combinations"])


def test_a_study_stores_its_predictions_and_resumes(linear, tmp_path, monkeypatch):
    study, stored, _, _, _, asked = linear
    table = pl.read_parquet(stored / "tables/forecasts.parquet")
    runs = pl.read_parquet(stored / "tables/runs.parquet")
    assert dict(table.schema) == FORECASTS and table["run"].to_list() == runs["run"].to_list()
    assert "predicted steps" in [quantity["name"] for quantity in asked.summary["quantities"]]
    (said,) = [found["text"] for found in asked.summary["findings"] if found["chart"] == "forecasts"]
    inside = table["within"].sum()
    count = "All 3 runs" if inside == 3 else f"{inside or 'None'} of 3 runs"
    assert said.startswith(f"{count} (") and "took steps within the predicted 90 % interval" in said
    assert not any(run(study, stored).computed.values())
    assert 'id="forecasts-a"' in write_report(stored).read_text()

    directory = shutil.copytree(stored, tmp_path / "run")
    store, whole = Store(directory), content(stored)
    shutil.rmtree(store.path("cells", store.list("cells")[0]))
    (directory / "tables/forecasts.parquet").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("allroads.paths.learnability.learnability", None)  # what is stored is not computed again
        assert counted(run(study, directory)) == {"trajectories": 1}
        assert content(directory) == whole
    (entry,) = entries_of(store, "forecasts")
    shutil.rmtree(store.path("measures", entry))
    assert counted(run(study, directory)) == {"forecasts": 1}
    assert content(directory) == whole


def test_targets_of_one_map_and_one_set_of_inputs_are_predicted_together(monkeypatch):
    gd, adam = {"kind": "gd", "learning_rate": 0.5}, {"kind": "adam"}
    other = bits(5, {"smaller": "x0"}, train_fraction=0.5)
    study = a_study([*bits(5), *other], {"kind": "mlp", "widths": [4]}, gd, adam)

    def node(*overrides):
        return plan_study(*load_study(study, ["measures.forecasts=true", *overrides]))[1].nodes["forecasts"]

    units = node().units
    assert [(unit.labels["explorer"], tuple(run.labels["target"] for run in unit.firsts)) for unit in units] == [
        ("gd", tuple(BITS)),
        ("adam", tuple(BITS)),
        ("gd", ("smaller",)),
        ("adam", ("smaller",)),
    ]
    keys = node().keys
    assert len(set(keys)) == 4
    same = (
        "grid.0.seeds=9", "grid.0.records=9", "grid.0.target.0.label=one", "measures.values.probes=3",
        "measures.fit.threshold=0.5",
    )  # fmt: skip
    assert all(node(one).keys == keys for one in same)
    other = ("seed=1", "grid.0.steps=9", "grid.0.precision=float64", "grid.0.architecture.0.widths=[5]")
    assert not any(set(node(one).keys) & set(keys) for one in other)
    assert MEASURE.version == f"1 {law()}"
    another = replace(MEASURE, version="1 another law")  # what it would have said is not kept
    monkeypatch.setattr("allroads.studies.measures.forecasts.MEASURE", another)
    assert not set(node().keys) & set(keys)


FACTORIES = """

@jax.custom_vjp
def only_backwards(x):
    return jnp.tanh(x)


only_backwards.defvjp(lambda x: (jnp.tanh(x), x), lambda x, g: (g * (1 - jnp.tanh(x) ** 2),))


def backwards_net(interface) -> Network:
    init = lambda key: jax.random.normal(key, (interface.input_shape[0], interface.outputs))
    return Network(init, lambda w, x: only_backwards(x @ w), name="backwards")
"""


@pytest.mark.slow
def test_what_cannot_be_predicted_gets_a_status_and_ends_no_study(study, module, tmp_path):
    module.write_text(module.read_text() + FACTORIES)
    name = module.stem
    asked = a_study(
        [{"kind": "factory", "path": f"{name}:parity"}],
        {"kind": "factory", "path": f"{name}:backwards_net"},
        {"kind": "gd", "learning_rate": 0.1},
        {"kind": "sgld", "nbeta": 4.0},
        steps=4,
        seeds=1,
    )
    file, directory = study.parent / "refused.toml", tmp_path / "refused"
    file.write_text(to_toml(load_study(asked)[0]))
    done = run(file, directory, "measures.embedding=false")
    table = pl.read_parquet(directory / "tables/forecasts.parquet")
    assert table.height == 2 and table["run"].null_count() == 0
    for row in table.iter_rows(named=True):
        assert ("samples" if row["explorer"] == "sgld" else "custom_vjp") in row["reason"]
        assert row["status"] == ForecastStatus.NOT_APPLICABLE and row["predicted"] is None and row["budget"] == 4
    assert done.computed["forecasts"] == 2
    page = write_report(directory).read_text()
    assert "not applicable: &#39;sgld&#39; samples" in page


def test_reached_reads_between_records():
    steps = np.arange(9)
    assert first_crossing(steps, 2.0 ** -np.log1p(steps), 2.0 ** -np.log1p(3.7)) == pytest.approx(
        3.7
    )  # linear in log(1 + t)
    assert first_crossing(steps, np.linspace(3, 1, 9), 0.5) is None
    assert first_crossing(steps, [0.1] * 9, 0.5) == 0.0
    assert first_crossing([0, 4, 9], [1.0, np.nan, 0.1], 0.5) == 9.0
    assert first_crossing([0, 4, 9], [1.0, 0.0, 2.0], 0.5) < 4  # a loss of exactly zero has no logarithm


def test_predictions_are_held_against_the_runs_that_there_are():
    labels = [{"grid": "g", "target": target, "architecture": "m", "explorer": "e"} for target in "abc"]
    found = {"goal": 0.5, "budget": 100, "predicted": 10.0, "low": 5.0, "high": 20.0}
    predictions = pl.DataFrame(
        [{**labels[0], **found}, {**labels[1], **found, "high": 200.0}, {**labels[2], **found}],
        schema=PREDICTIONS,
    )
    owners = {"unsaid": 1, "quick": 0, "slow": 0, "never": 0}
    runs = pl.DataFrame([{"run": run, **labels[owner]} for run, owner in owners.items()], schema=RUNS)
    losses = {"quick": (1.0, 0.5, 0.1), "slow": (1.0, 0.9, 0.5), "never": (1.0, 0.9, 0.8), "unsaid": (1.0, 1.0, 1.0)}
    curves = [
        {"run": run, "step": step, "train_loss": loss}
        for run, all_of in losses.items()
        for step, loss in zip((0, 6, 100), all_of, strict=True)
    ]
    tables = {"runs": runs, "curves": pl.DataFrame(curves[::-1], schema=CURVES)}
    absent = [pl.lit(None, kind).alias(name) for name, kind in FORECASTS.items() if name not in PREDICTIONS]
    predictions = predictions.with_columns(absent)
    table = compare_outcomes(predictions, tables).select(*FORECASTS)
    assert dict(table.schema) == FORECASTS
    assert table["run"].to_list() == ["quick", "slow", "never", "unsaid", None]
    assert table["actual"].to_list() == [pytest.approx(6), pytest.approx(100), None, None, None]
    assert table["within"].to_list() == [True, False, False, True, None]
    assert table["target"].to_list() == ["a", "a", "a", "b", "c"]
    empty = compare_outcomes(predictions.clear(), tables)
    assert empty.is_empty() and dict(empty.select(*FORECASTS).schema) == FORECASTS


def test_the_finding_gives_a_correlation_from_five_targets_on():
    targets = [{"grid": "g", "target": f"t{n}", "architecture": "m", "explorer": "e"} for n in range(5)]
    runs = pl.DataFrame([{"run": f"r{n}", "status": "ok", "steps": 9, **t} for n, t in enumerate(targets)], schema=RUNS)
    rows = [
        {**t, "run": f"r{n}", "predicted": 2.0**n, "actual": 3.0**n, "within": n < 4, "budget": 99}
        for n, t in enumerate(targets)
    ]

    def said(count):
        forecasts = pl.DataFrame(rows[:count], schema=FORECASTS)
        found = find([MEASURE], {"runs": runs, "forecasts": forecasts}, ["g"])
        return [finding.text for finding in found if finding.chart == "forecasts"]

    (five,), (four,) = said(5), said(4)
    assert "rank correlation of predicted and actual steps +1.00" in five and five.startswith("4 of 5 runs")
    assert "correlation" not in four and four.startswith("All 4 runs")
    assert said(0) == []


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("measures.forecasts=maybe", "measures.forecasts: 'maybe' is not allowed"),
        ("measures.forecasts=1", "measures.forecasts: 1 is not allowed"),
        ("measures.forecats=true", "did you mean 'forecasts'"),
    ],
)
def test_bad_values_of_the_option_are_named(override, told):
    study = a_study(bits(3), {"kind": "mlp"}, {"kind": "gd", "learning_rate": 0.1})
    with pytest.raises(ConfigError, match=told.replace("(", r"\(")):
        plan_study(*load_study(study | {"measures": {"pairs": False}}, [override]))


def test_every_column_is_documented():
    text = (Path(__file__).parents[2] / "docs/studies.md").read_text("utf-8")
    for column in FORECASTS:
        assert f"`{column}`" in text, f"column {column!r} is not in docs/studies.md"
