"""Convergence of the runs of each group: answers and representations of pairs as matrices, beside their null."""

from __future__ import annotations

from functools import partial

import altair as alt
import numpy as np
import polars as pl

from allroads.report.charts.figure import Drawing, Figure, Panel, Size, median, number
from allroads.report.charts.pairs import MOST_LABELS, matrix_cells, matrix_places
from allroads.report.cluster import cluster_order
from allroads.report.grids import Grid, Group
from allroads.report.palette import AGREEMENT
from allroads.report.section import Glance, Section
from allroads.report.stored import Stored

WORDS = {
    "agreement": "answers",
    "cka": "CKA",
    "procrustes": "Procrustes angle",
    "neighbours": "mutual neighbours",
    "rsa": "RSA",
    "stitching": "stitching",
}


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """One figure per measure, one panel per group and layer."""
    table = stored.tables["convergence"].filter(pl.col("grid") == grid.name)
    found = [
        figure
        for (measure,), part in table.group_by(["measure"], maintain_order=True)
        if (figure := _figure(str(measure), part, grid)) is not None
    ]
    absent = "No pair of this grid was compared: a group needs two runs that finished, and four inputs."
    return tuple(found) or (Figure("convergence-agreement", (), "", absent=absent),)


def _figure(measure: str, table: pl.DataFrame, grid: Grid) -> Figure | None:
    known = table.drop_nulls("excess")
    if known.is_empty():
        return None
    low, high = min(0.0, number(known["excess"].min())), max(1e-3, number(known["excess"].max()))
    several = known["layer"].n_unique() > 1
    panels = []
    for group in grid.groups:
        own = known.filter(pl.col("run_a").is_in(group.runs["run"].implode()))
        for (layer,), pairs in own.group_by(["layer"], maintain_order=True):
            cells = _cells(pairs, group)
            draw = partial(draw_pairs, domain=(low, high), labels=cells["run"].n_unique() <= MOST_LABELS)
            key = f"convergence-{measure}-{group.index}" + (f"-{layer}" if several else "")
            title = f"{group.label} · {layer}" if several else group.label
            panels.append(Panel(title, _note(pairs), (group,), key, cells, draw, 220, ratio=1.0))
    name = WORDS.get(measure, measure)
    caption = (
        f"Dark: two runs are far nearer by their {name} than if the inputs of one were shuffled; a ring marks pairs "
        "that are nearer than chance, corrected for their number."
    )
    ramp = {"kind": "ramp", "colours": AGREEMENT, "label": f"{name}, excess over the null"}
    legend = (ramp | {"low": f"{low:.2g}", "high": f"{high:.2g}"}, {"kind": "start", "label": "beyond the null"})
    return Figure(f"convergence-{measure}", tuple(panels), caption, legend=legend)


def _note(pairs: pl.DataFrame) -> str:
    tested = pairs.drop_nulls("beyond")
    value, null = median(pairs["value"]), median(pairs["null"])
    counts = f"{int(tested['beyond'].sum())} of {tested.height} pairs beyond the null"
    return f"median {value:.2g}, by chance {null:.2g}; {counts}"


def _cells(pairs: pl.DataFrame, group: Group) -> pl.DataFrame:
    """Every ordered pair as one cell; a measure with a direction has the row's run first."""
    kept = pairs.select(
        "run_a", "run_b", "value", "null", "excess", "adjusted", beyond=pl.col("beyond").fill_null(False)
    )
    found = set(kept.select("run_a", "run_b").iter_rows())
    directed = any((b, a) in found for a, b in found)
    turned = kept.rename({"run_a": "run_b", "run_b": "run_a"}).select(kept.columns)
    both = kept if directed else pl.concat([kept, turned])
    runs = group.runs.filter(pl.col("run").is_in(both["run_a"].implode())).select("run", "seed")
    index = {run: place for place, run in enumerate(runs["run"])}
    distances = np.full((len(index), len(index)), np.nan)
    for a, b, excess in both.select("run_a", "run_b", "excess").iter_rows():
        distances[index[a], index[b]] = -excess
    distances -= np.nanmin(distances)
    places = pl.Series(np.argsort(cluster_order(distances)), dtype=pl.Int64)
    named = runs.select("run", row=pl.col("seed").cast(pl.String), place=places)
    other = named.rename({"run": "other", "row": "column", "place": "place_other"})
    cells = both.rename({"run_a": "run", "run_b": "other"})
    return cells.join(named, on="run", maintain_order="left").join(other, on="other", maintain_order="left")


def draw_pairs(data: alt.Data, size: Size, *, domain: tuple[float, float], labels: bool) -> Drawing:
    """Draw one matrix.

    Args:
        data: Rows with ``run``, ``other``, ``row``, ``column``, their places, ``value``, ``null``, ``excess``,
            ``adjusted`` and ``beyond``.
        size: How large.
        domain: Of the colours.
        labels: Whether the axes name the seeds.
    """
    at = matrix_places(data, labels)
    shown = [
        alt.Tooltip("value:Q", title="measure", format=".3~g"),
        alt.Tooltip("null:Q", title="by chance", format=".3~g"),
        alt.Tooltip("adjusted:Q", title="p, corrected", format=".2~g"),
    ]
    scale = alt.Scale(domain=list(domain), range=list(AGREEMENT), clamp=True)
    cells, frames = matrix_cells(at, alt.Color("excess:Q", scale=scale, legend=None), shown)
    marks = at.transform_filter("datum.beyond").mark_point(
        shape="circle", size=26, fill="#fefefe", stroke="#1d2128", strokeWidth=1, opacity=0.9
    )
    return alt.layer(cells, marks, frames).properties(width=size.width, height=size.height)


def _excess(stored: Stored, group: Group) -> float | None:
    """Median excess of CKA over its null."""
    table = stored.tables["convergence"].filter(pl.col("measure") == "cka")
    return median(table.filter(pl.col("run_a").is_in(group.runs["run"].implode()))["excess"])


SECTION = Section(
    name="convergence",
    nav="Convergence",
    title="Whether the runs end alike inside",
    link="convergence matrices",
    lead="Two runs can answer alike and still represent their inputs differently. Every measure stands beside what it "
    "gives when the inputs of one run are shuffled. Untrained networks of one architecture see the same inputs, and "
    "can be beyond that null too.",
    figures=figures,
    switch=tuple((f"convergence-{name}", word[0].upper() + word[1:]) for name, word in WORDS.items()),
    glances=(Glance("CKA over null", _excess, ".2f"),),
    trust=("convergence", "How far to trust the convergence"),
)
