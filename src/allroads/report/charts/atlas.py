"""The atlas: programs as nodes, changes of program as arrows, the merge tree, and a panel for the chosen program."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.plots.atlas_layers import map_layers
from allroads.plots.atlas_map import HIGH, AtlasMap, atlas_map
from allroads.report.atlas.panel import panel_data
from allroads.report.atlas.tables import GROUP, NONE, GridAtlas, read_atlas, read_atlases
from allroads.report.atlas.tree import ROW, draw_tree, leaf_labels, tree_rows
from allroads.report.charts.figure import Drawing, Figure, Panel, Size, number
from allroads.report.grids import Grid, Group
from allroads.report.palette import INK, RULE
from allroads.report.section import Section
from allroads.report.stored import Stored

ABSENT = "Fewer than two programs were read in this grid, so it has no atlas."
TREE = (
    "The disconnectivity tree: two programs meet at the loss of the lowest pass that is known between them. It comes "
    "from the barriers between ends, so true passes may be lower. Programs that meet far to the left are near."
)
HEIGHT = int(HIGH)
"""Pixels of the map."""
AXIS = 36
"""Pixels of the axis of losses."""


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """The map of one grid, and below it its merge tree where passes are known."""
    atlas = read_atlas(stored, grid)
    if atlas is None:
        return (Figure("atlas", (), "", absent=ABSENT),)
    marks = right_marks(stored, atlas)
    drawn = atlas_map(_marked(atlas, marks), _told(atlas))
    draw = partial(draw_atlas, drawn=drawn)
    panel = Panel("Programs and changes between them", _note(atlas), (), f"atlas-{grid.slug}", drawn.rows, draw, HEIGHT)
    whole = Figure("atlas", (panel,), _caption(atlas, drawn), legend=_legend(atlas, marks))
    rows = tree_rows(atlas, marks)
    if rows is None:
        return (whole,)
    labels = leaf_labels(rows)
    draw = partial(draw_tree, labels=labels, highest=number(rows["high"].max()))
    note, height = f"{len(labels)} programs with a known pass", AXIS + ROW * len(labels)
    panel = Panel("Passes between programs", note, (), f"passes-{grid.slug}", rows, draw, height)
    return (whole, Figure("passes", (panel,), TREE))


def right_marks(stored: Stored, atlas: GridAtlas) -> dict[str, Group]:
    """The programs that are their target's, each with a group of runs that end there rightly.

    Args:
        stored: With the table ``programs``.
        atlas: Of one grid.
    """
    if "programs" not in stored.tables:
        return {}
    by_label = {group.label: group for group in atlas.grid.groups}
    last = atlas.walks.group_by("run", maintain_order=True).last().select("run", "node")
    right = stored.tables["programs"].sort("step").group_by("run", maintain_order=True).last()
    ends = last.join(right.filter("correct").select("run"), on="run", how="semi", maintain_order="left")
    named = ends.join(atlas.grid.runs.select("run", "group"), on="run", maintain_order="left")
    counted = named.group_by("node", "group").len().sort("len", "group", descending=[True, False])
    return {node: by_label[group] for node, group, _ in reversed(counted.rows()) if node != NONE}


def _marked(atlas: GridAtlas, marks: dict[str, Group]) -> pl.DataFrame:
    """Nodes as they are drawn: filled with the mark of its group where one is the target's, hollow elsewhere."""
    rows = []
    for row in atlas.nodes.iter_rows(named=True):
        group = marks.get(row["node"])
        bare = row["node"] == NONE
        rows.append(
            {
                "look": "right" if group else "none" if bare else "other",
                "fill": group.colour if group else None,
                "shape": group.shape if group else "square" if row["language"] == GROUP else "circle",
                "told": _counts(row, group),
            }
        )
    looks = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
    return pl.concat([atlas.nodes, looks], how="horizontal")


def _counts(row: dict[str, Any], group: Group | None) -> str:
    ends = f"{row['ends'] or 0:,} end here, {row['visits'] or 0:,} records"
    length = "" if row["bits"] is None else f"; {row['bits']:.0f} bits"
    return f"{ends}{length}{f'; the target {group.target}' if group else ''}"


def _told(atlas: GridAtlas) -> pl.DataFrame:
    """Ways with their weight and their tooltip: what runs walked, else what the first quantity of the edges says."""
    label = {node: label or node for node, label in atlas.nodes.select("node", "label").iter_rows()}
    if not atlas.ways.is_empty():
        total = int(atlas.ways["count"].to_numpy().sum())
        told = [f"{label[p]} → {label[q]}: {count} of {total:,} changes" for p, q, count in atlas.ways.iter_rows()]
        return atlas.ways.with_columns(weight=pl.col("count").cast(pl.Float64), told=pl.Series(told, dtype=pl.String))
    for quantity in ("changes", "reach", "boundary", "neighbour_share"):
        rows = atlas.edges.filter(pl.col("quantity") == quantity, pl.col("value") > 0)
        if not rows.is_empty():
            told = [f"{label[p]} → {label[q]}: {v:.3g}" for p, q, v in rows.select("source", "target", "value").rows()]
            return rows.select("source", "target", weight="value", told=pl.Series(told))
    return pl.DataFrame(schema={"source": pl.String, "target": pl.String, "weight": pl.Float64, "told": pl.String})


def _note(atlas: GridAtlas) -> str:
    changes = int(atlas.ways["count"].to_numpy().sum())
    ended = atlas.nodes.filter(pl.col("ends") > 0, pl.col("node") != NONE).height
    runs = atlas.walks["run"].n_unique()
    return (
        f"{_counted(atlas.programs, 'program')}, {ended} of them the end of a run; "
        f"{_counted(runs, 'run')}, {_counted(changes, 'change')} of program"
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _caption(atlas: GridAtlas, drawn: AtlasMap) -> str:
    text = (
        "Each node is a program, the larger the more runs end there, from short on the left to long on the right. An "
        "arrow is a change from one program to another, the wider the more often runs make it."
    )
    if drawn.hidden:
        text += f" {drawn.hidden:,} rarer changes appear with the program or the run to which they belong."
    if atlas.joined:
        text += f" The {atlas.joined:,} programs that are reached least are squares, joined by their length."
    return text


def _legend(atlas: GridAtlas, marks: dict[str, Group]) -> tuple[dict[str, Any], ...]:
    groups = {group.index: group for group in marks.values()}
    entries = [
        {"kind": "mark", "group": group, "label": f"target {group.label}"} for _, group in sorted(groups.items())
    ]
    entries.append({"kind": "hollow", "label": "another function"})
    if NONE in atlas.nodes["node"].to_list():
        entries.append({"kind": "dot", "colour": RULE, "label": "no program, or a mixture"})
    entries.append({"kind": "line", "colour": INK, "label": "what is chosen: a run’s walk, a program’s changes"})
    return tuple(entries)


def draw_atlas(data: alt.Data, size: Size, *, drawn: AtlasMap) -> Drawing:
    """Draw the map.

    Args:
        data: Its rows.
        size: How large.
        drawn: The map.
    """
    layers: Drawing = map_layers(data, drawn).properties(width=size.width, height=size.height)
    return layers


def payload(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """What the script of the page knows of each atlas: its nodes, the walks of runs, and what lies between nodes."""
    return [panel_data(stored, atlas, right_marks(stored, atlas)) for atlas in read_atlases(stored, grids)]


SECTION = Section(
    name="atlas",
    nav="Atlas",
    title="The atlas: programs and the roads between them",
    link="atlas",
    lead="A run passes from program to program. The map shows which programs the runs compute, in which order, and "
    "which lie next to each other. Choose a program or a run to see what is known of it.",
    figures=figures,
    keys="Arrow keys choose a program.",
    beside="program",
    payload=payload,
)
