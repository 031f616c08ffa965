"""Charts of results, one function per kind of result; Altair is imported when the first is drawn."""

from __future__ import annotations

import html as escape
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from allroads.errors import InputError

if TYPE_CHECKING:
    import altair

CHARTS: dict[str, Callable[[Any], altair.Chart]] = {}
"""By the name of the result's class."""
FAMILIES = ("atlas", "chains", "convergence", "curvature", "functions", "landscape", "paths", "programs", "runs")
"""Modules of this package; each registers its charts."""

Draw = TypeVar("Draw", bound=Callable[..., Any])
Drawn = TypeVar("Drawn")


def chart(name: str) -> Callable[[Draw], Draw]:
    """Register a function as the chart of the results of one class."""

    def register(draw: Draw) -> Draw:
        CHARTS[name] = draw
        return draw

    return register


def charts() -> dict[str, Callable[[Any], altair.Chart]]:
    """All charts by the name of the result's class."""
    for family in FAMILIES:
        importlib.import_module(f"allroads.plots.{family}")
    return CHARTS


def plot(result: Any) -> altair.Chart:
    """The chart of a result.

    Raises:
        InputError: If this kind of result has none.
    """
    name, known = type(result).__name__, charts()
    if name not in known:
        raise InputError(f"{name} has no chart; charts: {', '.join(sorted(known))}. Read its fields instead.")
    return known[name](result)


def html(result: Any) -> str:
    """How a notebook shows a result: its text, and under it a small chart where there is one."""
    text = f"<code>{escape.escape(repr(result))}</code>"
    if type(result).__name__ not in charts():
        return text
    import vl_convert

    try:
        drawn = plot(result).properties(width=320, height=120)
    except InputError:  # a result with nothing to draw
        return text
    return f"{text}<br>{vl_convert.vegalite_to_svg(drawn.to_dict())}"


def titled(drawn: Drawn, what: str, how: str = "") -> Drawn:
    """A chart with what it shows above it, and below that how: how many of what, and which interval.

    Args:
        drawn: An Altair chart.
        what: What was found, in a few words.
        how: A line; may be empty.
    """
    import altair as alt

    bare: Any = drawn
    title = alt.Title(what, subtitle=how or alt.Undefined, anchor="start", fontSize=12)
    named: Drawn = bare.properties(title=title)
    return named
