"""Programs of the runs: their length along training, and the source of those that the runs end with."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.plots.programs import diagram_layers
from allroads.programs.diagram import Diagram
from allroads.report.charts.figure import CHOSEN, Drawing, Figure, Panel, Size, fade, number, step_axis
from allroads.report.grids import Grid, Group
from allroads.report.section import Listing, Section
from allroads.report.stored import Stored

MOST_DIAGRAMS = 6
"""Drawings that one grid shows, the most frequent ones first."""

DIAGRAMS = (
    "The programs that runs end with. A state graph begins at s0, and its edges say letter/answer. In a recurrence, "
    "edges into a state say what it becomes. A frequency wheel has a spoke for each frequency and its negative."
)

MOST = 12
"""Sources that one grid shows, the most frequent ones first."""


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """Length of the program at each point where one was read, a panel per group; dots alone where it is the end."""
    rows = _rows(stored, grid).drop_nulls("bits")
    panels = []
    longest = number(rows["bits"].max()) if rows.height else 0.0
    for group in grid.groups:
        own = rows.filter(pl.col("group") == group.label)
        if own.is_empty():
            continue
        right = own.filter((pl.col("step") == pl.col("step").max().over("run")) & pl.col("correct"))
        tables = right.filter(pl.col("status") == "table").height
        draw = partial(draw_lengths, group=group, last=grid.last_step, longest=longest)
        note = f"{right.height - tables} of {own['run'].n_unique()} end at their target's program"
        note += f", {tables} at its table" if tables else ""
        panels.append(Panel(group.label, note, (group,), f"programs-{group.index}", grid.singles(own), draw, 150))
    caption = "Length of the program in bits; filled where it is the target's, hollow where it is another function's."
    absent = "" if panels else "No program was read in this grid."
    lengths = Figure("programs", tuple(panels), caption if panels else "", absent=absent)
    drawn = _diagrams(stored, grid)
    if not drawn:
        return (lengths,)
    diagrams = Figure("program-diagrams", drawn, DIAGRAMS)
    along = rows.group_by("run").len()["len"].max() != 1  # one point of each run makes no curve of lengths
    return (lengths, diagrams) if along else (diagrams,)


def _diagrams(stored: Stored, grid: Grid) -> tuple[Panel, ...]:
    """A panel per drawing that runs of a group end with, the most frequent ones first."""
    ends = _ends(_rows(stored, grid)).drop_nulls("diagram")
    found = []
    for place, ((label, text), part) in enumerate(ends.group_by(["group", "diagram"], maintain_order=True)):
        group = next(group for group in grid.groups if group.label == label)
        diagram = Diagram.of_dict(json.loads(str(text)))
        rows = pl.DataFrame(diagram.marks())
        right = int(part["correct"].sum())
        note = f"{diagram.kind}; {len(part)} runs, {right} right"
        nodes = rows.filter(pl.col("kind") == "node").height
        key = f"diagram-{group.index}-{place}"
        found.append(
            (
                len(part),
                Panel(group.label, note, (group,), key, rows, partial(draw_diagram, nodes=nodes), 240, ratio=1.0),
            )
        )
    found.sort(key=lambda pair: -pair[0])
    return tuple(panel for _, panel in found[:MOST_DIAGRAMS])


def _ends(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("step") == pl.col("step").max().over("run"))


def _rows(stored: Stored, grid: Grid) -> pl.DataFrame:
    shown = ("run", "step", "status", "language", "bits", "scope", "checked", "correct", "source", "diagram")
    return grid.runs.select("run", "name", "group").join(
        stored.tables["programs"].select(shown), on="run", maintain_order="left_right"
    )


def draw_lengths(data: alt.Data, size: Size, *, group: Group, last: int, longest: float) -> Drawing:
    """Draw the length of the programs of one group against the step.

    Args:
        data: Rows with ``run``, ``name``, ``step``, ``bits``, ``status`` and ``correct``.
        size: How large.
        group: The group of runs in it.
        last: The last step.
        longest: The longest program of the grid.
    """
    at = alt.Chart(data).encode(
        x=alt.X("step:Q", **step_axis(0, last, last, "step")),
        y=alt.Y("bits:Q", title="length in bits", scale=alt.Scale(domain=[0, max(longest, 1)], nice=True)),
        detail="run:N",
        tooltip=["name:N", "status:N", "language:N", alt.Tooltip("bits:Q", format=".0f")],
    )
    dots: dict[str, Any] = {"shape": "circle", "size": 40, "strokeWidth": 1.2, "stroke": group.colour}
    return alt.layer(
        at.mark_line(strokeWidth=1.1, color=group.colour).encode(opacity=fade(0.5)),
        at.transform_filter(CHOSEN).mark_line(strokeWidth=2.8, color=group.colour),
        at.transform_filter("datum.correct").mark_point(fill=group.colour, **dots).encode(opacity=fade(1)),
        at.transform_filter("!datum.correct").mark_point(fill="white", **dots).encode(opacity=fade(1)),
    ).properties(width=size.width, height=size.height)


def draw_diagram(data: alt.Data, size: Size, *, nodes: int) -> Drawing:
    """Draw a program as nodes and edges.

    Args:
        data: Rows of :meth:`allroads.programs.diagram.Diagram.marks`.
        size: How large.
        nodes: How many there are.
    """
    drawn: Drawing = diagram_layers(data, nodes).properties(width=size.width, height=size.height)
    return drawn


def listings(stored: Stored, grid: Grid) -> tuple[Listing, ...]:
    """The sources that runs of a grid end with, each once, with the runs that end there."""
    rows = _rows(stored, grid)
    ends = _ends(rows).drop_nulls("source")
    found = []
    for (group, source), part in ends.group_by(["group", "source"], maintain_order=True):
        first = part.row(0, named=True)
        proof = (
            "at all lengths" if first["scope"] == "all lengths" else f"{first['scope']}, {first['checked']:,} compared"
        )
        whose = "the target's function" if first["correct"] else "another function than the target"
        note = f"{len(part)} runs; {first['status']}; {first['bits']:.0f} bits ({first['language']}); {proof}; {whose}."
        found.append((len(part), Listing(str(group), note, str(source).rstrip())))
    found.sort(key=lambda pair: -pair[0])
    return tuple(listing for _, listing in found[:MOST])


SECTION = Section(
    name="programs",
    nav="Programs",
    title="What the networks compute",
    link="programs",
    lead="A program was read out of the weights and compared with the network. Computes asks for a proof over all "
    "inputs, or all lengths, and for interventions on hidden states; behaves as asks for the proof alone. A program as "
    "long as the table of its function is no explanation, and is called a table.",
    figures=figures,
    listings=listings,
    trust=("programs", "What the programs are worth"),
)
