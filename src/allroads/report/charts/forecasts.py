"""Steps that the map at the start predicted, against those that the runs took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report import words
from allroads.report.charts.figure import (
    CHOSEN,
    Drawing,
    Figure,
    Panel,
    Size,
    fade,
    group_scale,
    inline,
    number,
    step_axis,
)
from allroads.report.grids import Grid, Group
from allroads.report.palette import INK, MARKS, MUTED, RULE
from allroads.report.section import Section
from allroads.report.stored import Stored

OWN_SCALES = ("fill", "stroke", "shape")
ROOM = 1.2  # the axes end at this multiple of the largest number on them
FARTHEST = 100  # of the longest run, beyond which a prediction is drawn at the edge
ENOUGH = 3  # targets, for a rank correlation to be printed


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """One panel for each architecture and explorer, one dot a run."""
    rows = _rows(stored.tables["forecasts"], grid)
    if rows.is_empty():
        return (Figure("forecasts", (), "", absent="No run of this grid has a prediction to be held against."),)
    drawn = [group for group in grid.groups if group.label in set(rows["group"])]
    first, end = _ends(rows)
    panels = []
    for place, (names, part) in enumerate(rows.group_by("architecture", "explorer", maintain_order=True)):
        groups = tuple(group for group in drawn if group.label in set(part["group"]))
        draw = partial(draw_forecasts, groups=groups, first=first, end=end, budget=grid.last_step)
        key = f"forecasts-{grid.slug}-{place}"
        data = grid.singles(part.drop("target", "architecture", "explorer", "within"))
        panels.append(Panel(" · ".join(names), _note(part), (), key, data, draw, height=320, ratio=1.0))
    caption = (
        "Dots on the dashed diagonal took as many steps as was predicted before they began; below it they took longer, "
        "above it they were faster. The bar is the interval in which nine of ten runs should lie."
    )
    legend = _legend(drawn, rows)
    return (Figure("forecasts", tuple(panels), caption, legend=legend, own_scales=OWN_SCALES),)


def _rows(forecasts: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    """A row a run that has a prediction; a run that did not reach the goal stands at the budget."""
    held = grid.runs.select("run", "name", "group").join(forecasts, on="run", maintain_order="left")
    held = held.drop_nulls(["predicted", "budget"]).with_columns(
        learned=pl.col("actual").is_not_null(),
        actual=pl.col("actual").fill_null(pl.col("budget").cast(pl.Float64)),
    )
    middle = pl.col("actual").rank("ordinal").over("group") == (pl.len().over("group") + 1) // 2
    columns = ("run", "name", "group", "target", "architecture", "explorer", "learned", "actual", "within")
    colours = pl.col("group").replace_strict({group.label: group.colour for group in grid.groups})
    return held.select(*columns, "predicted", "low", "high", "probability", middle=middle, colour=colours)


def shortfalls(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """Targets without a prediction: one sentence per grid, architecture, explorer and reason."""
    absent = stored.tables["forecasts"].filter(pl.col("predicted").is_null())
    parts = absent.group_by("grid", "architecture", "explorer", "status", "reason", maintain_order=True)
    return [
        words.sentence(
            f"No steps were predicted for {words.listed(table['target'].unique(maintain_order=True).to_list())} "
            f"({architecture}, {explorer}, {grid}), {status}: {reason}."
        )
        for (grid, architecture, explorer, status, reason), table in parts
    ]


def _ends(rows: pl.DataFrame) -> tuple[int, float]:
    """Where both axes begin and end: all actual steps, and of the predictions what does not lie too far out."""
    actual = rows["actual"]
    least = min(number(column.min()) for column in (actual, rows["low"]))
    decade = 10 ** math.floor(math.log10(max(least, 1)))
    first = max((fold * decade for fold in (1, 2, 5) if fold * decade <= least), default=0)
    most = number(actual.max())
    return first, ROOM * max(most, min(number(rows["high"].max()), FARTHEST * most), 1.0)


def _note(rows: pl.DataFrame) -> str:
    """How far the predictions held."""
    said = []
    correlation = rows.select(pl.corr(pl.col("predicted").rank(), pl.col("actual").rank())).item()
    if rows["target"].n_unique() >= ENOUGH and correlation is not None and math.isfinite(correlation):
        said.append(f"rank correlation {correlation:+.2f}".replace("-", "−"))
    within = rows["within"].drop_nulls()
    if len(within):
        said.append(f"{number(within.mean()):.0%} of {len(within)} runs in their interval")
    return "\n".join(said)


def _legend(groups: list[Group], rows: pl.DataFrame) -> tuple[dict[str, Any], ...]:
    legend: tuple[dict[str, Any], ...] = tuple({"kind": "mark", "group": g, "label": g.label} for g in groups)
    if len(legend) > MARKS:
        legend = ({"kind": "words", "label": "point at a dot for its name: there are more groups than marks"},)
    if not rows["learned"].all():
        legend += ({"kind": "hollow", "label": "hollow, at the budget: not learned within it"},)
    return (
        *legend,
        {"kind": "line", "colour": RULE, "label": "predicted 90 % interval"},
        {"kind": "dash", "colour": RULE, "label": "as predicted"},
    )


def draw_forecasts(
    data: alt.Data, size: Size, *, groups: tuple[Group, ...], first: int, end: float, budget: int
) -> Drawing:
    """Draw one panel.

    Args:
        data: Rows with ``run``, ``name``, ``group``, ``learned``, ``actual``, ``predicted``, ``low``, ``high``,
            ``probability``, ``middle`` (whether it carries its group's bar while no run is chosen) and ``colour``.
        size: How large.
        groups: The groups of runs in it.
        first: Where both axes begin.
        end: Where both axes end.
        budget: Steps that a run could take; marked where the axis reaches so far.
    """
    axes = [step_axis(first, end, end, f"{which} steps") for which in ("actual", "predicted")]
    for axis in axes:
        axis["scale"].clamp = True
    x, y = axes
    colours = group_scale(groups, [group.colour for group in groups])
    shapes = group_scale(groups, [group.shape for group in groups])
    legend = alt.Legend(title=None, orient="bottom", columns=2, symbolOpacity=1) if size.legend else None
    diagonal = alt.Chart(inline({"x": first, "y": first}, {"x": end, "y": end}))
    fence = alt.Chart(inline(*([{"x": budget, "label": "budget"}] if budget <= end else [])))
    at = alt.Chart(data).encode(x=alt.X("actual:Q", **x))
    shown = alt.when(CHOSEN).then(alt.value(1)).when("selected === '' && datum.middle").then(alt.value(0.55))
    dots = at.encode(
        y=alt.Y("predicted:Q", **y),
        fill=alt.Fill("group:N", scale=colours, legend=legend),
        stroke=alt.Stroke("group:N", scale=colours, legend=legend),
        shape=alt.Shape("group:N", scale=shapes, legend=legend),
        tooltip=[
            "name:N",
            alt.Tooltip("predicted:Q", format=",.0f"),
            alt.Tooltip("low:Q", title="from", format=",.0f"),
            alt.Tooltip("high:Q", title="to", format=",.0f"),
            alt.Tooltip("probability:Q", title="chance within the budget", format=".0%"),
        ],
    )
    solid = alt.when("datum.learned").then(alt.value(0.75)).otherwise(alt.value(0))
    return alt.layer(
        diagonal.mark_line(color=RULE, strokeDash=[4, 3], strokeWidth=1).encode(
            x=alt.X("x:Q", **x), y=alt.Y("y:Q", **y)
        ),
        fence.mark_rule(color=RULE, strokeWidth=0.6).encode(x=alt.X("x:Q", **x)),
        fence.mark_text(align="right", dx=-4, dy=-4, baseline="bottom", color=MUTED, fontSize=11).encode(
            x=alt.X("x:Q", **x), y=alt.value("height"), text="label:N"
        ),
        at.mark_rule(strokeWidth=1.6).encode(
            y=alt.Y("low:Q", **y),
            y2="high:Q",
            color=alt.Color("colour:N", scale=None),
            opacity=shown.when("datum.middle").then(alt.value(0.12)).otherwise(alt.value(0)),
        ),
        dots.mark_point(size=56, strokeWidth=1.4, cursor="pointer").encode(opacity=fade(1, 0.2), fillOpacity=solid),
        dots.transform_filter(CHOSEN).mark_point(size=170, strokeWidth=2, opacity=1).encode(stroke=alt.value(INK)),
    ).properties(width=size.width, height=size.height)


SECTION = Section(
    name="forecasts",
    nav="Forecasts",
    title="Predicted and actual steps",
    link="predicted and actual steps",
    lead="Before a run begins, the network at its start already says how it will answer to training: which parts of a "
    "target it can learn quickly and which slowly. From that, the steps until the training loss is a tenth of what the "
    "best constant answer leaves were predicted, and here they meet the steps that the runs took.",
    figures=figures,
    shortfalls=shortfalls,
)
