"""What the page says in sentences that it makes itself, from the table of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from allroads.status import FAMILIES

if TYPE_CHECKING:
    from allroads.report.grids import Grid
    from allroads.report.stored import Stored

RAN = "The run took all its steps with finite numbers."
NAMED = 8  # runs named one by one in a sentence before it counts the rest


def shortfalls(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """What is missing, failed or stopped: sentences, each with the runs that it speaks of.

    Args:
        stored: For what failed.
        grids: The grids of a study.

    Returns:
        Dicts with ``text``, ``runs`` (``run`` and ``name`` of the first few) and ``more`` (how many it leaves out).
    """
    found = [
        sentence(f"{_what(failure)} of {failure['unit']} failed: {failure['message']}")
        for failure in stored.summary.get("failures") or []
    ]
    for grid in grids:
        if grid.missing:
            found.append(sentence(f"No run of {listed(list(grid.missing))} is finished."))
        for status in sorted(set(grid.runs["status"]) - {"ok"}):
            runs = grid.runs.filter(pl.col("status") == status)
            found.append(sentence(f"{runs.height} of {grid.runs.height} runs of {grid.name} ended as {status}:", runs))
    return found


def _what(failure: dict[str, str]) -> str:
    return "Training" if failure["measure"] == "trajectories" else f"The measure {failure['measure']!r}"


def sentence(text: str, runs: pl.DataFrame | None = None, name: str = "name") -> dict[str, Any]:
    """A sentence with the runs that it speaks of.

    Args:
        text: The sentence.
        runs: Rows with ``run`` and the column that names them.
        name: That column.
    """
    if runs is None or not runs.height:
        return {"text": text, "runs": [], "more": 0}
    named = runs.head(NAMED).select("run", name=pl.col(name).cast(pl.String)).to_dicts()
    return {"text": text, "runs": named, "more": max(runs.height - NAMED, 0)}


def listed(names: list[str]) -> str:
    """Names in a sentence.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def status_meanings(names: set[str], runs: bool = False) -> dict[str, dict[str, str]]:
    """Meaning, causes and remedy of each status that the study met.

    Args:
        names: The statuses.
        runs: Whether they are those of runs, and not of measurements.
    """
    whole = [family for family in FAMILIES if names <= {status.value for status in family}]
    known = {status.value: status for family in whole or FAMILIES for status in family}
    return {
        name: {
            "meaning": RAN if runs and name == "ok" else status.meaning,
            "causes": status.causes,
            "remedy": status.remedy,
        }
        for name in sorted(names)
        if (status := known.get(name)) is not None
    }


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    Example:
        >>> duration(4.25), duration(212), duration(7300)
        ('4.2 s', '3 min 32 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count(number: float) -> str:
    """A large number, short.

    Example:
        >>> count(950), count(128_000), count(3.2e9)
        ('950', '128 thousand', '3.2 billion')
    """
    if number < 10_000:
        return f"{number:,.0f}"
    power, word = next(
        p for p in ((12, "trillion"), (9, "billion"), (6, "million"), (3, "thousand")) if number >= 10 ** p[0]
    )
    return f"{number / 10**power:.3g} {word}"
