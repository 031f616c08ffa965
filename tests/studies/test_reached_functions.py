"""Which functions runs reach: held against the runs of ``explore``, closed forms and the truth of planted tables."""

from __future__ import annotations

import importlib
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import GD, SGD, Adam, Evolution, InputError, Network, Problem, Recording, explore
from allroads.budget import Budget
from allroads.networks.mlp import mlp
from allroads.paths.convergence import reached
from allroads.studies.reached import reached_functions

BITS = np.arange(8)[:, None] >> np.arange(3) & 1
LABELS = np.array([0, 1, 1, 0, 1, 0, 0, 1])
NETWORK = mlp((3,), 1, widths=(6,))
PROBLEM = Problem(NETWORK, "bce", BITS[:4], LABELS[:4])


SLOW = pytest.param(Adam(learning_rate=0.03), marks=pytest.mark.slow)


@pytest.mark.parametrize("explorer", [SGD(learning_rate=0.3, batch_size=2), SLOW])
def test_moments_are_those_of_the_runs_of_explore(explorer):
    """Every step is recorded there: the first without an error, the first of a loss, and the answers then."""
    steps, level, age, runs = 60, 0.3, 7, 12
    found = reached_functions(
        PROBLEM, explorer, BITS, runs, steps=steps, loss=level, ages=[0, age], seed=3, progress=False
    )
    record = Recording(records=steps + age + 1)
    run = explore(PROBLEM, explorer, runs, steps=steps + age, seed=3, probes=BITS, record=record)
    assert run.steps.tolist() == list(range(steps + age + 1))
    for member in range(runs):
        right = np.flatnonzero(run.curves["train_accuracy"][member, : steps + 1] == 1)
        low = np.flatnonzero(run.curves["train_loss"][member, : steps + 1] <= level)
        fit = int(right[0]) if len(right) else -1
        wanted = {"fit": fit, "loss": int(low[0]) if len(low) else -1, "age": fit + age if fit >= 0 else -1}
        parts = {"fit": found.fit, "loss": found.at_loss, "age": found.at_age[age]}
        for name, at in wanted.items():
            assert parts[name].steps[member] == at, (name, member)
            assert parts[name].cost.gradients[member] == max(at, 0)
            if at >= 0:
                said = parts[name].answers(parts[name].members[member])
                assert (said == (run.values[member, at] > 0)).all()
    assert found.fit.samples > 3 and found.at_loss.samples > 3  # else nothing was tested
    assert (found.at_age[0].steps == found.fit.steps).all() and (found.at_age[0].members == found.fit.members).all()
    assert found.fit.cost.examples.tolist() == (found.fit.cost.gradients * (explorer.batch_size or 4)).tolist()


def test_counts_labels_and_the_share_are_those_of_the_runs():
    found = reached_functions(PROBLEM, GD(learning_rate=0.5), BITS, 70, steps=25, progress=False)  # not a whole pack
    fit = found.fit
    came = fit.members >= 0
    assert 0 < came.sum() < 70 and fit.samples == came.sum() == fit.counts.sum()
    assert np.bincount(fit.members[came]).tolist() == fit.counts.tolist() == sorted(fit.counts.tolist(), reverse=True)
    assert fit.share.value == came.mean() and fit.share.stats["low"] < came.mean() < fit.share.stats["high"]
    labels = fit.labels()
    assert [label is None for label in labels] == (~came).tolist()
    again = reached([label for label in labels if label is not None])
    assert again.counts.tolist() == fit.counts.tolist()
    assert again.collision.value == pytest.approx(fit.collision.value)
    for k in range(fit.distinct):
        assert (fit.truth_table(k)[:4] == LABELS[:4]).all()
        assert fit.probability(fit.answers(k)).stats["count"] == fit.counts[k]
        assert fit.program(k).table.tolist() == fit.truth_table(k).tolist()
    assert "70 runs, 0 diverged" in str(found) and fit.plot().to_dict()["title"]
    ones = fit.labels(by=lambda k: int(fit.truth_table(k).sum()))
    assert {one for one in ones if one is not None} <= {2, 3, 4, 5, 6}


def test_runs_without_a_choice_reach_one_function_in_a_known_step():
    """w ← w + η σ(−w) from w = −1 for the label 1 at x = 1: the first step with w > 0, and of a loss of ½."""
    network = Network(lambda key: -jnp.ones(1), lambda w, x: x * w)
    problem = Problem(network, "bce", [[1.0]], [1])
    w, ws = -1.0, []
    for _ in range(60):
        ws.append(w)
        w += 0.2 / (1 + np.exp(w))
    ws = np.array(ws)
    found = reached_functions(problem, GD(learning_rate=0.2), [[1.0], [-1.0]], 3, steps=50, loss=0.5, progress=False)
    assert found.fit.steps.tolist() == [int((ws > 0).argmax())] * 3
    assert found.at_loss.steps.tolist() == [int((np.log1p(np.exp(-ws)) <= 0.5).argmax())] * 3
    assert found.fit.counts.tolist() == [3] and found.fit.answers(0).ravel().tolist() == [1, 0]
    few = reached_functions(problem, GD(learning_rate=0.2), [[1.0], [-1.0]], 3, steps=4, progress=False)
    assert few.fit.samples == 0 and few.fit.share.value == 0 and not few.status.sound


def test_a_run_that_diverges_is_counted_and_left_out():
    network = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: x * w**2)
    problem = Problem(network, "mse", [[1.0]], [[3.0]])
    found = reached_functions(problem, GD(learning_rate=3.0), [[1.0], [2.0]], 8, steps=60, progress=False)
    assert found.diverged == 8 - found.fit.samples > 0 and found.status == "diverged"


def test_a_budget_leaves_whole_packs():
    found = reached_functions(PROBLEM, "gd", BITS, 1000, steps=5, budget=1e-6, progress=False)
    assert found.runs == 64 and found.stats["ended"] == "budget"
    assert found.fit.steps.shape == found.fit.members.shape == (64,)


def test_an_interrupt_finishes_the_first_pack_and_a_second_one_ends_the_call(monkeypatch):
    whole = reached_functions(PROBLEM, "gd", BITS, 64, steps=5, progress=False)
    usual, calls = Budget.interruptible, []

    def pressed(*at):
        @contextmanager
        def interruptible(budget):
            calls.append(1)
            with usual(budget):
                yield
                if len(calls) in at:
                    raise KeyboardInterrupt

        calls.clear()
        monkeypatch.setattr(Budget, "interruptible", interruptible)
        return reached_functions(PROBLEM, "gd", BITS, 1000, steps=5, progress=False)

    found = pressed(1)
    assert found.runs == 64 and found.stats["ended"] == "interrupted"
    assert (found.fit.members == whole.fit.members).all() and (found.fit.counts == whole.fit.counts).all()
    assert pressed(3).runs == 192
    monkeypatch.setattr(
        importlib.import_module("allroads.studies.reached.reached_functions"), "STRIDE", 1
    )  # the first pack takes several calls
    with pytest.raises(KeyboardInterrupt):
        pressed(1, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"explorer": Evolution()}, "depend on each other"),
        ({"explorer": SGD(batch_size=9)}, "batch_size 9"),
        ({"probes": BITS[:1]}, "two or more"),
        ({"ages": [3, 3]}, "ages: "),
        ({"loss": -1.0}, "loss: "),
        ({"runs": 0}, "runs: "),
        ({"seed": "a"}, "seed: expected a whole number"),
        ({"seed": 2**63}, "seed: expected a whole number of 9223372036854775807 or less"),
        ({"steps": 2**31}, "steps: expected a whole number of 2147483647 or less"),
        ({"steps": 2**31 - 1, "ages": 1}, "steps and the largest age together: "),
        ({"ages": 2**31}, "ages: expected a whole number of 2147483647 or less"),
        ({"loss": 10**400}, "loss: expected a finite number"),
        ({"problem": Problem(Network(lambda key: (), lambda w, x: x[:, :1]), "bce", BITS[:4], LABELS[:4])}, "no par"),
    ],
)
def test_what_cannot_be_run_is_refused(options, message):
    given = {"problem": PROBLEM, "explorer": "gd", "probes": BITS, "runs": 4, "steps": 5, "progress": False} | options
    with pytest.raises(InputError, match=message):
        reached_functions(**given)
