"""The analysis of variance of a grid: the rows of its table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from allroads.studies.attribution.anova import anova
from allroads.studies.attribution.design import Design
from allroads.studies.attribution.grid import Grid
from allroads.studies.attribution.inversion import Quantity, World, interval
from allroads.studies.attribution.null import null_share, permutation_p_value, split_p_value
from allroads.studies.attribution.omega import Omega2, PartialOmega2, eta2
from allroads.studies.attribution.options import AttributionOptions
from allroads.studies.attribution.resampling import bootstrap, seed_split
from allroads.studies.attribution.response import Response
from allroads.studies.attribution.sobol import Sobol

Columns = dict[str, np.ndarray]


def variance_world(grid: Grid, response: Response, options: AttributionOptions, rng: np.random.Generator) -> World:
    """Sums of squares of a response on a grid, and its resamples."""
    design = Design(grid.shape, grid.seeds, options.order or len(grid.factors))
    found = anova(design, response.values[grid.rows.reshape(design.cells, grid.seeds)], response.signs)
    return World(found, bootstrap(found, options.resamples, rng))


def variance_rows(
    grid: Grid, response: Response, options: AttributionOptions, rng: np.random.Generator
) -> tuple[Columns, dict[str, Any]]:
    """Sums of squares, ω², partial ω², η² and Sobol indices of each term, with intervals and nulls.

    Returns:
        The columns, one number per term that has a row, and what the whole rests on.
    """
    world = variance_world(grid, response, options, rng)
    found, design = world.found, world.found.design
    splits = seed_split(found, options.resamples, rng)
    shown = [place for place, kept in enumerate(design.kept) if kept]
    everything = np.ones(len(design.terms), dtype=bool)
    p_total = split_p_value(found, everything, splits)
    differ = p_total <= 1 - options.level

    columns: Columns = {
        "order": np.array([float(len(design.terms[place])) for place in shown]),
        "df": design.df[shown].astype(float),
        "ss": _in_unit(found.ss[shown], response.square),
        "eta2": eta2(found.ss, found.within)[shown],
    }
    single = [np.arange(len(design.terms)) == place for place in shown]
    for name, kind in (("omega2", Omega2), ("partial_omega2", PartialOmega2)):
        _fill(columns, name, [kind(design, group) for group in single], world, options.level)
    _fill(columns, "sobol", [Sobol(design, group) if differ else None for group in single], world, options.level)
    totals = [
        Sobol(design, design.having(design.terms[place][0])) if differ and len(design.terms[place]) == 1 else None
        for place in shown
    ]
    _fill(columns, "sobol_total", totals, world, options.level)
    columns["null"] = np.array([null_share(Omega2(design, group), world, splits, options.level) for group in single])
    columns["p"] = np.array([split_p_value(found, group, splits) for group in single])
    columns["p_any"] = np.array(
        [
            permutation_p_value(found, design.terms[place][0], options.resamples, rng)
            if len(design.terms[place]) == 1
            else np.nan
            for place in shown
        ]
    )
    whole = Omega2(dataclasses.replace(design, order=len(grid.factors)), everything)
    ends = interval(whole, world, options.level)
    stats: dict[str, Any] = {
        "value": float(whole.statistic(found.ss, found.within)),
        "value_low": ends[0],
        "value_high": ends[1],
        "p": p_total,
        "differ": differ,
        "ss_within": float(_in_unit(found.within, response.square)),
        "ss_pooled": float(_in_unit(found.ss[~design.kept].sum(), response.square)),
        "df_residual": int(design.df_within + design.df[~design.kept].sum()),
        "pooled": int((~design.kept).sum()),
    }
    return columns, stats


def _in_unit(ss: np.ndarray | float, square: float) -> np.ndarray:
    """Sums of squares in the square of the response's unit."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.where(np.asarray(ss) == 0, 0.0, ss * np.float64(square))


def _fill(columns: Columns, name: str, quantities: Sequence[Quantity | None], world: World, level: float) -> None:
    """Estimates of a quantity with their intervals; NaN where it is not defined."""
    found = world.found
    rows = [
        (float(quantity.statistic(found.ss, found.within)), *interval(quantity, world, level))
        if quantity
        else (np.nan,) * 3
        for quantity in quantities
    ]
    for suffix, column in zip(("", "_low", "_high"), zip(*rows, strict=True), strict=True):
        columns[name + suffix] = np.array(column)
