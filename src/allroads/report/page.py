"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from allroads.report import words
from allroads.report.charts import directness, forecasts, learning, llc, pairs, roads
from allroads.report.encode import records
from allroads.report.grids import Grid, read_grids
from allroads.report.shell import embedded, render_page
from allroads.report.stored import Stored, read_stored
from allroads.report.write import write_whole

CHARTS = {
    "learning": learning,
    "llc": llc,
    "roads": roads,
    "directness": directness,
    "forecasts": forecasts,
    "pairs": pairs,
}
LINK_WORDS = {
    "learning": "learning curves",
    "llc": "learning coefficients",
    "roads": "roads",
    "directness": "directness and turning",
    "forecasts": "predicted and actual steps",
    "pairs": "pairs of runs",
    "runs": "table of runs",
}


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


@dataclass(frozen=True)
class Column:
    """One column of the table of runs."""

    key: str
    title: str
    form: str = ""
    hint: str = ""
    minor: bool = False

    @property
    def classes(self) -> str:
        """Its classes in the page: numbers stand on the right, and a minor column is not printed."""
        return " ".join(name for name, wanted in (("n", self.form), ("minor", self.minor)) if wanted)

    def show(self, value: Any) -> str:
        """The value as the table writes it; a dash where there is none."""
        return "–" if value is None else format(value, self.form) if self.form else str(value)


COLUMNS = (
    Column("target", "target"),
    Column("seed", "seed", "d"),
    Column("status", "status"),
    Column("steps_to_fit", "fitted", ",d", "step at which the training examples were fitted"),
    Column("steps_to_generalise", "generalised", ",d", "step at which the held-out examples were answered"),
    Column("train_accuracy", "train acc.", ".1%", "accuracy on the training examples at the end"),
    Column("held_out_accuracy", "held-out acc.", ".1%", "accuracy on the held-out examples at the end"),
    Column("train_loss", "train loss", ".2e"),
    Column("held_out_loss", "held-out loss", ".2e"),
    Column("directness", "directness", ".3f", "chord / arc of the road; 1 is straight"),
    Column("turning", "turning", ".2f", "total turning of the road, in radians"),
    Column("certified_share", "certified", ".0%", "share of the road's length on which the loss must fall"),
    Column("stages", "stages", "d", "direct pieces that the road is made of"),
    Column("last_step", "last step", ",d", minor=True),
    Column("architecture", "architecture", minor=True),
    Column("explorer", "explorer", minor=True),
    Column("parameters", "parameters", ",d", minor=True),
    Column("grid", "grid", minor=True),
    Column("run", "run", minor=True),
)


def render(stored: Stored) -> str:
    """The page as text."""
    grids = read_grids(stored)
    absent = {name for name in ("llc", "forecasts") if getattr(stored, name).is_empty()}
    charts = {section: chart for section, chart in CHARTS.items() if section not in absent}
    figures = {(section, grid.name): chart.figures(stored, grid) for section, chart in charts.items() for grid in grids}
    runs = _runs(grids)
    payload = {
        "runs": runs,
        "statuses": words.status_meanings({run["status"] for run in runs}),
        "runCharts": _run_charts(stored),
    }
    summary = stored.summary
    return render_page(
        "template.html",
        ((section, parts) for (section, _), parts in figures.items()),
        payload,
        name=summary.get("name") or stored.directory.resolve().name,
        question=summary.get("question") or "",
        findings=[_finding(finding, grids) for finding in summary.get("findings", [])],
        shortfalls=words.shortfalls(grids) + words.unpredicted(stored.forecasts),
        predicted=not stored.forecasts.is_empty(),
        grids=grids,
        figures=figures,
        runs=runs,
        columns=_columns(stored.runs),
        quantities=summary.get("quantities", []),
        status_counts=summary.get("status_counts") or dict(stored.runs["status"].value_counts().iter_rows()),
        meanings=words.status_meanings(set(stored.runs["status"])),
        llc_counts=dict(sorted(Counter(stored.llc["status"]).items())),
        llc_meanings=words.status_meanings(set(stored.llc["status"])),
        baselines=[(grid, target) for grid in summary.get("grids", []) for target in grid.get("targets", [])],
        cost=_cost(summary.get("cost") or {}),
        provenance=list(_flatten(summary.get("provenance") or {})),
        config_toml=summary.get("config_toml") or "",
    )


def _run_charts(stored: Stored) -> list[dict[str, Any]]:
    """The two small charts of the panel of one run."""
    last = max(stored.runs["steps"].to_list(), default=1)
    charts = []
    for quantity in ("accuracy", "loss"):
        values = pl.concat([stored.curves[f"{s}_{quantity}"].rename("value") for s in learning.SETS]).drop_nulls()
        if values.is_empty():
            continue
        domain = [0.0, 1.0] if quantity == "accuracy" else learning.loss_domain(values)
        draw = partial(learning.draw_curves, quantity=quantity, sets=list(learning.SETS), domain=domain, last=last)
        charts.append(embedded(draw, 110) | {"title": quantity})
    return charts


def _runs(grids: tuple[Grid, ...]) -> list[dict[str, Any]]:
    """Every run with its name, mark and the data set of its curve."""
    found = []
    for grid in grids:
        group_of = {group.label: group for group in grid.groups}
        for run in records(grid.runs):
            group = group_of[run["group"]]
            found.append(run | {"colour": group.colour, "shape": group.shape, "curves": f"curves-{group.index}"})
    return found


def _columns(runs: pl.DataFrame) -> list[Column]:
    """The columns that say something: those that hold a value and, for what names a run, more than one."""
    naming = {"architecture", "explorer", "grid"}
    return [
        column
        for column in COLUMNS
        if runs.is_empty()
        or (runs[column.key].is_not_null().any() and (column.key not in naming or runs[column.key].n_unique() > 1))
    ]


def _finding(finding: dict[str, Any], grids: tuple[Grid, ...]) -> dict[str, str]:
    chart = finding.get("chart")
    anchors = {grid.name: grid.slug for grid in grids}
    if chart not in LINK_WORDS:
        return {"text": finding.get("text", ""), "href": "", "link": ""}
    anchor = anchors.get(str(finding.get("grid"))) if chart in CHARTS else None
    href = f"#{chart}-{anchor}" if anchor else f"#{chart}"
    return {"text": finding.get("text", ""), "href": href, "link": LINK_WORDS[chart]}


def _cost(cost: dict[str, Any]) -> list[tuple[str, str]]:
    shown = []
    if cost.get("seconds") is not None:
        shown.append(("time", words.duration(cost["seconds"])))
    for key, title in (("gradients", "gradient evaluations"), ("examples", "examples seen")):
        if cost.get(key) is not None:
            shown.append((title, words.count(cost[key])))
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
