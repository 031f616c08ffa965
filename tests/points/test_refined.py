"""Learning coefficients of groups and subsets: closed forms, and which question each cell asks."""

import numpy as np
import pytest

from allroads import InputError, Network, Problem
from allroads.points import refined
from allroads.points.llc import LearningCoefficient
from allroads.points.refined import refined_llc
from allroads.status import LLCStatus

LINEAR = Network(lambda key: np.zeros(3), lambda w, x: x @ w[:, None])
ROWS = np.sqrt(4.0) * np.diag([2.0, 1.0, 1.0, 0.0])[:, :3]
"""Four examples; the Hessian is diag(8, 2, 2)."""
PROBLEM = Problem(LINEAR, "mse", ROWS, np.zeros(4))
HESSIAN = np.array([8.0, 2.0, 2.0])
MASK = (True,)
NBETA, GAMMA = 10.0, 2.0


def localised(curvatures):
    """½ Σ nβh/(nβh + γ)."""
    return 0.5 * (NBETA * curvatures / (NBETA * curvatures + GAMMA)).sum()


@pytest.mark.slow
def test_a_group_of_a_quadratic_and_a_subset_that_sees_one_direction(seed):
    options = {"nbeta": NBETA, "localisation": GAMMA, "precision": 0.005, "seed": seed}
    point = PROBLEM, np.zeros(3)
    first, seen = np.array([True, True, False]), np.array([True, False, False, True])
    groups = refined_llc(*point, groups={"first two": first}, **options)
    assert set(groups.cells) == {("all", "all"), ("first two", "all")}
    subsets = refined_llc(*point, subsets={"half": seen}, **options)
    assert set(subsets.cells) == {("all", "all"), ("all", "half")}
    table = groups.cells | subsets.cells
    exact = {
        ("all", "all"): localised(HESSIAN),
        ("first two", "all"): localised(HESSIAN[:2]),
        ("all", "half"): localised(np.array([16.0, 0.0, 0.0])),  # the mean over two examples in place of four
    }
    for cell, value in exact.items():
        assert abs(table[cell].value / value - 1) < 0.03, (cell, table[cell], value)
        assert table[cell].stats["nbeta"] == NBETA and table[cell].stats["localisation"] == GAMMA
    assert [table["all", s].stats["examples"] for s in ("all", "half")] == [4, 2]
    assert table["first two", "all"].stats["dimension"] == 2


def test_every_cell_asks_its_own_question_at_one_temperature(monkeypatch):
    asked = []

    def llc(problem, params, *, mask, nbeta, seed, localisation=None):
        inputs, labels = problem.inputs[:, 0].tolist(), problem.labels.tolist()
        asked.append((len(asked), mask, inputs, labels, nbeta, localisation, seed))
        return LearningCoefficient(1.0, 0.1, LLCStatus.NOT_AT_MINIMUM, {"localisation": 7.0, "ended": "precision"})

    monkeypatch.setattr(refined, "llc", llc)
    inputs, labels = np.arange(10.0)[:, None], np.arange(10.0) + 100
    network = Network(lambda key: (np.zeros(1),), lambda w, x: x @ w[0][:, None])
    problem = Problem(network, "mse", inputs, labels)
    table = refined_llc(problem, (np.zeros(1),), groups={"g": MASK}, subsets={"s": [3, 1]}, seed=8)
    everything = list(range(10)), list(range(100, 110))
    part = [3, 1], [103, 101]
    nbeta = 10 / np.log(10)
    assert asked == [
        (0, None, *everything, nbeta, None, 8),
        (1, None, *part, nbeta, 7.0, 8),
        (2, MASK, *everything, nbeta, 7.0, 8),
        (3, MASK, *part, nbeta, 7.0, 8),
    ]
    assert table["g", "s"].status == LLCStatus.NOT_AT_MINIMUM and table["g", "s"].error == 0.1


def test_after_an_interrupt_the_other_cells_have_no_time(monkeypatch):
    budgets = []

    def llc(problem, params, *, budget=None, **options):
        budgets.append(budget)
        ended = "interrupted" if len(budgets) == 2 else "budget"
        return LearningCoefficient(1.0, 0.1, LLCStatus.OK, {"localisation": 7.0, "ended": ended})

    monkeypatch.setattr(refined, "llc", llc)
    refined_llc(PROBLEM, np.zeros(3), groups={"g": np.array([True, False, False])}, subsets={"s": [0]})
    assert budgets == [None, None, refined.LEAST_SECONDS, refined.LEAST_SECONDS]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"subsets": {"s": [4]}}, "subset 's': expected different indices from 0 to 3"),
        ({"subsets": {"s": [-1]}}, "different indices"),
        ({"subsets": {"s": [1, 1]}}, "different indices"),
        ({"subsets": {"s": []}}, "at least one example"),
        ({"subsets": {"s": np.zeros(4, bool)}}, "at least one example"),
        ({"subsets": {"s": np.ones(3, bool)}}, "4 booleans"),
        ({"subsets": [[0]]}, "subsets: expected a mapping"),
        ({"groups": {"all": np.ones(3, bool)}}, "'all' is taken"),
        ({"mask": np.ones(3, bool)}, "give groups"),
        ({"nbeta": 0.0}, "nbeta: expected"),
    ],
)
def test_bad_input_is_refused(options, match):
    with pytest.raises(InputError, match=match):
        refined_llc(PROBLEM, np.zeros(3), **options)


def test_a_wrong_mask_is_refused_before_anything_is_sampled(monkeypatch):
    monkeypatch.setattr(refined, "llc", None)
    with pytest.raises(InputError, match="leaves no parameter free"):
        refined_llc(PROBLEM, np.zeros(3), groups={"none": np.zeros(3, bool)})
