"""An inspection on the terminal, and for machines."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from allroads.points.inspection import Inspection
from allroads.report.point.words import (
    concerns,
    description_facts,
    diagnostics,
    error_parts,
    llc_facts,
    number_of,
    point_facts,
    spectrum_facts,
    verdict,
)


def show(found: Inspection, origin: list[tuple[str, str]], console: Console) -> None:
    """Print what the page shows.

    Args:
        found: What was measured.
        origin: Where the point comes from, as titles and texts.
        console: Where to.
    """
    console.print(escape(verdict(found)), style="bold")
    parts = [(name, number_of(part), "") for name, part in error_parts(found)]
    sections: dict[str, list[tuple[str, ...]]] = {
        "The point": [*origin, *point_facts(found)],
        "Learning coefficient": [*llc_facts(found)],
        "Diagnostics": [*diagnostics(found)],
        "Parts of its error": [*parts],
        "Curvature": [*spectrum_facts(found)],
        "Description length": [*description_facts(found)],
    }
    for title, rows in sections.items():
        console.print(f"\n{title}", style="bold")
        table = Table.grid(padding=(0, 2))
        for row in rows:
            table.add_row(*("  " + escape(cell) if i == 0 else escape(cell) for i, cell in enumerate(row)))
        console.print(table)
    wrong = concerns(found)
    if wrong:
        console.print("\nWhat to do", style="bold")
    for concern in wrong:
        status = concern.status
        console.print(escape(f"  {concern.what}: {status.value}. {status.meaning}"))
        for title, text in (("causes", status.causes), ("remedy", status.remedy)):
            if text:
                console.print(escape(f"    {title}: {text}"))


def as_json(found: Inspection, origin: list[tuple[str, str]]) -> dict[str, Any]:
    """What was measured as one object; numbers that are not finite are null."""
    spectrum, stats = found.spectrum, dict(found.llc.stats)
    trace, warmup = stats.pop("trace"), stats.pop("warmup")
    shown: dict[str, Any] = _plain(
        {
            "verdict": verdict(found),
            "origin": dict(origin),
            "loss": found.loss,
            "gradient_norm": found.gradient_norm,
            "parameters": found.parameters,
            "examples": found.examples,
            "llc": {**_measured(found.llc), "stats": stats},
            "chains": {"trace_shape": trace.shape, "warmup_shape": warmup.shape, "means": trace.mean(axis=1)},
            "spectrum": {
                "eigenvalues": spectrum.eigenvalues,
                "residuals": spectrum.residuals,
                "trace": _measured(spectrum.trace),
                "log_determinant": _measured(spectrum.log_determinant),
                "effective_dimension": _measured(spectrum.effective_dimension),
                "shift": spectrum.shift,
                "matrix": spectrum.matrix,
                "method": spectrum.method,
                "status": spectrum.status.value,
            },
            "description": {name: _measured(measured) for name, measured in found.description.items()},
            "left_out": list(found.left_out),
            "concerns": [
                {
                    "what": concern.what,
                    "status": concern.status.value,
                    **{name: getattr(concern.status, name) for name in ("meaning", "causes", "remedy")},
                }
                for concern in concerns(found)
            ],
        }
    )
    return shown


def _measured(measured: Any) -> dict[str, Any]:
    return {"value": measured.value, "error": measured.error, "status": measured.status.value}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return _plain(vars(value))
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
