"""The attribution of labels: the rows of its table."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.studies.attribution.design import Design
from allroads.studies.attribution.grid import Grid
from allroads.studies.attribution.information import subsets, unseen
from allroads.studies.attribution.label_null import p_value, permuted_information
from allroads.studies.attribution.label_world import basic_interval, label_world
from allroads.studies.attribution.options import AttributionOptions
from allroads.studies.attribution.response import Response
from allroads.studies.attribution.shapley import dividends, shapley

Columns = dict[str, np.ndarray]


def label_rows(
    grid: Grid, response: Response, options: AttributionOptions, rng: np.random.Generator
) -> tuple[Columns, dict[str, Any]]:
    """Information of each term about the label, and the Shapley share of each factor, with intervals and nulls.

    Returns:
        The columns, one number per term that has a row, and what the whole rests on.
    """
    factors = len(grid.factors)
    design = Design(grid.shape, grid.seeds, options.order or factors)
    codes = response.codes[grid.rows]
    labels = int(response.codes.max()) + 1
    flat = np.arange(design.cells)[:, None] * labels + codes.reshape(design.cells, -1)
    counts = np.bincount(flat.ravel(), minlength=design.cells * labels).reshape(*grid.shape, labels)

    world = label_world(counts, design, options.resamples, rng)
    found = [world.corrected[None], world.truth[None], world.drawn_corrected]
    sets = subsets(factors)
    everything = permuted_information(codes, labels, None, options.resamples, rng)
    p_total = p_value(world.counted[-1], everything)
    differ = p_total <= 1 - options.level

    terms = [place for place, term in enumerate(sets) if term and len(term) <= design.order]
    columns: Columns = {"order": np.array([float(len(sets[place])) for place in terms])}

    def fill(name: str, triple: list[np.ndarray], places: list[int], limits: tuple[float, float] | None = None) -> None:
        low, high = basic_interval(triple[0][0], triple[1][0], triple[2], options.level)
        if limits:
            low, high = np.clip(low, *limits), np.clip(high, *limits)
        for suffix, values in zip(("", "_low", "_high"), (triple[0][0], low, high), strict=True):
            column = np.full(len(terms), np.nan)
            column[: len(places)] = values[places]
            columns[name + suffix] = column

    own = list(range(factors))
    phi = [shapley(values, factors) for values in found]
    fill("information", [dividends(values, factors) for values in found], terms)
    fill("shapley", phi, own)
    shares = [part / np.where(whole[:, -1:] > 0, whole[:, -1:], np.nan) for part, whole in zip(phi, found, strict=True)]
    if differ:
        fill("share", shares, own, (0.0, 1.0))
    else:
        columns |= {f"share{suffix}": np.full(len(terms), np.nan) for suffix in ("", "_low", "_high")}
    rest = [sets.index(tuple(other for other in own if other != factor)) for factor in own]
    fill("given_others", [values[:, -1:] - values[:, rest] for values in found], own)

    for name in ("null", "p_any"):
        columns[name] = np.full(len(terms), np.nan)
    for factor in own:
        drawn = permuted_information(codes, labels, factor, options.resamples, rng)
        columns["p_any"][factor] = p_value(world.counted[-1], drawn)
        columns["null"][factor] = np.quantile(drawn, options.level) - drawn.mean()

    low, high = basic_interval(found[0][0, -1:], found[1][0, -1:], found[2][:, -1:], options.level)
    return columns, {
        "value": float(world.corrected[-1]),
        "value_low": max(float(low[0]), 0.0),
        "value_high": float(high[0]),
        "p": p_total,
        "differ": differ,
        "labels": labels,
        "unseen": unseen(counts.reshape(design.cells, labels)),
        "bias": float(world.bias[-1]),
    }
