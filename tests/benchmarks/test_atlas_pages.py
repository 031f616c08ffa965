"""Do the pages on atlases have the figures of the stored results?"""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def stored(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def page(name):
    return " ".join((ROOT / "docs" / f"{name}.md").read_text("utf-8").split())


def said(value, digits):
    """A number as the pages write it, without a zero before the point."""
    return re.sub(r"^(−?)0\.", r"\1.", f"{value:.{digits}f}".replace("-", "−"))


def interval(found, digits):
    values = (found["value"], found["stats"]["low"], found["stats"]["high"])
    return "{} [{}, {}]".format(*(f"{value:.{digits}f}".replace("-", "−") for value in values))


WORLDS = [
    ("three bits, width 3", "three bits, 3-3-1"),
    ("three bits, width 16", "three bits, 3-16-1"),
    ("four bits, width 8", "four bits, 4-8-1"),
    ("automata of two and three states", "automata,"),
    ("modular addition, p = 11", "modular addition,"),
]


@pytest.mark.parametrize(("world", "row"), WORLDS)
def test_gains_of_both_pages_are_the_stored_ones(world, row):
    found, control = (stored("atlas_forecast")[world][which] for which in ("target known", "control"))
    gain = interval(found, 2)
    shown = interval(control, 3 if 0 < control["value"] < 0.01 else 2)
    changes = f"{found['stats']['changes']:,}"
    whole = rf"\| {row}[^|]*\|[^|]*\| {changes} \| {re.escape(gain)} \|[^|]*\| {re.escape(shown)} \|"
    assert re.search(whole, page("atlas_of_runs"))
    assert f"| {world} | {re.sub(r'(?<![0-9])0[.]', '.', gain)} |" in page("atlas")


def test_costs_at_the_ends_of_the_table_are_those_of_reach():
    rows = stored("reach")["wide"]["by distance"]
    near, far = (said(rows[k]["mean of the median log2(1 + steps), pairs with R > 1/2"][0], 2) for k in (0, -1))
    assert f"is {near} at distance 1, and rises at every distance to {far} at distance 8" in page("atlas")
    assert f"| 1 | 2,048 | {near} " in page("reach") and f"| 8 | 256 | {far} " in page("reach")


def test_slopes_of_adaptive_walks_are_all_on_the_page():
    slopes = [x for x in stored("hypotheses")["exhaustive"]["H1"] if x["edges"] == "log₂ moves of an adaptive walk"]
    assert len(slopes) == 3
    for x in slopes:
        assert f"{said(x['slope'], 2)} [{said(x['low'], 2)}, {said(x['high'], 2)}]" in page("atlas")


def test_smooth_fields_are_named_with_node_effects():
    rows = [x for x in stored("hypotheses")["planted"]["rows"] if x["noise"] == "fields" and x["node effects"]]
    alarms, held = (rows[0][name]["share"] for name in ("false alarms", "coverage"))
    assert f"there are {100 * alarms:.0f} % false alarms, and {100 * held:.0f} % of the intervals" in page("atlas")


def test_share_of_adjacent_pairs_is_that_of_both_pages():
    shares = stored("hypotheses")["exhaustive"]["adjacent by function distance"]
    told = ", ".join(["1", *(said(x, 2) for x in shares[1:])])
    assert told in page("atlas") and told in page("neighbours")
    moved = ", ".join(said(x, 2) for _, x, _ in stored("exact_atlas")["network"]["additive 0.1"]["by_hamming_distance"])
    assert moved in page("neighbours")


def test_bound_by_added_edits_has_its_ends():
    found = stored("exact_atlas")["simplicity"]["bound"]["insertions"]
    largest = found["largest_log2_share_by_distance"]
    top, last = max(largest, key=largest.get), max(largest, key=float)
    ends = f"from {largest[top]:.1f} at {top} to {largest[last]:.1f} at {last}".replace("-", "−")
    assert f"a = {said(found['a'], 2)} bits per edit, {ends}" in page("neighbours")


def test_barrier_clusters_are_the_stored_ones():
    judged = stored("passes")["judged"]
    for task in ("modular addition", "two cues", "partial tables"):
        found, curves = judged[f"{task}, segments"], judged[f"{task}, curves"]
        index, least, most, null, lower, best = (
            said(value, 2).removesuffix(".00")
            for value in (
                found["index"],
                min(found["indices"]),
                max(found["indices"]),
                found["index_null_95"],
                found["order"],
                found["best"],
            )
        )
        labels = f"{min(found['labels'])} to {max(found['labels'])}"
        row = f"| {task}, segments | {labels} | **{index}** ({least}, {most}) | {null} | {found['index_p_holm']:.1g}"
        assert row.replace("0.", ".").replace("**..", "**.") + f" | {lower} | {best} |" in page("passes")
        assert set(curves["clusters"]) == {1} and curves["index"] == 0
