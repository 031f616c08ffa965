"""What a study measures and says, against runs whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_up_units import a_run, on_road, result, unit_of

from allroads import Network, Target, explore
from allroads.explorers.gd import GD
from allroads.explorers.recording import Recording
from allroads.networks.mlp import mlp
from allroads.studies.measures import certified, curves, directness, embedding, fit, pairs, stages, turning, values
from allroads.studies.measures.fit import first_lasting

LINE = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
DATA = Target(
    "three times",
    inputs=np.array([[1.0], [-1.0], [2.0], [-2.0]]),
    labels=np.array([[3.0], [-3.0], [6.0], [-6.0]]),
    loss="mse",
    train_size=2,
    held_out_size=2,
)


def measured(run, target):
    """Everything that is measured of the first member of a population, from its weights alone."""
    row, along = {}, {}
    weights = run.params[0]
    mine = a_run(target, LINE, weights, run.checkpoint_steps)
    needs = {"chart": result({"chart": "outputs"})}
    for measure in (
        values.MEASURE,
        curves.MEASURE,
        fit.MEASURE,
        certified.MEASURE,
        stages.MEASURE,
        directness.MEASURE,
        turning.MEASURE,
    ):
        mine.need = needs.__getitem__
        outcome = measure.compute(unit_of(mine), measure.options())
        if isinstance(outcome, dict):
            row |= outcome
            continue
        row |= dict(outcome.rows[0]) if outcome.rows else {}
        along |= outcome.along
        needs[measure.name] = result(along=outcome.along, arrays=outcome.arrays)
    return row, along


def test_scalars_of_gradient_descent_on_a_line():
    # With inputs ±1 or ±2 the error contracts by 1 − 2η·mean(x²) a step; R² = 1 − (error)² as the mean label is 0.
    mean_square = float((DATA.train.inputs**2).mean())
    rate = 0.05
    held_out = (DATA.held_out.inputs, DATA.held_out.labels)
    record = Recording(records=61, checkpoints=61)
    run = explore(DATA.problem(LINE), GD(learning_rate=rate), 1, steps=60, record=record, held_out=held_out)
    row, records = measured(run, DATA)
    contraction = 1 - 2 * rate * mean_square
    constant = DATA.baseline["train_loss"]
    at = [1 - 9 * mean_square * contraction ** (2 * t) / constant for t in range(61)]
    assert row["steps_to_fit"] == next(t for t, score in enumerate(at) if score >= 0.99)
    assert row["directness"] == pytest.approx(1.0, abs=1e-6)
    assert row["turning"] == pytest.approx(0.0, abs=1e-3)
    assert (row["certified_share"], row["certified_status"]) == (pytest.approx(1.0), "ok")
    assert row["stages"] == 1 and len(records["certified"]) == 61 and not records["joint"].any()
    assert row["held_out_loss"] == pytest.approx(float(run.curves["held_out_loss"][0, -1]))
    for name, curve in run.curves.items():  # what the explorer saw on its way is what the weights give
        np.testing.assert_allclose(records[name], curve[0], rtol=1e-6)


def test_a_run_that_does_not_move_has_no_directness_but_a_status():
    run = explore(DATA.problem(LINE), GD(learning_rate=0.0), 1, steps=3)
    row, records = measured(run, DATA)
    assert row["certified_share"] is None and row["certified_status"] == "degenerate"
    assert row["stages"] is None and records["certified"] == [None] * len(run.steps)
    assert row["directness"] is None and row["directness_status"] == "degenerate"
    assert row["steps_to_fit"] is None and row["steps_to_generalise"] is None


def test_the_first_step_that_lasts():
    assert first_lasting([0, 5, 9], [True, True, True]) == 0
    assert first_lasting([0, 5, 9], [True, False, True]) == 9
    assert first_lasting([0, 5, 9], [True, True, False]) is None


def test_pairs_of_a_double_well():
    well = Network(lambda key: jnp.ones(1), lambda w, x: x * (w**2 - 1))
    runs = [a_run(DATA, well, name=name) for name in "abc"]
    for run, end in zip(runs, (-jnp.ones(1), jnp.ones(1), jnp.ones(1)), strict=True):
        run.end = end
    rows = pairs.MEASURE.compute(unit_of(*runs), pairs.MEASURE.options())
    # Half way the output is −x in place of 0: against the label 3x the loss rises from 9 to 16 mean squares of x.
    assert rows[0]["barrier_train"] == pytest.approx(7 * (DATA.train.inputs**2).mean(), rel=1e-5)
    assert rows[0]["barrier_held_out"] == pytest.approx(7 * (DATA.held_out.inputs**2).mean(), rel=1e-5)
    assert [(row["run_a"], row["run_b"]) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(row["agreement"] == 1.0 for row in rows)
    assert rows[2]["barrier_train"] == pytest.approx(0.0, abs=1e-6)
    assert all(row["chance"] == 1.0 for row in rows)  # every answer is 0


def a_hidden_layer_shuffled(seed):
    """An MLP, and the same function with its hidden units in another order."""
    network = mlp((3,), 2, widths=(6,))
    params = network.init(jax.random.key(seed))
    order = np.random.default_rng(seed).permutation(6)
    first, last = params["layers"]
    moved = [
        {"weight": first["weight"][:, order], "bias": first["bias"][order]},
        {"weight": last["weight"][order], "bias": last["bias"]},
    ]
    return network, params, {"layers": moved}


@pytest.mark.parametrize(("align", "limit", "expected"), [("weights", 28, 3), ("activations", 2, 2), ("none", 28, 0)])
def test_matched_hidden_units_leave_no_barrier_between_copies(align, limit, expected):
    """Three copies of one network whose hidden units stand in other orders: apart plain, together once matched."""
    inputs = np.random.default_rng(0).standard_normal((16, 3))
    target = Target("two", inputs=inputs, labels=np.arange(16) % 2, loss="cross_entropy", train_fraction=0.5)
    network, params, moved = a_hidden_layer_shuffled(1)
    runs = [a_run(target, network, name=name) for name in "abc"]
    for run, end in zip(runs, (params, moved, params), strict=True):
        run.end = end
    rows = pairs.MEASURE.compute(unit_of(*runs), pairs.PairOptions(align=align, aligned=limit))
    matched = [row for row in rows if "aligned_train" in row]
    assert len(matched) == expected
    for row in matched:
        assert row["aligned_train"] == pytest.approx(0.0, abs=1e-5)
        assert row["aligned_held_out"] == pytest.approx(0.0, abs=1e-5)
    assert rows[0]["barrier_train"] > 1e-3
    # Both give the same answers, c zeros and 1 − c ones: by chance they share c² + (1 − c)².
    said = np.asarray(network.apply(params, target.held_out.inputs)).argmax(-1)
    ones = said.mean()
    assert all(row["agreement"] == 1.0 and row["chance"] == pytest.approx(ones**2 + (1 - ones) ** 2) for row in rows)


def test_chance_is_that_of_the_answers_of_both_ends():
    """One end says 1 to seven of eight examples, the other to two of them."""
    target = Target("two", inputs=np.arange(8.0)[:, None], labels=np.arange(8) % 2, loss="bce", train_fraction=1.0)
    threshold = Network(lambda key: jnp.zeros(1), lambda w, x: x - w)
    runs = [a_run(target, threshold, name=name) for name in "ab"]
    for run, end in zip(runs, (0.5, 5.5), strict=True):
        run.end = jnp.array([end])
    (row,) = pairs.MEASURE.compute(unit_of(*runs), pairs.PairOptions(align="none"))
    assert row["agreement"] == 3 / 8
    assert row["chance"] == pytest.approx(7 / 8 * 2 / 8 + 1 / 8 * 6 / 8)


def classes(count=3, examples=4):
    inputs = np.arange(examples * count, dtype=float).reshape(-1, 1)
    return Target(
        "classes", inputs=inputs, labels=np.arange(len(inputs)) % count, loss="cross_entropy", train_fraction=0.5
    )


def test_embedding_holds_start_target_and_runs_at_their_distances():
    target = classes()
    labels = target.full.labels if target.full is not None else target.held_out.labels
    sure = 40.0 * np.eye(3)[labels]
    path = np.linspace(0, 1, 50)[:, None, None] * sure
    runs = [on_road(road, target, "sphere", name=name) for name, road in (("a", path), ("b", path[::-1]))]
    rows = embedding.MEASURE.compute(unit_of(*runs), embedding.MEASURE.options())
    assert sum(row["point"] == "run" for row in rows) == 2 * 32
    found = {row["point"]: np.array([row["x"], row["y"], row["z"]]) for row in rows if row["point"] != "run"}
    runs = [row for row in rows if row.get("run") == "a"]
    first, last = (np.array([runs[i][axis] for axis in "xyz"]) for i in (0, -1))
    np.testing.assert_allclose(first, found["start"], atol=1e-6)
    np.testing.assert_allclose(last, found["target"], atol=1e-6)
    assert runs[0]["step"] == 0 and runs[-1]["step"] == 49
    assert 0 < rows[0]["explained_x"] <= rows[0]["explained_z"] <= 1


@pytest.mark.parametrize(("status", "step"), [("ok", 1), ("diverged", None)])
def test_a_run_that_diverged_has_fitted_nothing(status, step):
    """Its last finite records say nothing of the rest of the run."""
    target = Target("xor", inputs=[[0, 0], [0, 1], [1, 0], [1, 1]], labels=[0, 1, 1, 0], train_fraction=1)
    along = {"train_loss": np.array([1.0, 0.0, 0.0]), "train_accuracy": np.array([0.5, 1.0, 1.0])}
    run = a_run(target, steps=np.arange(3), curves=result(along=along))
    run.status = status
    assert fit.MEASURE.compute(unit_of(run), fit.MEASURE.options())["steps_to_fit"] == step
