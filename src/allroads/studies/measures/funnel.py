"""The funnel of each setting: how far apart its runs are as functions, bin by bin of the training loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field

from allroads.studies.measures.ensembles import REFUSED, finite, settings, together
from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid, short, signed

if TYPE_CHECKING:
    from allroads.explorers.trajectory import Trajectory
    from allroads.studies.channels.funnel import Narrowing
    from allroads.studies.units import Run, Unit

FIRST = 1 << 30
"""Index of the first draw; runs of a study have lower ones, so no draw is the start of a run."""


class FunnelOptions(Options):
    """Options of the funnel.

    Args:
        enabled: Off by default: it draws many networks for every target and architecture.
        samples: Networks that are drawn.
        bins: Bins of the training loss per factor of ten.
    """

    enabled: bool = False
    samples: Annotated[int, Field(ge=8)] = 4096
    bins: Annotated[int, Field(ge=1, le=100)] = 8


QUANTITIES = (
    Quantity(
        "spread",
        "Mean squared distance of the outputs of two runs, per coordinate, at their first records in a bin of the "
        "training loss.",
        conventions="In the chart of `chart`, on the road probes. 95 % interval by leaving out runs in turn.",
        source="efron1981",
    ),
    Quantity(
        "effective dimension",
        "(tr Σ)² / tr Σ² of the outputs over runs.",
        conventions="Numerator and denominator are unbiased.",
        source="chen2010",
    ),
)


def measure_funnel(unit: Unit, options: FunnelOptions) -> list[Row]:
    """A row per architecture, explorer and bin of the training loss."""
    rows: list[Row] = []
    for architecture, explorers in settings(unit.runs).items():
        draws: Trajectory | None = None
        for explorer, every in explorers.items():
            same = {"architecture": architecture, "explorer": explorer}
            runs = [run for run in every if run.status == "ok"]
            reason = _refused(runs)
            if not reason:
                draws = _draws(runs[0], options.samples) if draws is None else draws
                rows += [same | row for row in _bins(runs, draws, options.bins)]
            else:
                rows.append(same | {"status": REFUSED, "reason": reason})
    return rows


def _refused(runs: Sequence[Run]) -> str:
    """Why runs have no funnel; empty where they have one."""
    from allroads.studies.channels.spread import FEWEST

    if len(runs) < FEWEST:
        return f"{len(runs)} runs have finite numbers throughout; {FEWEST} or more are needed."
    ensemble = together(runs)
    if ensemble is None:
        return "The runs were recorded at different steps."
    return "" if (ensemble.curves["train_loss"] > 0).any() else "The training loss is 0 throughout."


def _draws(run: Run, samples: int) -> Trajectory:
    """Draws of the initialisation, with outputs on the probes of the runs and training losses."""
    from allroads.explorers.explore import explore
    from allroads.explorers.gd import GD
    from allroads.studies.probes import road_probes

    probes = road_probes(run.target, len(run.need("values").arrays["labels"]))
    members = range(FIRST, FIRST + samples)
    return explore(run.problem, GD(), members, steps=0, seed=run.study_seed, probes=probes.inputs)


def _bins(runs: Sequence[Run], draws: Trajectory, bins: int) -> list[dict[str, Any]]:
    """The rows of one setting, from the least loss to the greatest; bins with neither runs nor draws are left out."""
    from allroads.studies.channels import funnel

    ensemble = together(runs)
    assert ensemble is not None
    chart = str(runs[0].need("chart").row["chart"])
    edges = loss_edges(ensemble.curves["train_loss"], bins)
    found = funnel(ensemble, draws, runs[0].loss, edges=edges.tolist(), chart=chart)
    rows = []
    for place, (own, others, ratio) in enumerate(zip(found.runs, found.neutral, found.ratios, strict=True)):
        if own is None and others is None:
            continue
        row = {"bin_low": edges[place], "bin_high": edges[place + 1], "chart": chart}
        row |= _columns("runs", own) | _columns("draws", others)
        if ratio is not None:
            row |= {"ratio": finite(ratio.value)} | {f"ratio_{end}": finite(ratio.stats.get(end)) for end in ENDS}
        rows.append(row | {"status": "no match" if ratio is None else ratio.status.value})
    return rows


def loss_edges(losses: np.ndarray, bins: int) -> np.ndarray:
    """Edges of bins of equal ratio around all losses above 0, whole powers of ``10^(1 / bins)``.

    Args:
        losses: At least one of them above 0.
        bins: Per factor of ten.

    Example:
        >>> loss_edges(np.array([0.0, 0.02, 0.5]), 1).tolist()
        [0.01, 0.1, 1.0]
    """
    places = np.log10(losses[losses > 0]) * bins
    first, last = np.floor(places.min()), np.ceil(places.max())
    edges: np.ndarray = 10 ** (np.arange(first, max(last, first + 1) + 1) / bins)
    return edges


def _columns(who: str, found: Narrowing | None) -> dict[str, Any]:
    if found is None:
        return {who: 0}
    (low, high), dimension = found.interval, found.dimension
    columns: dict[str, Any] = {"loss": found.loss, "spread": found.spread, "spread_low": low, "spread_high": high}
    columns |= {"dimension": dimension.value} | {f"dimension_{end}": dimension.stats.get(end) for end in ENDS}
    columns["disagreement"] = found.disagreement.value
    return {who: found.members} | {f"{who}_{name}": finite(value) for name, value in columns.items()}


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """Whether runs come together as their loss falls, and whether they are narrower than draws of the same loss."""
    return by_grid(_funnels, "funnel", "elsewhere")(tables["funnel"], grids)


def _funnels(table: pl.DataFrame) -> str:
    keys = ["grid", "target", "architecture", "explorer"]
    parts = [part.sort("bin_low") for part in table.drop_nulls("bin_low").partition_by(keys, maintain_order=True)]
    matched = [row for part in parts if (row := lowest_match(part)) is not None]
    spans = [span for part in parts if (span := _span(part)) is not None]
    if not parts:
        return ""
    if len(parts) == 1:
        texts = [_narrows(*span) for span in spans] + [_beside(row) for row in matched]
        return " ".join(texts) or "At no loss are there enough runs beside enough draws to compare their spreads."
    texts = []
    if spans:
        signs = [_change(*span) for span in spans]
        texts.append(
            f"The spread of the runs clearly falls with their loss in {signs.count(-1)} of {len(spans)} settings, and "
            f"clearly rises in {signs.count(1)}."
        )
    if matched:
        sides = [_side(row) for row in matched]
        texts.append(
            f"Runs are clearly narrower than draws of the same loss in {sides.count(-1)} of {len(matched)} settings, "
            f"and clearly wider in {sides.count(1)}."
        )
    return " ".join(texts)


def lowest_match(part: pl.DataFrame) -> Row | None:
    """The row of the least loss of one setting at which runs and draws can be compared; ``None`` where there is none.

    Args:
        part: Rows of one setting.
    """
    held = part.drop_nulls(["ratio_low", "ratio_high"]).sort("bin_low")
    return None if held.is_empty() else held.row(0, named=True)


def _span(part: pl.DataFrame) -> tuple[Row, Row] | None:
    """Bins of the greatest and of the least loss where the spread of the runs has an interval."""
    held = part.drop_nulls(["runs_spread_low", "runs_spread_high"])
    return None if held.height < 2 else (held.row(-1, named=True), held.row(0, named=True))


def _change(first: Row, last: Row) -> int:
    """−1 where the spread clearly falls, 1 where it clearly rises: where the intervals lie apart."""
    fell, rose = (one["runs_spread_high"] < other["runs_spread_low"] for one, other in ((last, first), (first, last)))
    return int(rose) - int(fell)


def _narrows(first: Row, last: Row) -> str:
    verb = {-1: "falls", 1: "rises", 0: "does not clearly change"}[_change(first, last)]
    at, to = (
        f"{short(row['runs_spread'])} (95 % interval {short(row['runs_spread_low'])}–{short(row['runs_spread_high'])}) "
        f"at loss {short(row['runs_loss'])}"
        for row in (first, last)
    )
    return f"The spread of the runs {verb} with their loss: {at}, {to}."


def _side(row: Row) -> int:
    return int(row["ratio_low"] > 0) - int(row["ratio_high"] < 0)


def _beside(row: Row) -> str:
    verb = {-1: "narrower", 1: "wider", 0: "neither clearly narrower nor wider"}[_side(row)]
    return (
        f"At loss {short(row['runs_loss'])} the runs are {verb} than draws of that loss: log₂ ratio "
        f"{signed(row['ratio'])} (95 % interval {signed(row['ratio_low'])} to {signed(row['ratio_high'])})."
    )


ENDS = ("low", "high")
OF_EACH = (
    "loss",
    "spread",
    "spread_low",
    "spread_high",
    "dimension",
    "dimension_low",
    "dimension_high",
    "disagreement",
)

MEASURE = Measure(
    "funnel",
    1,
    "target",
    measure_funnel,
    {
        "architecture": pl.String,
        "explorer": pl.String,
        "bin_low": pl.Float64,
        "bin_high": pl.Float64,
        "runs": pl.Int64,
        **{f"runs_{name}": pl.Float64 for name in OF_EACH},
        "draws": pl.Int64,
        **{f"draws_{name}": pl.Float64 for name in OF_EACH},
        "ratio": pl.Float64,
        "ratio_low": pl.Float64,
        "ratio_high": pl.Float64,
        "chart": pl.String,
        "status": pl.String,
        "reason": pl.String,
    },
    options=FunnelOptions,
    needs=("curves", "values", "chart"),
    quantities=QUANTITIES,
    findings=findings,
)
