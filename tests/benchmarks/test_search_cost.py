"""The benchmark of search costs: its searches are right on known functions, and the page says what it found."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from allroads.points.complexity.formulas import formula_lengths

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from search_cost import clock, elimination, formulas, markdown, tables

ROOT = Path(__file__).parents[2]
ROWS = json.loads((ROOT / "benchmarks/results/search_cost.json").read_text("utf-8"))["rows"]
TABLES = {name: table for _, name, table in tables()}


def test_there_are_thirty_different_targets():
    assert len(TABLES) >= 30 and len({table.tobytes() for table in TABLES.values()}) == len(TABLES)


SMALL = [name for name, table in TABLES.items() if len(table) <= 16]


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (len(TABLES[n]) > 8)) for n in SMALL])
def test_formulas_in_order_of_length_find_the_shortest(name):
    table = TABLES[name]
    bits = len(table).bit_length() - 1
    found = formulas(table, bits)
    assert found["found"] and found["length"] == formula_lengths(bits, "any")[int(table @ (1 << np.arange(len(table))))]


def test_elimination_finds_affine_functions_alone():
    assert [name for name, table in TABLES.items() if elimination(table, len(table).bit_length() - 1)["found"]] == [
        f"parity {n}" for n in range(2, 9)
    ]
    found = elimination(1 - TABLES["parity 5"], 5)
    assert found["found"] and 6 <= found["examples"] < 9


@pytest.mark.parametrize("row", ROWS, ids=[row["target"] for row in ROWS])
def test_the_page_shows_the_row_and_known_sizes_hold(row):
    page = (ROOT / "docs/channels.md").read_text("utf-8")
    assert markdown(row) in page and clock(row) in page
    if row["sat"] and row["sat"]["found"] and row["circuit_size"] is not None:
        assert row["sat"]["gates"] == row["circuit_size"], "two independent searches for the smallest circuit"


def test_descent_loses_parities_to_elimination_and_wins_staircases_over_draws():
    for row in ROWS:
        if row["family"] == "parity":
            least = 2 ** row["descent_log2_forwards"][1]
            assert row["elimination"]["operations"] < row["operations_per_forward"] * least / 100
            slower = row["elimination"]["seconds"] < row["descent_seconds_per_forward"] * least
            assert slower or row["bits"] <= 3, "elimination in plain Python beside compiled runs, 64 at a time"
        if row["family"] == "staircase":
            assert row["gain"][1] > 0, "the lower end of the gain"
