"""Reach between functions: theorems, an independent run, statistics of made-up runs, and bad input."""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import allroads
from allroads import (
    GD,
    SGD,
    Adam,
    Evolution,
    InputError,
    MeasurementError,
    Network,
    Problem,
    Reach,
    Recording,
    explore,
    reach,
)
from allroads.atlases.reach import Starts, Walks
from allroads.atlases.reach.roads import road_costs
from allroads.networks.mlp import mlp
from allroads.paths.directness import directness
from allroads.points.prior.answers import Answers
from allroads.status import AtlasStatus

BITS2 = 1.0 - 2.0 * (np.arange(4)[:, None] >> np.arange(2) & 1)
BITS3 = 1.0 - 2.0 * (np.arange(8)[:, None] >> np.arange(3) & 1)
AND, OR, XOR = [0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]
UNIT = mlp((2,), 1, widths=())
NARROW = mlp((3,), 1, widths=(3,), activation="tanh", init="lecun")
SOURCES, TARGETS = (0, 8, 150), (0, 8, 150, 129, 254)


def tables(codes):
    return np.array(codes)[:, None] >> np.arange(8) & 1


def codes_of(answers):
    return np.asarray(answers).reshape(-1, 8) @ 2 ** np.arange(8)


# --- theorems


@pytest.mark.slow
def test_modes_switch_on_by_the_law_of_plackett_and_luce():
    """Modes a_i = u_i v_i with u = v and a_i(0) ~ U(0, c): mode i first comes to c with probability s_i / Σ s.

    The time to c is exponential with rate 2 η s_i while a is small. A function is the set of modes above c.
    """
    strengths, cut, rate, count = np.array([3.0, 2.0, 1.0]), 1e-4, 0.002, 2048
    modes = Network(lambda key: {"u": jnp.zeros(3), "v": jnp.zeros(3)}, lambda p, x: x * (p["u"] * p["v"]) - cut)
    begin = np.sqrt(np.random.default_rng(0).uniform(0, cut, (1, count, 3)))
    found = reach(
        modes, np.ones((2, 3)), [np.zeros((2, 3))], [np.ones((2, 3))],
        loss=lambda f, y: ((f - y) ** 2).sum(1) / 2, labels=lambda on: on * strengths - cut, answers="signs",
        explorer=GD(learning_rate=rate), starts={"u": begin, "v": begin}, steps=8000, walks=4, progress=False,
    )  # fmt: skip
    assert found.probability.tolist() == [[1.0]]
    second = found.walks.functions()[np.flatnonzero(np.diff(found.walks.run, prepend=-1)) + 1][:, 0]
    alone = second[second.sum(1) == 1]
    assert len(alone) > 0.97 * count  # two modes in one step: a share of 2 η Σ s at most
    assert np.abs(alone.mean(0) - strengths / 6).max() < 0.037  # 3.29 standard errors of a half


@pytest.mark.slow
@pytest.mark.parametrize(("signs", "expected"), [((-2.0, -2.0), 0.0), ((-2.0, 2.0), 1.0)])
def test_a_function_for_which_a_sign_is_missing_is_never_reached(signs, expected):
    """‖w_k‖² − a_k² < 0 is conserved by the flow on Σ a_k relu(w_k·x), so that no a_k changes its sign.

    Where all a_k < 0, no output is above 0, and the constant 1 cannot be reached from the constant 0.
    """
    start = {"w": jnp.zeros((2, 2)), "a": jnp.zeros(2)}
    units = Network(lambda key: start, lambda p, x: (jax.nn.relu(x @ p["w"]) @ p["a"])[:, None])
    inputs = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    first, second = np.random.default_rng(0).uniform([[[0.3]], [[0.1]]], [[[0.5]], [[0.2]]], (2, 32, 2))
    points = {"w": np.stack([first, second], -1)[None], "a": np.broadcast_to(signs, (1, 32, 2))}
    found = reach(units, inputs, [[0, 0, 0]], [[1, 1, 1]], explorer=GD(learning_rate=0.05), starts=points, steps=2000,
        progress=False)  # fmt: skip
    assert found.probability.tolist() == [[expected]]


@pytest.mark.slow
def test_a_function_is_reached_from_itself_and_one_that_the_map_lacks_from_nowhere():
    """One tanh unit is monotone along w·x, so that it computes threshold functions alone, and parity is none."""
    one_unit = mlp((3,), 1, widths=(1,), activation="tanh", init="lecun")
    functions = tables([0b10001000, 0b11101110, 0b10010110])
    found = reach(one_unit, BITS3, functions, starts=3, steps=300, draws=8, progress=False)
    assert found.status == "no start" and found.starts.found.tolist() == [3, 3, 0]
    assert found.probability[:2].diagonal().tolist() == [1.0, 1.0] and (found.steps[[0, 1], [0, 1]] == 0).all()
    assert found.probability[:2, 2].tolist() == [0.0, 0.0]
    assert np.isnan(found.probability[2]).all() and (found.low[2] == 0).all() and (found.high[2] == 1).all()
    assert found.cost[0, 0] == 0 and np.isinf(found.cost[0, 2]) and np.isnan(found.cost[2, 0])


# --- an independent run


@pytest.fixture(scope="module")
def matrix():
    return reach(NARROW, BITS3, tables(SOURCES), tables(TARGETS), starts=6, steps=400, walks=12, progress=False)


def test_runs_are_those_of_explore(matrix):
    """Step of the first hit, functions on the way and directness, from each run on its own and all its records."""
    targets, apart = tables(TARGETS), []
    for s, t, k in [(0, 2, 0), (1, 3, 1), (2, 4, 2), (2, 0, 3), (0, 4, 5)]:
        start = jax.tree.map(lambda leaf: leaf[s, k][None], matrix.starts.params)  # noqa: B023
        run = explore(Problem(NARROW, "bce", BITS3, targets[t]), GD(learning_rate=0.3), 1, steps=400, start=start,
            record=Recording(records=401, checkpoints=2))  # fmt: skip
        codes = codes_of(run.values[0, :, :, 0] > 0)
        hits = np.flatnonzero(codes == TARGETS[t])
        expected = int(hits[0]) if len(hits) else -1
        apart.append(abs(int(matrix.steps[s, t, k]) - expected))
        if expected > 0 and not apart[-1]:
            way = codes[: expected + 1]
            mine = matrix.walks.run == np.ravel_multi_index((s, t, k), matrix.steps.shape)
            assert codes_of(matrix.walks.functions()[mine]).tolist() == way[np.diff(way, prepend=-1) != 0][:12].tolist()
            straight = float(directness(run.values[0, : expected + 1], points=None))
            assert matrix.directness[s, t, k] == pytest.approx(straight, abs=2e-3)
    assert max(apart) <= 1 and sum(apart) <= 1  # rounding may put a crossing one step off


def test_a_run_does_not_depend_on_what_else_is_asked(matrix):
    alone = reach(NARROW, BITS3, tables([150]), tables([254]), starts=6, steps=400, walks=12, progress=False)
    assert np.abs(alone.steps[0, 0] - matrix.steps[2, 4]).max() <= 1


def test_walks_lead_from_the_source_to_the_target(matrix):
    walks, shape = matrix.walks, matrix.steps.shape
    codes = codes_of(walks.functions())
    first = np.flatnonzero(np.diff(walks.run, prepend=-1))
    s, t, k = np.unravel_index(walks.run[first], shape)
    assert len(first) == np.prod(shape)
    assert (codes[first] == np.array(SOURCES)[s]).all() and (walks.step[first] == 0).all()
    last = np.append(first[1:], len(codes)) - 1
    came = (matrix.steps[s, t, k] >= 0) & (last - first < 11)
    assert (codes[last] == np.array(TARGETS)[t])[came].all() and came.mean() > 0.5
    assert (walks.step[last] == matrix.steps[s, t, k])[came].all()
    from_, to = walks.moves
    assert (codes[from_] != codes[to]).all()


def test_starts_compute_their_source_within_the_margin(matrix):
    points = matrix.starts.flat()
    outputs = np.asarray(jax.vmap(NARROW.apply, (0, None))(points, jnp.asarray(BITS3)))[..., 0]
    signs = np.repeat(tables(SOURCES), 6, axis=0)
    assert ((outputs > 0) == signs).all()
    assert (np.log1p(np.exp(-outputs * (2 * signs - 1))).mean(1) <= 0.1001).all()


# --- the statistics, on runs that are made up


@pytest.fixture
def made_up():
    steps = np.full((2, 2, 8), -1, np.int32)
    steps[0, 0] = steps[1, 1] = 0
    steps[0, 1] = [0, 1, 1, 3, 3, 7, 15, 31]
    steps[1, 0, :2] = 7, 600
    direct = np.where(steps > 0, 0.5, np.nan)
    none = Walks(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 1), np.uint64), Answers("signs", (4, 1)))
    starts = Starts({"w": np.zeros((2, 8, 1))}, np.full(2, 8), np.full(2, 8))
    functions = np.array([AND, OR])[..., None]
    stats = {"steps": 600, "explorer": "gd", "loss": "bce"}
    return Reach(functions, functions, steps, direct, none, starts, AtlasStatus.OK, stats)


def test_probability_cost_and_their_intervals(made_up):
    assert made_up.probability.tolist() == [[1, 1], [0.25, 1]] and made_up.value == 0.625
    assert made_up.low[0, 1] == pytest.approx(0.025 ** (1 / 8)) and made_up.high[0, 1] == 1
    assert made_up.cost[0, 1] == 2 and np.isinf(made_up.cost[1, 0])
    # P(Bin(8, ½) < 1) = 1/256, and P(Bin(8, ½) < 2) = 9/256 > 2.5 %: from the first to the last
    assert (made_up.cost_low[0, 1], made_up.cost_high[0, 1]) == (0, 5)
    assert made_up.straightness[0, 1] == 0.5
    assert made_up.asymmetry.tolist() == [[0, 0.75], [-0.75, 0]]
    assert made_up.within(100).probability[1, 0] == 0.125 and made_up.within(100).stats["steps"] == 100
    spread = np.array([1, 1, 0, 0, 0, 0, 0, 0]).var(ddof=1) / 8
    assert made_up.error == pytest.approx(1.96 * np.sqrt(spread) / 2)


def test_edges_are_those_of_an_atlas(made_up, matrix):
    table = made_up.edges(["and", "or"])
    row = table.filter(quantity="reach", source="or", target="and").row(0, named=True)
    assert (row["value"], row["tried"]) == (0.25, 8)
    late = table.filter(quantity="reach_cost", source="or", target="and").row(0, named=True)
    assert late["value"] is None and late["status"] == "not reached"
    with pytest.raises(InputError, match=r"names: expected 2 different names"):
        made_up.edges(["and"])
    found = matrix.atlas()
    i, j = found.names.index("00010000"), found.names.index("01111111")
    assert found.matrix("reach")[i, j] == matrix.probability[1, 4]
    changes = found.matrix("changes")
    left = np.isfinite(changes).any(1)
    assert left.sum() > 3 and np.allclose(np.nansum(changes, 1)[left], 1)
    assert len(found.sequences()) == matrix.steps.size
    every = matrix.atlas(least=1)
    seen, all_seen = (atlas.edges.filter(quantity="changes") for atlas in (found, every))
    assert all_seen.height - seen.height == found.stats["edges_left_out"] > 0 and seen["tried"].min() >= 5
    assert every.stats["edges_left_out"] == 0 and all_seen["tried"].min() < 5
    with pytest.raises(InputError, match="least: expected"):
        matrix.atlas(least=0)


# --- other explorers, losses and readings


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "explorer"), [("mse", SGD(learning_rate=0.05, batch_size=2)), ("bce", Adam(learning_rate=0.05))]
)
def test_other_explorers_and_losses(loss, explorer):
    found = reach(UNIT, BITS2, [AND, OR], loss=loss, explorer=explorer, starts=2, steps=500, margin=0.5, progress=False)
    assert (found.probability == 1).all() and (found.steps[0, 1] > 0).all()


@pytest.mark.slow
def test_classes_of_several_outputs():
    network = mlp((2,), 3, widths=(8,), activation="tanh")
    found = reach(network, BITS2, [[0, 0, 1, 2], [2, 2, 0, 1]], loss="cross_entropy", starts=2, steps=500,
        progress=False)  # fmt: skip
    assert (found.probability == 1).all() and found.stats["answers"] == "classes"
    assert found.value == 1 and found.error == pytest.approx(1 - 0.025 ** (1 / 4))  # of four starts, and not 0


def test_runs_that_diverge_are_counted_and_do_not_come():
    w = np.broadcast_to([[1.0], [1.0]], (1, 2, 2, 1))  # AND of rows: the output of the last one alone is above 0
    points = {"layers": [{"weight": -w, "bias": np.full((1, 2, 1), -1.0)}]}
    found = reach(UNIT, BITS2, [AND], [XOR], loss="mse", explorer=GD(learning_rate=1e30), starts=points, steps=20,
        progress=False)  # fmt: skip
    assert found.reached.tolist() == [[0]] and found.stats["diverged"] == 2


# --- budgets and bad input


def test_what_a_budget_ends_is_left_out_whole():
    found = reach(UNIT, BITS2, [AND, OR], starts=2, steps=50, budget=1e-6, progress=False)
    assert found.status == "unfinished" and found.stats["ended"] == "budget" and not found.tried.any()
    assert np.isnan(found.value) and found.error is None and "no pair" in str(found)
    with pytest.raises(MeasurementError):
        reach(UNIT, BITS2, [AND, OR], starts=2, steps=50, budget=1e-6, progress=False, throw=True)


@pytest.mark.slow
def test_an_interrupt_during_the_training_of_starts_keeps_the_rows_that_are_done(monkeypatch):
    """Sources are taken one at a time here, and the interrupt comes while starts of the second are trained."""
    module, groups = sys.modules[reach.__module__], []

    def train(question, functions, *rest):
        groups.append(functions.reshape(len(functions), -1).tolist())
        if len(groups) == 2:
            rest[-2].interrupt()
        return original(question, functions, *rest)

    original = module.train_starts
    whole = reach(UNIT, BITS2, [AND, OR], starts=2, steps=50, walks=8, progress=False)
    monkeypatch.setattr(module, "train_starts", train)
    monkeypatch.setattr("allroads.atlases.reach.question.WIDEST", 4)
    found = reach(UNIT, BITS2, [AND, OR], starts=2, steps=50, walks=8, progress=False)
    assert groups == [[AND], [OR]] and found.status == "unfinished" and found.stats["ended"] == "interrupted"
    assert found.tried.tolist() == [[2, 2], [0, 0]] and found.starts.found.tolist() == [2, 0]
    assert (found.steps[0] == whole.steps[0]).all() and found.walks.run.max() < 4
    assert not found.starts.complete and whole.starts.complete and whole.starts.found.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sources": [[0, 1]]}, r"sources: expected answers \[4, 1\] of each function"),
        ({"sources": [AND, AND]}, r"sources: function 1 is there twice"),
        ({"sources": [[0, 0, 0, 2]]}, r"sources: expected whole numbers from 0 to 1"),
        ({"sources": AND}, r"sources: expected answers \[K, N\]"),
        ({"sources": [[0, 0, 0, 0.5]]}, r"sources: expected whole numbers"),
        ({"targets": [[0, 1, 1, np.nan]]}, r"targets: expected whole numbers"),
        ({"steps": -1}, r"steps: expected a whole number"),
        ({"starts": 0}, r"starts: expected a whole number"),
        ({"starts": True}, r"starts: expected a whole number"),
        ({"starts": {"w": np.zeros(3)}}, r"starts: expected points \[S, n, …\]"),
        ({"starts": {"layers": [{"weight": np.ones((1, 2, 2, 1)), "bias": np.ones((1, 2, 1))}]}}, r"does not compute"),
        ({"starts": {"layers": [{"weight": np.ones((2, 2, 2, 1)), "bias": np.ones((2, 2, 1))}]}}, r"a row per source"),
        ({"margin": 0}, r"margin: expected a finite number above 0"),
        ({"walks": 1.5}, r"walks: expected a whole number"),
        ({"draws": 0}, r"draws: expected a whole number"),
        ({"explorer": Evolution()}, r"each on its own"),
        ({"explorer": "gdd"}, r"did you mean 'gd'"),
        ({"explorer": SGD(batch_size=9)}, r"batch_size 9 is larger than the 4 inputs"),
        ({"labels": lambda said: said[0]}, r"labels: expected one set of labels per function"),
        ({"labels": lambda said: said * np.nan}, r"labels: NaN"),
        ({"sources": [AND, OR], "labels": lambda said: said[:1]}, r"labels: expected finite numbers of shape"),
        ({"inputs": BITS2[:1]}, r"inputs: one input"),
        ({"network": 3}, r"network: expected Network"),
        ({"loss": "mae"}, r"unknown loss"),
        ({"seed": -1}, r"seed: expected a whole number"),
    ],
)
def test_bad_input_is_refused(changed, message):
    given = {"network": UNIT, "inputs": BITS2, "sources": [AND], "targets": [OR]} | changed
    with pytest.raises(InputError, match=message):
        reach(**given, progress=False)


def test_a_result_says_what_it_is(matrix):
    assert "3 sources × 5 targets" in str(matrix) and dataclasses.replace(matrix, stats={}).value == matrix.value
    with pytest.raises(InputError, match="same functions"):
        _ = matrix.asymmetry
    with pytest.raises(InputError, match="steps: runs have 400"):
        matrix.within(500)


# --- straight roads in packs


@pytest.mark.slow
def test_costs_of_packed_roads_are_those_of_road():
    wide = mlp((3,), 1, widths=(8,), activation="tanh", init="lecun")
    points = jax.vmap(wide.init)(jax.random.split(jax.random.key(0), 3))
    outputs = 2.0 * tables([8, 150, 254]) - 1
    with allroads.float64():
        packed = road_costs(wide, BITS3, points, outputs)
        for i in range(3):
            problem, point = Problem(wide, "bce", BITS3, tables([0])[0]), jax.tree.map(lambda leaf: leaf[i], points)  # noqa: B023
            one = allroads.road(problem, point, outputs[i][:, None], progress=False)
            assert one.status == "ok" and packed.deviation[i] < 0.002
            assert packed.cost[i] == pytest.approx(one.cost, rel=0.01)
            assert 0 < packed.first[i] <= packed.cost[i]


def test_packed_roads_need_one_target_per_point():
    points = {"layers": [{"weight": np.zeros((2, 2, 1)), "bias": np.zeros((2, 1))}]}
    with pytest.raises(InputError, match="one per point"):
        road_costs(UNIT, BITS2, points, np.zeros((3, 4, 1)))
    with pytest.raises(InputError, match="expected finite outputs"):
        road_costs(UNIT, BITS2, points, np.full((2, 4, 1), np.nan))
