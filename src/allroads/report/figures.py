"""The charts of a study as files for a paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, get_args

import altair as alt
import vl_convert as vlc

from allroads.errors import UnknownNameError
from allroads.report.charts.figure import Figure, Size, inline
from allroads.report.charts.registry import read_sections
from allroads.report.encode import records
from allroads.report.grids import read_grids
from allroads.report.palette import vega_config
from allroads.report.stored import read_stored
from allroads.report.write import write_whole

Format = Literal["svg", "png", "pdf"]
COLUMNS = 4
SIZES = {1: (420, 260), 2: (320, 220)}  # by the number of panels; more of them are drawn smaller
SMALL = (200, 140)
PNG_SCALE = 3


def write_figures(directory: str | Path, format: Format) -> list[Path]:
    """Write every chart of every grid as one file, ``DIR/figures/<chart>-<grid>.<format>``.

    Args:
        directory: The run directory.
        format: ``"svg"``, ``"png"`` (three pixels a point) or ``"pdf"``.

    Returns:
        The files, in the order of the page.

    Raises:
        UnknownNameError: The format is none of these.
        StoreError: The tables cannot be read, or a file cannot be written.
    """
    if format not in get_args(Format):
        raise UnknownNameError("figure format", format, get_args(Format))
    stored = read_stored(directory)
    written, sections = [], read_sections(stored)
    for grid in read_grids(stored):
        for section in sections:
            for figure in section.figures(stored, grid):
                if figure.panels:
                    path = stored.directory / "figures" / f"{figure.chart}-{grid.slug}.{format}"
                    written.append(write_whole(path, _convert(specification(figure), format)))
    return written


def specification(figure: Figure) -> dict[str, Any]:
    """The Vega-Lite specification of a whole figure, its data inside."""
    width, height = SIZES.get(len(figure.panels), SMALL)
    if figure.panels[0].square:
        width = height
    drawings = [
        panel.draw(inline(*records(panel.rows)), Size(width, height, legend=True)).properties(
            title=alt.TitleParams(panel.title, subtitle=panel.note.split("\n")) if panel.note else panel.title
        )
        for panel in figure.panels
    ]
    columns = min(COLUMNS, len(drawings))
    own_scales: dict[str, Any] = dict.fromkeys(figure.own_scales, "independent")
    whole = alt.concat(*drawings, columns=columns).resolve_scale(**own_scales)
    spec = drawings[0] if len(drawings) == 1 else whole
    return spec.to_dict() | {"params": [{"name": "selected", "value": ""}], "config": vega_config()}


def _convert(spec: dict[str, Any], format: Format) -> bytes:
    text = json.dumps(spec)
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    if format == "svg":
        return vlc.vegalite_to_svg(text, vl_version=version, allowed_base_urls=[]).encode()
    if format == "png":
        return vlc.vegalite_to_png(text, vl_version=version, scale=PNG_SCALE, allowed_base_urls=[])
    return vlc.vegalite_to_pdf(text, vl_version=version, allowed_base_urls=[])
