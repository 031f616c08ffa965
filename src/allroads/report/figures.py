"""The charts of a study as files for a paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert as vlc

from allroads.errors import UnknownNameError
from allroads.report.charts.figure import PARAMS, Figure, Panel, Size, inline
from allroads.report.charts.registry import read_sections
from allroads.report.encode import records
from allroads.report.grids import read_grids
from allroads.report.key import draw_key
from allroads.report.palette import MARKS, vega_config
from allroads.report.stored import read_stored
from allroads.report.write import write_whole

FORMATS = ("svg", "png", "pdf")
COLUMNS = 4
SIZES = {1: (420, 260), 2: (320, 220)}  # by the number of panels; more of them are drawn smaller
SMALL = (200, 140)
BESIDE = 60  # pixels, about, of the axis and the room between two panels
PNG_SCALE = 3


def write_figures(directory: str | Path, format: str) -> list[Path]:
    """Write every chart as one file: ``DIR/figures/<chart>-<grid>.<format>``, or ``<chart>.<format>`` of all grids.

    Args:
        directory: The run directory.
        format: ``"svg"``, ``"png"`` (three pixels per point) or ``"pdf"``.

    Returns:
        The files, in the order of the page.

    Raises:
        UnknownNameError: The format is none of these.
        StoreError: The tables cannot be read, or a file cannot be written.
    """
    if format not in FORMATS:
        raise UnknownNameError("figure format", format, FORMATS)
    stored = read_stored(directory)
    grids, sections = read_grids(stored), read_sections(stored)
    drawn = [(figure, figure.chart) for section in sections for figure in section.whole(stored, grids)]
    drawn += [
        (figure, f"{figure.chart}-{grid.slug}")
        for grid in grids
        for section in sections
        for figure in section.figures(stored, grid)
    ]
    return [
        write_whole(stored.directory / "figures" / f"{name}.{format}", _convert(specification(figure), format))
        for figure, name in drawn
        if figure.panels
    ]


def specification(figure: Figure) -> dict[str, Any]:
    """The Vega-Lite specification of a whole figure, its data inside: the panels, and their key below them."""
    width, height = SIZES.get(len(figure.panels), SMALL)
    sizes = [_within(panel, width, height) for panel in figure.panels]
    width = max(wide for wide, _ in sizes)
    drawings = [
        panel.draw(inline(*records(panel.rows)), Size(*size, legend=True)).properties(
            title=alt.TitleParams(_constant(panel.title), subtitle=[_constant(line) for line in panel.note.split("\n")])
        )
        for panel, size in zip(figure.panels, sizes, strict=True)
    ]
    columns = min(COLUMNS, len(drawings))
    panels = alt.concat(*drawings, columns=columns).to_dict()
    panels["resolve"] = {"scale": dict.fromkeys(figure.own_scales, "independent")}
    whole = {name: panels.pop(name) for name in ("$schema", "datasets", "config") if name in panels}
    parts = [_without_legends(panels)]
    if legend := _legend(figure):
        parts.append(draw_key(legend, columns * (width + BESIDE) - BESIDE))
    apart = {"params": PARAMS, "config": vega_config()}
    own = dict.fromkeys(("color", "fill", "stroke", "shape", "size", "angle", "strokeWidth"), "independent")
    return whole | {"vconcat": parts, "spacing": 14, "resolve": {"scale": own}} | apart


def _within(panel: Panel, width: int, height: int) -> tuple[int, int]:
    """The largest size within a width and a height that has the panel's ratio."""
    if panel.ratio is not None:
        width = round(min(width, height / panel.ratio))
        height = round(width * panel.ratio)
    return width, height


def _legend(figure: Figure) -> list[dict[str, Any]]:
    """The entries of a figure's legend, and before them the marks of its groups where only the page shows those."""
    entries = list(figure.legend)
    groups = list({group.index: group for panel in figure.panels for group in panel.marks}.values())
    if "shape" in figure.own_scales and len(groups) <= MARKS and not any(e["kind"] == "mark" for e in entries):
        entries = [{"kind": "mark", "group": group, "label": group.label} for group in groups] + entries
    return entries


def _constant(text: str) -> str:
    """A text for a title: with a space, so that it is none of the names that every JavaScript object has.

    Vega looks constants up by name, and takes a title ``constructor`` for such an object's own function.
    """
    return f"{text} " if text else text


def _without_legends(spec: Any) -> Any:
    """A specification whose channels draw no legends of their own."""
    if isinstance(spec, list):
        return [_without_legends(part) for part in spec]
    if not isinstance(spec, dict):
        return spec
    return {key: None if key == "legend" else _without_legends(part) for key, part in spec.items() if key != "config"}


def _convert(spec: dict[str, Any], format: str) -> bytes:
    text = json.dumps(spec)
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    if format == "svg":
        return vlc.vegalite_to_svg(text, vl_version=version, allowed_base_urls=[]).encode()
    if format == "png":
        return vlc.vegalite_to_png(text, vl_version=version, scale=PNG_SCALE, allowed_base_urls=[])
    return vlc.vegalite_to_pdf(text, vl_version=version, allowed_base_urls=[])
