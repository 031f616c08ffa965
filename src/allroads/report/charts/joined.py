"""The joined table: rank correlations of the quantities of a run, as heat maps in one order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from allroads.report import words
from allroads.report.charts.figure import Drawing, Figure, Panel, Size, labelled_rows
from allroads.report.cluster import cluster_order
from allroads.report.grids import Grid
from allroads.report.palette import CORRELATION
from allroads.report.section import Section
from allroads.report.stored import Stored

CLEAR = 0.05
"""Corrected p-value up to which a correlation is called clear."""
DARK = 0.7
"""Absolute correlation from which on the number in a cell is pale."""
ROW = 34
"""Pixels of a quantity."""


def figures(stored: Stored, grids: Sequence[Grid]) -> tuple[Figure, ...]:
    """Given the others as one large panel, then given the covariates and plain, all in the order of the first."""
    table = stored.tables["joined"].drop_nulls(["a", "b"])
    panels = []
    order: list[str] = []
    for kind in ("others", "given", "rank"):
        rows = table.filter(pl.col("kind") == kind)
        if rows.is_empty():
            continue
        order = order or _order(rows)
        cells = _cells(rows, order)
        draw = partial(draw_correlations, order=[title(name) for name in order])
        first = rows.row(0, named=True)
        note = f"{first['runs']} runs; intervals from {first['units']} {first['draws']}"
        heading = {"others": "Given all other quantities", "rank": "Rank correlation, nothing held fixed"}
        named = heading.get(kind) or f"Given {words.listed([title(name) for name in first['given']])}"
        panels.append(Panel(named, note, (), f"joined-{kind}", cells, draw, 70 + ROW * len(order)))
    if not panels:
        return ()
    caption = (
        "Indigo: over the runs, two quantities rise together; brown: one falls where the other rises. A ring marks "
        f"pairs that are clear at {CLEAR:.0%}, corrected for their number; none of them says what causes what."
    )
    ramp = {"kind": "ramp", "colours": CORRELATION, "label": "rank correlation", "low": "−1", "high": "+1"}
    legend = (ramp, {"kind": "start", "label": "clear"})
    rest = (Figure("joined-others", tuple(panels[1:]), OTHERS),) if panels[1:] else ()
    return (Figure("joined", (panels[0],), caption, legend=legend), *rest)


OTHERS = "The same pairs with less held fixed: what is clear here and not above may go by way of the other quantities."


def _order(rows: pl.DataFrame) -> list[str]:
    """The quantities, those that are correlated side by side."""
    names = list(dict.fromkeys([*rows["a"], *rows["b"]]))
    distances = np.full((len(names), len(names)), np.nan)
    for a, b, value in rows.select("a", "b", "value").iter_rows():
        far = np.nan if value is None else 1 - abs(value)
        distances[names.index(a), names.index(b)] = distances[names.index(b), names.index(a)] = far
    return [names[place] for place in cluster_order(distances)]


def _cells(rows: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """Each pair once, below the diagonal."""
    place = {name: at for at, name in enumerate(order)}
    cells = []
    for row in rows.drop_nulls("value").to_dicts():
        across, down = sorted((row["a"], row["b"]), key=place.__getitem__)
        cells.append(
            {
                "row": title(down),
                "column": title(across),
                "place": place[down],
                "across": place[across],
                "value": row["value"],
                "text": f"{row['value']:+.2f}".replace("-", "−"),
                "low": row["low"],
                "high": row["high"],
                "adjusted": row["adjusted"],
                "clear": row["adjusted"] is not None and row["adjusted"] <= CLEAR,
            }
        )
    numbers = dict.fromkeys(("value", "low", "high", "adjusted"), pl.Float64)
    return pl.DataFrame(cells, schema_overrides=numbers)


def title(name: str) -> str:
    """A quantity in words.

    Example:
        >>> title("held_out_loss")
        'held-out loss'
    """
    return name.replace("held_out", "held-out").replace("_", " ")


def shortfalls(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """Why there are no correlations, and which quantities are constant."""
    found = []
    for row in stored.tables["joined"].head(1).to_dicts():
        if row["reason"]:
            found.append(words.sentence(f"The joined table has no correlations: {row['reason']}"))
        if row["constant"]:
            names = words.listed([title(name) for name in row["constant"]])
            verb = "has" if len(row["constant"]) == 1 else "have"
            found.append(words.sentence(f"{names.capitalize()} {verb} one value over all runs of the joined table."))
    return found


def draw_correlations(data: alt.Data, size: Size, *, order: list[str]) -> Drawing:
    """Draw one heat map.

    Args:
        data: Rows with ``row``, ``column``, ``place``, ``across``, ``value``, ``text``, ``low``, ``high``,
            ``adjusted`` and ``clear``.
        size: How large.
        order: The quantities, from top to bottom and from left to right.
    """
    gap = alt.Scale(paddingInner=0.06, domain=list(range(len(order) - 1)))
    head = alt.Axis(title=None, ticks=False, domain=False, labelAngle=-40, labelLimit=150, labelExpr=_names(order))
    down = alt.Scale(paddingInner=0.06, domain=list(range(1, len(order))))
    at = alt.Chart(data).encode(
        x=alt.X("across:O", scale=gap, axis=head),
        y=labelled_rows(order, scale=down, labelPadding=6),
        tooltip=[
            alt.Tooltip("row:N", title="quantity"),
            alt.Tooltip("column:N", title="and"),
            alt.Tooltip("text:N", title="rank correlation"),
            alt.Tooltip("low:Q", title="95 % interval, from", format="+.2f"),
            alt.Tooltip("high:Q", title="to", format="+.2f"),
            alt.Tooltip("adjusted:Q", title="p, corrected", format=".2~g"),
        ],
    )
    scale = alt.Scale(domain=[-1, -0.5, 0, 0.5, 1], range=list(CORRELATION), clamp=True, interpolate="rgb")
    ink = alt.when(f"abs(datum.value) > {DARK}").then(alt.value("#fefefe")).otherwise(alt.value("#1d2128"))
    return alt.layer(
        at.mark_rect(cornerRadius=2).encode(color=alt.Color("value:Q", scale=scale, legend=None)),
        at.transform_filter("datum.clear").mark_point(
            shape="circle", size=30, yOffset=-10, fill="#fefefe", stroke="#1d2128", strokeWidth=1.2, opacity=1
        ),
        at.mark_text(fontSize=11, yOffset=4).encode(text="text:N", color=ink),
    ).properties(width=size.width, height=max(size.height - 70, 20 * len(order)))


def _names(order: Sequence[str]) -> str:
    """An expression that looks a label up by its place; see :func:`labelled_rows`."""
    return f"{json.dumps([f'{name} ' for name in order])}[datum.value]"


SECTION = Section(
    name="joined",
    nav="Together",
    title="What goes together over all runs",
    link="joined table",
    lead="Every run has many numbers, such as the length of its program, its learning coefficient and its held-out "
    "loss. A partial correlation asks whether two of them go together among runs that are alike in all the others.",
    whole=figures,
    shortfalls=shortfalls,
)
