"""Does the page on large points have the figures of the stored result, and are these right?"""

import json
import math
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.stored


def stored():
    return json.loads((ROOT / "benchmarks" / "results" / "large_points.json").read_text("utf-8"))["rows"]


def found(row):
    """What a row found, and what is true where that is known."""
    if "relative_error" in row:
        return f"relative error {row['relative_error']:.2g}", "0"
    if "barrier" in row:
        distance = max(row[name] for name in ("distance", "distance_weights", "distance_activations") if name in row)
        return f"distance {distance:.0e} (before {row['distance_before']:.0f}), barrier {row['barrier']:.0g}", "0, 0"
    if "held_out_loss" in row:
        return f"loss {row['held_out_loss']:.4f}", f"at least {row['entropy']:.4f}"
    if "trace" in row:
        value, error, exact = row["trace"]
        return f"trace {number(value)} ± {number(error, 2)}", number(exact)
    if "value" in row:
        what = "trace " if row["measure"] == "spectrum" else ""
        exact = row.get("torch", row.get("exact"))
        return f"{what}{number(row['value'])} ± {number(row['error'], 2)}", "" if exact is None else number(exact)
    return "", ""


def number(value, digits=5):
    """So many digits; whole numbers where there are that many."""
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def table():
    """The lines of the table, in the order of the stored rows."""
    lines = []
    every = stored()
    for case in dict.fromkeys(row["case"] for row in every):
        rows = [row for row in every if row["case"] == case]
        size = next(row["parameters"] for row in rows if "parameters" in row)
        for row in rows:
            memory = f"{row['extra_mib']:,} MiB"
            cells = case, row["measure"], f"{size:,}", f"{row['cpu_seconds']:g}", memory, *found(row)
            lines.append(f"| {' | '.join((*cells, row.get('status', '')))} |")
    return lines


@pytest.mark.parametrize("line", table())
def test_the_page_has_each_stored_row(line):
    assert line in (ROOT / "docs" / "large_points.md").read_text("utf-8").splitlines()


def test_stored_rows_are_what_is_known_to_be_true():
    """Within tolerances that no row states of itself; λ̂ and influences where they call themselves ok."""
    checked, rows = set(), stored()
    for row in rows:
        name = row["case"], row["measure"]
        if "torch" in row:
            assert row["value"] == pytest.approx(row["torch"], rel=1e-4), name
        if "exact" in row and row["status"] == "ok":
            assert row["value"] == pytest.approx(row["exact"], rel=0.02), name
        if row["measure"] == "kernel":
            size = next(other["parameters"] for other in rows if other["case"] == row["case"] and "parameters" in other)
            assert row["relative_error"] < 2**-24 * math.sqrt(size), name  # a sum in single precision
        if "barrier" in row:
            assert row["barrier"] < 1e-6, name
        if "held_out_loss" in row:
            assert row["entropy"] < row["held_out_loss"] < math.log(32) / 2, name  # half of what guessing a token costs
        if "trace" in row:
            assert row["trace"][0] == pytest.approx(row["trace"][2], rel=0.01), name
        checked |= {key for key in ("torch", "exact", "barrier", "held_out_loss", "trace") if key in row}
    assert checked == {"torch", "exact", "barrier", "held_out_loss", "trace"}
