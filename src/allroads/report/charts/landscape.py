"""The loss on planes of parameter space: a map of its height, with the path of a run or the ends of three on it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from allroads.plots.isolines import bands_of, isoline, joined, levels_of
from allroads.plots.landscape import CAVEATS
from allroads.report import words
from allroads.report.charts.figure import CHOSEN, Drawing, Figure, Panel, Size, number
from allroads.report.grids import Grid, Group
from allroads.report.palette import BARRIER, MUTED, ON_MAP, RULE, UNDER_MAP
from allroads.report.section import Section
from allroads.report.stored import Stored

NOTHING = pl.DataFrame(schema={"plane": pl.String, "around": pl.String, "point": pl.String})
HEIGHT = 120
"""Pixels of a panel before its width is known."""
FLAT = 0.35
"""Height over width at least: flatter planes are stretched, all others have one unit on both axes."""
OVERLAP = 0.25
"""How much farther than its end a cell is drawn, so that no seam shows between two of one colour."""
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
    levels, _ = levels_of(heights)
    marks = rows.filter(pl.col("point") != "ground").join(
        group.runs.select("run", pl.col("seed")), on="run", how="left", maintain_order="left"
    )
    parts = [_cells(xs, ys, heights, levels), _lines(xs, ys, heights, levels), _marks(marks, group)]
    seeds = marks["seed"].unique(maintain_order=True).to_list()
    sides = [_side(line) for line in (xs, ys)]
    lengths = [side[1] - side[0] for side in sides]
    draw = partial(draw_plane, group=group, plane=plane, domains=(sides[0], sides[1]))
    return Panel(
        title=group.label,
        note=_note(plane, rows, seeds),
        marks=(group,),
        data=f"{plane}-plane-{group.index}",
        rows=pl.concat(parts, how="diagonal"),
        draw=draw,
        height=HEIGHT,
        ratio=min(max(lengths[1] / lengths[0], FLAT), 1 / FLAT),
    )


def _side(line: np.ndarray) -> list[float]:
    """Ends of an axis: those of the cells around its points."""
    half = float(line[1] - line[0]) / 2
    return [float(line[0]) - half, float(line[-1]) + half]


def _note(plane: str, rows: pl.DataFrame, seeds: list[int]) -> str:
    """What was found: shares explained, the runs, and the range of the loss."""
    ground = rows.filter(pl.col("point") == "ground")["loss"]
    low, high = (f"{number(end):.2g}" for end in (ground.min(), ground.max()))
    if plane == "ends":
        return f"seeds {words.listed([str(seed) for seed in seeds])}\nloss {low} to {high}"
    share, walk = (number(rows[column][0]) for column in ("explained_y", "walk_y"))
    return f"seed {seeds[0]}: {share:.0%} explained\na random walk: {walk:.0%}\nloss {low} to {high}"


def _legend(plane: str, panels: Sequence[Panel]) -> tuple[dict[str, Any], ...]:
    ramp = {"kind": "ramp", "colours": BARRIER, "label": "training loss, of each plane", "low": "low", "high": "high"}
    signs: dict[str, tuple[dict[str, Any], ...]] = {
        "path": ({"kind": "start", "label": "start"}, {"kind": "line", "colour": MUTED, "label": "path of the run"}),
        "ends": ({"kind": "dot", "colour": MUTED, "label": "end of a run"},),
    }
    missing = any(panel.rows.filter(pl.col("point") == "cell")["shade"].is_null().any() for panel in panels)
    grey = ({"kind": "dot", "colour": RULE, "label": "grey: the loss is not finite"},) if missing else ()
    return (ramp, *signs[plane], *grey)


def _cells(xs: np.ndarray, ys: np.ndarray, heights: np.ndarray, levels: np.ndarray) -> pl.DataFrame:
    """The map as bands of height; neighbours of one row and band are one cell."""
    names, halves = bands_of(levels), [float(side[1] - side[0]) / 2 for side in (xs, ys)]
    rows = []
    for y, row in zip(ys, heights, strict=True):
        bands = np.where(np.isfinite(row), np.searchsorted(levels, row, side="right"), -1)
        for band, run in itertools.groupby(range(len(xs)), key=bands.__getitem__):
            places = list(run)
            room = [(1 + OVERLAP) * half for half in halves]
            rows.append(
                {
                    "point": "cell",
                    "x": float(xs[places[0]]) - room[0],
                    "x2": float(xs[places[-1]]) + room[0],
                    "y": float(y) - room[1],
                    "y2": float(y) + room[1],
                    "shade": None if band < 0 else float(band) / max(len(levels), 1),
                    "told": "not finite" if band < 0 else names[band],
                }
            )
    return pl.DataFrame(rows, schema_overrides={"shade": pl.Float64})


def _lines(xs: np.ndarray, ys: np.ndarray, heights: np.ndarray, levels: np.ndarray) -> pl.DataFrame:
    """Lines of equal loss."""
    lines = [line for level in levels for line in joined(isoline(xs, ys, heights, level))]
    rows = [
        {"point": "line", "line": number, "order": order, "x": float(x), "y": float(y)}
        for number, line in enumerate(lines)
        for order, (x, y) in enumerate(line)
    ]
    schema = {"point": pl.String, "line": pl.Int64, "order": pl.Int64, "x": pl.Float64, "y": pl.Float64}
    return pl.DataFrame(rows, schema=schema)


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


def draw_plane(
    data: alt.Data, size: Size, *, group: Group, plane: str, domains: tuple[list[float], list[float]]
) -> Drawing:
    """Draw one plane.

    Args:
        data: Rows with ``point`` (cell, line, start, record, end), ``x``, ``y``, of cells ``x2``, ``y2``, ``shade`` and
            ``told``, of lines ``line`` and ``order``, of all others ``run``, ``name``, ``label``, ``step``, ``loss``
            and ``path``.
        size: How large.
        group: The runs.
        plane: ``path`` or ``ends``.
        domains: Of both axes.
    """
    scale_x, scale_y = (alt.Scale(domain=domain, nice=False, zero=False) for domain in domains)
    axis: dict[str, Any] = {"tickCount": 4, "format": ".3~g", "grid": False}
    titles = {"path": ("component 1", "component 2"), "ends": ("lowest to median loss", "towards highest loss")}[plane]
    at = alt.Chart(data).encode(
        x=alt.X("x:Q", scale=scale_x, axis=alt.Axis(title=titles[0], **axis)),
        y=alt.Y("y:Q", scale=scale_y, axis=alt.Axis(title=titles[1], minExtent=30, maxExtent=30, **axis)),
    )
    cells, lines, start, end = (
        at.transform_filter(f"datum.point === '{point}'") for point in ("cell", "line", "start", "end")
    )
    cells = cells.encode(x2="x2:Q", y2="y2:Q", tooltip=alt.Tooltip("told:N", title="loss"))
    ramp = alt.Scale(domain=[0, 1], range=list(BARRIER))
    path = at.transform_filter("datum.path").encode(order="step:Q", detail="run:N")
    told = ["name:N", alt.Tooltip("step:Q", format=",d"), alt.Tooltip("loss:Q", format=".3~g")]
    mark: dict[str, Any] = {"shape": group.shape, "fill": group.colour, "opacity": 1}
    label: dict[str, Any] = {"fontSize": 11, "fontWeight": 600, "dy": -12}
    halo: dict[str, Any] = {"stroke": UNDER_MAP, "strokeWidth": 3, "strokeJoin": "round"}
    return alt.layer(
        cells.transform_filter("datum.shade !== null")
        .mark_rect(clip=True)
        .encode(color=alt.Color("shade:Q", scale=ramp, legend=None)),
        cells.transform_filter("datum.shade === null").mark_rect(clip=True, color=RULE),
        lines.mark_line(strokeWidth=0.7, color=UNDER_MAP, opacity=0.7, clip=True).encode(
            detail="line:N", order="order:Q"
        ),
        path.mark_line(strokeWidth=4, color=UNDER_MAP),
        path.mark_line(strokeWidth=2, color=group.colour),
        path.transform_filter(CHOSEN).mark_line(strokeWidth=3.4, color=group.colour),
        path.mark_line(strokeWidth=12, opacity=0, cursor="pointer").encode(tooltip=told),
        start.mark_point(shape="circle", size=90, fill=UNDER_MAP, stroke=ON_MAP, strokeWidth=1.8, opacity=1).encode(
            tooltip=told
        ),
        end.mark_point(size=80, stroke=UNDER_MAP, strokeWidth=1.2, cursor="pointer", **mark).encode(tooltip=told),
        end.transform_filter(CHOSEN).mark_point(size=130, stroke=ON_MAP, strokeWidth=1.8, **mark).encode(tooltip=told),
        *(
            end.mark_text(color=colour, **label, **more).encode(text="label:N")
            for colour, more in ((UNDER_MAP, halo), (ON_MAP, {}))
        ),
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
