"""Draw how far predicted chances of being learned hold: ``docs/reliability.svg``.

    python benchmarks/reliability_plot.py    # after learnability_prediction.py, from its committed result

Left: the chance that a run is learned within a budget, over budgets from a sixteenth of the whole upwards, as the law
gives it. Right: the chance that a target is learned within its whole budget by one number alone, held against a
threshold. All are of targets whose map, explorer and family were held out; nonlinear maps.
"""

import json
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert as vlc

from allroads.report.palette import GROUP_COLOURS, RULE, vega_config

RESULT = Path(__file__).parent / "results" / "learnability_prediction.json"
FIGURE = Path(__file__).parent.parent / "docs" / "reliability.svg"
LAWS = {"from the start": "start", "a twentieth learned first": "after", "six learned first": "after six"}
THRESHOLDS = {
    "hitting time ahead": "hitting time ahead over budget, nonlinear maps",
    "steps predicted, a twentieth first": "steps predicted after the first runs over budget, nonlinear maps",
}
SIDE = 300
LEAST = 20
"""Cells in a bin, for it to be drawn."""


def panel(title: str, bins: dict[str, list[dict[str, float]]], colours: tuple[str, ...]) -> alt.LayerChart:
    """Share learned against predicted chance, one line a way to predict."""
    rows = [{"way": way, **one} for way, found in bins.items() for one in found if one["cells"] >= LEAST]
    scale = alt.Scale(domain=[0, 1])
    colour = alt.Color("way:N", sort=list(bins), title=None, scale=alt.Scale(domain=list(bins), range=list(colours)))
    place = {
        "x": alt.X("predicted:Q", title="predicted chance of being learned", scale=scale),
        "y": alt.Y("observed:Q", title="share learned", scale=scale),
    }
    even = alt.Chart(alt.Data(values=[{"predicted": 0, "observed": 0}, {"predicted": 1, "observed": 1}]))
    drawn = alt.Chart(alt.Data(values=rows)).encode(**place, color=colour)
    size = alt.Size("cells:Q", legend=None, scale=alt.Scale(type="sqrt", range=[15, 220]))
    layers = even.mark_line(color=RULE, strokeDash=[4, 3]).encode(**place), drawn.mark_line(strokeWidth=1.2)
    whole = alt.layer(*layers, drawn.mark_circle(opacity=1).encode(size=size))
    return whole.properties(title=title, width=SIDE, height=SIDE)


def main() -> None:
    found: dict[str, Any] = json.loads(RESULT.read_text())
    laws = {way: found[key]["calibration, nonlinear maps"]["reliability"] for way, key in LAWS.items()}
    levels = {way: found["direct enough"][key]["reliability"] for way, key in THRESHOLDS.items()}
    panels = (
        panel("Within a budget, by the law", laws, (GROUP_COLOURS[2], GROUP_COLOURS[3], GROUP_COLOURS[0])),
        panel("Within the whole budget, by a threshold", levels, (GROUP_COLOURS[1], GROUP_COLOURS[3])),
    )
    spec = alt.hconcat(*panels).resolve_scale(color="independent", size="independent").to_dict()
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    text = json.dumps(spec | {"config": vega_config()})
    FIGURE.write_text(vlc.vegalite_to_svg(text, vl_version=version, allowed_base_urls=[]) + "\n")


if __name__ == "__main__":
    main()
