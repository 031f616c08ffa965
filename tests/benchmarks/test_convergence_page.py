"""The page on convergence says what the committed benchmark found, and the benchmark holds what it promises."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOUND = json.loads((ROOT / "benchmarks/results/convergence.json").read_text("utf-8"))
PAGE = (ROOT / "docs/convergence.md").read_text("utf-8")
NAMES = {
    "seed": "the seed alone",
    "explorer (SGD)": "and the explorer, SGD",
    "width (128)": "and the width, 128 units",
    "training images": "and the training images, 700 others",
    "seed, all untrained": "the seed alone, all untrained",
}
DIGITS = {"agreement": 3, "cka": 3, "procrustes": 2, "neighbours": 3, "rsa": 3, "stitching": 3}


def short(value, digits):
    return f"{value:.{digits}f}".replace("0.", ".", 1)


@pytest.mark.parametrize("what", NAMES)
def test_the_table_is_that_of_the_benchmark(what):
    (row,) = (row for row in FOUND["digits_runs"] if row["differ in"] == what)
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {NAMES[what]} |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    shown = [
        f"{short(row['measures'][name]['mean'], digits)} ± {short(row['measures'][name]['error'], digits)}"
        for name, digits in DIGITS.items()
    ]
    assert [cells[1], *cells[3:]] == shown and cells[2] == short(row["measures"]["agreement"]["null"], 2)


def test_every_known_relation_holds_and_unrelated_networks_are_called_alike_as_seldom_as_promised():
    assert all(row["holds"] for row in FOUND["known_relations"]) and len(FOUND["known_relations"]) >= 30
    for row in FOUND["false_pairs"]:
        assert row["pairs"] >= 1000 and row["share"] <= 0.05 + 3 * (0.05 * 0.95 / row["pairs"]) ** 0.5, row
    for row in FOUND["false_populations"]:
        assert row["pairs"] >= 1000 and row["share_of_pairs"] <= 0.05, row
        assert row["false_tables"] / row["tables"] <= 0.05 + 3 * (0.05 * 0.95 / row["tables"]) ** 0.5, row
    for rows, name, digits in (
        ("false_pairs", "share", 1),
        ("false_populations", "share_of_pairs", 1),
    ):
        shares = [100 * row[name] for row in FOUND[rows]]
        assert f"{short(min(shares), digits)} to {short(max(shares), digits)} %" in PAGE
