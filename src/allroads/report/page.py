"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from allroads.answers import answers
from allroads.report import words
from allroads.report.charts import learning
from allroads.report.charts.figure import Figure
from allroads.report.charts.registry import KNOWN, read_sections
from allroads.report.encode import records
from allroads.report.grids import Grid, read_grids
from allroads.report.section import Column, Listing, Section
from allroads.report.shell import embedded, render_page
from allroads.report.stored import Stored, read_stored
from allroads.report.write import write_whole


def write_report(directory: str | Path) -> Path:
    """Write the report of a study as one self-contained page, ``DIR/report.html``.

    Args:
        directory: The run directory; its folder ``tables`` is read and nothing else.

    Returns:
        The page.

    Raises:
        StoreError: The tables cannot be read, or the page cannot be written.
    """
    stored = read_stored(directory)
    return write_whole(stored.directory / "report.html", render(stored).encode())


FIRST = (Column("target", "target"), Column("seed", "seed", "d"), Column("status", "status"))
LAST = (
    Column("last_step", "last step", ",d", minor=True),
    Column("architecture", "architecture", minor=True),
    Column("explorer", "explorer", minor=True),
    Column("parameters", "parameters", ",d", minor=True),
    Column("grid", "grid", minor=True),
    Column("run", "run", minor=True),
)
"""Columns of the table of runs before and after those of the sections."""


def render(stored: Stored) -> str:
    """The page as text."""
    grids = read_grids(stored)
    sections = read_sections(stored)
    blocks = {section.name: make_block(section, stored, grids) for section in sections}
    runs = _runs(grids)
    payload = {
        "runs": runs,
        "statuses": words.status_meanings(set(stored.runs["status"]), runs=True),
        "runCharts": [embedded(c["draw"], 110) | {"title": c["title"]} for c in learning.run_charts(stored)],
        **{s.name: own for s in sections if (own := s.payload(stored, grids))},
        "facts": [{"key": column.key, "title": column.title} for column in _plain_columns(stored)],
    }
    summary = stored.summary
    return render_page(
        "template.html",
        ((name, block.figures) for name, block in blocks.items()),
        payload,
        name=summary.get("name") or stored.directory.resolve().name,
        question=summary.get("question") or "",
        findings=[
            (question, *([_finding(finding, sections, grids) for finding in part] for part in parts))
            for question, *parts in answers(summary)
        ],
        shortfalls=shortfalls(stored, sections, grids),
        sections=sections,
        blocks=blocks,
        grids=grids,
        runs=runs,
        listed={run["run"] for run in runs},
        whole=stored.runs.height,
        columns=_columns(stored.runs, sections),
        quantities=summary.get("quantities", []),
        status_counts=summary.get("status_counts") or dict(stored.runs["status"].value_counts().iter_rows()),
        meanings=words.status_meanings(set(stored.runs["status"]), runs=True),
        trust=[_trust(stored, *section.trust) for section in sections if section.trust is not None],
        baselines=[(grid, target) for grid in summary.get("grids", []) for target in grid.get("targets", [])],
        cost=_cost(summary.get("cost") or {}),
        provenance=list(_flatten(summary.get("provenance") or {})),
        config_toml=summary.get("config_toml") or "",
    )


@dataclass(frozen=True)
class Block:
    """A section as the page lays it out.

    Attributes:
        whole: Figures of the whole study.
        grids: Each grid that has charts, with its figures and listings.
        legends: The key of each kind of figure, each entry once, with its kind.
        captions: The sentences under them, each once, with the kind of figure; one of some grids names them.
        absent: Why there is nothing to see, of grids without charts.
        switch: The figures between which the reader switches, with their labels.
    """

    whole: tuple[Figure, ...]
    grids: tuple[tuple[Grid, tuple[Figure, ...], tuple[Listing, ...]], ...]
    legends: tuple[tuple[str, tuple[dict[str, Any], ...]], ...]
    captions: tuple[tuple[str, str], ...]
    absent: tuple[str, ...]
    switch: tuple[tuple[str, str], ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All its figures."""
        return (*self.whole, *(figure for _, parts, _ in self.grids for figure in parts))


def make_block(section: Section, stored: Stored, grids: Sequence[Grid]) -> Block:
    """What a section shows: whatever its grids share is said once."""
    found = [(grid, section.figures(stored, grid), section.listings(stored, grid)) for grid in grids]
    drawn = tuple((g, kept, texts) for g, parts, texts in found if (kept := tuple(p for p in parts if p.panels)))
    entries: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}
    said: dict[tuple[str, str], list[str]] = {}
    for grid, parts, _ in drawn:
        for figure in parts:
            entries.setdefault(figure.chart, {}).update({_identity(entry): entry for entry in figure.legend})
            said.setdefault((figure.chart, figure.caption), []).append(grid.name)
    absent: dict[str, list[str]] = {}
    for grid, parts, _ in found:
        for text in dict.fromkeys(figure.absent for figure in parts if not figure.panels and figure.absent):
            absent.setdefault(text, []).append(grid.name)
    return Block(
        whole=section.whole(stored, grids),
        grids=drawn,
        legends=tuple((chart, tuple(known.values())) for chart, known in entries.items() if known),
        captions=tuple((chart, _of(names, len(drawn), text)) for (chart, text), names in said.items()),
        absent=tuple(_of(names, len(found), text) for text, names in absent.items()),
        switch=tuple((name, label) for name, label in section.switch if name in entries),
    )


def _identity(entry: dict[str, Any]) -> tuple[str, ...]:
    """What tells two entries of a key apart."""
    group = entry.get("group")
    return (entry["kind"], entry["label"], str(entry.get("colour")), str(group and group.index))


def _of(names: Sequence[str], of: int, text: str) -> str:
    """A sentence, with the grids of which it speaks where those are not all."""
    return text if len(names) == of else f"{words.listed(list(names))}: {text}"


def shortfalls(stored: Stored, sections: Sequence[Section], grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """What did not work, in sentences: what is missing, and what each section has to say."""
    return words.shortfalls(stored, grids) + [
        found for section in sections for found in section.shortfalls(stored, grids)
    ]


def _trust(stored: Stored, table: str, heading: str) -> dict[str, Any]:
    """How often each status of a table occurs, and what it means."""
    statuses = stored.tables[table]["status"].drop_nulls()
    return {
        "heading": heading,
        "counts": dict(sorted(Counter(statuses).items())),
        "meanings": words.status_meanings(set(statuses)),
    }


def _plain_columns(stored: Stored) -> list[Column]:
    """Columns of the table of runs that no chart of its own shows."""
    return [column for section in read_sections(stored) if section.name not in KNOWN for column in section.columns]


def _runs(grids: tuple[Grid, ...]) -> list[dict[str, Any]]:
    """Every run that is listed, with its name, mark and the data set of its curve."""
    found = []
    for grid in grids:
        group_of = {group.label: group for group in grid.groups}
        for run in records(grid.singles(grid.runs)):
            group = group_of[run["group"]]
            found.append(run | {"colour": group.colour, "shape": group.shape, "curves": f"curves-{group.index}"})
    return found


def _columns(runs: pl.DataFrame, sections: Sequence[Section]) -> list[Column]:
    """The columns that say something: those that hold a value and, for what names a run, more than one."""
    naming = {"architecture", "explorer", "grid"}
    every = [*FIRST, *(column for section in sections for column in section.columns), *LAST]
    return [
        column
        for column in every
        if runs.is_empty()
        or (runs[column.key].is_not_null().any() and (column.key not in naming or runs[column.key].n_unique() > 1))
    ]


def _finding(finding: dict[str, Any], sections: Sequence[Section], grids: Sequence[Grid]) -> dict[str, str]:
    chart, grid = finding.get("chart"), str(finding.get("grid") or "")
    said = {"text": finding.get("text", ""), "grid": grid if len(grids) > 1 else "", "href": "", "link": ""}
    if chart == "runs":
        return said | {"href": "#runs", "link": "table of runs"}
    section = next((section for section in sections if section.name == chart), None)
    if section is None:
        return said
    anchor = {grid.name: grid.slug for grid in grids}.get(grid)
    within = anchor and not section.folded
    return said | {"href": f"#{chart}-{anchor}" if within else f"#{chart}", "link": section.link}


def _cost(cost: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Title, value, and both together as the head of the page has them."""
    shown = []
    if cost.get("seconds") is not None:
        time = words.duration(cost["seconds"])
        shown.append(("time", time, time))
    for key, title in (("gradients", "gradient evaluations"), ("examples", "examples seen")):
        if cost.get(key) is not None:
            number = words.count(cost[key])
            shown.append((title, number, f"{number} {title}"))
    if "gradients" in cost and cost["gradients"] is None:
        shown.append(("cost of training", "not known", "cost of training not known"))
    return shown


def _flatten(value: Any, name: str = "") -> Any:
    """Leaves of nested dicts as ``(dotted name, text)``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value))
    elif value is not None:
        yield name, {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
