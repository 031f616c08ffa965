"""The map of roads: which stretches are drawn solid, where its ticks stand, and studies that have neither."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from synthetic_study import Task, write_study

from allroads.report import write_figures, write_report
from allroads.report.charts import roads
from allroads.report.grids import read_grids
from allroads.report.stored import read_stored


def points(certified, joints=(), x=None, y=None):
    """One run by record; ``certified`` of the stretches."""
    count = len(certified) + 1
    return pl.DataFrame(
        {
            "run": ["a"] * count,
            "point": ["run"] * (count - 1) + ["end"],
            "step": list(range(count)),
            "x": [float(n) for n in range(count)] if x is None else x,
            "y": [0.0] * count if y is None else y,
            "certified": [None, *certified],
            "joint": [n in joints for n in range(count)],
        }
    )


def drawn(rows):
    """Steps of each piece, solid ones first."""
    pieces = {
        (row["piece"], row["certified"]): rows.filter(piece=row["piece"])["step"].to_list()
        for row in rows.iter_rows(named=True)
    }
    return [steps for (_, solid), steps in pieces.items() if solid], [
        s for (_, solid), s in pieces.items() if not solid
    ]


def test_pieces_meet_at_records_and_cover_every_stretch_once():
    rows = roads.in_pieces(points([True, True, False, True, False]))
    assert drawn(rows) == ([[0, 1, 2], [3, 4]], [[2, 3], [4, 5]])
    assert rows.filter(mark="seam")["step"].to_list() == [2, 2, 3, 3, 4, 4]  # kept where a page is thinned
    assert rows.filter(point="end")["step"].to_list() == [5]
    for flags in np.random.default_rng(0).random((20, 9)) < 0.5:
        solid, dashed = drawn(roads.in_pieces(points(flags.tolist())))
        for pieces, wanted in ((solid, flags), (dashed, ~flags)):
            ends = sorted(end for steps in pieces for end in steps[1:])
            assert ends == (np.flatnonzero(wanted) + 1).tolist()


def test_runs_are_cut_by_themselves():
    both = pl.concat([points([True, True]), points([False, True]).with_columns(run=pl.lit("b"))])
    rows = roads.in_pieces(both)
    assert drawn(rows.filter(run="a")) == ([[0, 1, 2]], [])
    assert drawn(rows.filter(run="b")) == ([[1, 2]], [[0, 1]])


def test_a_tick_stands_across_its_road():
    """On a circle the road is at a right angle to the radius: the tick, turned clockwise, lies along it."""
    angle = np.linspace(0, 1.5, 7)
    circle = points([True] * 6, joints=(3,), x=np.cos(angle).tolist(), y=np.sin(angle).tolist())
    (tick,) = roads.in_pieces(circle).filter(mark="joint").to_dicts()
    turned = np.radians(tick["across"])
    along = np.array([np.cos(turned), -np.sin(turned)])
    assert tick["step"] == 3 and abs(along @ [np.cos(0.75), np.sin(0.75)]) == pytest.approx(1)


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path, [Task("g", "t", seeds=3)], records=8)


def figure(directory):
    stored = read_stored(directory)
    (grid,) = read_grids(stored)
    return stored, roads.figures(stored, grid)[0]


def change(directory, name, **columns):
    path = directory / "tables" / f"{name}.parquet"
    pl.read_parquet(path).with_columns(**columns).write_parquet(path)


def test_ticks_and_solid_stretches_are_those_that_were_stored(study):
    stored, found = figure(study)
    rows = found.panels[0].rows
    assert (
        rows.filter(mark="joint").select("run", "step").rows()
        == stored.curves.filter("joint").select("run", "step").rows()
    )
    for run in stored.runs["run"]:
        solid, _ = drawn(rows.filter(run=run, point="run").vstack(rows.filter(run=run, point="end")))
        wanted = stored.curves.filter(pl.col("certified"), run=run)["step"].to_list()
        assert sorted(end for steps in solid for end in steps[1:]) == wanted
    assert [entry["kind"] for entry in found.legend] == ["start", "truth", "line", "dash"]
    assert "must fall" in found.caption and found.panels[0].note.endswith("% certified, 2 stages\n76% of stress kept")


def test_a_stretch_over_skipped_records_is_solid_only_where_all_of_it_is(study):
    """The picture holds fewer records than the curves: a tick moves on to the next that it holds."""
    steps = read_stored(study).curves["step"].unique().sort().to_list()
    change(study, "curves", certified=pl.col("step") != steps[4], joint=pl.col("step") == steps[3])
    path = study / "tables" / "embedding.parquet"
    held = [steps[n] for n in (0, 2, 5, 6, 7)]
    pl.read_parquet(path).filter(pl.col("step").is_in(held) | (pl.col("point") != "run")).write_parquet(path)
    rows = figure(study)[1].panels[0].rows
    for run in rows["run"].drop_nulls().unique():
        solid, dashed = drawn(rows.filter(run=run))
        assert dashed == [[steps[2], steps[5]]] and solid == [[steps[0], steps[2]], [steps[5], steps[6], steps[7]]]
        assert rows.filter(run=run, mark="joint")["step"].to_list() == [steps[5]]


def test_a_study_that_does_not_look_for_stretches_gives_its_page(study):
    change(study, "runs", **{name: pl.lit(None) for name in ("certified_share", "certified_status", "stages")})
    change(study, "curves", certified=pl.lit(None), joint=pl.lit(None))
    stored, found = figure(study)
    assert stored.runs["stages"].null_count() == 3 and stored.curves["certified"].null_count() == stored.curves.height
    assert [entry["kind"] for entry in found.legend] == ["start", "truth"] and "must fall" not in found.caption
    assert found.panels[0].note == "76% of stress kept" and found.panels[0].rows["certified"].all()
    page = write_report(study).read_text(encoding="utf-8")
    assert 'data-key="stages"' not in page and 'data-key="directness"' in page


def test_a_run_from_before_among_others_is_dashed(study):
    old = read_stored(study).runs["run"][0]
    change(study, "runs", certified_share=pl.when(pl.col("run") != old).then("certified_share"))
    change(study, "curves", certified=pl.when(pl.col("run") != old).then("certified"))
    rows = figure(study)[1].panels[0].rows
    assert not rows.filter(run=old)["certified"].any() and rows.filter(pl.col("run") != old)["certified"].any()


def test_where_nothing_can_be_certified_the_caption_says_so(study):
    change(study, "runs", certified_share=pl.lit(None), certified_status=pl.lit("not applicable"))
    change(study, "curves", certified=pl.lit(None))
    found = figure(study)[1]
    assert "no stretch can be certified" in found.caption
    assert [entry["kind"] for entry in found.legend] == ["start", "truth"]


def roads_picture(study) -> str:
    (picture,) = [path for path in write_figures(study, "svg") if path.name.startswith("roads")]
    return picture.read_text(encoding="utf-8")


def test_a_figure_for_a_paper_dashes_what_is_not_certified(study):
    text = roads_picture(study)
    assert text.count('stroke-dasharray="3,2.5"') >= 1 and "certified, 2 stages" in text
    change(study, "curves", certified=pl.col("certified") | True)
    assert 'stroke-dasharray="3,2.5"' not in roads_picture(study)
