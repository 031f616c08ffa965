"""Findings about explorers follow from the numbers: tables that bear one out, with the opposite, and with neither."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allroads.studies.measures import attribution, channel_gain, convergence, function_prior, funnel, joined, reached
from allroads.studies.summary import find

LABELS = {"grid": "g", "target": "t", "architecture": "m", "explorer": "e"}


def said(module, rows):
    """The sentences of a measure about a table of these rows."""
    table = pl.DataFrame(rows, schema=dict(module.MEASURE.columns))
    runs = pl.DataFrame({"run": ["a"], "grid": ["g"], "status": ["ok"], "steps": [1]})
    return " ".join(f.text for f in find([module.MEASURE], {"runs": runs, module.MEASURE.name: table}, ["g"]))


# ---------------------------------------------------------------- functions reached
def ends(*counts, right=0, explorer="e"):
    """Runs of one setting by their functions, of which number ``right`` is the target's."""
    same = {**LABELS, "explorer": explorer, "runs": sum(counts), "effective": 2.5, "effective_low": 1.5}
    return [
        {**same, "effective_high": 9.0, "function": str(i), "count": c, "right": 1.0 if i == right else 0.5}
        for i, c in enumerate(counts)
    ]


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        (ends(8), "All 8 runs end at one function, the target."),
        (ends(8, right=9), "All 8 runs end at one function, right on 50.0 % of inputs."),
        (ends(1, 1, 1), "No two of 3 runs end at the same function."),
        (ends(5, 2, 1), "8 runs end at 3 functions, 5 of them at the most frequent one, the target."),
        (ends(1), ""),
        (
            ends(8) + ends(1, 1, explorer="f", right=9),
            "In 1 of 2 settings all runs end at one function, and in 1 no two",
        ),
    ],
)
def test_runs_end_at_one_function_only_where_they_do(rows, verdict):
    text = said(reached, rows)
    assert text.startswith(verdict) and bool(text) == bool(verdict)
    assert ("most frequent function is the target" in text) == (len({row["explorer"] for row in rows}) > 1)


# ---------------------------------------------------------------- the prior
def functions(slope, noise, reached=()):
    rng = np.random.default_rng(0)
    rows = []
    for k in range(40):
        log = -5 - slope * k / 10 + noise * rng.normal()
        row = {"grid": "g", "target": "t", "architecture": "m", "complexity": float(k), "count": 50, "samples": 1000}
        rows.append(row | {"probability": float(np.exp(log)), "reached": int(k in reached), "runs": len(reached)})
    return rows


@pytest.mark.parametrize(
    ("slope", "noise", "verdict"),
    [
        (1.0, 0.2, "are less probable"),
        (-1.0, 0.2, "are more probable"),
        (0.0, 1.0, "are neither clearly more nor less"),
    ],
)
def test_complex_functions_are_less_probable_only_where_they_are(slope, noise, verdict):
    text = said(function_prior, functions(slope, noise))
    assert f"Complex functions {verdict}" in text and "The median run" not in text


def test_functions_that_were_never_drawn_are_counted_by_their_runs():
    never = {"count": 0, "probability": 0.0, "reached": 3, "runs": 5, "samples": 1000, "complexity": 50.0}
    rows = [*functions(1.0, 0.2, reached=(3, 4)), {"grid": "g", "target": "t", "architecture": "m", **never}]
    text = said(function_prior, rows)
    assert "ends at a function that none of 1,000 draws computes; 3 of 5 runs" in text
    assert "ends at a function of probability" in said(function_prior, rows[:-1])


# ---------------------------------------------------------------- convergence
@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=9), st.lists(st.booleans(), min_size=1, max_size=9))
def test_pairs_beyond_the_null_are_counted_for_each_measure(answers, cka):
    rows = [
        {**LABELS, "run_a": "a", "run_b": "b", "measure": name, "beyond": beyond, "level": 0.05}
        for name, held in (("agreement", answers), ("cka", cka))
        for beyond in held
    ]
    text = said(convergence, rows)
    for word, held in (("answers", answers), ("representations by CKA", cka)):
        many = re.search(rf"{word} in (\w+) of (\d+)", text)
        wanted = "all" if all(held) else "none" if not any(held) else str(sum(held))
        assert many and many.groups() == (wanted, str(len(held)))


# ---------------------------------------------------------------- attribution
def shares(status="ok", **terms):
    same = {"grid": "g", "response": "train_loss", "kind": "scalar", "runs": 48, "status": status}
    return [
        {**same, "term": name, "value": value, "low": value - 0.05, "high": value + 0.05}
        for name, value in terms.items()
    ] or [same]


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        (shares(explorer=0.1, target=0.8), "Target has 80 % (95 % interval 75–85 %) of the variance"),
        (shares(explorer=0.8, target=0.1), "Explorer has 80 %"),
        (shares(explorer=0.42, target=0.4), "not clearly more than any other term"),
        (shares(status="no effect", target=0.0), "No factor has an effect on the logarithm of the training loss"),
        (shares(status="constant"), "All runs share the logarithm of the training loss."),
        (shares(status="too many labels", target=0.9, explorer=0.1), "cannot be read: too many runs"),
        (shares(status="refused"), ""),
    ],
)
def test_a_factor_decides_most_only_where_it_does(rows, verdict):
    text = said(attribution, rows)
    assert verdict in text and bool(text) == bool(verdict)
    assert (", clearly more" in text) == (" 80 %" in text)


# ---------------------------------------------------------------- the joined table
def pair(value, adjusted, a="robustness", b="held_out_loss"):
    numbers = {"value": value, "low": value - 0.1, "high": value + 0.1, "adjusted": adjusted, "runs": 64}
    return {"a": a, "b": b, "kind": "others", **numbers}


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.9, 0.9), st.floats(0, 1))
def test_quantities_go_together_only_where_the_pair_is_clear(value, adjusted):
    text = said(joined, [pair(value, adjusted), pair(0.0, 1.0, a="complexity")])
    assert ("rise together" in text) == (adjusted <= 0.05 and value > 0)
    assert ("go against each other" in text) == (adjusted <= 0.05 and value <= 0)
    assert ("none of 2 pairs" in text) == (adjusted > 0.05)
    assert text.startswith("Given all other quantities")


def test_the_strongest_clear_pair_is_named_with_its_interval():
    rows = [pair(0.5, 0.01), pair(-0.7, 0.01, a="complexity"), pair(0.9, 0.2, a="sharpness")]
    text = said(joined, rows)
    assert "complexity and held-out loss go against each other: partial rank correlation −0.70" in text
    assert "(95 % interval −0.80 to −0.60, 64 runs). 2 of 3 pairs are clearly correlated" in text
    assert said(joined, [{"status": "refused", "reason": "too few"}]) == ""
    two = said(joined, [pair(0.5, 0.01)])
    assert two.startswith("Over all runs, robustness and held-out loss rise together: rank correlation +0.50")


# ---------------------------------------------------------------- channel gains
def gain(low, high, explorer="e"):
    """A setting whose gain has this interval; ``None`` is an open end."""
    value = high if low is None else low if high is None else (low + high) / 2
    counts = {"fitted": 6, "runs": 8, "draws": 1000, "draws_fitted": 0 if high is None else 10}
    return {**LABELS, "explorer": explorer, "gain": value, "low": low, "high": high, **counts, "status": "ok"}


open_ends = st.one_of(st.none(), st.floats(-20, 20).map(lambda x: round(x, 2)))


@settings(max_examples=60, deadline=None)
@given(open_ends, open_ends)
def test_runs_search_less_than_draws_only_where_the_interval_says_so(a, b):
    low, high = (a, b) if a is None or b is None else sorted((a, b))
    if low is None and high is None:
        return
    text = said(channel_gain, [gain(low, high)])
    less, more = low is not None and low > 0, high is not None and high < 0
    assert ("with clearly less search than" in text) == less and ("with clearly more search than" in text) == more
    assert ("neither clearly less nor more" in text) == (not less and not more)
    assert ("at most" in text) == (low is None) and ("at least" in text) == (high is None)
    assert ("95 % interval" in text) == (low is not None and high is not None)
    assert text.endswith(f"6 of 8 runs and {0 if high is None else 10} of 1,000 draws fit.")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-9, 9).map(lambda x: round(x, 2)), min_size=2, max_size=8))
def test_settings_that_gain_and_that_lose_are_counted(middles):
    rows = [gain(m - 1, m + 1, explorer=f"e{i}") for i, m in enumerate(middles)]
    text = said(channel_gain, [*rows, {**LABELS, "status": "refused", "reason": "3 runs"}])
    more, less = sum(m > 1 for m in middles), sum(m < -1 for m in middles)
    assert f"in {more} of {len(rows)} settings that can be compared, and with clearly more in {less}." in text
    assert ("largest gain" in text) == (more > 0)
    if more:
        assert f"that of e{middles.index(max(middles))} on t:" in text


def test_nothing_is_said_of_settings_without_a_gain():
    assert said(channel_gain, [{**LABELS, "status": "never reached", "fitted": 0, "runs": 8}]) == ""


# ---------------------------------------------------------------- the funnel
def bins(*spreads, ratio=None, explorer="e"):
    """A setting by the spread of its runs from the greatest loss to the least; the ratio is that of the greatest."""
    rows = []
    for place, spread in enumerate(spreads):
        loss = 10.0**-place
        numbers = {"runs_loss": loss, "runs_spread": spread, "runs_spread_low": spread - 0.1}
        row = {**LABELS, "explorer": explorer, "bin_low": loss / 3, "bin_high": 3 * loss, "runs": 8, **numbers}
        rows.append(row | {"runs_spread_high": spread + 0.1, "draws": 0, "status": "no match"})
    if ratio is not None:
        rows[0] |= {"ratio": ratio, "ratio_low": ratio - 0.5, "ratio_high": ratio + 0.5, "status": "ok"}
    return rows


@settings(max_examples=30, deadline=None)
@given(st.floats(0.2, 3), st.floats(0.2, 3), st.one_of(st.none(), st.floats(-3, 3)))
def test_runs_come_together_only_where_intervals_lie_apart(first, last, ratio):
    text = said(funnel, bins(first, 1.0, last, ratio=ratio))
    falls, rises = last + 0.1 < first - 0.1, last - 0.1 > first + 0.1
    assert ("runs falls with" in text) == falls and ("runs rises with" in text) == rises
    assert ("does not clearly change" in text) == (not falls and not rises)
    narrower, wider = ratio is not None and ratio + 0.5 < 0, ratio is not None and ratio - 0.5 > 0
    assert ("the runs are narrower than" in text) == narrower and ("the runs are wider than" in text) == wider
    assert ("neither clearly narrower nor wider" in text) == (ratio is not None and not narrower and not wider)
    assert "at loss 1, " in text and "at loss 0.01." in text


def test_funnels_of_several_settings_are_counted():
    rows = bins(3.0, 1.0, ratio=-2.0) + bins(1.0, 3.0, ratio=2.0, explorer="f") + bins(2.0, 1.0, explorer="h")
    text = said(funnel, rows)
    assert "falls with their loss in 2 of 3 settings, and clearly rises in 1." in text
    assert "narrower than draws of the same loss in 1 of 2 settings, and clearly wider in 1." in text
    assert said(funnel, bins(2.0)).startswith("At no loss")
    assert said(funnel, [{**LABELS, "status": "refused", "reason": "3 runs"}]) == ""
