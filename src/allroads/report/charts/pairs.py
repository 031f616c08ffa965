"""Pairs of runs: barriers between their ends and agreement of their answers, as matrices ordered by cluster."""

from __future__ import annotations

import math
from functools import partial

import altair as alt
import numpy as np
import polars as pl

from allroads.report.charts.compared import compare_groups
from allroads.report.charts.figure import NONE, Drawing, Figure, Panel, Size, median, number
from allroads.report.charts.pair_table import MEASURED, group_pairs, read_pairs
from allroads.report.cluster import cluster_order
from allroads.report.grids import Grid, Group
from allroads.report.palette import AGREEMENT, BARRIER, INK
from allroads.report.section import Glance, Section
from allroads.report.stored import Stored

MOST_LABELS = 24  # rows beyond which seeds are not written on the axes
MOST_RUNS = 64  # runs beyond which a matrix shows the first ones alone

Cells = list[tuple[Group, pl.DataFrame]]


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """Agreement, barriers and aligned barriers, one panel a group."""
    found = [(group, _cells(stored, group)) for group in grid.groups]
    found = [(group, cells) for group, cells in found if not cells.is_empty()]
    parts = (figure for figure in (_agreement(found), *_barriers(found)) if figure.panels)
    absent = "No pair was compared in this grid: a group needs at least two runs that finished."
    return tuple(parts) or (Figure("agreement", (), "", absent=absent),)


def _barriers(found: Cells) -> tuple[Figure, ...]:
    """Plain and aligned barriers in the same colours."""
    top = max((number(cells[c].max() or 0.0) for _, cells in found for c in ("barrier", "aligned")), default=0.0)
    held_out = any(cells["held_out"].any() for _, cells in found)
    half = " Training loss stands below the diagonal and held-out loss above it." if held_out else ""
    captions = {
        "barrier": f"Pale: the straight line between the weights of two runs climbs no barrier.{half}",
        "aligned": f"The barrier once the hidden units of one run are matched to those of the other.{half} Pairs that "
        "were not matched are blank.",
    }
    figures = []
    for column, caption in captions.items():
        present = [(group, cells) for group, cells in found if cells[column].is_not_null().any()]
        chart = "barriers" if column == "barrier" else "aligned"
        domain = (0.0, max(top, 1e-3))
        figures.append(_figure(chart, column, present, domain, BARRIER, "barrier (loss)", caption))
    return tuple(figures)


def _agreement(found: Cells) -> Figure:
    present = [(group, cells) for group, cells in found if cells["agreement"].is_not_null().any()]
    low = min((number(cells["agreement"].min()) for _, cells in present), default=1.0)
    low = min(math.floor(20 * low) / 20, 0.95)
    caption = "Dark: two runs give the same answer on nearly all probes, whatever their weights."
    return _figure("agreement", "agreement", present, (low, 1.0), AGREEMENT, "probes answered alike", caption)


def _figure(
    chart: str,
    column: str,
    present: Cells,
    domain: tuple[float, float],
    colours: tuple[str, ...],
    label: str,
    caption: str,
) -> Figure:
    number = ".0%" if column == "agreement" else ".2g"
    largest = max((group.runs.height for group, _ in present), default=0)
    draw = partial(
        draw_matrix, column=column, domain=domain, colours=colours, number=number, labels=largest <= MOST_LABELS
    )
    panels = tuple(
        Panel(
            title=group.label,
            note=_note(group, cells, column),
            marks=(group,),
            data=f"pairs-{group.index}",
            rows=cells,
            draw=draw,
            height=220,
            ratio=1.0,
        )
        for group, cells in present
    )
    low, high = (format(end, number) for end in domain)
    legend = {"kind": "ramp", "colours": colours, "label": label, "low": low, "high": high}
    return Figure(chart, panels, caption, legend=(legend,))


def _note(group: Group, cells: pl.DataFrame, column: str) -> str:
    if column == "agreement":
        note = f"median {median(cells['agreement']):.1%}"
    else:
        middles = {
            word: median(cells.filter(pl.col("held_out") == held_out)[column])
            for word, held_out in (("train", False), ("held-out", True))
        }
        note = "median " + " · ".join(f"{m:.2g} {word}" for word, m in middles.items() if m is not None)
    return note if group.runs.height <= MOST_RUNS else f"{note}\nfirst {MOST_RUNS} of {group.runs.height} runs"


def _cells(stored: Stored, group: Group) -> pl.DataFrame:
    """Every ordered pair of a group as one cell; ``row`` and ``column`` are seeds, their places come by cluster."""
    runs = group.runs.head(MOST_RUNS).select("run", "seed")
    pairs = read_pairs(stored).filter(pl.col("run_a") != pl.col("run_b")).select("run_a", "run_b", *MEASURED)
    both = pl.concat([pairs, pairs.rename({"run_a": "run_b", "run_b": "run_a"}).select(pairs.columns)])
    both = both.filter(pl.col("run_a").is_in(runs["run"].implode()), pl.col("run_b").is_in(runs["run"].implode()))
    runs = runs.filter(pl.col("run").is_in(both["run_a"].implode()))
    places = runs.select("run", row=pl.col("seed").cast(pl.String), place=_places(both, runs["run"].to_list()))
    held_out = both["barrier_held_out"].is_not_null().any()
    return (
        both.rename({"run_a": "run", "run_b": "other"})
        .join(places, on="run", maintain_order="left")
        .join(
            places.rename({"run": "other", "row": "column", "place": "place_other"}), on="other", maintain_order="left"
        )
        .with_columns(held_out=pl.lit(held_out) & (pl.col("place") < pl.col("place_other")))
        .with_columns(
            barrier=pl.when("held_out").then("barrier_held_out").otherwise("barrier_train"),
            aligned=pl.when("held_out").then("aligned_held_out").otherwise("aligned_train"),
        )
        .select("run", "other", "row", "column", "place", "place_other", "held_out", "barrier", "aligned", "agreement")
    )


def _places(both: pl.DataFrame, runs: list[str]) -> pl.Series:
    """Place of each run by cluster of barriers, or of disagreement where no barrier was measured."""
    by_barrier = both["barrier_train"].is_not_null().any()
    distance = pl.col("barrier_train") if by_barrier else 1 - pl.col("agreement")
    index = {run: i for i, run in enumerate(runs)}
    distances = np.full((len(runs), len(runs)), np.nan)
    for a, b, value in both.select("run_a", "run_b", distance).iter_rows():
        distances[index[a], index[b]] = np.nan if value is None else value
    return pl.Series(np.argsort(cluster_order(distances)), dtype=pl.Int64)


def draw_matrix(
    data: alt.Data,
    size: Size,
    *,
    column: str,
    domain: tuple[float, float],
    colours: tuple[str, ...],
    number: str,
    labels: bool,
) -> Drawing:
    """Draw one matrix.

    Args:
        data: Rows with ``run``, ``other``, ``row``, ``column``, their places, ``held_out`` and the quantity.
        size: How large.
        column: The quantity.
        domain: Of the colours.
        colours: From low to high.
        number: Format of the quantity.
        labels: Whether the axes name the seeds.
    """
    legend = alt.Legend(title=column, format=number, orient="bottom", gradientLength=120) if size.legend else None
    shown = [alt.Tooltip(f"{column}:Q", format=number)]
    at = matrix_places(data, labels)
    if column != "agreement":
        at = at.transform_calculate(loss="datum.held_out ? 'held-out' : 'training'")
        shown.append(alt.Tooltip("loss:N"))
    scale = alt.Scale(domain=list(domain), range=list(colours), clamp=True)
    cells = matrix_cells(at, alt.Color(f"{column}:Q", scale=scale, legend=legend), shown)
    return alt.layer(*cells).properties(width=size.width, height=size.height)


def matrix_places(data: alt.Data, labels: bool) -> alt.Chart:
    """Where the cells of a matrix of pairs stand: rows with ``row`` and ``column``, and their places.

    Args:
        data: The rows.
        labels: Whether the axes name the seeds.
    """
    axis = alt.Axis(labels=labels, ticks=False, domain=False, labelAngle=0, title="seed", labelOverlap=True)
    gap = alt.Scale(paddingInner=0.04 if labels else 0)
    return alt.Chart(data).encode(
        x=alt.X("column:O", sort=alt.EncodingSortField("place_other", op="min"), scale=gap, axis=axis),
        y=alt.Y("row:O", sort=alt.EncodingSortField("place", op="min"), scale=gap, axis=axis),
    )


def matrix_cells(at: alt.Chart, colour: alt.Color, shown: list[alt.Tooltip]) -> tuple[alt.Chart, alt.Chart]:
    """The cells in their colours, and the frames of those of the chosen run.

    Args:
        at: Where they stand, see :func:`matrix_places`.
        colour: Of each.
        shown: What a cell tells besides its seeds.
    """
    chosen = "datum.run === selected || datum.other === selected"
    between = "selected === '' && among && among[datum.run] && among[datum.other]"
    opacity = alt.when(f"{NONE} || {chosen} || ({between})").then(alt.value(1)).otherwise(alt.value(0.15))
    tooltip = [alt.Tooltip("row:N", title="seed"), alt.Tooltip("column:N", title="and seed"), *shown]
    return (
        at.mark_rect(cursor="pointer").encode(color=colour, opacity=opacity, tooltip=tooltip),
        at.transform_filter(chosen).mark_rect(filled=False, stroke=INK, strokeWidth=1.2),
    )


def _middle(column: str, stored: Stored, group: Group) -> float | None:
    return median(group_pairs(stored, group)[column])


SECTION = Section(
    name="pairs",
    nav="Pairs",
    title="Where the runs ended",
    link="pairs of runs",
    lead="Two runs of one group may end at the same function or at others. Agreement is how often they give the same "
    "answer; the barrier is how far the loss rises on the straight line between their weights.",
    figures=figures,
    whole=compare_groups,
    folded="Every pair of runs as a matrix",
    switch=(("agreement", "Agreement"), ("barriers", "Barrier"), ("aligned", "Barrier, units matched")),
    glances=(
        Glance("agreement", partial(_middle, "agreement"), ".1%"),
        Glance("by chance", partial(_middle, "chance"), ".0%"),
        Glance("barrier", partial(_middle, "barrier_train"), ".2g", log=True),
        Glance("units matched", partial(_middle, "aligned_train"), ".2g", log=True),
    ),
)
