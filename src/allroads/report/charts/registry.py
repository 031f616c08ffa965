"""The sections of the page, by the measures that they show."""

from __future__ import annotations

from allroads.report.charts import (
    atlas,
    attribution,
    channel_gain,
    convergence,
    directness,
    ends,
    forecasts,
    function_prior,
    funnel,
    joined,
    landscape,
    learning,
    llc,
    pairs,
    programs,
    reached,
    roads,
)
from allroads.report.charts.generic import generic_section
from allroads.report.charts.overview import overview_section
from allroads.report.section import Section
from allroads.report.stored import Stored

CHARTS: dict[str, Section | None] = {
    "curves": learning.SECTION,
    "fit": learning.SECTION,
    "llc": llc.SECTION,
    "programs": programs.SECTION,
    "embedding": roads.SECTION,
    "certified": roads.SECTION,
    "stages": roads.SECTION,
    "directness": directness.SECTION,
    "turning": directness.SECTION,
    "landscape": landscape.SECTION,
    "forecasts": forecasts.SECTION,
    "pairs": pairs.SECTION,
    "reached": reached.SECTION,
    "function_prior": function_prior.SECTION,
    "channel_gain": channel_gain.SECTION,
    "funnel": funnel.SECTION,
    "convergence": convergence.SECTION,
    **dict.fromkeys(("complexity", "robustness", "sharpness", "volume"), ends.SECTION),
    "attribution": attribution.SECTION,
    "joined": joined.SECTION,
    "atlas": atlas.SECTION,
    **dict.fromkeys(("neighbours", "reach", "road_costs", "hypotheses")),
    "chart": None,
    "values": None,
}
"""By the measure's name, in the order of the page; ``None`` where others show what it gives."""

KNOWN = frozenset({"overview"} | {section.name for section in CHARTS.values() if section is not None})
"""Names of the sections with charts of their own."""


def read_sections(stored: Stored) -> tuple[Section, ...]:
    """The sections of a study: those of its measures, a plain one for each measure without charts of its own."""
    measures = {measure["name"]: measure for measure in stored.measures}
    known = [section for name, section in CHARTS.items() if name in measures and section is not None]
    plain = [generic_section(measure) for name, measure in measures.items() if name not in CHARTS]
    found = tuple({section.name: section for section in [*known, *plain]}.values())
    return (overview_section(found), *found)
