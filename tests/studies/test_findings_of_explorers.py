"""Findings about explorers follow from the numbers: tables that bear one out, with the opposite, and with neither."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allroads.studies.measures import attribution, convergence, function_prior, joined, reached
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
