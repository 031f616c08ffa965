"""What a study measures at the ends of runs, on networks whose weights are the truth table that they compute."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_up_units import a_run, result, unit_of
from scipy.special import expit
from scipy.stats import norm

from allroads import Network, Target
from allroads.points.complexity import complexity as complexity_of
from allroads.studies.measures import (
    attribution,
    complexity,
    convergence,
    function_prior,
    reached,
    robustness,
    sharpness,
    volume,
)
from allroads.studies.measures.functions import function_name, truth_table
from allroads.studies.measures.measure import as_outcome, checked_table

BITS = 3
INPUTS = np.array(list(itertools.product([0.0, 1.0], repeat=BITS)))
ROWS = (INPUTS @ (1 << np.arange(BITS))).astype(int)
PARITY = np.array([bin(row).count("1") % 2 for row in range(8)])


def apply(weights, x):
    return weights[(x @ (1 << jnp.arange(BITS))).astype(int)][:, None]


TABLE = Network(lambda key: jax.random.normal(key, (8,)), apply, name="table")
"""Row r of the weights is the output for input r: every function has probability 2⁻⁸ under a symmetric init."""


def target(loss="bce", labels=PARITY):
    return Target("parity", inputs=INPUTS, labels=labels[ROWS], complete=True, loss=loss, train_fraction=1)


def ended(table, scale=1.0, name="a", member=0, network=TABLE, goal=None, **labels):
    """A run that ends at a truth table, its weights ± a scale."""
    weights = scale * (2.0 * np.asarray(table) - 1)
    run = a_run(goal or target(), network, np.stack([0 * weights, weights]), np.array([0, 9]), name=name)
    run.labels = {"grid": "g", "target": "parity", "architecture": "table", "explorer": "sgd"} | labels
    run.member, run.end = member, weights
    return run


def rows_of(measure, *runs, **options):
    """The rows, which fit the measure's schema."""
    rows = as_outcome(measure.compute(unit_of(*runs), measure.options(**options))).rows
    checked_table(rows, measure.stored)
    return [dict(row) for row in rows]


def test_a_function_has_one_name_whatever_the_order_of_its_inputs():
    order = np.random.default_rng(0).permutation(8)
    tables = [truth_table(PARITY[ROWS][o], INPUTS[o]) for o in (np.arange(8), order)]
    assert tables[0].tolist() == tables[1].tolist() == PARITY.tolist()
    assert {function_name(PARITY, table) for table in tables} == {"0x96"}
    assert truth_table(np.array([0, 1, 2, 1]), INPUTS[:4]) is None
    assert function_name(np.array([0, 2]), None) != function_name(np.array([2, 0]), None)


def test_the_complexity_is_that_of_the_function_that_the_weights_compute():
    known = complexity_of(PARITY)
    (row,) = rows_of(complexity.MEASURE, ended(PARITY), by="formula_any")
    assert row["value"] == known.formula_any == 2 and row["status"] == "ok" and row["function"] == "0x96"
    assert (row["lz76"], row["walsh_l1"], row["total_influence"]) == (known.lz76, 1.0, 3.0)
    (broken,) = rows_of(complexity.MEASURE, ended([np.nan] * 8))
    assert broken["status"] == "diverged" and "value" not in broken
    few = Target("few", inputs=INPUTS[:6], labels=[0, 1] * 3, loss="bce", train_fraction=1)
    (none,) = rows_of(complexity.MEASURE, ended(PARITY, goal=few))
    assert none["status"] == "not applicable"


def test_eight_equal_outputs_survive_with_the_eighth_power_of_one():
    """Moves of the size σ keep one sign with Φ(1/σ)."""
    (row,) = rows_of(robustness.MEASURE, ended(PARITY, 3.0), move=0.5, moves=20_000)
    assert row["low"] <= norm.cdf(2) ** 8 <= row["high"] and row["status"] == "ok"
    (zero,) = rows_of(robustness.MEASURE, ended(PARITY, 0.0))
    assert zero["status"] == "degenerate"
    (broken,) = rows_of(robustness.MEASURE, ended([np.nan] * 8))
    assert broken["status"] == "diverged" and "value" not in broken


def test_each_run_has_moves_of_its_own():
    """Four runs end at the same weights: their shares differ by what is drawn, and a run's stays what it was."""
    shares = [rows_of(robustness.MEASURE, ended(PARITY, name=name), move=1.0)[0]["value"] for name in "abcda"]
    assert len(set(shares[:4])) > 1 and shares[4] == shares[0]


def test_the_sharpness_is_the_largest_curvature_of_the_loss():
    """Of the mean of eight logistic losses: ⅛ σ(w) (1 − σ(w)) for each weight."""
    run = ended(PARITY)
    run.end = np.linspace(0.5, 3.0, 8) * (2.0 * PARITY - 1)
    (row,) = rows_of(sharpness.MEASURE, run, tolerance=1e-5)
    assert row["value"] == pytest.approx(expit(0.5) * expit(-0.5) / 8, rel=1e-3) and row["status"] == "ok"
    run.end = np.full(8, np.nan)
    (broken,) = rows_of(sharpness.MEASURE, run)
    assert broken["status"] == "diverged" and "value" not in broken


@pytest.mark.slow
def test_the_volume_is_that_of_a_ball():
    """``½ mean (w − w*)² ≤ ε`` over 8 weights: a ball of radius 4 √ε, whose mass under a unit normal is χ²'s."""
    from scipy.stats import chi2

    run = ended(PARITY, goal=target("mse", 2.0 * PARITY - 1))
    (row,) = rows_of(volume.MEASURE, run, cutoff=0.25, budget=3600.0)
    radius2 = 8 * 0.25  # the loss is the mean of squares
    assert row["value"] == pytest.approx(chi2(8).logcdf(radius2), abs=max(2 * row["error"], 0.1))
    assert row["status"] == "ok"


def test_a_volume_that_is_not_defined_says_why():
    broken = ended([np.nan] * 8)
    broken.status = "diverged"
    (row,) = rows_of(volume.MEASURE, broken)
    assert row["status"] == "diverged" and "value" not in row


def several():
    """Of sgd three runs at parity and one elsewhere, of adam four at four functions, one of them not finite."""
    other = [1 - PARITY, PARITY ^ (np.arange(8) == 0), np.zeros(8, int), [np.nan] * 8]
    runs = [ended(PARITY, name=f"s{i}") for i in range(3)] + [ended(other[0], name="s3")]
    return runs + [ended(table, name=f"a{i}", explorer="adam") for i, table in enumerate(other)]


def test_functions_reached_are_counted_for_each_explorer():
    rows = rows_of(reached.MEASURE, *several())
    sgd = [row for row in rows if row["explorer"] == "sgd"]
    assert [(row["function"], row["count"], row["right"], row["first"]) for row in sgd] == [
        ("0x96", 3, 1.0, "s0"),
        ("0x69", 1, 0.0, "s3"),
    ]
    assert sgd[0]["effective"] == pytest.approx(2) and sgd[0]["diverged"] == 0  # 3 of 6 pairs agree
    adam = [row for row in rows if row["explorer"] == "adam"]
    assert [row["count"] for row in adam] == [1, 1, 1] and adam[0]["effective_status"] == "lower bound"
    assert [row["right"] for row in adam] == [0.0, 0.875, 0.5] and {row["diverged"] for row in adam} == {1}


@pytest.mark.parametrize("loss", ["bce", "cross_entropy"])
def test_the_prior_of_a_table_is_uniform_and_reached_functions_are_in_it(loss):
    if loss == "cross_entropy":  # two scores, whose difference is the table's
        network = Network(TABLE.init, lambda w, x: jnp.concatenate([-apply(w, x), apply(w, x)], axis=-1))
    else:
        network = TABLE
    goal = target(loss)
    runs = [ended(PARITY, name=str(i), network=network, goal=goal) for i in range(3)]
    runs.append(ended(1 - PARITY, network=network, goal=goal))
    rows = rows_of(function_prior.MEASURE, *runs, samples=20_000, functions=16)
    assert {row["samples"] for row in rows} == {20_000} and {row["runs"] for row in rows} == {4}
    ends = {row["function"]: row for row in rows if row["reached"]}
    assert {name: row["reached"] for name, row in ends.items()} == {"0x96": 3, "0x69": 1}
    assert ends["0x96"]["target_function"] and not ends["0x69"]["target_function"]
    for row in ends.values():
        assert row["probability"] == row["count"] / 20_000
        assert abs(row["count"] - 20_000 / 256) < 5 * np.sqrt(20_000 / 256)
        assert row["complexity"] == complexity_of(PARITY).lz76 or row["function"] == "0x69"
    assert 16 <= len(rows) <= 18
    assert rows[0]["slope"] == pytest.approx(8 / 15)  # 8 inputs; the largest LZ76 of 3 bits is 15


def test_a_prior_is_asked_of_boolean_functions_alone():
    few = Target("few", inputs=INPUTS[:6], labels=[0, 1] * 3, loss="bce", train_fraction=1)
    (row,) = rows_of(function_prior.MEASURE, ended(PARITY, goal=few))
    assert row["status"] == "not applicable" and "probability" not in row
    (row,) = rows_of(function_prior.MEASURE, ended(PARITY, goal=target("mse", PARITY.astype(float))))
    assert row["status"] == "not applicable"


def test_pairs_converge_by_what_they_answer():
    runs = several()[:4]
    runs.append(ended([np.nan] * 8, name="broken"))
    runs[-1].status = "diverged"
    rows = rows_of(convergence.MEASURE, *runs, measures=("cka",), permutations=19)
    agreement = {(row["run_a"], row["run_b"]): row for row in rows if row["measure"] == "agreement"}
    assert len(agreement) == 6 and agreement["s0", "s1"]["value"] == 1.0 and agreement["s0", "s3"]["value"] == 0.0
    assert all(row["excess"] == pytest.approx(row["value"] - row["null"]) for row in rows)
    cka = [row for row in rows if row["measure"] == "cka"]
    assert len(cka) == 6 and {row["layer"] for row in cka} == {"outputs"}
    assert [row["value"] for row in cka] == pytest.approx([1.0] * 6)  # a table and its negative are one up to scale
    assert rows_of(convergence.MEASURE, *runs[-2:]) == []


def grid(decides):
    """24 runs of two targets and two explorers; a function of both decides the training loss."""
    runs = []
    for place, (t, e, _) in enumerate(itertools.product("uv", ("sgd", "adam"), range(6))):
        run = ended(PARITY if t == "u" else 1 - PARITY, name=str(place), target=t, explorer=e)
        noise = 1 + 0.01 * np.sin(7.0 * place)
        needs = {"curves": result(along={"train_loss": np.array([1.0, decides(t, e) * noise])})}
        run.need = needs.__getitem__
        runs.append(run)
    return runs


def test_the_factor_that_decides_has_the_variance_and_the_information():
    rows = rows_of(
        attribution.MEASURE,
        *grid(lambda t, e: 0.01 if e == "sgd" else 1.0),
        responses=("train_loss", "function", "held_out_loss"),
        resamples=199,
    )
    loss = {row["term"]: row for row in rows if row["response"] == "train_loss"}
    assert set(loss) == {"target", "explorer", "target × explorer"}
    assert loss["explorer"]["value"] > 0.99 and abs(loss["target"]["value"]) < 0.01
    assert loss["explorer"]["low"] <= loss["explorer"]["value"] <= loss["explorer"]["high"]
    label = {row["term"]: row for row in rows if row["response"] == "function"}
    assert label["target"]["value"] == pytest.approx(1) and label["explorer"]["value"] == pytest.approx(0, abs=1e-9)
    assert {(row["cells"], row["seeds"]) for row in (*loss.values(), *label.values())} == {(4, 6)}
    (none,) = [row for row in rows if row["response"] == "held_out_loss"]
    assert none["status"] == "refused" and none["reason"] == "No run that finished has this number."


def test_a_grid_that_cannot_be_attributed_says_why():
    runs = grid(lambda t, e: 1.0)
    (one,) = rows_of(attribution.MEASURE, *runs[:6], responses=("train_loss",))
    assert "one level each" in one["reason"]
    (few,) = rows_of(attribution.MEASURE, *runs[:2], *runs[6:8], responses=("train_loss",))
    assert few["status"] == "refused" and "needs 5 or more seeds" in few["reason"]
    unknown = rows_of(attribution.MEASURE, *runs, responses=("train_accuracy",))
    assert [row["status"] for row in unknown] == ["refused"]
