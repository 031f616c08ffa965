"""Studies with odd names or with parts missing, as their reader meets them in a real Chromium."""

from __future__ import annotations

import pytest
from synthetic_study import Task, write_study

from allroads.report import write_report
from allroads.report.grids import read_grids
from allroads.report.stored import read_stored


def test_names_are_words_and_never_code(open_page, tmp_path):
    attack = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
    tasks = [
        Task("../x", attack, seeds=3),
        Task(attack, "</script><b>bold", seeds=3, architectures=("{{ 7 * 7 }}", "'\"><i>arch")),
    ]
    write_study(tmp_path, tasks, name=attack, question="a </script> b & c", records=12)
    page = open_page(write_report(tmp_path))
    page.page.click("#runs tbody tr:nth-child(2)")
    page.page.click("#run-panel .more")
    page.page.wait_for_selector(".run-chart .mark-line path", state="attached")
    for kind in ("learning", "roads"):
        page.page.hover(f".{kind} .chart svg >> nth=0")
    assert page.page.evaluate("window.hacked") is None
    assert page.page.title().startswith(attack) and page.page.inner_text("h1") == attack
    assert page.page.locator("img, b, i").count() == 0
    assert "{{ 7 * 7 }}" in page.page.inner_text("#runs")
    assert page.complaints == []


@pytest.mark.slow
def test_names_that_every_object_of_javascript_has_are_labels_like_others(open_page, tmp_path):
    names = ("constructor", "toString", "__proto__", "hasOwnProperty")
    tasks = [Task("valueOf", name, seeds=3, architectures=("constructor", "__proto__")) for name in names]
    write_study(tmp_path, [*tasks, Task("constructor", "constructor", seeds=3)], name="constructor", records=12)
    opened = open_page(write_report(tmp_path))
    drawn = opened.page.evaluate(
        """Object.fromEntries([...document.querySelectorAll(".directness .chart")].map((chart) => [chart.id,
           [...chart.querySelectorAll(".mark-symbol path")].map((dot) =>
             [dot.__data__.datum.group, dot.getAttribute("fill")])]))"""
    )
    colours = {group.label: group.colour for grid in read_grids(read_stored(tmp_path)) for group in grid.groups}
    assert len(drawn) == 2
    for dots in drawn.values():
        assert dots and all(colour == colours[group] for group, colour in dots)
    for row in range(1, 28):
        opened.page.click(f"#runs tbody tr:nth-child({row})")
    assert opened.page.inner_text(".run-name").strip() == "constructor · seed 2"
    assert opened.complaints == []


BARE = {
    "no held-out examples": [Task("g", "t", held_out=False, seeds=3)],
    "one run": [Task("g", "t", seeds=1)],
    "every run diverged": [Task("g", "t", seeds=3, diverge=(0, 1, 2))],
    "no accuracy": [Task("g", "t", seeds=3, accuracy=False)],
    "two architectures": [Task("g", "t", seeds=3, architectures=("mlp", "gru"))],
    "no runs": [],
}


@pytest.mark.parametrize("case", BARE)
def test_a_page_with_parts_missing_says_so_in_words(open_page, tmp_path, case):
    write_study(tmp_path, BARE[case], records=12, pairs=case == "two architectures", embedding=case != "one run")
    page = open_page(write_report(tmp_path))
    text = page.page.inner_text("main")
    said = {
        "no held-out examples": "nothing was held out here",
        "one run": "No road was embedded for this grid",
        "every run diverged": "3 of 3 runs of g ended as diverged",
        "no accuracy": "training loss",
        "two architectures": "t · gru",
        "no runs": "No run is finished yet",
    }[case]
    assert said in text
    if BARE[case] and case != "two architectures":
        assert "No pair was compared in this grid" in text
    empty = page.page.evaluate(
        """[...document.querySelectorAll(".chart")].filter((c) => c.checkVisibility() &&
           !c.querySelector(":is(.mark-line, .mark-trail, .mark-symbol, .mark-rect) path")).map((c) => c.id)"""
    )
    assert empty == []
    if case != "no runs":
        page.page.click("#runs tbody tr")
        page.page.click("#run-panel .more")
        page.page.wait_for_selector(".run-chart .mark-line path", state="attached")
    assert page.complaints == []
