"""Predictions of a study: their order and exact times, their table, that a study resumes with them, and refusals."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from allroads import Status, run_study
from allroads.errors import ConfigError
from allroads.paths.learnability.law.crossing import first_crossing
from allroads.report import write_report
from allroads.studies.findings import findings
from allroads.studies.forecasts import BASELINES, forecast_jobs, turned_out
from allroads.studies.plan import make_plan
from allroads.studies.predict import predict_study
from allroads.studies.store import Store
from allroads.studies.tables import CURVES, FORECASTS, LABELS, PREDICTIONS, RUNS
from allroads.studies.toml import load_study, to_toml

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
    return run_study(study, out, "process", overrides=["measures.learnability=true", *overrides], report=False)


def content(directory):
    paths = (path for path in directory.rglob("*") if path.is_file())
    derived = {"index.json", "summary.json", "study.json", "report.html"}  # these hold times, or what was asked for
    kept = (path for path in paths if path.name not in derived and path.parent.name not in ("provenance", ".locks"))
    return {str(path.relative_to(directory)): path.read_bytes() for path in kept}


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
    study = a_study([teacher], network, {"kind": "gd", "learning_rate": 0.1}, steps=60, records=61, checkpoints=2)
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
    assert asked.computed == {"packs": 0, "groups": 0, "tasks": 0, "forecasts": 1}
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
    assert said.endswith("in all 3 runs." if inside == 3 else f"in {inside or 'none'} of 3 runs.")
    assert not any(run(study, stored).computed.values())
    assert 'id="forecasts-a"' in write_report(stored).read_text()

    directory = shutil.copytree(stored, tmp_path / "run")
    store, whole = Store(directory), content(stored)
    shutil.rmtree(store.path("cells", store.list("cells")[0]))
    (directory / "tables/forecasts.parquet").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("allroads.paths.learnability.learnability", None)  # what is stored is not computed again
        assert run(study, directory).computed == {"packs": 1, "groups": 0, "tasks": 0, "forecasts": 0}
        assert content(directory) == whole
    shutil.rmtree(store.path("forecasts", store.list("forecasts")[0]))
    assert run(study, directory).computed == {"packs": 0, "groups": 0, "tasks": 0, "forecasts": 1}
    assert content(directory) == whole


def test_targets_of_one_map_and_one_set_of_inputs_are_predicted_together(monkeypatch):
    gd, adam = {"kind": "gd", "learning_rate": 0.5}, {"kind": "adam"}
    other = bits(5, {"smaller": "x0"}, train_fraction=0.5)
    study = a_study([*bits(5), *other], {"kind": "mlp", "widths": [4]}, gd, adam)
    jobs = forecast_jobs(make_plan(*load_study(study)))
    assert [(job.labels["explorer"], job.targets) for job in jobs] == [
        ("gd", tuple(BITS)),
        ("adam", tuple(BITS)),
        ("gd", ("smaller",)),
        ("adam", ("smaller",)),
    ]
    assert len({job.hash for job in jobs}) == 4

    def hashes(*overrides):
        return [job.hash for job in forecast_jobs(make_plan(*load_study(study, overrides)))]

    same = ("grid.0.seeds=9", "grid.0.records=9", "grid.0.target.0.label=one", "measures.probes=3", "grid.0.fit=0.5")
    assert all(hashes(one) == [job.hash for job in jobs] for one in same)
    known = {job.hash for job in jobs}
    other = ("seed=1", "grid.0.steps=9", "grid.0.precision=float64", "grid.0.architecture.0.widths=[5]")
    assert not any(set(hashes(one)) & known for one in other)
    monkeypatch.setattr("allroads.studies.forecasts._law", lambda: "another")  # what it would have said is not kept
    assert not set(hashes()) & known


FACTORIES = """

@jax.custom_vjp
def only_backwards(x):
    return jnp.tanh(x)


only_backwards.defvjp(lambda x: (jnp.tanh(x), x), lambda x, g: (g * (1 - jnp.tanh(x) ** 2),))


def backwards_net(interface) -> Network:
    init = lambda key: jax.random.normal(key, (interface.input_shape[0], interface.outputs))
    return Network(init, lambda w, x: only_backwards(x @ w), name="backwards")
"""


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
        assert row["status"] == Status.NOT_APPLICABLE and row["predicted"] is None and row["budget"] == 4
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
        schema=LABELS | PREDICTIONS,
    )
    owners = {"unsaid": 1, "quick": 0, "slow": 0, "never": 0}
    runs = pl.DataFrame([{"run": run, **labels[owner]} for run, owner in owners.items()], schema=RUNS)
    losses = {"quick": (1.0, 0.5, 0.1), "slow": (1.0, 0.9, 0.5), "never": (1.0, 0.9, 0.8), "unsaid": (1.0, 1.0, 1.0)}
    curves = [
        {"run": run, "step": step, "train_loss": loss}
        for run, all_of in losses.items()
        for step, loss in zip((0, 6, 100), all_of, strict=True)
    ]
    table = turned_out(predictions, runs, pl.DataFrame(curves[::-1], schema=CURVES))
    assert dict(table.schema) == FORECASTS
    assert table["run"].to_list() == ["quick", "slow", "never", "unsaid", None]
    assert table["actual"].to_list() == [pytest.approx(6), pytest.approx(100), None, None, None]
    assert table["within"].to_list() == [True, False, False, True, None]
    assert table["target"].to_list() == ["a", "a", "a", "b", "c"]
    empty = turned_out(predictions.clear(), runs, pl.DataFrame(curves, schema=CURVES))
    assert empty.is_empty() and dict(empty.schema) == FORECASTS


def test_the_finding_gives_a_correlation_from_five_targets_on():
    targets = [{"grid": "g", "target": f"t{n}", "architecture": "m", "explorer": "e"} for n in range(5)]
    runs = pl.DataFrame([{"run": f"r{n}", "status": "ok", "steps": 9, **t} for n, t in enumerate(targets)], schema=RUNS)
    rows = [
        {**t, "run": f"r{n}", "predicted": 2.0**n, "actual": 3.0**n, "within": n < 4, "budget": 99}
        for n, t in enumerate(targets)
    ]
    summary = {"grids": [{"name": "g"}]}

    def said(count):
        forecasts = pl.DataFrame(rows[:count], schema=FORECASTS)
        tables = {"runs": runs, "pairs": pl.DataFrame(schema={"grid": pl.String}), "forecasts": forecasts}
        return [found["text"] for found in findings(tables, summary) if found["chart"] == "forecasts"]

    (five,), (four,) = said(5), said(4)
    assert "rank correlation of +1.00" in five and "in 4 of 5 runs" in five
    assert "correlation" not in four and "in all 4 runs" in four
    assert said(0) == []


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("measures.learnability=maybe", "measures.learnability: 'maybe' is not allowed"),
        ("measures.learnability=1", "measures.learnability: 1 is not allowed"),
        ("measures.learnabilty=true", "did you mean 'learnability'"),
    ],
)
def test_bad_values_of_the_option_are_named(override, told):
    study = a_study(bits(3), {"kind": "mlp"}, {"kind": "gd", "learning_rate": 0.1})
    with pytest.raises(ConfigError, match=told.replace("(", r"\(")):
        load_study(study | {"measures": {"pairs": False}}, [override])


def test_every_column_is_documented():
    text = (Path(__file__).parents[2] / "docs/studies.md").read_text("utf-8")
    for column in FORECASTS:
        assert f"`{column}`" in text, f"column {column!r} is not in docs/studies.md"
