"""Do the pages on the learning coefficient have the figures of the stored results?"""

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS, BEFORE = (
    json.loads((ROOT / "benchmarks" / "results" / name).read_text("utf-8"))["rows"]
    for name in ("llc.json", "llc_0.1.json")
)
FAMILIES = list(dict.fromkeys(row["family"] for row in ROWS))


def line(family):
    """The row of a family in the table of benchmarks/README.md."""
    old = {row["case"]: row for row in BEFORE}
    rows = [row for row in ROWS if row["family"] == family]
    pairs = [(old[row["case"]], row) for row in rows if row["case"] in old]
    size = 100 * np.abs([row["relative"] for row in rows])
    held, converged = sum(row["covered"] for row in rows), sum(row["status"] == "converged" for row in rows)
    before = sum(first["status"] == "converged" for first, _ in pairs)
    ratio = np.median([first["gradients"] / row["gradients"] for first, row in pairs])
    gradients = round(np.median([row["gradients"] for row in rows]), -2)
    sizes = [float(np.median(size)), float(np.quantile(size, 0.95)), float(size.max())]
    errors = " | ".join("> 1,000 %" if x >= 1000 else f"{x:.1f} %" for x in sizes)
    return f"| {family} | {len(rows)} | {errors} | {held} | {converged} | {before} | {gradients:,.0f} | {ratio:.1f} |"


@pytest.mark.stored
@pytest.mark.parametrize("family", FAMILIES)
def test_the_table_is_that_of_the_stored_result(family):
    assert line(family) in (ROOT / "benchmarks" / "README.md").read_text("utf-8").splitlines()


@pytest.mark.stored
def test_the_page_has_the_numbers_of_cases_and_the_worst_converged_error():
    page = " ".join((ROOT / "docs" / "llc.md").read_text("utf-8").split())
    converged = [abs(row["relative"]) for row in ROWS if row["status"] == "converged"]
    assert f"measured on {len(ROWS)} cases" in page
    assert f"{len(converged)} are `converged`, and none of these is off by more than {max(converged):.1%}"[:-1] in page
    for family in ("full-rank", "singular", "rank-deficient"):
        ratio = line(family).split(" | ")[-1].split()[0]
        assert f"{ratio} times on {family}" in page


@pytest.mark.stored
@pytest.mark.parametrize("rows", [ROWS, BEFORE], ids=["llc", "llc_0.1"])
def test_no_stored_number_is_converged_and_off_by_more_than_a_tenth(rows):
    assert [row["case"] for row in rows if row["status"] == "converged" and abs(row["relative"]) > 0.1] == []
