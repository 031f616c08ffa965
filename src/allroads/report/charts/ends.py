"""Numbers of the points at which runs end: complexity, robustness, sharpness and local volume, one dot per run."""

from __future__ import annotations

from functools import partial

import polars as pl

from allroads.report.charts.figure import Figure, Panel, median
from allroads.report.charts.generic import draw_dots, ends_of
from allroads.report.grids import Grid, Group
from allroads.report.section import Glance, Section
from allroads.report.stored import Stored

QUANTITIES = {
    "complexity": "complexity of the function",
    "robustness": "robustness (share of moves)",
    "sharpness": "sharpness (eigenvalue)",
    "volume": "log local volume (nats)",
}
"""Tables with the column ``value``, and what it is called."""
CAPTION = "Each dot is the end of one run; dots of one group that lie together say that its seeds end alike."


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """A figure per number, a line of dots per group; numbers that must not be read are left out and counted."""
    found = []
    for table, name in QUANTITIES.items():
        if table not in stored.tables:
            continue
        rows = grid.runs.select("run", "name", "group").join(
            stored.tables[table].select("run", "status", pl.col("value").alias(name)), on="run", maintain_order="left"
        )
        sound = rows.filter(pl.col("status") == "ok").drop_nulls(name).drop("status")
        if sound.is_empty():
            continue
        absent = rows.height - sound.height
        note = f"median {median(sound[name]):.3g}" + (f"; {absent} of {rows.height} runs have none" if absent else "")
        draw = partial(draw_dots, column=name, groups=grid.groups, domain=ends_of(sound[name]))
        height = 60 + 22 * len(grid.groups)
        panel = Panel(
            name[0].upper() + name[1:], note, (), f"ends-{table}-{grid.slug}", grid.singles(sound), draw, height
        )
        found.append(Figure(f"ends-{table}", (panel,), CAPTION))
    nothing = "No run of this grid has such a number that may be read."
    return tuple(found) or (Figure("ends", (), "", absent=nothing),)


def _middle(table: str, stored: Stored, group: Group) -> float | None:
    if table not in stored.tables:
        return None
    rows = stored.tables[table].filter(pl.col("run").is_in(group.runs["run"].implode()), pl.col("status") == "ok")
    return median(rows["value"])


SECTION = Section(
    name="ends",
    nav="Ends",
    title="The points at which runs end",
    link="numbers of the ends",
    lead="How complex the function is, how many small moves of the weights keep it, how steep the loss is in its "
    "steepest direction, and how much of parameter space is about as good.",
    figures=figures,
    switch=tuple((f"ends-{table}", name[0].upper() + name[1:]) for table, name in QUANTITIES.items()),
    glances=(
        Glance("complexity", partial(_middle, "complexity"), ".3g"),
        Glance("robustness", partial(_middle, "robustness"), ".0%"),
        Glance("sharpness", partial(_middle, "sharpness"), ".2g", log=True),
        Glance("log volume", partial(_middle, "volume"), ".3g"),
    ),
)
