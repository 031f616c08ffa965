"""The planes of the loss on the page, in a real Chromium, and as files."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import vl_convert as vlc
from browser_page import PHONE
from synthetic_study import Task, add_table, write_study

from allroads.plots.landscape import CAVEATS
from allroads.report import write_report
from allroads.report.charts import landscape
from allroads.report.charts.loss_map import FLAT
from allroads.report.figures import specification
from allroads.report.grids import read_grids
from allroads.report.stored import read_stored
from allroads.studies.measures.landscape import MEASURE

SIX = [Task("boolean", f"function {k}", seeds=3, steps=3000) for k in range(6)]
XS, YS = np.linspace(-4, 4, 9), np.linspace(-2, 2, 5)


def plane(kind, runs, hole=False):
    """A path from the left to the right, or three ends, over 1 + x² + y²; with a hole in one corner."""
    same = {"plane": kind, "around": runs[0], "status": "ok"}
    shares = {"explained_x": 0.6, "explained_y": 0.75, "walk_x": 0.61, "walk_y": 0.78} if kind == "path" else {}
    heights = {(x, y): 1 + x**2 + y**2 for y in YS for x in XS}
    ground = [{"point": "ground", "x": x, "y": y, "loss": loss} for (x, y), loss in heights.items()]
    if hole:
        ground[0]["loss"] = None
    places = [(-3.0, 1.0), (0.0, -1.0), (3.0, 0.0)]
    marks = [
        {"point": "record", "run": runs[0], "step": step, "x": x, "y": y, "loss": 1 + x**2 + y**2, "distance": 0.1}
        for step, (x, y) in zip((0, 10, 3000), places, strict=True)
    ]
    if kind == "ends":
        marks = [
            {"point": "end", "run": run, "step": 3000, "x": x, "y": y, "loss": 1 + x**2 + y**2}
            for run, (x, y) in zip(runs, places, strict=True)
        ]
    return [same | shares | row for row in [*ground, *marks]]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A grid of two targets, the second without a path and with a hole in the map of its ends, and one of six."""
    tasks = [Task("pair", "a", seeds=3, steps=3000), Task("pair", "b", seeds=3, steps=3000), *SIX]
    directory = write_study(tmp_path_factory.mktemp("planes"), tasks, records=8, pairs=False, embedding=False)
    rows = []
    for (grid, target), part in read_stored(directory).runs.group_by(["grid", "target"], maintain_order=True):
        runs = part.sort("seed")["run"].to_list()
        found = plane("path", runs) + plane("ends", runs, hole=target == "b")
        if target == "b":
            found = [
                {"plane": "path", "around": runs[1], "point": "none", "status": "degenerate"},
                *plane("ends", runs, True),
            ]
        rows += [{"grid": grid, "target": target} | row for row in found]
    add_table(directory, MEASURE, pl.DataFrame(rows, schema=MEASURE.columns))
    write_report(directory)
    return directory


@pytest.fixture(scope="module")
def page(drawn, open_page):
    return open_page(drawn / "report.html")


def plotted(page, chart):
    """Width and height of the map of a chart, in pixels."""
    return page.page.evaluate(
        "(id) => { const v = allroads.charts.get(id).view; return [v.width(), v.height()]; }", chart
    )


def test_the_section_shows_paths_first_and_the_three_ends_on_demand(page):
    charts = page.page.eval_on_selector_all(
        "#landscape .chart", "all => all.filter(c => c.checkVisibility()).map(c => c.id)"
    )
    assert len(charts) == 1 + 6 and all(chart.startswith("chart-path-plane-") for chart in charts)
    text = page.page.inner_text("#landscape")
    assert "seed 0: 75% explained" in text and "a random walk: 78%" in text and "loss 1 to 21" in text
    assert CAVEATS["principal components"] in text and CAVEATS["three points"] not in text
    page.page.click('#landscape [data-figure="ends-plane"]')
    page.drawn()
    text = page.page.inner_text("#landscape")
    assert "seeds 0, 1 and 2" in text and CAVEATS["three points"] in text
    page.page.click('#landscape [data-figure="path-plane"]')
    assert page.complaints == []
    assert "One plane of pair is not defined, of the runs around b · seed 1" in " ".join(
        page.page.text_content(".shortfalls").split()
    )


def test_maps_have_one_unit_on_both_axes_and_cells_that_tell_their_band(page):
    (chart,) = page.page.eval_on_selector_all("#landscape-pair figure.path-plane .chart", "all => all.map(c => c.id)")
    width, height = plotted(page, chart)
    assert height / width == pytest.approx(5 / 9, abs=2 / width) and FLAT < 5 / 9
    told = page.page.evaluate(
        """(id) => [...document.querySelectorAll(`#${id} .mark-rect path`)].map((p) => [p.__data__.datum.told,
           p.getAttribute("fill")])""",
        chart,
    )
    # Cells of one row and band are one; the middle of the lowest row has x² + y² = 4.
    assert 5 <= len(told) < 45 and len({fill for _, fill in told}) == len({band for band, _ in told}) > 4
    lines = page.page.locator(f"#{chart} .mark-line path").count()
    assert lines >= 3 + 4  # the path, its halo, what can be clicked, and lines of equal loss


def test_the_path_and_the_ends_choose_their_runs(page, drawn):
    runs = read_stored(drawn).runs.filter(grid="pair", target="a").sort("seed")["run"].to_list()
    (chart,) = page.page.eval_on_selector_all("#landscape-pair figure.path-plane .chart", "all => all.map(c => c.id)")
    page.page.locator(f"#{chart}").scroll_into_view_if_needed()
    page.page.locator(f"#{chart} .mark-symbol path").first.click(force=True)
    page.settle()
    assert page.chosen == runs[0]
    assert page.page.evaluate("(id) => allroads.charts.get(id).view.signal('selected')", chart) == runs[0]
    page.page.evaluate("allroads.choose('')")


def test_the_map_opens_large_in_its_shape(page):
    page.page.click("#landscape-pair figure.path-plane .enlarge")
    page.page.wait_for_selector("#enlarged[data-drawn]")
    box = page.page.locator(".dialog-chart svg").bounding_box()
    assert box["width"] > 600 and box["height"] < box["width"]
    page.page.keyboard.press("Escape")
    assert page.complaints == []


def test_a_phone_shows_planes_side_by_side_and_without_sideways_scrolling(drawn, open_page):
    phone = open_page(drawn / "report.html", PHONE)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    boxes = phone.page.eval_on_selector_all(
        "#landscape-boolean figure.path-plane .panel",
        "all => all.map(p => p.getBoundingClientRect()).map(b => [b.left, b.top])",
    )
    assert len({left for left, _ in boxes}) == 2 and len({top for _, top in boxes}) == 3
    section = phone.page.locator("#landscape").bounding_box()
    assert section["height"] <= 1500 and phone.complaints == []


def test_planes_become_files_with_the_shape_of_their_map(drawn):
    stored = read_stored(drawn)
    grid = next(grid for grid in read_grids(stored) if grid.name == "pair")
    path, ends = landscape.figures(stored, grid)
    assert (path.chart, ends.chart) == ("path-plane", "ends-plane") and len(ends.panels) == 2
    texts = [vlc.vegalite_to_svg(json.dumps(specification(figure)), allowed_base_urls=[]) for figure in (path, ends)]
    assert "seed 2" in texts[1] and "the loss is not finite" in texts[1] and "not finite" not in texts[0]
    (panel,) = specification(path)["vconcat"][0]["concat"]
    assert panel["height"] / panel["width"] == pytest.approx(5 / 9, abs=0.01) and panel["width"] == 420


def test_a_grid_without_planes_says_so(tmp_path):
    directory = write_study(tmp_path, [Task("g", "t", seeds=2)], records=8)
    assert 'id="landscape"' not in write_report(directory).read_text()
    add_table(directory, MEASURE, pl.DataFrame(schema=MEASURE.columns))
    assert "No plane of this grid was measured." in write_report(directory).read_text()
