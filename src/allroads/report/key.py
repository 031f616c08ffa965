"""The key of a figure that stands alone: the signs of its legend, each with its words, in rows under the panels."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from allroads.report.charts.roads import STAR
from allroads.report.palette import INK, MUTED, PAPER

ROW, STROKE, POINT, GAP = 18, 22, 12, 20
"""Pixels: height of a row, widths of a stroke and of a point, room after an entry."""
FONT_SIZE = 11
NARROW, WIDE = 5.8, 11.5
"""Widest usual width of a letter at that size, and of one of an East Asian script."""
RAMP = 84
STROKES = ("line", "dash")
DASH = [4, 3]

Entry = Mapping[str, Any]


def draw_key(entries: Sequence[Entry], width: float) -> dict[str, Any]:
    """Signs and words, broken into rows of at most ``width`` pixels.

    Args:
        entries: As :class:`~allroads.report.charts.figure.Figure` has them.
        width: Of the figure.

    Returns:
        A Vega-Lite specification whose positions are pixels, so that it shares no scale with the panels.
    """
    places = list(_placed(entries, width))
    strokes = [stroke for entry, x, y in places for stroke in _strokes(entry, x, y)]
    texts = [text for entry, x, y in places for text in _texts(entry, x, y)]
    words = {"type": "text", "align": "left", "baseline": "middle", "fontSize": FONT_SIZE, "color": MUTED}
    layers = [
        _layer({"type": "rule"}, [s for s in strokes if not s["dashed"]], "x2", "y2", "color", "strokeWidth"),
        _layer(
            {"type": "rule", "strokeDash": DASH},
            [s for s in strokes if s["dashed"]],
            "x2",
            "y2",
            "color",
            "strokeWidth",
        ),
        _layer(
            {"type": "point", "opacity": 1},
            [point for entry, x, y in places for point in _points(entry, x, y)],
            *("shape", "size", "angle", "fill", "stroke", "strokeWidth"),
        ),
        *(
            _ramp(entry["colours"], x + _length(entry["low"]) + 5, y)
            for entry, x, y in places
            if entry["kind"] == "ramp"
        ),
        _layer(words, texts, "text"),
    ]
    rows = 1 + max(int(y // ROW) for _, _, y in places)
    return {"width": width, "height": rows * ROW, "layer": layers}


def _placed(entries: Sequence[Entry], width: float) -> Iterator[tuple[Entry, float, float]]:
    """Each entry with its left edge and the middle of its row."""
    x, row = 0.0, 0
    for entry in entries:
        needed = _sign_width(entry) + _length(entry["label"])
        if x and x + needed > width:
            x, row = 0.0, row + 1
        yield entry, x, row * ROW + ROW / 2
        x += needed + GAP


def _length(text: str) -> float:
    return sum(WIDE if unicodedata.east_asian_width(letter) in "WF" else NARROW for letter in text)


def _sign_width(entry: Entry) -> float:
    if entry["kind"] == "ramp":
        return _length(entry["low"]) + RAMP + _length(entry["high"]) + 16
    return 5.0 + (STROKE if entry["kind"] in STROKES else POINT) if entry["kind"] != "words" else 0.0


def _texts(entry: Entry, x: float, y: float) -> list[dict[str, Any]]:
    texts = [{"x": x + _sign_width(entry), "y": y, "text": entry["label"]}]
    if entry["kind"] == "ramp":
        after = x + _length(entry["low"]) + 10 + RAMP
        texts += [{"x": x, "y": y, "text": entry["low"]}, {"x": after, "y": y, "text": entry["high"]}]
    return texts


def _strokes(entry: Entry, x: float, y: float) -> list[dict[str, Any]]:
    kind = entry["kind"]
    if kind not in STROKES:
        return []
    along = {"x": x + 1, "x2": x + STROKE - 1, "y": y, "y2": y, "color": entry["colour"], "dashed": kind == "dash"}
    return [along | {"strokeWidth": 2.5 if kind == "line" else 1.5}]


def _points(entry: Entry, x: float, y: float) -> list[dict[str, Any]]:
    clear = "transparent"
    signs: dict[str, dict[str, Any]] = {
        "dot": {"size": 40, "fill": entry.get("colour"), "stroke": clear},
        "hollow": {"size": 46, "fill": clear, "stroke": MUTED, "strokeWidth": 1.4},
        "stopped": {"shape": "cross", "size": 60, "angle": 45, "fill": entry.get("colour"), "stroke": clear},
        "start": {"size": 70, "fill": PAPER, "stroke": INK, "strokeWidth": 1.8},
        "truth": {"shape": STAR, "size": 110, "fill": INK, "stroke": clear},
    }
    if entry["kind"] == "mark":
        group = entry["group"]
        signs["mark"] = {"shape": group.shape, "size": 64, "fill": group.colour, "stroke": clear}
    if entry["kind"] not in signs:
        return []
    usual = {"x": x + POINT / 2, "y": y, "shape": "circle", "angle": 0, "strokeWidth": 0}
    return [usual | signs[entry["kind"]]]


def _ramp(colours: Sequence[str], x: float, y: float) -> dict[str, Any]:
    stops = [{"color": colour, "offset": place / (len(colours) - 1)} for place, colour in enumerate(colours)]
    gradient = {"gradient": "linear", "x1": 0, "x2": 1, "y1": 0, "y2": 0, "stops": stops}
    place = {"x": x, "x2": x + RAMP, "y": y - 5, "y2": y + 5}
    return _layer({"type": "rect", "color": gradient}, [place], "x2", "y2")


def _layer(mark: dict[str, Any], rows: list[dict[str, Any]], *channels: str) -> dict[str, Any]:
    """Marks whose channels, the positions among them, have in each row the value that is drawn."""
    encoding: dict[str, Any] = {
        side: {"field": side, "type": "quantitative", "scale": None, "axis": None} for side in "xy"
    }
    for channel in channels:
        kind = "quantitative" if channel in ("size", "angle", "strokeWidth") else "nominal"
        bare = channel in ("x2", "y2", "text")
        encoding[channel] = {"field": channel} | ({} if bare else {"type": kind, "scale": None, "legend": None})
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}
