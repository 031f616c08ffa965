"""Charts of results, one function per kind of result; Altair is imported when the first is drawn."""

from __future__ import annotations

import html as escape
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from allroads.errors import InputError

if TYPE_CHECKING:
    import altair

CHARTS: dict[str, Callable[[Any], altair.Chart]] = {}
"""By the name of the result's class."""


def plot(result: Any) -> altair.Chart:
    """The chart of a result.

    Raises:
        InputError: If this kind of result has none.
    """
    name = type(result).__name__
    if name not in CHARTS:
        raise InputError(f"{name} has no chart; charts: {', '.join(sorted(CHARTS))}. Read its fields instead.")
    return CHARTS[name](result)


def html(result: Any) -> str:
    """How a notebook shows a result: its text, and under it a small chart where there is one."""
    text = f"<code>{escape.escape(repr(result))}</code>"
    if type(result).__name__ not in CHARTS:
        return text
    import vl_convert

    chart = plot(result).properties(width=320, height=120)
    return f"{text}<br>{vl_convert.vegalite_to_svg(chart.to_dict())}"
