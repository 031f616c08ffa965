"""What each colour, shape and weight means, once for the whole page.

The hues are those of Okabe and Ito, which people with any of the usual colour deficiencies can tell apart (purple,
amber and sky a little darker than theirs, to stand out on white), and no
meaning rests on hue alone: groups of runs differ in shape too, chosen runs in weight, matrices in lightness.

==================  ============================================================================
blue                answers on the training examples
orange              answers on the held-out examples
green, purple,      a group of runs (one target, architecture and explorer), together with a
amber, sky          shape: 4 colours × 6 shapes tell 24 groups apart
cream to brown      height of a barrier between two runs or of the loss on a plane, as on a map
pale to indigo      share of probes on which two runs agree; a number beside others of its kind
brown to indigo     a rank correlation: against each other, or together; none is paper
ink, heavy          the chosen run, and the two fixed points of function space: start and target
grey                a reference: the majority baseline, axes, whatever is not chosen
==================  ============================================================================
"""

from __future__ import annotations

from typing import Any

INK = "#1d2129"
MUTED = "#5c6370"
RULE = "#8b919c"
GRID = "#eceae5"
PAPER = "#ffffff"

TRAIN = "#0072b2"
HELD_OUT = "#d55e00"

GROUP_COLOURS = ("#009e73", "#c368a0", "#d99200", "#4aa8de")
GROUP_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")

BARRIER = ("#fbf6ea", "#e6cfa1", "#bf8c4b", "#85531f", "#452709")
AGREEMENT = ("#f4f6fb", "#ccd5e9", "#98a9d1", "#6077b0", "#2f427f")

CORRELATION = ("#85531f", "#d6b98a", "#f7f6f3", "#98a9d1", "#2f427f")

ON_MAP, UNDER_MAP = "#1d2128", "#fefefe"
"""Ink and its halo on a map of heights, whose colours are the same in both schemes."""

FADED = 0.1

THEMED = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    GRID: "var(--gridline)",
    PAPER: "var(--paper)",
    "white": "var(--paper)",
    "black": "var(--ink)",
    "#fff": "var(--paper)",
    TRAIN: "var(--train)",
    HELD_OUT: "var(--held)",
}
"""Colours that the page has in a light and a dark form, by the property of its style sheet."""


def themed(drawing: Any) -> Any:
    """A drawing in which these colours are the page's own, so that they follow its scheme.

    The domain of a scale holds data, such as a target named ``white``, and stays as it is.

    Example:
        >>> themed({"color": "#1d2129", "text": "white wine", "scale": {"domain": ["white"]}})
        {'color': 'var(--ink)', 'text': 'white wine', 'scale': {'domain': ['white']}}
    """
    if isinstance(drawing, dict):
        return {key: part if key == "domain" else themed(part) for key, part in drawing.items()}
    if isinstance(drawing, list):
        return [themed(part) for part in drawing]
    return THEMED.get(drawing, drawing) if isinstance(drawing, str) else drawing


FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"

# The same six shapes as Vega draws them, on a square from -1 to 1, for the swatches beside names.
SHAPE_PATHS = {
    "circle": "M0.9,0A0.9,0.9,0,1,1,-0.9,0A0.9,0.9,0,1,1,0.9,0Z",
    "square": "M-0.8,-0.8H0.8V0.8H-0.8Z",
    "triangle-up": "M0,-0.95L0.95,0.75H-0.95Z",
    "diamond": "M0,-1L0.85,0L0,1L-0.85,0Z",
    "triangle-down": "M0,0.95L0.95,-0.75H-0.95Z",
    "cross": "M-0.32,-0.95H0.32V-0.32H0.95V0.32H0.32V0.95H-0.32V0.32H-0.95V-0.32H-0.32Z",
}


MARKS = len(GROUP_COLOURS) * len(GROUP_SHAPES)


def group_mark(index: int) -> tuple[str, str]:
    """Colour and shape of the group with this index; they repeat after 24 groups.

    Example:
        >>> group_mark(0), group_mark(5)
        (('#009e73', 'circle'), ('#c368a0', 'triangle-up'))
        >>> len({group_mark(i) for i in range(24)})
        24
    """
    colours, shapes = len(GROUP_COLOURS), len(GROUP_SHAPES)
    colour, turn = index % colours, index // colours
    return GROUP_COLOURS[colour], GROUP_SHAPES[(turn + colour) % shapes]


def vega_config() -> dict[str, Any]:
    """The Vega-Lite configuration that every chart shares: thin axes, no frame, quiet grid."""
    return {
        "font": FONT,
        "background": PAPER,
        "view": {"stroke": None},
        "axis": {
            "domainColor": RULE,
            "gridColor": GRID,
            "labelColor": MUTED,
            "labelFontSize": 11,
            "tickColor": RULE,
            "tickSize": 4,
            "titleColor": MUTED,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "titlePadding": 6,
        },
        "axisX": {"grid": False},
        "title": {
            "anchor": "start",
            "color": INK,
            "fontSize": 12,
            "fontWeight": 600,
            "subtitleColor": MUTED,
            "subtitleFontSize": 11,
        },
        "legend": {"labelColor": MUTED, "titleColor": MUTED, "labelFontSize": 11, "titleFontSize": 11},
    }
