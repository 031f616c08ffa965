"""What every page is made of: charts and their data, each once, the drawing library, a policy that fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Iterable
from functools import cache
from importlib import resources
from typing import Any

import altair as alt
import jinja2
import polars as pl
import vl_convert as vlc

from allroads.report import palette
from allroads.report.charts.figure import PARAMS, Drawing, Figure, Panel, Size
from allroads.report.encode import encode, script_json, thin

MOST_ROWS = 40_000  # points of curves and roads on the page; longer ones are thinned
MOST_PANELS = 36  # of one figure that are shown at once; further ones are folded away


def render_page(
    template: str, drawn: Iterable[tuple[str, Iterable[Figure]]], payload: dict[str, Any], **context: Any
) -> str:
    """A page as text.

    Args:
        template: Name of its template.
        drawn: The names of its sections with their figures.
        payload: What the script reads beside drawings, panels and data.
        **context: What the template reads.
    """
    drawings, panels, data = _embed(drawn)
    embedded_parts = {
        "drawings": drawings,
        "panels": panels,
        "data": data,
        "config": palette.themed(palette.vega_config() | {"aria": False, "background": "transparent"}),
        "params": PARAMS,
    }
    library, script = _library(), resource("charts.js") + resource("atlas.js") + resource("page.js")
    return _template(template).render(
        **context,
        marks=palette.SHAPE_PATHS,
        style=resource("style.css"),
        library=library,
        script=script,
        payload=script_json(embedded_parts | payload),
        policy=_policy(library, script),
    )


def _embed(
    sections: Iterable[tuple[str, Iterable[Figure]]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """Each drawing once, the panels that use them, and each data set once."""
    tables: dict[str, pl.DataFrame] = {}
    drawings: list[dict[str, Any]] = []
    panels = []
    place: dict[int, int] = {}  # panels that share a drawing hold the same object
    for section, parts in sections:
        for figure in parts:
            for panel in figure.panels:
                tables[panel.data] = panel.rows
                if id(panel.draw) not in place:
                    place[id(panel.draw)] = len(drawings)
                    drawings.append(embedded(panel.draw, panel.height))
                panels.append(
                    {
                        "id": panel_id(figure, panel),
                        "section": section,
                        "data": panel.data,
                        "ratio": panel.ratio,
                        "drawing": place[id(panel.draw)],
                    }
                )
    points = sum(rows["step"].count() for rows in tables.values() if "step" in rows.columns)
    stride = math.ceil(points / MOST_ROWS)
    return drawings, panels, {key: encode(thin(rows, stride)) for key, rows in tables.items()}


def panel_id(figure: Figure, panel: Panel) -> str:
    """The anchor of a panel: no letter of it comes from a name that a user gave."""
    return f"chart-{figure.chart}-{figure.panels.index(panel)}-{panel.data}"


def embedded(draw: Callable[[alt.Data, Size], Drawing], height: int) -> dict[str, Any]:
    """A drawing as the page's script reads it, without data and configuration."""
    spec = draw(alt.NamedData("rows"), Size("container", height, legend=False)).to_dict(validate=False)
    return {key: palette.themed(value) for key, value in spec.items() if key not in ("$schema", "config", "datasets")}


def _policy(*scripts: str) -> str:
    """A content policy under which only these scripts run and nothing is fetched."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which gives a page the function ``vegaEmbed``."""
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return vlc.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version).replace("\r\n", "\n")


def resource(name: str) -> str:
    """A file of the report as text."""
    return resources.files("allroads.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["panel_id"] = panel_id
    environment.globals["most_panels"] = MOST_PANELS
    environment.filters["themed"] = palette.themed
    return environment.get_template(name)
