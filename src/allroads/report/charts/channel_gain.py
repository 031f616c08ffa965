"""Channel gains: the bits of search that runs save against blind draws, as dots with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report import words
from allroads.report.charts.figure import Drawing, Figure, Panel, Size, inline, labelled_rows, number
from allroads.report.grids import Grid
from allroads.report.palette import HELD_OUT, INK, MUTED, RULE
from allroads.report.section import Section
from allroads.report.stored import Stored

ROW = 20
"""Pixels of a setting."""
MOST = 48
"""Settings that are drawn, at most: as many of the largest gains as of the smallest."""
NAMES = ("target", "architecture", "explorer")
ARROW = {"lower bound": "triangle-right", "upper bound": "triangle-left"}
"""Where a bound points to: the true gain lies there."""


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """One panel: a row per setting, the largest gain first."""
    table = stored.tables["channel_gain"].filter(pl.col("grid") == grid.name)
    rows = table.filter(pl.col("gain").is_not_null()).sort("gain", descending=True, maintain_order=True)
    if rows.is_empty():
        absent = (
            "No setting of this grid has a channel gain: a draw or a run must fit, and runs must have been counted."
        )
        return (Figure("channel-gain", (), "", absent=absent),)
    left_out = max(rows.height - MOST, 0)
    shown = pl.concat([rows.head(MOST // 2), rows.tail(MOST // 2)]) if left_out else rows
    varied = [name for name in NAMES if table[name].n_unique() > 1] or ["target"]
    low, high = domain(rows)
    drawn = shown.select(
        "gain", "low", "high", "neutral", "gradient", "fitted", "runs", "draws_fitted", "draws", "status",
        label=pl.concat_str(varied, separator=" · "),
        place=pl.int_range(pl.len()),
        start=pl.col("low").fill_null(low),
        stop=pl.col("high").fill_null(high),
        bound=pl.col("status").is_in(list(ARROW)),
    )  # fmt: skip
    above, below = rows.filter(pl.col("low") > 0).height, rows.filter(pl.col("high") < 0).height
    note = f"{above} of {rows.height} clearly above 0, {below} clearly below"
    note += f"; {left_out} between the largest and the smallest are not drawn" if left_out else ""
    draw = partial(draw_gains, labels=drawn["label"].to_list(), ends=(low, high))
    key = f"channel-gain-{grid.slug}"
    panel = Panel("", note, (), key, drawn, draw, 40 + ROW * drawn.height)
    caption = (
        "Each row is a setting: right of 0 its runs fit the training data after less search than blind draws, and "
        "left of 0 after more; a line that crosses 0 shows neither."
    )
    legend: list[dict[str, Any]] = [
        {"kind": "dot", "colour": HELD_OUT, "label": "gain; the line is its 95 % interval"},
        {"kind": "words", "label": "triangle: a bound, the gain lies where it points"},
        {"kind": "dash", "colour": RULE, "label": "as much search as blind draws"},
    ]
    return (Figure("channel-gain", (panel,), caption, legend=tuple(legend)),)


def domain(rows: pl.DataFrame) -> tuple[float, float]:
    """Ends of the axis: 0, all gains and all finite ends of intervals, with a little room for what is open.

    Args:
        rows: With ``gain``, ``low`` and ``high``; a null end is open.

    Example:
        >>> domain(pl.DataFrame({"gain": [10.0], "low": [10.0], "high": [None]}))
        (-1.0, 11.0)
    """
    held = [0.0, *(value for name in ("gain", "low", "high") for value in rows[name].drop_nulls().to_list())]
    low, high = min(held), max(held)
    room = max((high - low) / 10, 0.5)
    return low - room, high + room


def shortfalls(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """Settings without a gain, with the reason."""
    names = [grid.name for grid in grids]
    none = stored.tables["channel_gain"].filter(pl.col("gain").is_null(), pl.col("grid").is_in(names))
    said = none.with_columns(why=pl.coalesce("reason", pl.format("The status is {}.", "status")))
    counts = said.group_by("grid", "why", maintain_order=True).len()
    return [
        words.sentence(f"{grid}: {count} {'setting has' if count == 1 else 'settings have'} no channel gain. {why}")
        for grid, why, count in counts.iter_rows()
    ]


def draw_gains(data: alt.Data, size: Size, *, labels: list[str], ends: tuple[float, float]) -> Drawing:
    """Draw the panel.

    Args:
        data: Rows with ``place``, ``label``, ``gain``, ``low``, ``high``, ``start``, ``stop``, ``bound`` and
            ``status``, and with the counts behind them.
        size: How large.
        labels: By place.
        ends: Of the horizontal axis.
    """
    scale = alt.Scale(domain=list(ends), nice=False)
    axis = alt.Axis(title="channel gain (bits)", tickCount=6, grid=True)
    at = alt.Chart(data).encode(
        y=labelled_rows(labels, labelPadding=6),
        tooltip=[
            alt.Tooltip("label:N", title="setting"),
            alt.Tooltip("gain:Q", title="gain or bound (bits)", format=".3~g"),
            alt.Tooltip("low:Q", title="95 % interval, from", format=".3~g"),
            alt.Tooltip("high:Q", title="to", format=".3~g"),
            alt.Tooltip("neutral:Q", title="log₂ cost of blind draws", format=".3~g"),
            alt.Tooltip("gradient:Q", title="log₂ cost of the runs", format=".3~g"),
            alt.Tooltip("fitted:Q", title="runs that fit"),
            alt.Tooltip("runs:Q", title="of"),
            alt.Tooltip("draws_fitted:Q", title="draws that fit", format=",d"),
            alt.Tooltip("draws:Q", title="of", format=",d"),
            "status:N",
        ],
    )
    x = alt.X("gain:Q", scale=scale, axis=axis)
    zero = alt.Chart(inline({"at": 0.0})).mark_rule(color=RULE, strokeDash=[4, 3], strokeWidth=1.5)
    marks: dict[str, Any] = {"fill": HELD_OUT, "stroke": INK, "strokeWidth": 0.6, "opacity": 1}
    layers = [
        zero.encode(x=alt.X("at:Q", scale=scale, axis=axis)),
        at.mark_rule(color=MUTED, strokeWidth=1.6).encode(x=alt.X("start:Q", scale=scale, axis=axis), x2="stop:Q"),
        at.transform_filter("!datum.bound").mark_point(size=60, **marks).encode(x=x),
    ]
    layers += [
        at.transform_filter(alt.datum.status == status).mark_point(shape=shape, size=90, **marks).encode(x=x)
        for status, shape in ARROW.items()
    ]
    height = max(size.height - 40, ROW * len(labels))
    return alt.layer(*layers).properties(width=size.width, height=number(height))


SECTION = Section(
    name="channel_gain",
    nav="Gain",
    title="The search of runs and of blind draws",
    link="channel gains",
    lead="A blind search draws networks from the initialisation until one fits the training data. The channel gain is "
    "log₂ of its expected cost minus log₂ of the cost of the runs, in forward passes. One bit is a factor of 2.",
    figures=figures,
    shortfalls=shortfalls,
)
