"""The table of all tasks, beside what was published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mips.published import PUBLISHED

HEAD = (
    f"{'task':24} {'network':20} {'status':12} {'scope':12} {'language':9} {'form':7} {'bits':>6} {'exact':5} "
    f"{'swap':>5} {'train s':>7} {'read s':>6}  MIPS GPT-4 strict"
)


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    form = "formula" if row["formula"] else "–" if row["source"] is None else "table"
    bits = "–" if row["bits"] is None else f"{row['bits']:.0f}"
    swap = "–" if row["interchange"] is None else f"{row['interchange']:.3f}"
    known = "    ".join(PUBLISHED[row["task"]])
    text = (
        f"{row['task']:24} {row['network']:20} {row['status']:12} {row['scope'] or '–':12} {row['language'] or '–':9} "
        f"{form:7} {bits:>6} {'yes' if row['exact'] else 'no':5} {swap:>5} {row['training_seconds']:7} "
        f"{row['extraction_seconds']:6}  {known}"
    )
    return f"{text}  {row['cause']}" if row["cause"] else text


def table(rows: Sequence[dict[str, Any]]) -> str:
    """All rows."""
    return "\n".join([HEAD, *map(line, rows)])


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts; published ones are over the same tasks."""
    exact = [row for row in rows if row["exact"]]
    known = [PUBLISHED[row["task"]] for row in rows]
    return {
        "tasks": len(rows),
        "exact": len(exact),
        "exact_and_all_lengths": sum(row["scope"] == "all lengths" for row in exact),
        "exact_and_formula": sum(row["formula"] for row in exact),
        "computes": sum(row["status"] == "computes" for row in exact),
        "mips": sum(y[0] == "y" for y in known),
        "gpt4_reported": sum(y[1] == "y" for y in known),
        "gpt4_strict": sum(y[2] == "y" for y in known),
        "training_seconds": round(sum(row["training_seconds"] for row in rows), 1),
        "extraction_seconds": round(sum(row["extraction_seconds"] for row in rows), 1),
    }
