"""The merge tree of a grid's programs, as far as passes between them are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from allroads.atlases.passes.merge_tree import merge_tree
from allroads.plots.atlas_map import shortened
from allroads.report.atlas.tables import NONE, GridAtlas
from allroads.report.charts.figure import Drawing, Size
from allroads.report.grids import Group
from allroads.report.palette import INK, MUTED, PAPER

LEAST, MOST = 2, 40
"""Programs, at least, that a tree has, and at most; with more, those are kept at which most runs end."""
ROW = 22
"""Pixels of a program."""
COLUMNS: dict[str, Any] = {
    "kind": pl.String,
    "node": pl.String,
    "place": pl.Float64,
    "end": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "label": pl.String,
    "fill": pl.String,
    "shape": pl.String,
    "told": pl.String,
}


def tree_rows(atlas: GridAtlas, marks: Mapping[str, Group]) -> pl.DataFrame | None:
    """The branches and the leaves of the tree; ``None`` where fewer than two programs have a known pass.

    Args:
        atlas: Of one grid; its edges have ``pass_upper``, its nodes ``energy`` where losses of programs are known.
        marks: The programs that are their target's, each with a group of runs.
    """
    passes = atlas.edges.filter(pl.col("quantity") == "pass_upper").drop_nulls("value")
    held = set(passes["source"]) | set(passes["target"])
    nodes = atlas.nodes.filter(pl.col("node").is_in(list(held)), pl.col("node") != NONE).head(MOST)
    if nodes.height < LEAST:
        return None
    names = nodes["node"].to_list()
    place = {name: at for at, name in enumerate(names)}
    heights = np.full((len(names), len(names)), np.nan)
    for source, target, value in passes.select("source", "target", "value").iter_rows():
        if source in place and target in place:
            heights[place[source], place[target]] = value
    lowest = np.nanmin(np.fmin(heights, heights.T), axis=1, initial=np.inf)
    energies = nodes["energy"].to_numpy() if "energy" in nodes.columns else np.zeros(len(names))
    energies = np.minimum(np.nan_to_num(energies.astype(float)), np.where(np.isfinite(lowest), lowest, 0.0))
    branches = merge_tree(heights, energies, names).branches
    top = float(branches["low"].to_numpy().max())
    labels = dict(nodes.select("node", "label").iter_rows())
    rows: list[dict[str, Any]] = []
    for branch in branches.iter_rows(named=True):
        rows.append(_row(branch, top, labels, marks))
        if branch["parent"] is not None:
            across = {"kind": "across", "low": branch["high"], "place": branch["x"], "end": branch["parent_x"]}
            rows.append(across)
    return pl.DataFrame([{name: row.get(name) for name in COLUMNS} for row in rows], schema=COLUMNS)


def _row(
    branch: Mapping[str, Any], top: float, labels: Mapping[str, str], marks: Mapping[str, Group]
) -> dict[str, Any]:
    """A branch from where it begins to where it merges; one that never merges ends a little above the last merge."""
    node = branch["node"]
    high = branch["high"] if branch["high"] is not None else top * 1.04
    row = {"kind": "merge", "place": branch["x"], "low": branch["low"], "high": high}
    if node is None:
        return row
    group = marks.get(node)
    joins = "joins no other" if branch["high"] is None else f"joins another at {branch['high']:.3g} at most"
    row |= {"kind": "leaf", "node": node, "label": labels[node], "told": joins}
    return row | ({"fill": group.colour, "shape": group.shape} if group else {"shape": "circle"})


def leaf_labels(rows: pl.DataFrame) -> list[str]:
    """The labels of the leaves, from top to bottom."""
    leaves = rows.filter(pl.col("kind") == "leaf").sort("place")
    return [shortened(label) for label in leaves["label"]]


def draw_tree(data: alt.Data, size: Size, *, labels: Sequence[str], highest: float) -> Drawing:
    """Draw the tree on its side: programs below one another, losses from left to right.

    Args:
        data: Rows of :func:`tree_rows`.
        size: How large.
        labels: Of the leaves, from top to bottom.
        highest: Where the axis of losses ends.
    """
    count = len(labels)
    scale = alt.Scale(domain=[-0.6, count - 0.4], reverse=True, nice=False, zero=False)
    names = [f"{label} " for label in labels]
    axis = alt.Axis(
        title=None,
        values=list(range(count)),
        ticks=False,
        domain=False,
        grid=False,
        labelLimit=190,
        labelPadding=11,
        labelExpr=f"{names}[datum.value]",
    )
    level = alt.Axis(title="loss at the pass", tickCount=5, format="~g", grid=True)
    at = alt.Chart(data).encode(y=alt.Y("place:Q", scale=scale, axis=axis))
    loss = alt.X("low:Q", axis=level, scale=alt.Scale(domain=[0, highest], nice=False, zero=True))
    strong = alt.when("!lit || lit[datum.node]").then(alt.value(1)).otherwise(alt.value(0.35))
    line: dict[str, Any] = {"color": MUTED, "strokeWidth": 1.4, "strokeCap": "round"}
    leaves = at.transform_filter("datum.kind === 'leaf'").encode(
        x=loss, tooltip=[alt.Tooltip("label:N", title="program"), alt.Tooltip("told:N", title="pass")]
    )
    plain: dict[str, Any] = {"scale": None, "legend": None}
    dots: dict[str, Any] = {"size": 130, "cursor": "pointer"}
    return alt.layer(
        at.transform_filter("datum.kind === 'across'").mark_rule(**line).encode(x=loss, y2="end:Q"),
        at.transform_filter("datum.kind === 'merge'").mark_rule(**line).encode(x=loss, x2="high:Q"),
        at.transform_filter("datum.kind === 'leaf'").mark_rule(**line).encode(x=loss, x2="high:Q", opacity=strong),
        leaves.transform_filter("datum.node === node").mark_rule(color=INK, strokeWidth=3).encode(x2="high:Q"),
        leaves.transform_filter("!datum.fill").mark_point(fill=PAPER, stroke=MUTED, **dots).encode(opacity=strong),
        leaves.transform_filter("datum.fill")
        .mark_point(stroke=PAPER, **dots)
        .encode(fill=alt.Fill("fill:N", **plain), shape=alt.Shape("shape:N", **plain), opacity=strong),
        leaves.transform_filter("datum.node === node").mark_point(
            shape="circle", filled=False, size=330, stroke=INK, strokeWidth=2.4, opacity=1
        ),
    ).properties(width=size.width, height=max(size.height, 60))
