"""Does the page on learnability have the figures of the stored result on other architectures?"""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = {
    "all": "from the start alone",
    "after 1 of each group": "after one target of each group is learned",
    "after 2 of each group": "after two",
}


def test_other_architectures_are_the_stored_ones():
    found = json.loads((ROOT / "benchmarks/results/learnability_architectures.json").read_text("utf-8"))
    page = (ROOT / "docs/direct_enough.md").read_text("utf-8")
    parts = {name: found[key] for key, name in NAMES.items()}
    for kind in ("architecture", "data", "explorer"):
        parts |= {f"– {key}, from the start": figures for key, figures in found[kind].items()}
    for name, row in parts.items():
        pooled, within, seed, null = (
            f"{row[key]:.2f}".lstrip("0")
            for key in (
                "rank correlation",
                "within data, architecture and explorer",
                "one seed by another",
                "null: the mean of the group",
            )
        )
        assert f"| {name} | {pooled} | {100 * row['within a factor 2']:.0f}% | {within} | {seed} | {null} |" in page
