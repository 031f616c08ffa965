"""Learning curves: the median run with the middle half, and single runs, on training and on held-out examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report import words
from allroads.report.charts.figure import (
    AMONG,
    CHOSEN,
    NONE,
    ROOMY,
    Drawing,
    Figure,
    Panel,
    Size,
    fade,
    median,
    number,
    step_axis,
)
from allroads.report.grids import Grid, Group
from allroads.report.palette import HELD_OUT, INK, RULE, TRAIN
from allroads.report.section import Column, Glance, Section
from allroads.report.stored import Stored

SETS = {"train": ("training", TRAIN), "held_out": ("held-out", HELD_OUT)}
BOUND = 10.0
SIDES = (("low", 0.25), ("mid", 0.5), ("high", 0.75))
"""Ends and middle of a band, and the shares of runs below them."""
FEW = 3  # runs of a group below which each is drawn and no median
ALONE = 0.5  # share of steps that runs must have in common for a median of them
FLOOR = 1e-8  # losses below are drawn here: a logarithmic axis has no zero


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """Accuracy, where the study has it, and loss."""
    tables = [(group, _rows(stored, group)) for group in grid.groups]
    tables = [(group, rows) for group, rows in tables if not rows.is_empty()]
    if not tables:
        return (Figure("learning", (), "", absent="No learning curve was stored for this grid."),)
    banded = all(_banded(rows) for _, rows in tables)
    everything = pl.concat([rows for _, rows in tables])
    tables = [(group, _drawn(grid, rows, banded)) for group, rows in tables]
    quantities = [
        quantity
        for quantity in ("accuracy", "loss")
        if everything[f"train_{quantity}"].is_not_null().any() or everything[f"held_out_{quantity}"].is_not_null().any()
    ]
    in_nats = _in_nats(stored, grid)
    return tuple(_figure(quantity, grid, tables, everything, in_nats, banded) for quantity in quantities)


def _figure(
    quantity: str,
    grid: Grid,
    tables: list[tuple[Group, pl.DataFrame]],
    everything: pl.DataFrame,
    in_nats: bool,
    banded: bool,
) -> Figure:
    present = [s for s in SETS if everything[f"{s}_{quantity}"].is_not_null().any()]
    if quantity == "loss":
        values = pl.concat([everything[f"{s}_loss"].rename("loss") for s in present]).drop_nulls()
        domain = loss_domain(values)
    else:
        columns = [*(f"{s}_accuracy" for s in present), "baseline"]
        lowest = min(number(low) for c in columns if (low := everything[c].min()) is not None)
        domain = [math.floor(10 * lowest) / 10, 1.0]
    drawn = ", median run and middle half" if banded else ""
    legend = [{"kind": "line", "colour": SETS[s][1], "label": f"{SETS[s][0]} {quantity}{drawn}"} for s in present]
    marks = [
        {"kind": "dot", "colour": SETS[s][1], "label": word}
        for s, word in (("train", "fitted"), ("held_out", "generalised"))
        if s in present and everything["mark"].str.contains(s).any()
    ]
    if everything["mark"].str.contains("stopped").any():
        marks.append({"kind": "stopped", "colour": INK, "label": "stopped early"})
    if quantity == "accuracy" and everything["baseline"].is_not_null().any():
        marks.append({"kind": "dash", "colour": RULE, "label": "always giving the commonest answer"})
    draw = partial(
        draw_curves,
        quantity=quantity,
        sets=present,
        domain=domain,
        last=grid.last_step,
        banded=banded,
        title="loss (nats)" if quantity == "loss" and in_nats else quantity,
    )
    height = 110 if len(tables) > 2 else 170
    panels = (
        Panel(group.label, _note(group), (group,), f"curves-{group.index}", rows, draw, height)
        for group, rows in tables
    )
    return Figure(
        chart="learning" if quantity == "accuracy" else "loss",
        panels=tuple(panels),
        caption=_caption(quantity, "held_out" in present),
        legend=(*legend, *marks),
    )


def _in_nats(stored: Stored, grid: Grid) -> bool:
    """Whether the loss of every target of a grid is a cross-entropy."""
    entries = [entry for entry in stored.summary.get("grids", []) if entry["name"] == grid.name]
    losses = {target.get("loss") for entry in entries for target in entry.get("targets", [])}
    return bool(losses) and losses <= {"cross_entropy", "bce"}


def _banded(rows: pl.DataFrame) -> bool:
    """Whether runs are enough, and were recorded at the same steps, for a median of them."""
    runs = rows["run"].n_unique()
    shared = rows.group_by("step").len()["len"] > runs / 2
    return runs >= FEW and number(shared.mean()) >= ALONE


def _drawn(grid: Grid, rows: pl.DataFrame, banded: bool) -> pl.DataFrame:
    """The curves of the runs that are drawn one by one, and before them the bands of all runs, where there are any."""
    shown = grid.singles(rows)
    return pl.concat([bands(rows), shown], how="diagonal") if banded else shown


def bands(rows: pl.DataFrame) -> pl.DataFrame:
    """The median over runs and the middle half of them, at the steps at which most runs were recorded.

    Args:
        rows: With ``run``, ``step``, ``baseline`` and the columns of the curves.

    Returns:
        Rows without a run: ``step``, ``baseline``, an empty ``mark``, and for each curve c its ``c_low``, ``c_mid``,
        ``c_high`` and ``c_runs``, null where fewer runs than half of the most were recorded.
    """
    curves = [name for s in SETS for q in ("accuracy", "loss") if (name := f"{s}_{q}") in rows.columns]
    summed = rows.group_by("step").agg(
        pl.col("baseline").max(),
        pl.lit("").alias("mark"),
        *(pl.col(name).quantile(share, "linear").name.suffix(f"_{side}") for name in curves for side, share in SIDES),
        *(pl.col(name).count().name.suffix("_runs") for name in curves),
    )
    return summed.sort("step").with_columns(
        pl.when(2 * pl.col(f"{name}_runs") > pl.col(f"{name}_runs").max()).then(pl.col(f"^{name}_(low|mid|high)$"))
        for name in curves
    )


def loss_domain(losses: pl.Series) -> list[float]:
    """Ends of an axis of losses; a few that grew without bound, before their runs stopped, do not set its top.

    Example:
        >>> loss_domain(pl.Series([1e-3] * 50 + [2.0] * 50 + [1e30]))
        [0.001, 20.0]
    """
    low = max(number(losses.min()), FLOOR)
    high = min(number(losses.max()), BOUND * number(losses.quantile(0.95, "lower")))
    return [low, max(high, 1.01 * low)]


def _caption(quantity: str, held_out: bool) -> str:
    if not held_out:
        end = "rise" if quantity == "accuracy" else "fall"
        return f"Look for the step at which the curves {end}; nothing was held out here, so there is one kind of curve."
    if quantity == "accuracy":
        return (
            "Look at the distance between blue and orange: where orange rises long after blue, "
            "a run first memorised its training examples and generalised later."
        )
    return (
        "Look for plateaus and sudden drops, each the mark of a stage, "
        "and for held-out loss that rises while training loss falls."
    )


def _rows(stored: Stored, group: Group) -> pl.DataFrame:
    """The curves of a group, with the column ``mark`` naming what happened at a step."""
    runs = group.runs.select("run", "seed", "status", "steps", "last_step", "steps_to_fit", "steps_to_generalise")
    held_out = median(group.runs["baseline_held_out_accuracy"])
    baseline = median(group.runs["baseline_train_accuracy"]) if held_out is None else held_out
    rows = runs.join(stored.curves, on="run", maintain_order="left_right")
    loss = pl.col("train_loss", "held_out_loss")
    stopped = (pl.col("status") != "ok") & (pl.col("step") == pl.col("step").max().over("run"))
    return (
        rows.filter(pl.any_horizontal(pl.col("^(train|held_out)_(loss|accuracy)$").is_not_null()))
        .with_columns(
            loss.clip(lower_bound=FLOOR),
            baseline=pl.lit(baseline, dtype=pl.Float64),
            name=pl.lit(f"{group.label} · seed ") + pl.col("seed").cast(pl.String),
            mark=pl.concat_str(
                pl.when(pl.col("step") == pl.col("steps_to_fit")).then(pl.lit("train ")).otherwise(pl.lit("")),
                pl.when(pl.col("step") == pl.col("steps_to_generalise"))
                .then(pl.lit("held_out "))
                .otherwise(pl.lit("")),
                pl.when(stopped).then(pl.lit("stopped")).otherwise(pl.lit("")),
            ),
        )
        .select("run", "name", "step", "mark", "baseline", "^(train|held_out)_(loss|accuracy)$")
    )


def holds_out(group: Group) -> bool:
    """Whether examples were held out from the runs of a group."""
    held_out = group.runs.select("held_out_loss", "steps_to_generalise")
    return any(column.is_not_null().any() for column in held_out)


def shortfalls(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """Groups with runs that did not fit or generalise."""
    if not any(measure["name"] == "fit" for measure in stored.measures):
        return []
    verbs = {"steps_to_fit": "fit the training examples", "steps_to_generalise": "generalise"}
    failed = (_failed(group, *item) for grid in grids for item in verbs.items() for group in grid.groups)
    return [found for found in failed if found is not None]


def _failed(group: Group, column: str, verb: str) -> dict[str, Any] | None:
    if column == "steps_to_generalise" and not holds_out(group):
        return None
    failed = group.runs.filter((pl.col("status") == "ok") & pl.col(column).is_null())
    if column == "steps_to_generalise":
        failed = failed.filter(pl.col("steps_to_fit").is_not_null())
    if not failed.height:
        return None
    steps = group.runs["steps"].to_list()
    text = f"{failed.height} of {group.runs.height} runs of {group.label} did not {verb} within {max(steps):,} steps"
    text += " although they fitted the training examples" if column == "steps_to_generalise" else ""
    text += ": seed" if failed.height == 1 else ": seeds"
    return words.sentence(text, failed, "seed")


def run_charts(stored: Stored) -> list[dict[str, Any]]:
    """The two small charts of the panel of one run."""
    last = max(stored.runs["steps"].to_list(), default=1)
    charts = []
    for quantity in ("accuracy", "loss"):
        values = pl.concat([stored.curves[f"{s}_{quantity}"].rename("value") for s in SETS]).drop_nulls()
        if values.is_empty():
            continue
        domain = [0.0, 1.0] if quantity == "accuracy" else loss_domain(values)
        draw = partial(
            draw_curves, quantity=quantity, sets=list(SETS), domain=domain, last=last, banded=False, title=None
        )
        charts.append({"draw": draw, "title": quantity})
    return charts


def _note(group: Group) -> str:
    """How many runs fitted and generalised, and the median step of those."""
    parts = []
    for column, verb in (("steps_to_fit", "fitted"), ("steps_to_generalise", "generalised")):
        if column == "steps_to_generalise" and not holds_out(group):
            continue
        count, middle = group.runs[column].drop_nulls().len(), median(group.runs[column])
        parts.append(f"{count}/{group.runs.height} {verb}" + (f", step {middle:,.0f}" if count else ""))
    return "\n".join(parts)


def draw_curves(
    data: alt.Data,
    size: Size,
    *,
    quantity: str,
    sets: list[str],
    domain: list[float],
    last: int,
    banded: bool,
    title: str | None,
) -> Drawing:
    """Draw one panel of curves.

    Args:
        data: Rows with ``run``, ``name``, ``step``, ``mark``, ``baseline`` (accuracy of the commonest answer, drawn as
            a rule) and the columns of the quantity; where runs are banded, those of :func:`bands`.
        size: How large.
        quantity: ``"accuracy"`` or ``"loss"``.
        sets: Which of ``"train"`` and ``"held_out"`` are drawn.
        domain: Of the vertical axis.
        last: The last step of the horizontal axis.
        banded: Whether the median over runs and the middle half are drawn, and single runs only on demand.
        title: Of the vertical axis of a figure that stands alone.
    """
    x = alt.X("step:Q", **step_axis(0, last, last, "step" if size.height >= ROOMY or size.legend else None))
    title = title if size.legend else None
    if quantity == "accuracy":
        scale, axis = alt.Scale(domain=domain), alt.Axis(format=".0%", title=title, tickCount=4)
        form = ".1%"
    else:
        scale, axis = alt.Scale(type="log", domain=domain, clamp=True), alt.Axis(format="~g", title=title, tickCount=4)
        form = ".3~g"
    base = alt.Chart(data)
    layers: list[alt.Chart] = []
    if quantity == "accuracy":
        rule = base.transform_filter("isValid(datum.baseline)").transform_aggregate(baseline="max(baseline)")
        layers.append(
            rule.mark_rule(color=RULE, strokeDash=[4, 3]).encode(y=alt.Y("baseline:Q", scale=scale, axis=axis))
        )
    shown = f"datum.run && (singles || {CHOSEN} || ({AMONG}))" if banded else "true"
    singles: list[alt.Chart] = []
    for s in sets:
        word, colour = SETS[s]
        column = f"{s}_{quantity}"
        layers += _band(base, column, word, colour, x, scale, axis, form) if banded else []
        stroke = alt.ColorValue(colour)
        at = base.encode(x=x, y=alt.Y(f"{column}:Q", scale=scale, axis=axis), detail=alt.Detail("run:N"), color=stroke)
        told = [
            alt.Tooltip("name:N"),
            alt.Tooltip("step:Q", format=",d"),
            alt.Tooltip(f"{column}:Q", format=form, title=word),
        ]
        own = at.transform_filter(shown)
        singles += [
            own.mark_line(strokeWidth=12, opacity=0, cursor="pointer").encode(tooltip=told),
            own.mark_line(strokeWidth=1).encode(opacity=fade(0.5)),
            own.transform_filter(CHOSEN).mark_line(strokeWidth=2.8).encode(tooltip=told),
            at.transform_filter(f"indexof(datum.mark, '{s}') >= 0")
            .mark_point(shape="circle", size=26, filled=True, stroke="white", strokeWidth=0.8)
            .encode(opacity=fade(1), tooltip=told),
            at.transform_filter("indexof(datum.mark, 'stopped') >= 0")
            .mark_point(shape="cross", angle=45, size=60, filled=True)
            .encode(opacity=fade(1), tooltip=told, color=alt.ColorValue(INK)),
        ]
    layers += singles
    return alt.layer(*layers).properties(width=size.width, height=size.height)


def _band(
    base: alt.Chart, column: str, word: str, colour: str, x: alt.X, scale: alt.Scale, axis: alt.Axis, form: str
) -> list[alt.Chart]:
    """The median over runs and the middle half of them, at the steps at which most runs were recorded."""
    over = base.transform_filter(f"isValid(datum.{column}_mid)").encode(x=x, color=alt.ColorValue(colour))
    told = [
        alt.Tooltip("step:Q", format=",d"),
        alt.Tooltip(f"{column}_mid:Q", format=form, title=f"{word}, median"),
        alt.Tooltip(f"{column}_low:Q", format=form, title="middle half, from"),
        alt.Tooltip(f"{column}_high:Q", format=form, title="to"),
        alt.Tooltip(f"{column}_runs:Q", title="runs", format=","),
    ]
    y = alt.Y(f"{column}_mid:Q", scale=scale, axis=axis)
    clear = alt.when(NONE).then(alt.value(1)).otherwise(alt.value(0.35))
    return [
        over.mark_area(opacity=0.2).encode(
            y=alt.Y(f"{column}_low:Q", scale=scale, axis=axis), y2=alt.Y2(f"{column}_high:Q")
        ),
        over.mark_line(strokeWidth=2).encode(y=y, opacity=clear),
        over.mark_line(strokeWidth=9, opacity=0).encode(y=y, tooltip=told),
    ]


def _share(column: str) -> Any:
    """The share of a group's runs in which a step is known."""

    def value(stored: Stored, group: Group) -> float | None:
        if column == "steps_to_generalise" and not holds_out(group):
            return None
        known = group.runs[column]
        return known.count() / len(known) if len(known) else None

    return value


SECTION = Section(
    name="learning",
    nav="Learning",
    title="Learning",
    link="learning curves",
    lead="Steps are spaced by powers of ten. A run has fitted, or generalised, from the step on from which it answers "
    "almost all training, or held-out, examples rightly.",
    figures=figures,
    columns=(
        Column("steps_to_fit", "fitted", ",d", "step at which the training examples were fitted"),
        Column("steps_to_generalise", "generalised", ",d", "step at which the held-out examples were answered"),
        Column("train_accuracy", "train acc.", ".1%", "accuracy on the training examples at the end"),
        Column("held_out_accuracy", "held-out acc.", ".1%", "accuracy on the held-out examples at the end"),
        Column("train_loss", "train loss", ".2e"),
        Column("held_out_loss", "held-out loss", ".2e"),
    ),
    shortfalls=shortfalls,
    switch=(("learning", "Accuracy"), ("loss", "Loss")),
    toggle=("singles", "Single runs"),
    glances=(
        Glance("fitted", _share("steps_to_fit"), ".0%"),
        Glance("step to fit", lambda stored, group: median(group.runs["steps_to_fit"]), ",.0f", log=True),
        Glance("generalised", _share("steps_to_generalise"), ".0%"),
        Glance("held-out acc.", lambda stored, group: median(group.runs["held_out_accuracy"]), ".1%"),
    ),
)
