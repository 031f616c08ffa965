"""What a chart is made of: panels that share a caption, and the parts that all of them use.

A panel's drawing refers to these parameters: ``selected``, the run that the reader has chosen, empty where none is;
``among``, the runs that belong to a chosen program, as an object with their ids, null where none is; ``singles``,
whether single runs are drawn beside their median; ``joints``, whether stages are marked; and those of the atlas's map.
The page gives them life and the figures leave them as they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import altair as alt
import polars as pl

from allroads.plots.atlas_layers import PARAMS as MAP_PARAMS
from allroads.report import palette
from allroads.report.grids import Group

Drawing: TypeAlias = alt.LayerChart | alt.FacetChart
"""A drawing of a panel: always layers, which Altair's own annotations do not know."""

PARAMS: list[dict[str, Any]] = [
    {"name": "selected", "value": ""},
    {"name": "singles", "value": False},
    {"name": "joints", "value": False},
    {"name": "among", "value": None},
    *({"name": name, "value": value} for name, value in MAP_PARAMS.items()),
]
"""What every drawing may refer to, with the value that it begins with."""

ROOMY = 160
"""Pixels of height below which a panel is one of many, and its axes are as bare as can be."""

CHOSEN = "datum.run === selected"
AMONG = "selected === '' && among && among[datum.run]"
NONE = "(selected === '' && !among)"
NONE_OR_CHOSEN = f"{NONE} || {CHOSEN} || ({AMONG})"


@dataclass(frozen=True)
class Size:
    """How large a panel is drawn.

    Attributes:
        width: Pixels, or ``"container"`` on the page, where the panel is as wide as its place.
        height: Pixels.
        legend: Whether the drawing carries its own legend; the page writes one in HTML instead.
    """

    width: int | str
    height: int
    legend: bool


@dataclass(frozen=True)
class Panel:
    """One drawing of a chart.

    Attributes:
        title: What it shows, the label of a group or a target.
        note: What it found, in a few words, a line each; may be empty.
        marks: The groups whose mark stands beside the title.
        data: Key of its data set; panels with the same key share one.
        rows: The data set.
        draw: ``(data, size) -> chart``.
        height: Pixels on the page.
        ratio: Its height over its width, whatever that is; ``None`` where the height is that above.
    """

    title: str
    note: str
    marks: tuple[Group, ...]
    data: str
    rows: pl.DataFrame
    draw: Callable[[alt.Data, Size], Drawing]
    height: int
    ratio: float | None = None


@dataclass(frozen=True)
class Figure:
    """Panels that belong together, the sentence under them, and what to say where there are none.

    Attributes:
        chart: The chart's name, which starts the name of its file.
        panels: Its drawings; may be empty.
        caption: One sentence that says what to look at.
        absent: Why there is nothing to see, in words.
        legend: Entries as dicts with ``kind`` ("line", "dash", "mark", "dot", "ramp" …) and ``label``.
        own_scales: The channels of colour and shape of which each panel has its own scale, where panels are drawn side
            by side in one file.
    """

    chart: str
    panels: tuple[Panel, ...]
    caption: str
    absent: str = ""
    legend: tuple[dict[str, Any], ...] = ()
    own_scales: tuple[str, ...] = ()


def inline(*rows: Mapping[str, Any]) -> alt.Data:
    """Data that stand in the drawing itself."""
    data: alt.Data = alt.Data(values=list(rows))
    return data


def number(value: Any) -> float:
    """An extreme or a median of a column of numbers, which Polars' annotations take for anything."""
    return float(value)


@cache
def fade(strong: float, weak: float = palette.FADED) -> alt.OpacityValue:
    """Opacity of a run: strong where it is chosen or none is, weak elsewhere.

    It is a channel, and made once: Altair takes 10 ms to find the channel of anything else.
    """
    told = alt.when(NONE_OR_CHOSEN).then(alt.value(strong)).otherwise(alt.value(weak))
    return alt.OpacityValue.from_dict(dict(told))


def step_ticks(first: float, last: float) -> list[int]:
    """Zero and the powers of ten between two steps, at most six of them; over a short stretch their 2 and 5 fold too.

    Example:
        >>> step_ticks(0, 5000), step_ticks(1000, 9000)
        ([0, 1, 10, 100, 1000], [1000, 2000, 5000])
        >>> step_ticks(0, 10_000_000)
        [0, 1, 100, 10000, 1000000]
    """
    top = math.floor(math.log10(max(last, 1)))
    folds = (1, 2, 5) if first and last <= 100 * first else (1,)
    ticks = [0, *(fold * 10**power for power in range(0, top + 1, 1 + top // 5) for fold in folds)]
    return [tick for tick in ticks if first <= tick <= last]


def step_axis(first: float, last: float, end: float, title: str | None) -> dict[str, Any]:
    """Scale and axis of steps: logarithmic, with step 0 in its place (log of 1 + step).

    Args:
        first: Where the axis begins.
        last: The last step, and the last tick at most.
        end: Where the axis ends.
        title: Of the axis; ``None`` for none.
    """
    short = "datum.value >= 1e6 ? datum.value / 1e6 + 'M' : datum.value >= 1e3 ? datum.value / 1e3 + 'k' : datum.value"
    return {
        "scale": alt.Scale(type="symlog", constant=1, domain=[first, end], nice=False),
        "axis": alt.Axis(values=step_ticks(first, last), labelExpr=short, title=title, labelFlush=False),
    }


def group_scale(groups: tuple[Group, ...], values: list[str]) -> alt.Scale:
    """The scale that gives each group's label one of ``values``."""
    return alt.Scale(domain=[group.label for group in groups], range=values)


def labelled_rows(labels: Sequence[str], **axis: Any) -> alt.Y:
    """The vertical axis of rows that the column ``place`` numbers from the top, with their labels.

    Labels are looked up by number: Vega takes some names, such as ``constructor``, for other things than names.

    Args:
        labels: By place.
        **axis: Of the axis and its scale (``scale``).
    """
    scale = axis.pop("scale", alt.Undefined)
    look_up = f"{json.dumps([f'{label} ' for label in labels])}[datum.value]"
    drawn = alt.Axis(title=None, ticks=False, domain=False, labelLimit=190, labelExpr=look_up, **axis)
    return alt.Y("place:O", scale=scale, axis=drawn)


def median(values: pl.Series) -> float | None:
    """Median of what is there, ``None`` of nothing."""
    present = values.drop_nulls()
    return None if present.is_empty() else number(present.median())
