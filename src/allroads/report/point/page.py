"""The page of a point: what was measured there, how far to trust it, and how to measure it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from allroads.report.point import around, chains, curvature, ladder, words
from allroads.report.shell import render_page
from allroads.report.write import write_whole

if TYPE_CHECKING:
    from allroads.paths.landscape import LossPlane
    from allroads.points.inspection import Inspection


def write_point_page(
    found: Inspection,
    path: str | Path,
    origin: Sequence[tuple[str, str]] = (),
    snippet: str = "",
    plane: LossPlane | None = None,
) -> Path:
    """Write what was measured at a point as one self-contained page.

    Args:
        found: What :func:`~allroads.points.inspection.inspect_point` gave.
        path: Where to.
        origin: Where the point comes from, as titles and texts.
        snippet: Python that measures it again.
        plane: The loss around it, as :func:`~allroads.random_plane` gives it.

    Returns:
        The page.

    Raises:
        StoreError: The page cannot be written.
    """
    return write_whole(Path(path), render_point(found, origin, snippet, plane).encode())


def render_point(
    found: Inspection, origin: Sequence[tuple[str, str]], snippet: str, plane: LossPlane | None = None
) -> str:
    """The page as text."""
    figures = {
        "chains": chains.figures(found),
        "ladder": ladder.figures(found),
        "curvature": curvature.figures(found),
        "around": around.figures(plane),
    }
    return render_page(
        "point.html",
        figures.items(),
        {"runs": [], "statuses": {}, "runCharts": []},
        verdict=words.verdict(found),
        concerns=words.concerns(found),
        figures=figures,
        origin=origin,
        point=words.point_facts(found),
        coefficient=words.llc_facts(found),
        diagnostics=words.diagnostics(found),
        spectrum=words.spectrum_facts(found),
        description=words.description_facts(found),
        conventions={
            name.replace("_", " "): measured.stats.get("convention", "") for name, measured in found.description.items()
        },
        status=found.llc.status,
        fine=found.llc.status in words.FINE,
        snippet=snippet,
    )
