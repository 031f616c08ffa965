import copy
import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Problem, Target, explore, float64
from allroads.errors import MemoryBudgetError, UnknownNameError
from allroads.explorers.build import build_explorer
from allroads.explorers.gd import GD
from allroads.explorers.recording import Recording
from allroads.explorers.schedule import log_spaced
from allroads.explorers.sgd import SGD
from allroads.status import RunStatus


def mlp(sizes=(5, 16, 16, 1), scale=1.0):
    def init(key):
        keys = jax.random.split(key, len(sizes))
        return [
            {"w": scale * jax.random.normal(k, (a, b)) / np.sqrt(a), "b": jnp.zeros(b)}
            for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=False)
        ]

    def apply(params, x):
        for layer in params[:-1]:
            x = jnp.tanh(x @ layer["w"] + layer["b"])
        return x @ params[-1]["w"] + params[-1]["b"]

    return Network(init, apply)


NETWORK = mlp()
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 5))
Y = np.sign(X[:, :1] * X[:, 1:2])
PROBLEM = Problem(NETWORK, "mse", X, Y)


@pytest.mark.parametrize(("kind", "batch_size"), [("sgd", 8), ("adam", None)])
@pytest.mark.parametrize(("double", "tolerance"), [(False, 1e-5), (True, 1e-9)])
def test_a_member_alone_and_in_a_pack_of_1000_gives_the_same_run(kind, batch_size, double, tolerance):
    explorer = build_explorer(kind, learning_rate=0.01, batch_size=batch_size)
    problem = Problem(mlp((5, 8, 1)), "mse", X, Y)
    with jax.enable_x64(double):
        options = {"steps": 200, "seed": 3, "record": Recording(records=5, checkpoints=3)}
        all = explore(problem, explorer, 1000, **options)
        for member in (0, 517, 999):
            alone = explore(problem, explorer, [member], **options)
            np.testing.assert_allclose(alone.values[0], all.values[member], rtol=0, atol=tolerance)
            for one, many in zip(jax.tree.leaves(alone.params), jax.tree.leaves(all.params), strict=True):
                np.testing.assert_allclose(one[0], many[member], rtol=0, atol=tolerance)
        assert np.abs(all.values[0, -1] - all.values[1, -1]).max() > 1e-3, "members must differ"


@pytest.mark.slow
def test_the_width_of_the_pack_changes_nothing_but_rounding():
    with float64():
        wide, narrow = (
            explore(PROBLEM, "adam", 5, steps=200, record=Recording(records=5, checkpoints=3, pack=pack))
            for pack in (5, 1)
        )
        np.testing.assert_allclose(wide.values, narrow.values, rtol=0, atol=1e-9)


def test_gradient_descent_on_a_quadratic_follows_its_closed_form():
    curvature = np.array([3.0, 0.5])
    network = Network(lambda key: jnp.array([1.0, -2.0]), lambda w, x: (x * w)[None].reshape(1, 2))
    with float64():
        start = jnp.array([[1.0, -2.0]])
        half_square = lambda outputs, labels: 0.5 * (curvature * outputs**2).sum(-1)  # noqa: E731
        problem = Problem(network, half_square, jnp.ones((1, 2)), jnp.zeros((1, 2)))
        run = explore(problem, GD(learning_rate=0.2), 1, steps=30, start=start)
        exact = start[0] * (1 - 0.2 * curvature) ** run.steps[:, None]
        np.testing.assert_allclose(run.values[0, :, 0], exact, rtol=1e-12)
        loss = 0.5 * (curvature * exact**2).sum(-1)
        np.testing.assert_allclose(run.curves["train_loss"][0], loss, rtol=1e-12)


def test_minibatches_see_every_example_once_an_epoch_and_differ_between_members():
    # The gradient of the mean of w·x over a batch is the batch's mean x: with η = −4 the point sums what it saw.
    network = Network(lambda key: jnp.zeros(12), lambda w, x: (x @ w)[:, None])
    loss = lambda outputs, labels: -4.0 * outputs[:, 0]  # noqa: E731
    problem = Problem(network, loss, np.eye(12), np.zeros(12))
    run = explore(problem, SGD(learning_rate=1.0, batch_size=4), 2, steps=6)
    np.testing.assert_allclose(run.params[:, 3], 1.0)  # one epoch of three batches
    np.testing.assert_allclose(run.params[:, 6], 2.0)
    first = run.params[:, 1]
    assert ((first == 0) | (first == 1)).all() and (first.sum(-1) == 4).all()
    assert (first[0] != first[1]).any(), "each member draws its own batches"


def test_a_diverging_member_stops_at_its_last_finite_point_and_its_neighbour_does_not_notice():
    network = Network(lambda key: jnp.ones(1), lambda w, x: x * w)
    loss = lambda outputs, labels: outputs[:, 0] ** 4  # noqa: E731
    start = jnp.array([[0.1], [10.0], [0.2]])
    problem, explorer = Problem(network, loss, np.ones((1, 1)), np.zeros(1)), GD(learning_rate=0.1)
    options = {"steps": 50, "record": Recording(records=20, checkpoints=20)}
    run = explore(problem, explorer, 3, start=start, **options)
    assert run.statuses == (RunStatus.OK, RunStatus.DIVERGED, RunStatus.OK) and run.status == RunStatus.DIVERGED
    # w ← w − 0.4 w³ from 10: −390, 2.4e7, −5.3e21; 5.3e21⁴ overflows float32, 2.4e7⁴ does not: two steps are kept.
    assert run.last_step.tolist() == [50, 2, 50]
    assert run.cost.gradients.tolist() == [50, 3, 50]
    w = np.float32(10.0)
    for _ in range(2):
        w = w - np.float32(0.4) * w**3
    np.testing.assert_allclose(run.values[1, -1, 0, 0], w, rtol=1e-5)
    assert np.isfinite(run.values).all() and np.isfinite(run.curves["train_loss"]).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.params))
    for position in (0, 2):
        alone = explore(problem, explorer, 1, start=start[position : position + 1], **options)
        np.testing.assert_array_equal(alone.values[0], run.values[position])


def test_divergence_at_the_last_step_is_noticed_too():
    network = Network(lambda key: jnp.ones(1), lambda w, x: x * w)
    problem = Problem(network, lambda outputs, labels: outputs[:, 0] ** 4, np.ones((1, 1)), np.zeros(1))
    run = explore(problem, GD(learning_rate=0.1), 1, start=jnp.array([[10.0]]), steps=3)
    assert run.statuses == (RunStatus.DIVERGED,) and run.last_step.tolist() == [2]
    assert np.isfinite(run.values).all() and run.values[0, -1, 0, 0] == run.values[0, -2, 0, 0]


def test_a_start_whose_loss_is_not_finite_stays_where_it_is():
    network = Network(lambda key: jnp.full(1, 1e30), lambda w, x: x * w)
    run = explore(Problem(network, "mse", np.ones((1, 1)), np.zeros(1)), "gd", 1, steps=4)
    assert run.statuses == (RunStatus.DIVERGED,) and run.last_step.tolist() == [0]


def test_cost_counts_gradients_and_examples():
    run = explore(PROBLEM, SGD(batch_size=8), 2, steps=10)
    assert run.cost.gradients.tolist() == [10, 10]
    assert run.cost.forwards.tolist() == [0, 0]
    assert run.cost.examples.tolist() == [80, 80]


def test_records_hold_what_the_network_gives_at_the_stored_points():
    probes = RNG.normal(size=(7, 5))
    held_out = (RNG.normal(size=(6, 5)), RNG.normal(size=(6, 1)))
    with float64():
        record = Recording(records=9, checkpoints=4)
        run = explore(PROBLEM, "adam", 3, steps=40, probes=probes, held_out=held_out, record=record)
        assert run.steps[0] == 0 and run.steps[-1] == 40 and run.checkpoint_steps[[0, -1]].tolist() == [0, 40]
        for k, step in enumerate(run.checkpoint_steps):
            t = int(np.flatnonzero(run.steps == step)[0])
            for m in range(3):
                params = jax.tree.map(lambda leaf: leaf[m, k], run.params)  # noqa: B023
                np.testing.assert_allclose(NETWORK.apply(params, probes), run.values[m, t], atol=1e-12)
                loss = ((NETWORK.apply(params, held_out[0]) - held_out[1]) ** 2).mean()
                np.testing.assert_allclose(loss, run.curves["held_out_loss"][m, t], rtol=1e-10)


def test_the_start_of_a_member_is_the_networks_own_draw():
    run = explore(PROBLEM, "adam", [4], steps=1, seed=9)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(9), 4), 0)
    for drawn, stored in zip(jax.tree.leaves(NETWORK.init(key)), jax.tree.leaves(run.params), strict=True):
        np.testing.assert_allclose(drawn, stored[0, 0], atol=1e-7)


def test_checkpoints_are_thinned_to_the_budget_and_never_below_the_ends():
    point = 4 * sum(leaf.size for leaf in jax.tree.leaves(NETWORK.init(jax.random.key(0))))
    values = 16 * 24 * 4
    budget = 2 * (values + 3 * point)
    run = explore(PROBLEM, "adam", 2, steps=100, record=Recording(records=16, memory=budget))
    assert len(run.checkpoint_steps) == 3
    with pytest.raises(MemoryBudgetError, match=r"needs .* MiB"):
        explore(PROBLEM, "adam", 2, steps=100, record=Recording(records=16, memory=2 * values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"inputs": np.where(np.eye(24, 5) > 0, np.nan, X)},
            "inputs: NaN or infinite in 5 of 24",
        ),
        ({"labels": np.full((24, 1), np.inf)}, "labels: NaN or infinite"),
        ({"labels": Y[:20]}, "24 inputs and 20 labels"),
        ({"inputs": X[:0], "labels": Y[:0]}, "at least one example"),
        ({"labels": np.zeros((24, 2))}, "one number per output"),
        ({"loss": "cross_entropy", "labels": np.arange(24)}, "classes"),
        ({"loss": "crossentropy"}, "did you mean 'cross_entropy'"),
        ({"members": 0}, "members"),
        ({"explorer": SGD(batch_size=25)}, "larger than the 24"),
        ({"steps": -1}, "steps: expected a whole number"),
        ({"steps": 2**31}, "steps: expected a whole number of 2147483647 or less"),
        ({"network": Network(lambda key: (), lambda w, x: x[:, :1])}, "the network has no parameters"),
        ({"network": Network(lambda key: {"w": jnp.ones(5, int)}, lambda p, x: x @ p["w"][:, None])}, "w is of int32"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"network": NETWORK, "loss": "mse", "inputs": X, "labels": Y, "explorer": "adam", "members": 1, "steps": 2}
    given |= change
    with pytest.raises(InputError, match=message):
        problem = Problem(*(given.pop(name) for name in ("network", "loss", "inputs", "labels")))
        explore(problem, **given)


def test_unknown_explorers_and_options_are_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'adam'"):
        build_explorer("adamm")
    with pytest.raises(InputError, match="did you mean 'learning_rate'"):
        build_explorer("adam", learning_rat=0.1)
    for bad in ({"learning_rate": float("nan")}, {"momentum": 1.0}, {"batch_size": 0}, {"weight_decay": -1.0}):
        with pytest.raises(InputError, match="sgd"):
            build_explorer("sgd", **bad)


@pytest.mark.parametrize(("steps", "records"), [(0, 2), (1, 2), (7, 64), (100, 6), (10**6, 64), (65, 64)])
def test_log_spaced_steps_begin_at_0_end_at_the_last_and_never_repeat(steps, records):
    spaced = log_spaced(steps, records)
    assert spaced[0] == 0 and spaced[-1] == steps
    assert (np.diff(spaced) > 0).all() and len(spaced) <= records


def test_a_trajectory_is_a_result():
    run = explore(PROBLEM, "adam", 2, steps=20, held_out=(X[:4], Y[:4]))
    leaves, structure = jax.tree.flatten(run)
    again = jax.tree.unflatten(structure, leaves)
    for copied in (again, pickle.loads(pickle.dumps(run)), copy.deepcopy(run)):
        assert (copied.values == run.values).all() and copied.statuses == run.statuses
        assert (copied.cost.gradients == 20).all() and copied.status == "ok"
    assert (run.value == run.curves["train_loss"][:, -1]).all() and run.error is None
    assert run.stats["gradients"] == 40 and run.stats["examples"] == 40 * 24 and run.stats["diverged"] == 0
    found = json.loads(json.dumps(run.to_dict()))
    assert found["statuses"] == ["ok", "ok"]
    assert found["cost"]["gradients"] == [20, 20] and len(found["value"]) == 2
    assert len(repr(run)) < 200 and "members=2" in repr(run) and "ok" in repr(run)
    drawn = run.plot().to_dict()
    assert len(drawn["data"]["values"]) == 2 * 2 * len(run.steps)
    assert run._repr_html_().count("<svg") == 1


def test_a_target_makes_its_problems():
    target = Target("sign", inputs=X, labels=(Y[:, 0] > 0).astype(int), train_size=16)
    network = mlp((5, 8, 2))
    problem, aside = target.problem(network), target.held_out_problem(network)
    assert problem == Problem(network, target.loss, target.train.inputs, target.train.labels) and len(aside) == 8
    run = explore(problem, "gd", 1, steps=3, held_out=aside)
    start = jax.tree.map(lambda leaf: leaf[0, 0], run.params)
    assert run.curves["held_out_loss"][0, 0] == pytest.approx(float(aside.mean(start)), rel=1e-6)
    with pytest.raises(InputError, match="one number per output"):
        target.problem(network, "mse")
