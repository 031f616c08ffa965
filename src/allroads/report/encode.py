"""Tables as small JSON that is safe inside a page."""

from __future__ import annotations

import json
import math
from typing import Any

import polars as pl

DIGITS = 5


def encode(table: pl.DataFrame) -> dict[str, Any]:
    """A table by columns: numbers to five digits, text as places in a list of its distinct values.

    What is null at the end of a column is left out, but for that of the first.

    Example:
        >>> encode(pl.DataFrame({"run": ["a", "a", None], "x": [0.1234567, 2.0, None]}))
        {'run': {'values': ['a'], 'places': [0, 0, -1]}, 'x': [0.12346, 2]}
    """
    return {name: _column(table[name], place == 0) for place, name in enumerate(table.columns)}


def _column(column: pl.Series, whole: bool) -> Any:
    kept = column if whole else column.head(_length(column))
    if column.dtype == pl.String:
        values = column.drop_nulls().unique(maintain_order=True).to_list()
        place = {value: i for i, value in enumerate(values)} | {None: -1}
        return {"values": values, "places": [place[value] for value in kept]}
    return [rounded(value) for value in kept]


def _length(column: pl.Series) -> int:
    """How many of its values stand before the nulls at its end."""
    held = column.is_not_null().arg_true()
    return int(held[-1]) + 1 if len(held) else 0


def rounded(value: Any) -> Any:
    """Floats to five significant digits and without a needless fraction; what is not finite becomes ``None``."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def records(table: pl.DataFrame) -> list[dict[str, Any]]:
    """A table by rows, rounded as :func:`encode` rounds."""
    return [{name: rounded(value) for name, value in row.items()} for row in table.iter_rows(named=True)]


def script_json(value: Any) -> str:
    r"""JSON that no HTML parser can take for markup: ``<``, ``>`` and ``&`` are written as escapes.

    Example:
        >>> script_json("</script>")
        '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def thin(rows: pl.DataFrame, stride: int) -> pl.DataFrame:
    """Keep every ``stride``-th step of each run, its last one, those at which something happened, and what is no run's.

    Args:
        rows: Rows in the order of the steps within a run; a table without steps is left as it is.
        stride: One keeps everything.
    """
    if stride <= 1 or "step" not in rows.columns:
        return rows
    place = pl.int_range(pl.len()).over("run")
    keep = (place % stride == 0) | (place == pl.len().over("run") - 1)
    if "mark" in rows.columns:
        keep |= pl.col("mark") != ""
    if "run" in rows.columns:
        keep |= pl.col("run").is_null()
    if "point" in rows.columns:
        keep |= pl.col("point") != "run"
    return rows.filter(keep)
