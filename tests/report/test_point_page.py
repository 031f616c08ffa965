"""The page of a point as its reader meets it, in a real Chromium, and the chart of learning coefficients."""

from __future__ import annotations

import dataclasses
import html
import math
import re

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from synthetic_study import Task, add_table, write_study

from allroads import Measurement, Network, Problem, random_plane
from allroads.errors import StoreError
from allroads.report import write_figures, write_report
from allroads.report.point import write_point_page
from allroads.report.point.page import render_point
from allroads.report.stored import read_stored
from allroads.status import LLCStatus
from allroads.studies.measures.llc import MEASURE
from made_up_inspection import made_up

ORIGIN = [("network", "<script>alert(1)</script>:make"), ("weights", "w.safetensors")]
SNIPPET = "from allroads import inspect_point, open_point\np = 1 < 2\nfound = inspect_point(p)"
CHARTS = {"chains": ["traces", "means"], "ladder": ["ladder-localisation", "ladder-nbeta"], "parts": ["parts"],
          "curvature": ["eigenvalues", "density"]}  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write_point_page(made_up(), tmp_path_factory.mktemp("point") / "deep" / "p.html", ORIGIN, SNIPPET)


def opened(browser, path, width):
    asked, complaints = [], []
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_function("document.documentElement.dataset.drawn === 'yes'", timeout=60_000)
    page.evaluate("allroads.drawAll().then(() => null)")
    return page, asked, complaints


@pytest.mark.parametrize("width", [1280, 390])
def test_every_chart_is_drawn_and_nothing_is_fetched(browser, page, width):
    shown, asked, complaints = opened(browser, page, width)
    drawn = shown.evaluate(
        """Object.fromEntries([...document.querySelectorAll(".chart")].map((c) => [c.id,
           c.querySelectorAll(":is(.mark-line, .mark-symbol, .mark-rect) path, .mark-rule line").length]))"""
    )
    assert set(drawn) == {
        f"chart-{chart}-{place}-{data}" for chart, datas in CHARTS.items() for place, data in enumerate(datas)
    }
    assert drawn["chart-chains-0-traces"] >= 8 and min(drawn.values()) >= 2
    assert drawn["chart-ladder-0-ladder-localisation"] >= 5 and drawn["chart-curvature-0-eigenvalues"] >= 4
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [page.as_uri()]
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert shown.inner_text("#verdict").startswith("The local learning coefficient here is 1.500 ± 0.050, converged")
    assert shown.inner_text(".code") == SNIPPET
    assert "<script>alert(1)</script>:make" in shown.inner_text("h1")
    assert shown.locator("#todo").count() == 0
    shown.close()


def test_burn_in_lies_before_zero_and_the_chains_are_those_measured(page):
    found = made_up()
    from allroads.report.point import chains

    (figure,) = chains.figures(found)
    traces, means = (panel.rows for panel in figure.panels)
    assert (traces["draw"].min(), traces["draw"].max()) == (-50, 198)
    assert traces["chain"].n_unique() == 8 and set(traces["group"]) == {"localisation loosened", "nβ raised"}
    one = traces.filter(chain=3, draw=0)["energy"].item()
    assert one == found.llc.stats["trace"][2, 0]
    last = means.filter(draw=means["draw"].max())
    half = found.llc.stats["trace"][:4, :200].mean()
    assert last.filter(group="localisation loosened")["mean"].item() == pytest.approx(half, rel=1e-9)


def test_the_chains_of_a_population_are_one_group():
    """Where all measured chains were cooled, none is shown as loosened, nor said to meet another group."""
    from allroads.report.point import chains

    found = made_up()
    value, stats = found.llc, dict(found.llc.stats) | {"population": True}
    found = dataclasses.replace(found, llc=Measurement(value.value, value.error, value.status, stats))
    (figure,) = chains.figures(found)
    assert all(set(panel.rows["group"]) == {"nβ raised"} for panel in figure.panels)
    assert "two groups" not in figure.caption


def test_the_density_counts_every_direction():
    from allroads.report.point import curvature

    (figure,) = curvature.figures(made_up(eigenvalues=np.array([-0.5, 0, 0, 0, 1e-9, 0.01, 2, 8.0])))
    density = figure.panels[1].rows
    assert density["directions"].sum() == pytest.approx(8)
    assert density.filter(pl.col("high") < -0.1)["directions"].sum() == pytest.approx(1)
    assert density.filter((pl.col("low") < 0.01) & (pl.col("high") > 0.01))["directions"].item() == pytest.approx(1)


@pytest.mark.parametrize(
    "found",
    [
        made_up(value=math.nan, error=math.inf, status=LLCStatus.DIVERGED),
        made_up(levels=0, chains=64, status=LLCStatus.NOT_EQUILIBRATED),
        made_up(eigenvalues=np.zeros(8), status=LLCStatus.PRIOR_DOMINATED),
    ],
)
def test_a_page_of_what_went_wrong_says_what_to_do(found, tmp_path):
    text = html.unescape(write_point_page(found, tmp_path / "p.html").read_text())
    assert 'id="todo"' in text
    assert found.llc.status.remedy in text and found.llc.status.causes in text
    assert "NaN" not in text.split('id="payload">')[1].split("</script>")[0]


def test_the_loss_around_the_point_is_drawn_where_it_was_measured(browser, page, tmp_path):
    """On the bowl x·w every loss of the plane is the mean of the squares of its point's three weights."""
    bowl = Network(lambda key: jnp.ones((3, 1)), lambda w, x: x @ w)
    problem = Problem(bowl, "mse", np.eye(3), np.zeros(3))
    plane = random_plane(problem, jnp.array([[1.0], [2.0], [3.0]]), points=9, seed=2)
    path = write_point_page(made_up(), tmp_path / "p.html", ORIGIN, SNIPPET, plane)
    shown, _, complaints = opened(browser, path, 390)
    assert complaints == [] and shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
    cells = shown.evaluate(
        """[...document.querySelectorAll("#around .mark-rect path")].map((p) => p.__data__.datum)
           .map((d) => [d.x, d.x2, d.y, d.y2, d.told])"""
    )
    assert len({told for *_, told in cells}) > 3
    bands = {told: [float(part) for part in re.findall(r"[\d.e+-]+", told)] for *_, told in cells}
    for x, y, loss in ((x, y, plane.losses[i, j]) for i, y in enumerate(plane.ys) for j, x in enumerate(plane.xs)):
        told = {told for left, right, low, high, told in cells if left < x < right and low < y < high}
        (band,) = told
        ends = bands[band]
        low, high = (0, ends[0]) if band[0] == "<" else (ends[0], np.inf) if band[0] == "≥" else ends
        assert low * (1 - 1e-4) <= loss <= high * (1 + 1e-4)
    assert shown.locator("#around .mark-symbol path").count() == 1
    assert "#around" not in page.read_text() and "few steep directions" in shown.inner_text("#around")
    shown.close()


def test_the_same_inspection_gives_the_same_page_and_no_half_of_one(page, tmp_path):
    assert render_point(made_up(), ORIGIN, SNIPPET) == page.read_text()
    with pytest.raises(StoreError, match="cannot be written"):
        write_point_page(made_up(), page / "p.html")


@pytest.fixture
def measured(tmp_path):
    """A study of three runs with coefficients: the second checkpoint sound, the first cut short, the third lost."""
    directory = write_study(tmp_path / "study", [Task("g", "t", seeds=3)], records=8)
    rows = [
        {
            "run": run,
            "step": step,
            "value": value,
            "error": 0.25,
            "status": status,
            "stage": step == 100,
            "ended": ended,
        }
        for run in read_stored(directory).runs["run"]
        for step, value, status, ended in (
            (0, -40.0, "not at a minimum", "budget"),
            (100, 3.0, "ok", "precision"),
            (5000, None, "diverged", None),
        )
    ]
    add_table(directory, MEASURE, pl.DataFrame(rows, schema=MEASURE.columns))
    return directory


def test_coefficients_stand_under_the_learning_curves(browser, measured):
    page = write_report(measured)
    text = page.read_text()
    assert text.index('id="learning"') < text.index('id="llc"') < text.index('id="roads"')
    assert "3 not at a minimum, 3 ok\n3 of 6 ended by the budget" in text
    for status in (LLCStatus.NOT_AT_MINIMUM, LLCStatus.DIVERGED, LLCStatus.OK):
        assert status.meaning in text
    shown, _, complaints = opened(browser, page, 1280)
    assert complaints == []
    fills = shown.evaluate(
        """[...document.querySelectorAll("#llc .mark-symbol path")].map((p) => [p.__data__.datum.status,
           p.getAttribute("fill")]).filter(([, fill]) => fill !== "none")"""
    )
    sound = [fill for status, fill in fills if status == "ok"]
    other = [fill for status, fill in fills if status != "ok"]
    assert sound.count("#009e73") == 3 and other == ["var(--paper)"] * 3  # a stage's ring lies under its dot
    assert shown.locator("#llc .mark-rule line").count() >= 3 + 1  # intervals, and zero
    told = shown.evaluate(
        """[...document.querySelectorAll("#llc .mark-symbol path")].map((p) => p.__data__.tooltip)
           .filter((t) => t?.["ended by"]).map((t) => [t["step"], t["λ̂"], t["±"], t["ended by"]])"""
    )
    assert {tuple(one) for one in told} == {("0", "−40", "0.25", "budget"), ("100", "3", "0.25", "precision")}
    run = read_stored(measured).runs["run"][0]
    shown.evaluate(f"allroads.choose('{run}')")
    assert shown.evaluate("allroads.charts.get('chart-llc-0-llc-0').view.signal('selected')") == run
    shown.close()
    files = [file.name for file in write_figures(measured, "svg")]
    assert "llc-g.svg" in files


def test_without_coefficients_there_is_no_such_section(tmp_path):
    directory = write_study(tmp_path, [Task("g", "t", seeds=2)], records=8)
    assert 'id="llc"' not in write_report(directory).read_text()


def test_a_damaged_table_of_coefficients_is_named(measured):
    path = measured / "tables" / "llc.parquet"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(StoreError, match=r"llc\.parquet cannot be read"):
        write_report(measured)
