"""What the page says in sentences that it makes itself, from the table of runs."""

from __future__ import annotations

from typing import Any

import polars as pl

from allroads.measurement import Status
from allroads.report.grids import Grid

RAN = "The run took all its steps with finite numbers."
NAMED = 8  # runs named one by one in a sentence before it counts the rest


def shortfalls(grids: tuple[Grid, ...]) -> list[dict[str, Any]]:
    """What stopped, did not learn or is missing: sentences, each with the runs that it speaks of.

    Args:
        grids: The grids of a study.

    Returns:
        Dicts with ``text``, ``runs`` (``run`` and ``name`` of the first few) and ``more`` (how many it leaves out).
    """
    found = []
    for grid in grids:
        if grid.missing:
            found.append(_sentence(f"No run of {_list(list(grid.missing))} is finished.", pl.DataFrame()))
        total = grid.runs.height
        for status in sorted(set(grid.runs["status"]) - {"ok"}):
            runs = grid.runs.filter(pl.col("status") == status)
            found.append(_sentence(f"{runs.height} of {total} runs of {grid.name} ended as {status}:", runs))
        for column, verb in (("steps_to_fit", "fit the training examples"), ("steps_to_generalise", "generalise")):
            for group in grid.groups:
                if column == "steps_to_generalise" and group.learned == "steps_to_fit":
                    continue
                failed = group.runs.filter((pl.col("status") == "ok") & pl.col(column).is_null())
                if column == "steps_to_generalise":
                    failed = failed.filter(pl.col("steps_to_fit").is_not_null())
                if failed.height:
                    steps = max(failed["steps"].to_list())
                    text = f"{failed.height} of {group.runs.height} runs of {group.label} did not {verb}"
                    text += f" within {steps:,} steps"
                    text += " although they fitted the training examples" if column == "steps_to_generalise" else ""
                    text += ": seed" if failed.height == 1 else ": seeds"
                    found.append(_sentence(text, failed, "seed"))
        undefined = grid.runs.filter((pl.col("status") == "ok") & pl.col("directness").is_null())
        if undefined.height:
            found.append(_sentence(f"{undefined.height} of {total} runs of {grid.name} have no directness:", undefined))
    return found


def unpredicted(forecasts: pl.DataFrame) -> list[dict[str, Any]]:
    """Targets without a prediction: one sentence per grid, architecture, explorer and reason.

    Args:
        forecasts: The stored predictions; empty where none were asked for.
    """
    absent = forecasts.filter(pl.col("predicted").is_null())
    parts = absent.group_by("grid", "architecture", "explorer", "status", "reason", maintain_order=True)
    return [
        _sentence(
            f"No steps were predicted for {_list(table['target'].unique(maintain_order=True).to_list())} "
            f"({architecture}, {explorer}, {grid}), {status}: {reason}.",
            pl.DataFrame(),
        )
        for (grid, architecture, explorer, status, reason), table in parts
    ]


def _sentence(text: str, runs: pl.DataFrame, name: str = "name") -> dict[str, Any]:
    named = runs.head(NAMED).select("run", name=pl.col(name).cast(pl.String)).to_dicts() if runs.height else []
    return {"text": text, "runs": named, "more": max(runs.height - NAMED, 0)}


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def status_meanings(names: set[str]) -> dict[str, dict[str, str]]:
    """Meaning, causes and remedy of each status that the study met."""
    known = {status.value: status for status in Status}
    return {
        name: {
            "meaning": RAN if name == "ok" else status.meaning,
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
