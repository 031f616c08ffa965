"""The loss on planes of parameter space: a map of its height, with the path of a run or the ends of three on it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from allroads.plots.landscape import CAVEATS
from allroads.report import words
from allroads.report.charts.figure import CHOSEN, Drawing, Figure, Panel, Size, number
from allroads.report.charts.loss_map import (
    HEIGHT,
    LossMap,
    make_map,
    map_layers,
    map_legend,
    map_words,
    place_on_map,
)
from allroads.report.grids import Grid, Group
from allroads.report.palette import MUTED, ON_MAP, UNDER_MAP
from allroads.report.section import Section
from allroads.report.stored import Stored

NOTHING = pl.DataFrame(schema={"plane": pl.String, "around": pl.String, "point": pl.String})
EXPLAINED = "The line is the path of one run, from the ring to its mark, and the map is the training loss around it. "
ENDS = "The map is the training loss on the plane through three ends: the lowest, the median and the highest loss. "
CAPTIONS = {"path": EXPLAINED + CAVEATS["principal components"], "ends": ENDS + CAVEATS["three points"]}


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """The path of a run, and the plane of three ends: one panel a group."""
    drawn = []
    for plane, caption in CAPTIONS.items():
        found = [(group, _planes(stored, group, plane)) for group in grid.groups]
        panels = tuple(_panel(group, plane, rows) for group, rows in found if not rows.is_empty())
        if panels:
            drawn.append(Figure(f"{plane}-plane", panels, caption, legend=_legend(plane, panels)))
    absent = "No plane of this grid was measured."
    return tuple(drawn) or (Figure("path-plane", (), "", absent=absent),)


def _planes(stored: Stored, group: Group, plane: str) -> pl.DataFrame:
    """The points of a group's plane; none where it is not defined or no loss on it is finite."""
    table = stored.tables.get("landscape", NOTHING)
    mine = (pl.col("plane") == plane) & pl.col("around").is_in(group.runs["run"].implode())
    rows = table.filter(mine & (pl.col("point") != "none"))
    ground = rows.filter(pl.col("point") == "ground")
    return rows if not ground.is_empty() and ground["loss"].is_not_null().any() else rows.clear()


def _panel(group: Group, plane: str, rows: pl.DataFrame) -> Panel:
    ground = rows.filter(pl.col("point") == "ground")
    xs, ys = (ground[axis].unique().sort().to_numpy() for axis in ("x", "y"))
    heights = ground.sort("y", "x")["loss"].cast(pl.Float64).fill_null(np.nan).to_numpy().reshape(len(ys), len(xs))
    marks = rows.filter(pl.col("point") != "ground").join(
        group.runs.select("run", pl.col("seed")), on="run", how="left", maintain_order="left"
    )
    drawn = make_map(xs, ys, heights)
    seeds = marks["seed"].unique(maintain_order=True).to_list()
    return Panel(
        title=group.label,
        note=_note(plane, rows, seeds),
        marks=(group,),
        data=f"{plane}-plane-{group.index}",
        rows=pl.concat([drawn.rows, _marks(marks, group)], how="diagonal"),
        draw=partial(draw_plane, group=group, plane=plane, ground=drawn),
        height=HEIGHT,
        ratio=drawn.ratio,
    )


def _note(plane: str, rows: pl.DataFrame, seeds: list[int]) -> str:
    """What was found: shares explained, the runs, and the range of the loss."""
    ground = rows.filter(pl.col("point") == "ground")["loss"]
    low, high = (f"{number(end):.2g}" for end in (ground.min(), ground.max()))
    if plane == "ends":
        return f"seeds {words.listed([str(seed) for seed in seeds])}\nloss {low} to {high}"
    share, walk = (number(rows[column][0]) for column in ("explained_y", "walk_y"))
    return f"seed {seeds[0]}: {share:.0%} explained\na random walk: {walk:.0%}\nloss {low} to {high}"


def _legend(plane: str, panels: Sequence[Panel]) -> tuple[dict[str, Any], ...]:
    signs: dict[str, tuple[dict[str, Any], ...]] = {
        "path": ({"kind": "start", "label": "start"}, {"kind": "line", "colour": MUTED, "label": "path of the run"}),
        "ends": ({"kind": "dot", "colour": MUTED, "label": "end of a run"},),
    }
    return (*map_legend("training loss, of each plane", [panel.rows for panel in panels]), *signs[plane])


def _marks(marks: pl.DataFrame, group: Group) -> pl.DataFrame:
    """The records of the path, its two ends told apart, or the ends of runs."""
    first, last = (pl.col("step") == end for end in (pl.col("step").min(), pl.col("step").max()))
    record = pl.col("point") == "record"
    place = pl.when(~record).then(pl.lit("end")).when(first).then(pl.lit("start"))
    return marks.select(
        "run",
        "step",
        "x",
        "y",
        "loss",
        name=pl.lit(f"{group.label} · seed ") + pl.col("seed").cast(pl.String),
        label=pl.when(record).then(pl.lit("")).otherwise(pl.lit("seed ") + pl.col("seed").cast(pl.String)),
        point=place.when(last).then(pl.lit("end")).otherwise(pl.lit("record")),
        path=record,
    )


def draw_plane(data: alt.Data, size: Size, *, group: Group, plane: str, ground: LossMap) -> Drawing:
    """Draw one plane.

    Args:
        data: Rows of the map, and of its marks with ``point`` (start, record, end), ``x``, ``y``, ``run``, ``name``,
            ``label``, ``step``, ``loss`` and ``path``.
        size: How large.
        group: The runs.
        plane: ``path`` or ``ends``.
        ground: The map.
    """
    titles = {"path": ("component 1", "component 2"), "ends": ("lowest to median loss", "towards highest loss")}[plane]
    at = place_on_map(data, ground, titles)
    start, end = (at.transform_filter(f"datum.point === '{point}'") for point in ("start", "end"))
    path = at.transform_filter("datum.path").encode(order="step:Q", detail="run:N")
    told = ["name:N", alt.Tooltip("step:Q", format=",d"), alt.Tooltip("loss:Q", format=".3~g")]
    mark: dict[str, Any] = {"shape": group.shape, "fill": group.colour, "opacity": 1}
    ring: dict[str, Any] = {"shape": "circle", "fill": UNDER_MAP, "stroke": ON_MAP, "strokeWidth": 1.8, "opacity": 1}
    return alt.layer(
        *map_layers(at),
        path.mark_line(strokeWidth=4, color=UNDER_MAP),
        path.mark_line(strokeWidth=2, color=group.colour),
        path.transform_filter(CHOSEN).mark_line(strokeWidth=3.4, color=group.colour),
        path.mark_line(strokeWidth=12, opacity=0, cursor="pointer").encode(tooltip=told),
        start.mark_point(size=90, **ring).encode(tooltip=told),
        end.mark_point(size=80, stroke=UNDER_MAP, strokeWidth=1.2, cursor="pointer", **mark).encode(tooltip=told),
        end.transform_filter(CHOSEN).mark_point(size=130, stroke=ON_MAP, strokeWidth=1.8, **mark).encode(tooltip=told),
        *map_words(end),
    ).properties(width=size.width, height=size.height)


def shortfalls(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """Planes that are not defined."""
    missing = stored.tables.get("landscape", NOTHING).filter(pl.col("point") == "none")
    found = []
    for grid in grids:
        runs = grid.runs.join(
            missing.select(run="around", missing="plane"), on="run", how="inner", maintain_order="left"
        )
        if runs.height:
            said = "One plane" if runs.height == 1 else f"{runs.height} planes"
            verb = "is" if runs.height == 1 else "are"
            found.append(words.sentence(f"{said} of {grid.name} {verb} not defined, of the runs around", runs))
    return found


SECTION = Section(
    name="landscape",
    nav="Planes",
    title="The loss on planes of parameter space",
    link="planes",
    lead="Each picture is one plane in the space of all weights, and leaves all other directions out. Its axes have "
    "the unit of the weights, and its colours are the loss on the training examples.",
    figures=figures,
    shortfalls=shortfalls,
    switch=(("path-plane", "Path of a run"), ("ends-plane", "Three ends")),
)
