"""A connection on the terminal, and for machines."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from allroads.paths.barrier import Barrier
from allroads.paths.connect import Connection
from allroads.report.point.words import number_of
from allroads.status import PathStatus


def verdict(found: Connection) -> str:
    """What may be said of the curve, in one or two sentences."""
    if found.status == PathStatus.DEGENERATE:
        return "Both ends are the same point."
    if found.status == PathStatus.DIVERGED:
        return "No curve can be given: the loss or a step was not finite."
    text = (
        f"On the curve the loss rises {number_of(found.height)} over the line between its ends, on the straight "
        f"segment {number_of(found.straight.height)}. The curve is {found.length / found.distance:.2f} times as long."
    )
    return text + (" Its top was still falling: more steps." if found.status == PathStatus.NOT_CONVERGED else "")


def show_connection(found: Connection, origin: list[tuple[str, str]], console: Console) -> None:
    """Print the verdict, the barriers, and what to do where something went wrong.

    Args:
        found: The curve.
        origin: Where its ends come from, as titles and texts.
        console: Where to.
    """
    console.print(escape(verdict(found)), style="bold")
    rows: list[tuple[str, ...]] = [
        *origin,
        ("method", f"{found.method}, {len(found.knots) - 2} free points"),
        ("length", f"{number_of(found.length)}, straight {number_of(found.distance)}"),
        ("cost", f"{found.steps:,} steps, {found.gradients:,} gradients of a batch"),
        ("status", found.status.value),
    ]
    _print(console, "The curve", rows)
    barriers: list[tuple[str, ...]] = [("", "curve", "straight")]
    for name, own, straight in _measured(found):
        barriers.append((f"{name} loss", number_of(own.height), number_of(straight.height)))
        if own.errors is not None and straight.errors is not None:
            barriers.append((f"{name} error", number_of(own.error_height), number_of(straight.error_height)))
    _print(console, "Barriers", barriers)
    if found.status != PathStatus.OK:
        status = found.status
        lines = [("meaning", status.meaning), ("causes", status.causes), ("remedy", status.remedy)]
        _print(console, "What to do", [line for line in lines if line[1]])


def connection_json(found: Connection, origin: list[tuple[str, str]]) -> dict[str, Any]:
    """The curve as one object; numbers that are not finite are null."""
    return {
        "verdict": verdict(found),
        "origin": dict(origin),
        "method": found.method,
        "status": found.status.value,
        "length": found.length,
        "distance": found.distance,
        "free_points": len(found.knots) - 2,
        "steps": found.steps,
        "gradients": found.gradients,
        "barriers": {
            name: {"curve": _plain(own), "straight": _plain(straight)} for name, own, straight in _measured(found)
        },
    }


def _measured(found: Connection) -> list[tuple[str, Barrier, Barrier]]:
    rows = [("training", found.barrier, found.straight)]
    if found.held_out is not None and found.straight_held_out is not None:
        rows.append(("held-out", found.held_out, found.straight_held_out))
    return rows


def _plain(barrier: Barrier) -> dict[str, Any]:
    def finite(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    return {
        "height": finite(barrier.height),
        "error_height": finite(barrier.error_height),
        "ts": barrier.ts.tolist(),
        "losses": [finite(value) for value in barrier.losses.tolist()],
    }


def _print(console: Console, title: str, rows: list[tuple[str, ...]]) -> None:
    console.print(f"\n{title}", style="bold")
    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*("  " + escape(cell) if i == 0 else escape(cell) for i, cell in enumerate(row)))
    console.print(table)
