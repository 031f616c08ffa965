"""Attribution: which factors decide what training reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from allroads.budget import budgeted
from allroads.checks import check_options
from allroads.results import finish
from allroads.status import AttributionStatus
from allroads.studies.attribution.design import Design
from allroads.studies.attribution.grid import Table, read_grid
from allroads.studies.attribution.labels import label_rows
from allroads.studies.attribution.options import AttributionOptions
from allroads.studies.attribution.response import read_response
from allroads.studies.attribution.results import Attribution
from allroads.studies.attribution.variance import variance_rows

UNSEEN = 0.2
"""Chance of a label not seen before, above which the correction of information is called unreliable."""


def attribute(
    table: Table,
    response: Any,
    factors: str | Sequence[str],
    options: AttributionOptions | None = None,
    *,
    kind: str | None = None,
    balance: str = "refuse",
    seed: int = 0,
    progress: bool = True,
    throw: bool = False,
) -> Attribution:
    """How much of what varies among runs each factor decides, alone and together with others.

    The runs form a balanced factorial grid: every combination of levels, with equally many seeds. A response that is a
    number gets an analysis of variance: sums of squares, ω², partial ω², η², and Sobol indices of the cell means. A
    response that is a label, such as the function or the program reached, gets the information between label and
    factors: the Jensen–Shannon divergence between cells, shared out by Shapley values. Truth tables and distances get
    the analysis of variance of distances. Every share has a bootstrap interval over the seeds within cells.

    Args:
        table: A polars DataFrame or a mapping of columns, one row per run.
        response: Name of a column; or an array beside the table: truth tables ``[rows, bits]``, or distances between
            runs ``[rows, rows]``.
        factors: Names of the columns of the factors. Their levels are unordered.
        options: Order of interactions, confidence, number of resamples, exponent of distances.
        kind: ``"scalar"``, ``"labels"``, ``"bits"`` (truth tables at the distance of Hamming) or ``"distances"``.
            Default: for a column ``"scalar"`` where all its values are numbers, else ``"labels"``; for an array of
            false and true ``"bits"``.
        balance: ``"refuse"`` an unbalanced grid, or ``"drop"`` runs at random down to the smallest cell.
        seed: Decides the resamples, and the runs that are dropped.
        progress: Whether a bar, or a line every ten seconds, tells that it goes on.
        throw: Raise an error where the status is not sound.

    Returns:
        One row per term in ``table``; ``print`` shows the largest.

    Raises:
        InputError: For a grid that is unbalanced, has empty cells or fewer than five seeds per cell, for a factor with
            one level, and for a response that is NaN or missing.
        UnknownNameError: For a column that the table lacks.
        MeasurementError: With ``throw``, where the status is not sound.

    When it fails: many labels that are seen once (status ``too many labels``); a heavy-tailed response, whose variance
    a few runs decide; seeds that are not independent, such as one initialisation shared by all cells.

    References:
        [hays1963, sobol2001, shapley1953, anderson2001, rizzo2010]

    Example:
        >>> cells = [(a, b) for a in (0, 1) for b in (0, 1) for _ in range(20)]
        >>> runs = {"a": [a for a, _ in cells], "b": [b for _, b in cells], "reached": [f"f{a ^ b}" for a, b in cells]}
        >>> found = attribute(runs, "reached", ["a", "b"])
        >>> round(found.value, 6), found.columns["share"][:2].round(6).tolist(), found.status.value
        (1.0, [0.5, 0.5], 'ok')
    """
    options = options or AttributionOptions()
    check_options("options", options, AttributionOptions)
    grid = read_grid(table, factors, balance, seed)
    read = read_response(table, response, kind, options.exponent, grid.total)
    design = Design(grid.shape, grid.seeds, options.order or len(grid.factors))
    stats: dict[str, Any] = {
        "runs": design.runs,
        "cells": design.cells,
        "seeds": design.seeds,
        "levels": dict(zip(grid.factors, grid.levels, strict=True)),
        "dropped": grid.total - design.runs,
        "order": design.order,
        "seed": seed,
    }
    terms = tuple(
        " × ".join(grid.factors[axis] for axis in term)
        for term, kept in zip(design.terms, design.kept, strict=True)
        if kept
    )
    if read.constant_on(grid.rows):
        found = Attribution(
            float("nan"), None, AttributionStatus.CONSTANT, read.kind, read.name, grid.factors, terms, {}, stats
        )
        return finish(found, throw)
    rng = np.random.default_rng(seed)
    rows = label_rows if read.kind == "labels" else variance_rows
    with budgeted("attribute", None, progress) as clock:
        clock.say(f"{options.resamples:,} resamples of {design.runs:,} runs")
        columns, more = rows(grid, read, options, rng)
    value = more.pop("value")
    error = (more["value_high"] - more["value_low"]) / 2
    status = _status(more)
    found = Attribution(value, error, status, read.kind, read.name, grid.factors, terms, columns, stats | more)
    return finish(found, throw)


def _status(stats: dict[str, Any]) -> AttributionStatus:
    if stats.get("unseen", 0.0) > UNSEEN:
        return AttributionStatus.TOO_MANY_LABELS
    return AttributionStatus.OK if stats["differ"] else AttributionStatus.NO_EFFECT
