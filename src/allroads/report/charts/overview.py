"""One heat map of the whole study: a row for each group of runs, a column for each number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import altair as alt
import polars as pl

from allroads.report.charts.figure import Drawing, Figure, Panel, Size, labelled_rows
from allroads.report.grids import Grid, by_target, full_labels
from allroads.report.palette import INK
from allroads.report.section import Glance, Section
from allroads.report.stored import Stored

MOST = 60
"""Groups that have a row each; of more, those of one target share one."""

ROW = 22
"""Pixels of a group."""

HEAT, FAINT, DARK = "#3d5499", 0.05, 0.55
"""The colour of the largest number, its opacity at the smallest, and the shade from which numbers are white."""


def overview_section(sections: Sequence[Section]) -> Section:
    """The section of the heat map.

    Args:
        sections: Of the page; their glances are its columns.
    """
    glances = [glance for section in sections for glance in section.glances]
    return Section(
        name="overview",
        nav="Overview",
        title="All groups at a glance",
        link="overview",
        lead="A group is the runs that differ in their seed alone, or the runs of one target where those are too many; "
        "each number is its median, or its share of runs.",
        whole=partial(draw_overview, glances=glances),
    )


def draw_overview(stored: Stored, grids: Sequence[Grid], *, glances: Sequence[Glance]) -> tuple[Figure, ...]:
    """The heat map, without the columns that no group has."""
    if sum(len(grid.groups) for grid in grids) > MOST:
        grids = [by_target(grid) for grid in grids]
    labels = full_labels(grids)
    groups = [group for grid in grids for group in grid.groups]
    order = [labels[group.index] for group in groups]
    rows, columns = [], []
    for glance in glances:
        found = {labels[group.index]: glance.value(stored, group) for group in groups}
        known = {label: value for label, value in found.items() if value is not None and math.isfinite(value)}
        if not known:
            continue
        columns.append(glance.title)
        shades = shade(list(known.values()), glance.log)
        rows += [
            {
                "group": label,
                "place": order.index(label),
                "column": glance.title,
                "text": format(value, glance.form),
                "shade": dark,
            }
            for (label, value), dark in zip(known.items(), shades, strict=True)
        ]
    if not rows:
        return ()
    draw = partial(draw_heat, order=order, columns=columns)
    caption = (
        "The stronger a cell’s colour, the larger its number beside the others of its column; larger is not better."
    )
    panel = Panel("", "", (), "overview", pl.DataFrame(rows), draw, 44 + ROW * len(order))
    return (Figure("overview", (panel,), caption),)


def shade(values: Sequence[float], log: bool) -> list[float]:
    """Places of numbers between the smallest of them (0) and the largest (1); all 0 where they are one.

    Args:
        values: Finite numbers.
        log: Whether places go by the logarithm; what is not positive is then as the smallest that is.

    Example:
        >>> shade([1, 10, 100], log=True), shade([1, 3, 2], log=False), shade([5, 5], log=False)
        ([0.0, 0.5, 1.0], [0.0, 1.0, 0.5], [0.0, 0.0])
    """
    if log:
        least = min((value for value in values if value > 0), default=1.0)
        values = [math.log(max(value, least)) for value in values]
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]


def draw_heat(data: alt.Data, size: Size, *, order: list[str], columns: list[str]) -> Drawing:
    """Draw the heat map.

    Args:
        data: Rows with ``group``, ``place``, ``column``, ``text`` and ``shade``.
        size: How large.
        order: The groups from top to bottom.
        columns: From left to right.
    """
    head = alt.Axis(orient="top", title=None, labelAngle=0, ticks=False, domain=False, labelLimit=110, labelPadding=6)
    gap = alt.Scale(paddingInner=0.06)
    at = alt.Chart(data).encode(
        x=alt.X("column:N", sort=columns, scale=gap, axis=head),
        y=labelled_rows(order, scale=gap),
        tooltip=["group:N", alt.Tooltip("column:N", title="what"), alt.Tooltip("text:N", title="value")],
    )
    ramp = alt.Scale(domain=[0, 1], range=[FAINT, 1])
    ink = alt.when(f"datum.shade > {DARK}").then(alt.value("#fefefe")).otherwise(alt.value(INK))
    width = size.width if isinstance(size.width, str) else max(size.width, 64 * len(columns))
    return alt.layer(
        at.mark_rect(cornerRadius=2, color=HEAT).encode(opacity=alt.Opacity("shade:Q", scale=ramp, legend=None)),
        at.mark_text(fontSize=11).encode(text="text:N", color=ink),
    ).properties(width=width, height=size.height - 44)
