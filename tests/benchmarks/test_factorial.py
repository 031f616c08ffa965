"""The factorial's own arithmetic: functions at an age, total influence, errors, and the comparison of optimisers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from factorial.judge import FACTORS, compare, errors, influence
from factorial.world import (
    AGES,
    INPUTS,
    OPTIMISERS,
    ROWS,
    SEEDS,
    SIZES,
    STEPS,
    TABLE,
    TARGETS,
    hinge,
    problem,
    reached,
    squared,
    training_rows,
)

from allroads import complexity


@pytest.mark.parametrize("name", TARGETS)
def test_targets_are_balanced_and_training_sets_are_nested_with_both_answers(name):
    assert TARGETS[name].sum() == ROWS // 2
    few, many = (training_rows(name, size) for size in SIZES)
    assert len(few) == SIZES[0] and len(many) == SIZES[1] and np.isin(few, many).all()
    assert set(TARGETS[name][few]) == {0, 1}


def test_an_input_of_minus_one_is_a_bit_of_one():
    assert (INPUTS == 1 - 2 * TABLE).all()
    assert len(problem("relu", "squared", "majority", SIZES[0])) == SIZES[0]


def test_losses_of_labels_zero_and_one():
    outputs, labels = np.array([[0.5], [-2.0]]), np.array([[1.0], [1.0]])
    assert np.allclose(hinge(outputs, labels), [0.5, 3.0])
    assert np.allclose(squared(outputs, labels), [0.25, 9.0])


def test_the_function_is_read_at_the_first_fit_and_at_ages_after_it():
    """Member 0 fits from step 3 on and changes one row that is not learned from at step 103; member 1 never fits."""
    target, size = "one bit", SIZES[0]
    values = np.where(TARGETS[target] == 1, 1.0, -1.0) * np.ones((2, STEPS + 1, ROWS))
    aside = np.setdiff1d(np.arange(ROWS), training_rows(target, size))[0]
    values[0, :3, training_rows(target, size)[0]] *= -1
    values[0, 103:, aside] *= -1
    values[1, :, training_rows(target, size)[0]] *= -1
    found = reached(values, target, size)
    code = int((TARGETS[target].astype(np.uint64) << np.arange(ROWS, dtype=np.uint64)).sum())
    assert found.first.tolist() == [3, -1]
    assert found.codes[0].tolist() == [code, code ^ (1 << aside), code ^ (1 << aside)]
    assert len(set(found.codes[1].tolist())) == 1 and AGES[:2] == (0, 100)


def test_total_influence_is_that_of_the_package(seed):
    tables = np.random.default_rng(seed).random((20, ROWS)) < 0.5
    expected = [complexity(table.astype(int)).total_influence for table in tables]
    assert np.allclose(influence(tables), expected)


def test_errors_count_the_rows_that_were_not_learned_from():
    truth = TARGETS["majority"] > 0
    wrong = truth.copy()
    wrong[training_rows("majority", SIZES[0])] ^= True
    bits = np.stack([truth, ~truth, wrong])[:, None]
    runs = {"target": ["majority"] * 3, "data": [SIZES[0]] * 3, "bits": bits}
    assert errors(runs)[:, 0].tolist() == [0.0, 1.0, 0.0]


def test_optimisers_are_compared_over_all_cells():
    """Two cells per optimiser whose runs are ±1 about their means: the error of the difference is √(4s²/64)/2."""
    pattern = np.where(np.arange(SEEDS) % 2, 1.0, -1.0)
    means = np.arange(2 * len(OPTIMISERS))
    names = list(OPTIMISERS)
    mean, low, high = compare((means[:, None] + pattern).ravel(), names[1], names[0])
    assert mean == 2.0
    assert high - mean == pytest.approx(1.96 * np.sqrt(4 * SEEDS / (SEEDS - 1) / SEEDS) / 2)
    assert low == pytest.approx(4 - high) and FACTORS[0] == "optimiser"


ROOT = Path(__file__).parents[2]
FOUND = json.loads((ROOT / "benchmarks/results/factorial.json").read_text("utf-8"))
PAGE = (ROOT / "docs/second_order.md").read_text("utf-8")
RIVALS = {row["name"]: row for row in FOUND["hypotheses"]}


def row_of(found):
    """The row of the page that a judged response should have."""
    shares = {row["term"]: row for row in found["shares"]}
    alone = shares["optimiser"]
    pairs = sum(row["omega2"] for term, row in shares.items() if "map" in term.split(" × "))
    return (
        f"| {found['response']} | {found['optimiser']:.3f} | {alone['omega2']:.3f} ({alone['omega2_low']:.3f} to "
        f"{alone['omega2_high']:.3f}) | {found['map']:.3f} | {found['optimiser'] / found['map']:.2f} | "
        f"{found['low']:+.4f} to {found['high']:+.4f} | {found['verdict']} | {pairs:.3f} |"
    )


def test_the_page_has_the_shares_of_the_committed_runs():
    assert FOUND["runs"] == 5 * 3 * 4 * 8 * 2 * 64 and FOUND["fit"] == 1.0
    for found in FOUND["judged"]:
        assert row_of(found) in PAGE


def test_the_page_says_where_the_verdict_flips():
    """Within no loss and no data size, and at every age within parity of three."""
    for found in FOUND["judged"]:
        within = {(row["factor"], row["level"]): row["verdict"] for row in found["within"]}
        assert found["verdict"] == "no"
        assert all(verdict == "no" for (factor, _), verdict in within.items() if factor in ("loss", "data"))
        assert found["response"] == "steps" or within["target", "parity of three"] == "yes"
    yes = {
        (row["level"], found["response"])
        for found in FOUND["judged"]
        for row in found["within"]
        if row["verdict"] == "yes" and row["level"] != "parity of three"
    }
    assert yes == {
        ("multiplexer", "complexity at 0"),
        ("multiplexer", "function at 0"),
        ("one bit", "complexity at 0"),
        ("majority", "error at 0"),
    }


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("Muon has no simplicity bias", "held"),
        ("Adam reaches richer functions", "refuted"),
        ("noise of batches generalises", "held"),
    ],
)
def test_the_page_has_the_differences_of_the_rival_hypotheses(name, outcome):
    row = RIVALS[name]
    assert row["outcome"] == outcome
    assert f"{row['difference']:.3f} ({row['low']:.3f} to {row['high']:.3f}) | {outcome} |" in PAGE
