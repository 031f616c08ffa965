"""Predicted against actual steps: where dots stand, what is said of them, and pages that have none."""

from __future__ import annotations

from functools import partial

import altair as alt
import numpy as np
import polars as pl
import pytest
from synthetic_study import Task, add_table, write_study

from allroads.report import write_figures, write_report
from allroads.report.charts import forecasts
from allroads.report.charts.figure import Size
from allroads.report.grids import read_grids
from allroads.report.stored import read_stored
from allroads.studies.measures.forecasts import MEASURE

BUDGET = 3000
ACTUAL = {"and": (10.0, 20.0, 30.0), "xor": (100.0, 200.0, 300.0), "parity": (None, 2000.0, None)}
PREDICTED = {"and": 20.0, "xor": 900.0, "parity": 2500.0}


def add_forecasts(directory, **columns):
    """Predictions three times too low and too high at the ends of their intervals."""
    runs = pl.read_parquet(directory / "tables/runs.parquet")
    rows = []
    for row in runs.select("grid", "target", "architecture", "explorer", "run", "seed").iter_rows(named=True):
        seed, guess = row.pop("seed"), PREDICTED[row["target"]]
        actual, low, high = ACTUAL[row["target"]][seed], guess / 3, 3 * guess
        inside = low <= actual <= high if actual is not None else high >= BUDGET
        numbers = {"predicted": guess, "low": low, "high": high, "probability": 0.5, "budget": BUDGET}
        rows.append({**row, **numbers, "actual": actual, "within": inside, "status": "ok", "reason": ""})
    table = pl.DataFrame(rows, schema=MEASURE.columns).with_columns(**columns)
    add_table(directory, MEASURE, table.cast(MEASURE.columns))
    return directory


def tasks(*architectures):
    return [Task("g", target, seeds=3, steps=BUDGET, architectures=architectures or ("mlp",)) for target in ACTUAL]


@pytest.fixture
def study(tmp_path):
    return add_forecasts(write_study(tmp_path, tasks(), records=8))


def figure(directory):
    stored = read_stored(directory)
    (grid,) = read_grids(stored)
    return forecasts.figures(stored, grid)[0]


def test_dots_stand_where_their_runs_ended_and_the_note_says_how_they_did(study):
    found = figure(study)
    (panel,) = found.panels
    assert panel.title == "mlp · adam" and panel.ratio == 1
    rows = panel.rows
    never = rows.filter(~pl.col("learned"))
    assert never["actual"].to_list() == [BUDGET, BUDGET] and set(never["group"]) == {"parity"}
    assert rows.group_by("group").agg(pl.col("middle").sum())["middle"].to_list() == [1, 1, 1]
    assert rows.filter("middle", group="xor")["actual"].to_list() == [200]
    # By hand: ranks of the predictions 2, 5, 8 thrice each, of the steps 1 … 7 and twice 8.5.
    ranks = [2] * 3 + [5] * 3 + [8] * 3, [1, 2, 3, 4, 5, 6, 7, 8.5, 8.5]
    wanted = np.corrcoef(*ranks)[0, 1]
    assert panel.note == f"rank correlation +{wanted:.2f}\n78% of 9 runs in their interval"
    assert [entry["kind"] for entry in found.legend] == ["mark"] * 3 + ["hollow", "line", "dash"]


def test_each_architecture_has_its_panel_and_few_targets_no_correlation(tmp_path):
    directory = add_forecasts(write_study(tmp_path, tasks("deep", "wide")[:2], records=8))
    panels = figure(directory).panels
    assert [panel.title for panel in panels] == ["deep · adam", "wide · adam"]
    assert all("correlation" not in panel.note and "of 6 runs" in panel.note for panel in panels)
    assert [set(panel.rows["group"]) for panel in panels] == [
        {f"and · {name}", f"xor · {name}"} for name in ("deep", "wide")
    ]
    assert "hollow" not in [entry["kind"] for entry in figure(directory).legend]


def drawn(panel, **changed):
    """A panel's drawing as text."""
    draw = partial(panel.draw.func, **panel.draw.keywords | changed)
    return str(draw(alt.NamedData("rows"), Size(300, 300, legend=True)).to_dict())


def test_axes_hold_the_intervals_but_not_what_is_absurd(study):
    rows = figure(study).panels[0].rows
    first, end = forecasts._ends(rows)
    assert first == 5 and 7500 < end < 10_000  # from 20 / 3 to 3 · 2500
    texts = [drawn(figure(study).panels[0], end=end) for end in (end, BUDGET / 2)]
    assert ["'label': 'budget'" in text for text in texts] == [
        True,
        False,
    ]  # a clamped rule would stand at the wrong step
    absurd = rows.with_columns(low=pl.lit(0.2), high=pl.lit(1e12))
    first, end = forecasts._ends(absurd)
    assert first == 0 and end == pytest.approx(forecasts.ROOM * forecasts.FARTHEST * BUDGET)


@pytest.mark.slow
def test_the_page_and_the_figures_have_the_chart(study):
    page = write_report(study).read_text(encoding="utf-8")
    assert 'id="forecasts-g"' in page and 'href="#forecasts"' in page
    label = "Forecasts of mlp · adam. rank correlation"
    assert f'aria-label="{label}' in page
    (picture,) = [path for path in write_figures(study, "svg") if path.name == "forecasts-g.svg"]
    text = picture.read_text(encoding="utf-8")
    assert all(said in text for said in ("predicted steps", "actual steps", "budget", "parity", "in their interval"))


def test_a_study_without_predictions_shows_nothing_of_them(tmp_path):
    directory = write_study(tmp_path, tasks()[:1], records=8)
    page = write_report(directory).read_text(encoding="utf-8")
    assert "orecasts" not in page.partition('<script type="application/json"')[0].partition("<body>")[2]
    assert not [path for path in write_figures(directory, "svg") if "forecast" in path.name]
    assert "forecasts" not in read_stored(directory).tables


def test_what_was_not_predicted_is_said_once_with_its_reason(study):
    none = pl.when(pl.col("target") == "and").then(None)
    refused = pl.when(pl.col("target") == "and").then(pl.lit("not applicable")).otherwise(pl.lit("ok"))
    columns = {name: none.otherwise(pl.col(name)) for name in ("predicted", "low", "high", "actual", "within")}
    add_forecasts(study, **columns, status=refused, reason=pl.lit("it <samples>"))
    (said,) = forecasts.shortfalls(read_stored(study), ())
    assert said["text"] == "No steps were predicted for and (mlp, adam, g), not applicable: it <samples>."
    assert set(figure(study).panels[0].rows["group"]) == {"xor", "parity"}
    assert "it &lt;samples&gt;" in write_report(study).read_text(encoding="utf-8")
    add_forecasts(study, predicted=pl.lit(None))
    found = figure(study)
    assert found.panels == () and "No run" in found.absent


def test_a_dot_chooses_its_run(study, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(write_report(study).as_uri())
    page.wait_for_function("document.documentElement.dataset.drawn === 'yes'", timeout=60_000)
    page.evaluate("allroads.drawAll().then(() => null)")
    dots = page.locator("#forecasts .mark-symbol path")
    assert dots.count() == 9
    dot = dots.first
    dot.scroll_into_view_if_needed()
    dot.click(force=True)
    run = dot.evaluate("path => path.__data__.datum.run")
    rows = 'tbody tr[aria-selected="true"]'
    assert run and page.eval_on_selector_all(rows, "found => found.map(row => row.dataset.run)") == [run]
    page.close()
    assert complaints == []
