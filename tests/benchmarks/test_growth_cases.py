"""Are the cases of the growth curves made of what is public, at sizes that are stated?"""

import json
import sys
from pathlib import Path

import jax
import pytest

import allroads

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def cases(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from growth import cases

    yield cases
    for name in [name for name in sys.modules if name.split(".")[0] == "growth"]:
        del sys.modules[name]


def test_every_case_is_a_public_measure_along_a_stated_axis(cases):
    for measure, axes in cases.CASES.items():
        assert callable(getattr(allroads, measure)) and set(axes) <= set(cases.SIZES)


def test_a_network_has_about_the_parameters_that_were_asked_for(cases):
    for size in cases.SIZES["parameters"]:
        own = cases.network(size)
        assert abs(sum(leaf.size for leaf in jax.tree.leaves(cases.point(own))) / size - 1) < 0.05


def test_stored_curves_are_of_these_cases(cases):
    stored = json.loads((BENCHMARKS / "results" / "growth.json").read_text("utf-8"))["curves"]
    for curve in stored.values():
        sizes = cases.SIZES[curve["axis"]]
        assert curve["axis"] in cases.CASES[curve["measure"]]
        assert [row["size"] for row in curve["rows"]] == list(sizes[: len(curve["rows"])])


def test_the_page_has_the_stored_curves(cases):
    from growth.run import page

    curves = json.loads((BENCHMARKS / "results" / "growth.json").read_text("utf-8"))["curves"]
    assert page(curves) in (BENCHMARKS.parent / "docs" / "scale.md").read_text("utf-8")
