"""Does the page on the learning coefficient have the figures of the stored results?"""

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def stored(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))["rows"]


def line(family):
    """The row of a family in the table of benchmarks/README.md."""
    before = {row["case"]: row["gradients"] for row in stored("llc")}
    rows = [row for row in stored("llc_samplers") if row["family"] == family]
    size = [abs(row["relative"]) for row in rows]
    ratio = np.median([before[row["case"]] / row["gradients"] for row in rows])
    covered, converged = sum(row["covered"] for row in rows), sum(row["status"] == "converged" for row in rows)
    return (
        f"| {family} | {len(rows)} | {np.median(size):.1%} | {max(size):.1%} | {covered} | {converged} | {ratio:.1f} |"
    ).replace("%", " %")


@pytest.mark.stored
@pytest.mark.parametrize("family", ["samplers"])
def test_the_table_is_that_of_the_stored_result(family):
    assert line(family) in (ROOT / "benchmarks" / "README.md").read_text("utf-8")


@pytest.mark.stored
@pytest.mark.parametrize("name", ["llc", "llc_small", "llc_samplers"])
def test_no_stored_number_is_converged_and_off_by_more_than_a_tenth(name):
    wrong = [row["case"] for row in stored(name) if row["status"] == "converged" and abs(row["relative"]) > 0.1]
    assert wrong == []
