"""Groups of runs beside one another by their pairs: agreement and chance, barriers plain and with units matched."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report.charts.figure import Drawing, Figure, Panel, Size, labelled_rows, number
from allroads.report.charts.pair_table import group_pairs
from allroads.report.grids import Grid, full_labels
from allroads.report.palette import AGREEMENT, MUTED, RULE
from allroads.report.stored import Stored

ROW = 19
"""Pixels of a group."""

COLOURS = {"chance": RULE, "agreement": AGREEMENT[3], "barrier_train": "#9c6327", "aligned_train": "#d6a75c"}
"""Indigo is agreement and brown a barrier, as on the whole page; these two browns stand out in both schemes."""

KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "agreement": ("Same answer", {"chance": "agreement by chance", "agreement": "agreement"}),
    "barrier": (
        "Barrier of training loss",
        {"barrier_train": "barrier", "aligned_train": "barrier, hidden units matched"},
    ),
}
"""Title of each panel, and its columns with their words."""


def compare_groups(stored: Stored, grids: Sequence[Grid]) -> tuple[Figure, ...]:
    """One figure of the whole study, a line for each group."""
    labels = full_labels(grids)
    groups = [group for grid in grids for group in grid.groups]
    panels = []
    for kind, (title, columns) in KINDS.items():
        rows = [
            {"group": labels[group.index], "colour": COLOURS[column], "what": word, **_quarters(held)}
            for group in groups
            for column, word in columns.items()
            if not (held := group_pairs(stored, group)[column].drop_nulls()).is_empty()
        ]
        if not rows:
            continue
        order = list(dict.fromkeys(row["group"] for row in rows))
        rows = [{"place": order.index(row["group"]), **row} for row in rows]
        draw = partial(draw_compared, order=order, share=kind == "agreement")
        height = 40 + ROW * len(order)
        panels.append(Panel(title, "", (), f"compared-{kind}", pl.DataFrame(rows), draw, height))
    if not panels:
        return ()
    caption = (
        "Agreement that is no more than chance says nothing of what was learned. A barrier that vanishes once hidden "
        "units are matched came from the order of the units alone."
    )
    legend: list[dict[str, Any]] = [
        {"kind": "dot", "colour": COLOURS[column], "label": word}
        for _, columns in KINDS.values()
        for column, word in columns.items()
    ]
    legend.append({"kind": "words", "label": "dot: median over the pairs; bar: middle half"})
    return (Figure("compared", tuple(panels), caption, legend=tuple(legend)),)


def _quarters(values: pl.Series) -> dict[str, Any]:
    """Median and middle half, and how many there are; infinite ones count, and are not drawn."""
    low, middle, high = (number(values.quantile(q, "linear")) for q in (0.25, 0.5, 0.75))
    return {"low": low, "middle": middle, "high": high, "pairs": len(values)}


def draw_compared(data: alt.Data, size: Size, *, order: list[str], share: bool) -> Drawing:
    """Draw one panel.

    Args:
        data: Rows with ``group``, ``place``, ``what``, ``colour``, ``low``, ``middle``, ``high`` and ``pairs``.
        size: How large.
        order: The groups from top to bottom.
        share: Whether the numbers are shares from 0 to 1, and not losses.
    """
    scale = alt.Scale(domain=[0, 1]) if share else alt.Scale(zero=True)
    form = ".1%" if share else ".2~g"
    axis = alt.Axis(title=None, tickCount=5, format=".0%" if share else "~g", grid=True)
    y = labelled_rows(order, labelPadding=8)
    told: list[str | alt.Tooltip] = [
        "group:N",
        alt.Tooltip("what:N", title="which"),
        alt.Tooltip("middle:Q", title="median", format=form),
        alt.Tooltip("low:Q", title="middle half, from", format=form),
        alt.Tooltip("high:Q", title="to", format=form),
        "pairs:Q",
    ]
    at = alt.Chart(data).encode(y=y, tooltip=told)
    x = alt.X("middle:Q", scale=scale, axis=axis)
    colour = alt.Color("colour:N", scale=None)
    span = at.transform_aggregate(first="min(middle)", last="max(middle)", groupby=["group", "place"])
    return alt.layer(
        span.mark_rule(strokeWidth=1, color=MUTED, opacity=0.35).encode(
            x=alt.X("first:Q", scale=scale, axis=axis), x2="last:Q", tooltip=alt.value(None)
        ),
        at.mark_rule(strokeWidth=5, opacity=0.35).encode(
            x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", color=colour
        ),
        at.mark_point(filled=True, size=70, opacity=1, stroke="white", strokeWidth=0.8).encode(x=x, fill=colour),
    ).properties(width=size.width, height=size.height - 40)
