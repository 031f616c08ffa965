"""Attribution: which factors of a grid decide what its runs end with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
import polars as pl
from pydantic import Field

from allroads.errors import InputError
from allroads.status import AttributionStatus
from allroads.studies.measures.functions import domain, end_answers, function_name, truth_table
from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables

if TYPE_CHECKING:
    from allroads.studies.attribution import Attribution
    from allroads.studies.units import Run, Unit

Response: TypeAlias = Literal["train_loss", "held_out_loss", "train_accuracy", "held_out_accuracy", "function"]
FACTORS = ("target", "architecture", "explorer")
REFUSED = "refused"
"""Stands in the column ``status`` where the grid or the response cannot be attributed; ``reason`` says why."""
WORDS = {
    "train_loss": "the logarithm of the training loss",
    "held_out_loss": "the logarithm of the held-out loss",
    "train_accuracy": "training accuracy",
    "held_out_accuracy": "held-out accuracy",
    "function": "the function reached",
}


class AttributionMeasureOptions(Options):
    """Options of the attribution.

    Args:
        enabled: Off by default: a grid needs two levels of a factor and five seeds per cell.
        responses: What is attributed. Losses are taken by their logarithm; ``function`` is the function reached.
        order: Largest number of factors in an interaction that has a row of its own; default all.
        resamples: As for :func:`allroads.attribute`.
    """

    enabled: bool = False
    responses: Annotated[tuple[Response, ...], Field(min_length=1)] = ("train_loss", "held_out_accuracy", "function")
    order: Annotated[int, Field(ge=1)] | None = None
    resamples: Annotated[int, Field(ge=99)] = 999


QUANTITY = Quantity(
    "share decided by a factor",
    "Share of the variance among runs that goes with a factor or an interaction; of labels, its Shapley share of the "
    "information between label and factors.",
    symbol="ω²",
    conventions="Factors are target, architecture and explorer, as far as a grid has two or more of them. Diverged "
    "runs are left out, and cells are brought to one number of runs by dropping some at random.",
    source="hays1963",
)


def measure_attribution(unit: Unit, options: AttributionMeasureOptions) -> list[Row]:
    """A row per grid, response and term; one row with the reason where a response cannot be attributed."""
    grids: dict[str, list[Run]] = {}
    for run in unit.runs:
        grids.setdefault(run.labels["grid"], []).append(run)
    return [
        {"grid": grid, "response": response, **row}
        for grid, runs in grids.items()
        for response in options.responses
        for row in _rows(runs, response, options)
    ]


def _rows(runs: Sequence[Run], response: str, options: AttributionMeasureOptions) -> list[dict[str, Any]]:
    from allroads.studies.attribution import AttributionOptions, attribute

    known = [(run, value) for run in runs if run.status == "ok" and (value := _response(run, response)) is not None]
    factors = [name for name in FACTORS if len({run.labels[name] for run in runs}) > 1]
    if not factors:
        return [{"status": REFUSED, "reason": "Target, architecture and explorer have one level each in this grid."}]
    if not known:
        return [{"status": REFUSED, "reason": "No run that finished has this number."}]
    table = {name: [run.labels[name] for run, _ in known] for name in factors} | {response: [v for _, v in known]}
    try:
        found = attribute(
            table,
            response,
            factors,
            AttributionOptions(order=options.order, resamples=options.resamples),
            kind="labels" if response == "function" else "scalar",
            balance="drop",
            seed=runs[0].study_seed,
            progress=False,
        )
    except InputError as error:
        return [{"status": REFUSED, "reason": str(error)}]
    same = {"kind": found.kind, "status": found.status.value}
    same |= {name: found.stats[name] for name in ("runs", "cells", "seeds")}
    same["dropped"] = len(runs) - found.stats["runs"]
    return [same | row for row in _terms(found)] or [same]


def _response(run: Run, response: str) -> float | str | None:
    """The response of one run; ``None`` where it has none."""
    if response == "function":
        probes = domain(run.target)
        said = end_answers(run, probes.inputs)
        return None if said is None else function_name(said, truth_table(said, probes.inputs))
    curve = run.need("curves").along.get(response)
    value = None if curve is None or curve[-1] is None else float(curve[-1])
    if value is None or not np.isfinite(value) or (response.endswith("loss") and value < 0):
        return None
    tiny = float(np.finfo(np.float32).tiny)
    return float(np.log10(max(value, tiny))) if response.endswith("loss") else value


def _terms(found: Attribution) -> list[dict[str, Any]]:
    """The share of each term; for labels that of single factors, which add up to the whole."""
    name = "share" if found.kind == "labels" else "omega2"
    rows = []
    for place, term in enumerate(found.terms):
        if name not in found.columns:
            continue
        numbers = {
            column: found.columns[key][place]
            for column, key in (("value", name), ("low", f"{name}_low"), ("high", f"{name}_high"), ("null", "null"))
            if key in found.columns
        }
        p = "p_any" if found.kind == "labels" else "p"
        numbers["p"] = found.columns[p][place]
        plain = {column: float(number) if np.isfinite(number) else None for column, number in numbers.items()}
        if plain["value"] is not None:
            rows.append({"term": term, **plain})
    return rows


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """Which factor decides most of each response, grid by grid, and whether clearly more than the next."""
    table = tables["attribution"]
    return [Finding(_decides(table.filter(pl.col("grid") == grid)), "attribution", grid, "elsewhere") for grid in grids]


def _decides(table: pl.DataFrame) -> str:
    texts = []
    for (response,), part in table.group_by(["response"], maintain_order=True):
        name, status = WORDS[str(response)], part["status"].to_list()[0]
        ranked = part.drop_nulls(["term", "low", "high"]).sort("value", descending=True, maintain_order=True).to_dicts()
        if status == AttributionStatus.NO_EFFECT.value:
            texts.append(
                f"No factor has an effect on {name} that {part['runs'].to_list()[0]} runs can tell from chance."
            )
        elif status == AttributionStatus.CONSTANT.value:
            texts.append(f"All runs share {name}.")
        elif status == AttributionStatus.TOO_MANY_LABELS.value:
            texts.append(f"What each factor decides of {name} cannot be read: too many runs reach one of their own.")
        elif ranked:
            first = ranked[0]
            ends = f"95 % interval {100 * first['low']:.0f}–{100 * first['high']:.0f} %"
            of = "what the factors decide of" if first["kind"] == "labels" else "the variance of"
            text = f"{first['term'].capitalize()} has {100 * first['value']:.0f} % ({ends}) of {of} {name}"
            if len(ranked) > 1:
                clear = first["low"] > max(row["high"] for row in ranked[1:])
                text += f", {'clearly' if clear else 'not clearly'} more than any other term"
            texts.append(f"{text}.")
    return " ".join(texts)


MEASURE = Measure(
    "attribution",
    1,
    "study",
    measure_attribution,
    {
        "grid": pl.String,
        "response": pl.String,
        "kind": pl.String,
        "term": pl.String,
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "null": pl.Float64,
        "p": pl.Float64,
        "runs": pl.Int64,
        "cells": pl.Int64,
        "seeds": pl.Int64,
        "dropped": pl.Int64,
        "status": pl.String,
        "reason": pl.String,
    },
    options=AttributionMeasureOptions,
    needs=("curves",),
    quantities=(QUANTITY,),
    findings=findings,
)
