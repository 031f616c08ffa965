"""Findings follow from the numbers: a table that bears one out, one with the opposite, one that leaves it open."""

from __future__ import annotations

import itertools
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from allroads.studies.measures import certified, directness, fit, forecasts, llc, pairs, programs
from allroads.studies.measures.intervals import RESAMPLES, median_over_pairs, wilson
from allroads.studies.measures.measure import QUESTIONS
from allroads.studies.measures.sentences import _ranks_when_drawn
from allroads.studies.summary import find

RUNS = {
    "target": "t", "status": "ok", "steps": 100, "steps_to_fit": 10, "steps_to_generalise": 40, "parameters": 20,
    "held_out_accuracy": 1.0, "baseline_held_out_accuracy": 0.5, "chart": "sphere", "directness": None,
    "certified_share": None, "stages": None, "grid": "g",
}  # fmt: skip
TYPES = dict.fromkeys(("held_out_accuracy", "baseline_held_out_accuracy", "directness", "certified_share"), pl.Float64)
TYPES |= dict.fromkeys(("steps_to_fit", "steps_to_generalise", "stages"), pl.Int64)


def runs(count=1, **columns):
    """Runs named 0, 1, … with what is not given as above."""
    count = max([count, *(len(column) for column in columns.values())])
    rows = {name: [value] * count for name, value in RUNS.items()} | columns
    return pl.DataFrame({"run": [str(i) for i in range(count)], **rows}, schema_overrides=TYPES)


def texts(module, grids=("g",), **tables):
    return [found.text for found in find([module.MEASURE], {"runs": runs(), **tables}, list(grids)) if found.text]


# ---------------------------------------------------------------- pairs of runs
def paired(count=8, start=1.0, **columns):
    """The pairs of a number of runs; a column is a number or a function of the two runs and a generator."""
    rng = np.random.default_rng(0)
    joined = list(itertools.combinations(range(count), 2))
    given = {"barrier_train": 0.0, "barrier_held_out": None, "aligned_train": None, "agreement": 0.5, "chance": None}
    rows = [
        {"grid": "g", "target": "t", "architecture": "a", "explorer": "e", "run_a": str(a), "run_b": str(b)}
        | {name: value(a, b, rng) if callable(value) else value for name, value in (given | columns).items()}
        for a, b in joined
    ]
    labels = dict.fromkeys(("grid", "target", "architecture", "explorer", "run_a", "run_b"), pl.String)
    table = pl.DataFrame(rows, schema={**labels, **dict.fromkeys(given, pl.Float64)})
    curves = pl.DataFrame(
        {"run": [str(i) for i in range(count)], "step": [0] * count, "train_loss": [start] * count},
        schema_overrides={"train_loss": pl.Float64},
    )
    return {"runs": runs(count), "pairs": table, "curves": curves}


def about(middle, spread=0.01):
    return lambda a, b, rng: middle + spread * rng.standard_normal()


AGREEMENT = {
    "more": (about(0.97), about(0.3), "agree more than chance explains"),
    "less": (about(0.10), about(0.5), "agree less than chance would"),
    "no more": (about(0.50, 0.1), about(0.5, 0.1), "no more than chance explains"),
    "untrained networks that always give one answer": (1.0, 1.0, "no more than chance explains"),
}


@pytest.mark.parametrize("case", AGREEMENT)
def test_agreement_is_held_against_chance(case):
    agreement, chance, verdict = AGREEMENT[case]
    said = texts(pairs, **paired(agreement=agreement, chance=chance))[0]
    others = {other for _, _, other in AGREEMENT.values()} - {verdict}
    assert verdict in said and not any(other in said for other in others)
    assert "of training examples" in said
    two = texts(pairs, **paired(2, agreement=agreement, chance=chance))[0]
    assert "has no interval" in two and "chance explains" not in two and "chance would" not in two


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5), st.integers(3, 6))
def test_the_verb_about_agreement_has_the_sign_of_the_interval_beside_it(agreement, chance, spread, count):
    said = texts(pairs, **paired(count, agreement=about(agreement, spread), chance=about(chance, spread)))[0]
    low, high = (float(end) for end in re.search(r"95 % interval (-?[\d.]+) to (-?[\d.]+)", said).groups())
    excess = float(re.search(r"difference of (-?[\d.]+) points", said).group(1))
    assert low - 0.05 <= excess <= high + 0.05
    assert ("agree more" in said) <= (low >= 0) and ("agree less" in said) <= (high <= 0)
    assert ("no more than" in said) <= (low <= 0 <= high)


@pytest.mark.parametrize(
    ("height", "start", "rises"),
    [
        (about(0.8), 1.0, True),
        (0.001, 1.0, False),
        (0.0, 1.0, False),
        (0.02, None, True),
        (about(0.01), 1.0, False),
        (0.02, 10.0, False),
    ],
)
def test_the_loss_rises_between_ends_only_where_it_does(height, start, rises):
    said = texts(pairs, **paired(barrier_train=height, start=start))[1]
    assert ("two ends rises" in said) == rises and ("does not clearly rise" in said) != rises
    assert ("of the loss at the start" in said) == (start is not None)


def test_a_barrier_without_end_is_called_infinite():
    said = texts(pairs, **paired(barrier_train=np.inf))[1]
    assert "two ends rises (median infinite, 95 % interval infinite–infinite)" in said and "of the loss" not in said


MATCHED = {
    "lower": (about(0.8), about(0.2), "matched, the barrier is lower (median 0.2; lower in 28 of 28 pairs)"),
    "higher": (about(0.2), about(0.8), "matched, the barrier is higher (median 0.8; lower in 0 of 28 pairs)"),
    "open": (about(0.5, 0.2), about(0.5, 0.2), "matched, the barrier is not clearly lower or higher"),
    "absent": (about(0.5), None, ""),
}


@pytest.mark.parametrize("case", MATCHED)
def test_matching_hidden_units_lowers_the_barrier_only_where_it_does(case):
    plain, aligned, verdict = MATCHED[case]
    said = texts(pairs, **paired(barrier_train=plain, aligned_train=aligned))[1]
    assert verdict in said
    assert said.count("matched") == (case != "absent")


def test_settings_are_counted_by_what_their_own_runs_say():
    """Three settings: more than chance and a rise that matching removes; no more; less, and no rise."""
    parts = {
        "a": {"agreement": about(0.9), "chance": 0.1, "barrier_train": about(0.8), "aligned_train": about(0.1)},
        "b": {"agreement": 1.0, "chance": 1.0, "barrier_train": 0.0, "aligned_train": 0.0},
        "c": {"agreement": about(0.1), "chance": 0.5, "barrier_train": 0.0, "aligned_train": 0.2},
    }
    tables = [paired(**columns)["pairs"].with_columns(target=pl.lit(target)) for target, columns in parts.items()]
    tables = [part.with_columns(pl.col("run_a", "run_b") + name) for part, name in zip(tables, parts, strict=True)]
    curves = pl.DataFrame({"run": [f"{i}{name}" for i in range(8) for name in parts], "step": 0, "train_loss": 1.0})
    alike, apart = texts(pairs, pairs=pl.concat(tables), curves=curves)
    assert alike.startswith(
        "In 1 of 3 settings two runs agree more than chance explains, in 1 less than chance would and in 1 no more "
        "than chance explains. The median pair"
    )
    assert apart.startswith("In 1 of 3 settings the training loss on the straight line between two ends clearly rises")
    assert (
        "In 1 of 3 settings the barrier is lower once hidden units are matched, in 1 higher and in 1 not clear" in apart
    )


def test_nothing_is_said_of_pairs_that_are_not_there():
    assert texts(pairs, **paired(1)) == []
    assert len(texts(pairs, **paired(agreement=None))) == 1  # barriers alone
    assert len(texts(pairs, **paired(barrier_train=None))) == 1  # agreement alone


# ---------------------------------------------------------------- runs
def test_what_was_fitted_is_counted_with_its_interval():
    some = texts(fit, runs=runs(steps_to_fit=[10, 10, 20, None], steps_to_generalise=[40, None, None, None]))[0]
    assert "3 of 4 runs (75 %, 95 % interval 30–95 %) fitted the training examples of t at median step 10" in some
    assert "1 of 4 runs (25 %, 95 % interval 5–70 %) generalised" in some and "4.0 times the steps" in some
    none = texts(fit, runs=runs(steps_to_fit=[None, None], steps_to_generalise=[None, None]))[0]
    assert none.startswith(
        "None of 2 runs (0 %, 95 % interval 0–66 %) fitted the training examples of t within 100 steps"
    )
    assert "times" not in none
    assert "generalised" not in texts(fit, runs=runs(3, held_out_accuracy=[None] * 3))[0]


def test_targets_that_all_runs_or_none_fitted_are_named():
    columns = {"target": ["a", "a", "b", "b"], "grid": ["g", "g", "h", "h"]}
    whole, *parts = texts(fit, ("g", "h"), runs=runs(**columns, steps_to_fit=[5, 5, None, None]))[:3]
    assert "All runs fitted 1 of 2 targets; none fitted b." in whole
    assert "fitted the training examples of a" in parts[0] and "fitted the training examples of b" in parts[1]
    both = texts(fit, ("g", "h"), runs=runs(**columns, steps_to_fit=[50, 50, 5, 5]))[0]
    assert "All runs fitted 2 of 2 targets, from b (median step 5) to a (50)." in both


@pytest.mark.parametrize(
    ("ends", "above"), [([0.9] * 4, "all 4 runs"), ([0.4] * 4, "none of 4 runs"), ([0.5] * 4, "none of 4")]
)
def test_held_out_accuracy_is_held_against_the_commonest_answer(ends, above):
    said = texts(fit, runs=runs(held_out_accuracy=ends))[1]
    assert f"a median of {100 * ends[0]:.1f} %" in said and "commonest answer has 50.0 %" in said and above in said
    assert len(texts(fit, runs=runs(4, baseline_held_out_accuracy=[None] * 4))) == 1


def by_target(slope, count=8):
    """Four runs each of a few targets; directness goes with steps to fit by a slope of 1, −1 or 0."""
    steps = np.repeat(np.arange(1, count + 1), 4)
    noise = np.random.default_rng(0).permutation(len(steps))
    straight = {1: steps, -1: -steps, 0: noise}[slope] / 100 + 0.5
    return runs(target=[f"t{i}" for i in steps], steps_to_fit=10 * steps, directness=straight)


SLOPES = {
    -1: "less direct roads took more steps to fit: rank correlation −1.00",
    1: "less direct roads took fewer steps to fit: rank correlation +1.00",
    0: "directness and steps to fit are not clearly related",
}


@pytest.mark.parametrize("slope", SLOPES)
def test_directness_goes_with_steps_only_as_the_runs_say(slope):
    (said,) = texts(directness, runs=by_target(slope))
    assert SLOPES[slope] in said and not any(other in said for key, other in SLOPES.items() if key != slope)
    assert said.startswith("The median road has a directness of")
    (few,) = texts(directness, runs=by_target(slope, count=4))
    assert "rank correlation" not in few


def test_directness_of_no_run_is_not_spoken_of():
    assert texts(directness, runs=runs(3)) == []


def test_certified_stretches_are_counted_and_none_is_none():
    (some,) = texts(certified, runs=runs(certified_share=[0.5, 0.7, 0.9], stages=[2, 4, 4]))
    assert some == (
        "All 3 runs (100 %, 95 % interval 44–100 %) have a stretch on which the loss must fall, over 70 [60–80] % of "
        "the median road. The median road has 4 [3–4] direct stages."
    )
    (none,) = texts(certified, runs=runs(certified_share=[0.0, 0.0]))
    assert none == "None of 2 runs (0 %, 95 % interval 0–66 %) have a stretch on which the loss must fall."
    (one,) = texts(certified, runs=runs(stages=[1, 1]))
    assert one == "The median road has 1 direct stage."
    assert texts(certified, runs=runs(2)) == []


# ---------------------------------------------------------------- forecasts
def forecast(within, order=0, targets=8):
    steps = np.repeat(np.arange(1.0, targets + 1), len(within) // targets)
    shuffled = np.random.default_rng(0).permutation(len(steps)) + 1.0
    predicted = {1: steps, -1: 100 - steps, 0: shuffled}[order]
    return pl.DataFrame(
        {
            "grid": "g", "target": [f"t{int(step)}" for step in steps], "run": [str(i) for i in range(len(within))],
            "predicted": predicted, "actual": steps, "budget": 100.0, "within": within,
        }
    )  # fmt: skip


@pytest.mark.parametrize(("inside", "verdict"), [(58, "as many as"), (30, "fewer than"), (64, "more than")])
def test_intervals_hold_as_many_runs_as_they_do(inside, verdict):
    (said,) = texts(forecasts, forecasts=forecast([True] * inside + [False] * (64 - inside)))
    assert f"{verdict} promised" in said and said.count("promised") == 1


@pytest.mark.parametrize(
    ("order", "verdict"),
    [(1, "in about the predicted order"), (-1, "against the predicted order"), (0, "does not clearly tell")],
)
def test_targets_are_learned_in_the_predicted_order_only_where_they_are(order, verdict):
    (said,) = texts(forecasts, forecasts=forecast([True] * 64, order))
    assert verdict in said and said.count("order") == 1
    (few,) = texts(forecasts, forecasts=forecast([True] * 12, order, targets=4))
    assert "order" not in few
    assert texts(forecasts, forecasts=forecast([True] * 8).with_columns(predicted=pl.lit(None, pl.Float64))) == []


# ---------------------------------------------------------------- points
@pytest.mark.parametrize(("value", "below"), [(2.0, 3), (10.0, 0), (9.9, 0)])
def test_coefficients_are_below_half_the_parameters_only_where_they_are(value, below):
    table = pl.DataFrame(
        {"run": ["0", "1", "2"], "step": [9] * 3, "value": [value] * 3, "error": [0.5] * 3, "status": ["converged"] * 3}
    )
    (said,) = texts(llc, runs=runs(3), llc=table)
    assert f"In {below} of 3 it lies below 10.0" in said
    (none,) = texts(llc, runs=runs(3), llc=table.with_columns(status=pl.lit("not at a minimum")))
    assert none.startswith("No run ends at a point with a learning coefficient") and "3 not at a minimum" in none


def test_a_study_of_several_grids_says_the_whole_first_and_every_question_is_known():
    two = runs(grid=["g", "h"], directness=[0.5, 0.7], certified_share=[0.1, 0.2])
    empty = pl.DataFrame(schema={"grid": pl.String, "run": pl.String, "step": pl.Int64, "source": pl.String})
    tables = {"runs": two, "programs": empty.with_columns(pl.lit("").alias("status"))}
    found = find([module.MEASURE for module in (fit, directness, certified)], tables, ["g", "h"])
    assert {finding.question for finding in found} <= set(QUESTIONS)
    for chart in ("learning", "directness", "roads"):
        assert [finding.grid for finding in found if finding.chart == chart][:3] == ["", "g", "h"]
    assert programs.MEASURE.findings(tables, ["g", "h"]) == []


# ---------------------------------------------------------------- intervals
@pytest.mark.parametrize(("count", "of"), [(0, 1), (1, 1), (0, 7), (3, 7), (7, 7), (104, 136)])
def test_wilsons_interval_is_scipys(count, of):
    other = binomtest(count, of).proportion_ci(0.95, method="wilson")
    assert wilson(count, of) == pytest.approx((other.low, other.high), abs=1e-12)


def test_the_median_over_pairs_is_that_of_pairs_of_drawn_runs():
    """Against runs drawn one by one and their pairs written out; the draws of the two are independent."""
    table = paired(7, barrier_train=lambda a, b, rng: float(a * b + rng.random()))["pairs"]
    middle, low, high = median_over_pairs(table, "barrier_train")
    value = {frozenset((int(a), int(b))): x for a, b, x in table.select("run_a", "run_b", "barrier_train").iter_rows()}
    rng, medians = np.random.default_rng(5), []
    for _ in range(4000):
        drawn = rng.integers(7, size=7)
        found = sorted(value[frozenset((int(a), int(b)))] for a, b in itertools.combinations(drawn, 2) if a != b)
        medians.append(found[(len(found) - 1) // 2])
    assert middle == pytest.approx(table["barrier_train"].median())
    ranks = np.sort(list(value.values()))
    places = [np.searchsorted(ranks, end) for end in (low, high, *np.quantile(medians, [0.025, 0.975]))]
    assert abs(places[0] - places[2]) <= 1 and abs(places[1] - places[3]) <= 1  # one of 21 values
    assert RESAMPLES == 500


def test_the_interval_of_a_median_over_pairs_covers_it():
    """Values u_a + u_b with symmetric u have median 0; with 12 runs at least 85 of 100 intervals hold it."""
    held = 0
    for seed in range(100):
        u = np.random.default_rng(seed).standard_normal(12)
        table = paired(12, barrier_train=lambda a, b, rng, u=u: float(u[a] + u[b]))["pairs"]
        _, low, high = median_over_pairs(table, "barrier_train")
        held += low <= 0 <= high
    assert held >= 85


def test_settings_are_drawn_apart():
    """Two settings of three runs each, one all 0 and one all 1: neither can vanish from a draw of runs."""
    ones = paired(3, barrier_train=1.0)["pairs"].with_columns(pl.col("run_a", "run_b") + "x")
    both = pl.concat([paired(3, barrier_train=0.0)["pairs"], ones])
    assert median_over_pairs(both, "barrier_train") == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_ranks_of_drawn_targets_are_those_of_the_values_laid_out(seed):
    """Against ranks of each sample as it is written down, to the last bit: with ties, missing values and odd groups."""
    rng = np.random.default_rng(seed)
    group = np.sort(np.append(rng.integers(5, size=40), np.arange(5)))
    values = np.where(rng.random(45) < 0.1, np.nan, rng.integers(8, size=45))
    ranks = _ranks_when_drawn(values, group)
    for _ in range(20):
        drawn = rng.integers(5, size=5)
        laid_out = np.concatenate([values[group == index] for index in drawn])
        assert ranks(drawn).tolist() == pl.Series(laid_out).rank().to_list()
