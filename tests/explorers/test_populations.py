"""The protocol of populations, for every explorer; and one that mixes members, against closed forms."""

from __future__ import annotations

import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Problem, explore, float64
from allroads.explorers.build import EXPLORERS, as_explorer, build_explorer
from allroads.explorers.evolution import Evolution
from allroads.explorers.explorer import Explorer, Info, State
from allroads.explorers.gd import GD
from allroads.explorers.per_member import member_rule, per_member
from allroads.explorers.recording import Recording
from allroads.explorers.sgd import SGD

RNG = np.random.default_rng(0)
NETWORK = Network(
    lambda key: {"w": jax.random.normal(key, (3, 2)), "b": jnp.zeros(2)}, lambda p, x: x @ p["w"] + p["b"]
)
PROBLEM = Problem(NETWORK, "mse", RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2)))
NEUTRAL = {"guess_and_check": {"fit": 0.1}, "smc": {"beta": 8.0}}
SAMPLERS = {"sgld", "rmsprop_sgld", "sgnht", "mala", "hmc", "mclmc"}
MEMBERS = [0, 3, 5]


def every(kind: str) -> Explorer:
    options = {"nbeta": 10.0, "step_size": 0.01} if kind in SAMPLERS else NEUTRAL.get(kind, {})
    return build_explorer(kind, **options | ({"batch_size": 4} if kind in {"sgd", "adam", "sgld"} else {}))


@pytest.mark.parametrize("kind", ["sgd", "evolution", pytest.param("smc", marks=pytest.mark.slow)])
def test_stepping_by_hand_is_what_explore_does(kind):
    """One whose members move alone, and one that mixes them; all keep the promises of ``check_explorer``."""
    explorer = every(kind)
    with float64():
        run = explore(PROBLEM, explorer, MEMBERS, steps=5, seed=2, record=Recording(checkpoints=6))
        keys = [jax.random.fold_in(jax.random.fold_in(jax.random.key(2), m), 1) for m in MEMBERS]
        starts = jax.tree.map(lambda leaf: jnp.asarray(leaf[:, 0]), run.params)
        state = explorer.init(jnp.stack(keys), starts, PROBLEM)
        gradients = forwards = 0
        for k in range(1, 6):
            state, info = explorer.step(state, PROBLEM)
            gradients, forwards = gradients + np.asarray(info.gradients), forwards + np.asarray(info.forwards)
            for name, leaf in state.params.items():
                np.testing.assert_allclose(leaf, run.params[name][:, k], rtol=1e-9, atol=1e-12)
    assert (run.cost.gradients == gradients).all() and (run.cost.forwards == forwards).all()
    assert (run.cost.examples == (gradients + forwards) * np.asarray(info.examples)).all()


@pytest.mark.parametrize("kind", EXPLORERS)
def test_an_explorer_is_named_as_it_is_asked_for_and_can_be_sent_to_a_worker(kind):
    explorer = every(kind)
    assert explorer == every(kind) and explorer.name == kind
    if kind not in SAMPLERS:
        assert pickle.loads(pickle.dumps(as_explorer(explorer))) == explorer
    with pytest.raises(dataclasses.FrozenInstanceError):
        explorer.batch_size = 2


def test_the_number_of_the_step_stays_one_for_all_members():
    """A batched predicate would turn the branch into a selection, and every step would shuffle."""
    explorer = SGD(batch_size=4)
    keys = jax.random.split(jax.random.key(0), 3)
    state = explorer.init(keys, jax.vmap(NETWORK.init)(keys), PROBLEM)
    assert "cond[" in str(jax.make_jaxpr(lambda s: explorer.step(s, PROBLEM)[0].params)(state))


class Doubling:
    """Members double, and say that it cost them two forward passes over five examples."""

    def init(self, key, params, problem):
        return State(params, ())

    def step(self, state, problem, index):
        doubled = jax.tree.map(lambda leaf: 2 * leaf + index, state.params)
        return State(doubled, ()), Info(problem.objective.mean(state.params, problem.data), forwards=2, examples=5)


def test_a_rule_for_one_member_becomes_an_explorer():
    start = {"w": np.zeros((2, 3, 2)), "b": np.ones((2, 2)) * [[1.0], [2.0]]}
    run = explore(PROBLEM, per_member(Doubling(), name="doubling"), 2, steps=3, start=start)
    assert run.params["b"][:, -1].tolist() == [[12.0, 12.0], [20.0, 20.0]]  # ((1·2 + 0)·2 + 1)·2 + 2
    assert run.cost.forwards.tolist() == [6, 6] and run.cost.forward_examples.tolist() == [30, 30]
    assert run.cost.gradients.tolist() == run.cost.gradient_examples.tolist() == [0, 0]


def test_weights_ignored_labels_and_the_penalty_are_trained_on_and_recorded():
    line = Network(lambda key: jnp.full(1, 2.0), lambda w, x: x * w)
    bare = explore(Problem(line, "mse", [[3.0]], [[1.0]]), GD(learning_rate=0.01), 1, steps=4)
    weighted = Problem(line, "mse", [[1.0], [3.0]], [[9.0], [1.0]], weights=[0.0, 1.0])
    found = explore(weighted, GD(learning_rate=0.01), 1, steps=4, probes=[[3.0]])
    np.testing.assert_allclose(found.values, bare.values, rtol=1e-6)
    np.testing.assert_allclose(found.curves["train_loss"], bare.curves["train_loss"], rtol=1e-6)
    assert (found.curves["train_accuracy"] == bare.curves["train_accuracy"]).all()
    decayed = Problem(line, "mse", [[0.0]], [[0.0]], weight_decay=0.5)
    run = explore(decayed, GD(learning_rate=0.2), 1, steps=4, held_out=([[0.0]], [[1.0]]))
    w = 2.0 * (1 - 0.2 * 0.5) ** np.arange(5)
    np.testing.assert_allclose(run.params[0, :, 0], w, rtol=1e-6)
    np.testing.assert_allclose(run.curves["train_loss"][0], 0.25 * w**2, rtol=1e-6)
    np.testing.assert_allclose(run.curves["held_out_loss"][0], 1 + 0.25 * w**2, rtol=1e-6)
    scores = Network(lambda key: jnp.zeros((1, 3)), lambda w, x: x @ w)
    inputs, labels = np.ones((3, 1)), np.array([0, 1, -100])
    ignoring = explore(Problem(scores, "cross_entropy", inputs, labels, ignore=-100), "gd", 1, steps=3)
    without = explore(Problem(scores, "cross_entropy", inputs[:2], labels[:2]), "gd", 1, steps=3)
    np.testing.assert_allclose(ignoring.curves["train_loss"], without.curves["train_loss"], rtol=1e-6)
    np.testing.assert_allclose(ignoring.curves["train_accuracy"], without.curves["train_accuracy"], rtol=1e-6)


def test_inputs_may_be_several_arrays():
    pair = Network(lambda key: jnp.ones(1), lambda w, x: (x[0] + x[1]) * w)
    problem = Problem(pair, "mse", (np.ones((4, 1)), np.zeros((4, 1))), np.zeros((4, 1)))
    run = explore(problem, SGD(learning_rate=0.25, batch_size=2), 2, steps=2, probes=(np.ones((1, 1)), np.ones((1, 1))))
    assert run.values[:, :, 0, 0].tolist() == [[2.0, 1.0, 0.5]] * 2


# --- an explorer that mixes members

ONE = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: x * w)
HALF_SQUARE = Problem(ONE, lambda f, y: 3.0 * f[:, 0] ** 2 / 2, [[1.0]], [[0.0]])


def test_the_share_of_a_point_goes_as_the_exponential_of_its_loss():
    """Two points, no mutation: after k steps the shares are as ``exp(−kβL)``; each resampling rounds by one member."""
    start = np.repeat([[0.2], [0.6]], [200, 800], axis=0)
    losses = 1.5 * np.array([0.2, 0.6]) ** 2
    run = explore(HALF_SQUARE, Evolution(selection=0.8, mutation=0.0), 1000, steps=6, start=start)
    share = (run.values[:, :, 0, 0] < 0.4).mean(axis=0)
    odds = 0.25 * np.exp(0.8 * (losses[1] - losses[0]) * np.arange(7))
    np.testing.assert_allclose(share, odds / (1 + odds), atol=6e-3)
    assert (np.isclose(run.values[:, -1, 0, 0], 0.2) | np.isclose(run.values[:, -1, 0, 0], 0.6)).all()


def test_mean_and_variance_on_a_quadratic_go_by_the_recursion_of_the_infinite_population():
    """``v ← 1/(1/v + βh) + σ²``, ``m ← m / (1 + βhv)``; tolerance: five standard errors of 20 000 members."""
    members, beta, sigma, h = 20_000, 0.5, 0.3, 3.0
    start = 1.0 + RNG.normal(size=(members, 1))
    run = explore(HALF_SQUARE, Evolution(selection=beta, mutation=sigma), members, steps=8, start=start)
    m, v = 1.0, 1.0
    for k in range(9):
        w = run.values[:, k, 0, 0].astype(float)
        assert w.mean() == pytest.approx(m, abs=5 * np.sqrt(v / members))
        assert w.var() == pytest.approx(v, rel=5 * np.sqrt(2 / members))
        m, v = m / (1 + beta * h * v), 1 / (1 / v + beta * h) + sigma**2
    assert (run.cost.forwards == 8).all() and (run.cost.gradients == 0).all()


def test_a_population_that_mixes_is_one_pack():
    options = {"steps": 3, "seed": 1}
    one = explore(HALF_SQUARE, "evolution", 30, **options, record=Recording(pack=1))
    other = explore(HALF_SQUARE, "evolution", 30, **options)
    np.testing.assert_array_equal(one.values, other.values)
    parents = explore(HALF_SQUARE, Evolution(selection=50.0, mutation=0.0), 30, steps=1).ends()
    assert len(np.unique(parents)) < 30, "members must mix"


def test_a_member_whose_loss_is_not_finite_has_no_offspring():
    start = np.array([[1e25], [0.5], [0.5], [1e25]])  # the square overflows float32
    run = explore(HALF_SQUARE, Evolution(mutation=0.0), 4, steps=1, start=start)
    assert run.ends()[:, 0].tolist() == [0.5] * 4 and run.status == "ok"
    lost = explore(HALF_SQUARE, Evolution(mutation=0.0), 2, steps=1, start=start[[0, 3]])
    assert lost.status == "diverged" and np.isfinite(lost.ends()).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"explorer": 3}, "expected an explorer such as Adam"),
        ({"members": -1}, "members"),
        ({"members": [0, -2]}, "indices of 0 or more"),
        ({"members": 1.5}, "members"),
        ({"seed": -1}, "seed"),
        ({"start": {"w": np.ones((2, 3, 2)), "b": np.ones((2, 2))}}, "2 points for 3 members"),
        ({"start": {"w": np.ones((3, 4, 2)), "b": np.ones((3, 2))}}, "cannot be applied to start"),
        ({"probes": np.full((2, 3), np.nan)}, "probes: NaN"),
        ({"held_out": np.ones(3)}, "a problem or"),
        ({"held_out": HALF_SQUARE}, "another network"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(InputError, match=message):
        explore(**{"problem": PROBLEM, "explorer": "gd", "members": 3, "steps": 2} | change)
    with pytest.raises(InputError, match="it mixes them"):
        member_rule(Evolution())
    with pytest.raises(InputError, match="explorer 'evolution': mutation"):
        Evolution(mutation=-1.0)
    with pytest.raises(InputError, match="records"):
        Recording(records=0)


@dataclasses.dataclass(frozen=True)
class Wrong(Explorer):
    """Gradient descent whose step gives what it should not."""

    fault: str = ""

    def init(self, keys, population, problem):
        return GD().init(keys, population, problem)

    def step(self, state, problem):
        new, info = GD().step(state, problem)
        if self.fault == "no info":
            return new
        if self.fault == "losses":
            return new, info._replace(loss=info.loss[:2])
        if self.fault == "shape":
            return new._replace(params={"w": new.params["w"][:, :2], "b": new.params["b"]}), info
        return (new.params, new.params), info


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("no info", r"Wrong.step: expected the pair \(state, Info"),
        ("losses", r"one loss per member, shape \(\d+,\); got \(2,\)"),
        ("shape", r"the state's params.w has shape \(\d+, 2, 2\); expected \(\d+, 3, 2\)"),
        ("structure", "structure of the one given"),
    ],
)
def test_an_explorer_that_gives_something_else_is_named(fault, match):
    with pytest.raises(InputError, match=match):
        explore(PROBLEM, Wrong(fault), MEMBERS, steps=3)


def test_there_is_no_member_beyond_the_last():
    run = explore(PROBLEM, GD(learning_rate=0.01), 2, steps=3)
    for look in (run.end, run.member):
        with pytest.raises(InputError, match="there are 2, counted from 0"):
            look(2)
