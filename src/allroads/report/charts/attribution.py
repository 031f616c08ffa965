"""Which factor decides where runs end: shares of each response as bars with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report import words
from allroads.report.charts.figure import Drawing, Figure, Panel, Size, labelled_rows, number
from allroads.report.grids import Grid
from allroads.report.palette import AGREEMENT, INK, RULE
from allroads.report.section import Section
from allroads.report.stored import Stored

ROW = 24
"""Pixels of a bar."""
WORDS = {
    "train_loss": "log training loss",
    "held_out_loss": "log held-out loss",
    "train_accuracy": "training accuracy",
    "held_out_accuracy": "held-out accuracy",
    "function": "function reached",
}
SHARE = {"labels": "Shapley share of the information", None: "ω²"}


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """One figure per response, its terms from the largest to the smallest."""
    table = stored.tables["attribution"].filter(pl.col("grid") == grid.name)
    panels: dict[str, Panel] = {}
    for part in table.partition_by("response", maintain_order=True):
        rows = part.drop_nulls(["term", "value"]).sort("value", descending=True, maintain_order=True)
        if rows.is_empty():
            continue
        first = rows.row(0, named=True)
        order = rows["term"].to_list()
        shown = rows.select("term", "value", "low", "high", "null", "p", place=pl.int_range(pl.len()))
        low = min(0.0, number(rows.select(pl.min_horizontal("value", "low")).to_series().min()))
        draw = partial(draw_shares, order=order, domain=(low, 1.0))
        what = SHARE.get(first["kind"], SHARE[None])
        note = f"{what}; {first['cells']} cells × {first['seeds']} seeds"
        note += "" if first["status"] == "ok" else f"; {first['status']}"
        title = WORDS.get(first["response"], first["response"]).capitalize()
        key = f"attribution-{grid.slug}-{first['response']}"
        panels[first["response"]] = Panel(title, note, (), key, shown, draw, 30 + ROW * len(order))
    if not panels:
        return (Figure("attribution", (), "", absent="No response of this grid could be attributed to its factors."),)
    caption = (
        "Each bar is the share of what varies among the runs that goes with a factor or an interaction; one whose "
        "interval ends before that of another begins is clearly the smaller."
    )
    legend: list[dict[str, Any]] = [
        {"kind": "dot", "colour": AGREEMENT[3], "label": "share; the line is its 95 % interval"},
        {"kind": "dash", "colour": RULE, "label": "what chance reaches in 5 % of tables"},
    ]
    return tuple(
        Figure(f"attribution-{response}", (panel,), caption, legend=tuple(legend)) for response, panel in panels.items()
    )


def shortfalls(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """Responses that were not attributed, with the reason."""
    names = {grid.name for grid in grids}
    refused = stored.tables["attribution"].filter(pl.col("reason").is_not_null(), pl.col("grid").is_in(list(names)))
    return [
        words.sentence(f"{row['grid']}, attribution of {WORDS.get(row['response'], row['response'])}: {row['reason']}")
        for row in refused.to_dicts()
    ]


def draw_shares(data: alt.Data, size: Size, *, order: list[str], domain: tuple[float, float]) -> Drawing:
    """Draw one panel.

    Args:
        data: Rows with ``term``, ``place``, ``value``, ``low``, ``high``, ``null`` and ``p``.
        size: How large.
        order: The terms from top to bottom.
        domain: Of the horizontal axis.
    """
    scale = alt.Scale(domain=list(domain), clamp=True)
    axis = alt.Axis(title="share" if size.legend else None, format=".0%", tickCount=5, grid=True)
    at = alt.Chart(data).encode(
        y=labelled_rows(order, labelPadding=6),
        tooltip=[
            "term:N",
            alt.Tooltip("value:Q", title="share", format=".1%"),
            alt.Tooltip("low:Q", title="95 % interval, from", format=".1%"),
            alt.Tooltip("high:Q", title="to", format=".1%"),
            alt.Tooltip("null:Q", title="by chance, at most", format=".1%"),
            alt.Tooltip("p:Q", format=".2~g"),
        ],
    )
    x = alt.X("value:Q", scale=scale, axis=axis)
    return alt.layer(
        at.mark_bar(height=ROW - 10, color=AGREEMENT[3], opacity=0.85).encode(x=x),
        at.transform_filter("isValid(datum.low)")
        .mark_rule(color=INK, strokeWidth=1.6)
        .encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q"),
        at.transform_filter("isValid(datum.null)")
        .mark_tick(color=RULE, thickness=1.5, height=ROW - 4, strokeDash=[3, 2])
        .encode(x=alt.X("null:Q", scale=scale, axis=axis)),
    ).properties(width=size.width, height=max(size.height - 30, ROW * len(order)))


SECTION = Section(
    name="attribution",
    nav="Attribution",
    title="Which factor decides",
    link="shares of the factors",
    lead="Runs of one grid differ in their target, architecture and explorer, and in their seed. ω² is the share of "
    "the variance that goes with a factor alone or with two of them together. What is left over is the seed.",
    figures=figures,
    shortfalls=shortfalls,
    switch=tuple((f"attribution-{name}", word[0].upper() + word[1:]) for name, word in WORDS.items()),
)
