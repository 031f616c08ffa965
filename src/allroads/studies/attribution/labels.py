"""The attribution of labels: the rows of its table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allroads.studies.attribution.design import Design
from allroads.studies.attribution.grid import Grid
from allroads.studies.attribution.information import subsets, unseen
from allroads.studies.attribution.label_null import p_value, permuted_information
from allroads.studies.attribution.label_world import DOUBT, basic_interval, label_world, root_interval
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
    sets = subsets(factors)
    everything = permuted_information(codes, labels, None, options.resamples, rng)
    p_total = p_value(world.counted[-1], everything)
    differ = p_total <= 1 - options.level

    terms = [place for place, term in enumerate(sets) if term and len(term) <= design.order]
    columns: Columns = {"order": np.array([float(len(sets[place])) for place in terms])}

    own = list(range(factors))
    rest = [sets.index(tuple(other for other in own if other != factor)) for factor in own]
    counted, truth, drawn = world.counted[None], world.truth[None], world.drawn

    def fill(name: str, estimate: np.ndarray, ends: tuple[np.ndarray, np.ndarray]) -> None:
        for suffix, values in zip(("", "_low", "_high"), (estimate, *ends), strict=True):
            columns[name + suffix] = np.append(values, np.full(len(terms) - len(values), np.nan))

    def share_out(name: str, part: Callable[[np.ndarray], np.ndarray]) -> None:
        """A column of bits that are never negative; the part is linear in the information of all sets."""
        ends = root_interval(part(counted)[0], part(truth)[0], part(drawn), options.level)
        fill(name, part(world.corrected[None])[0], ends)

    def dividend(values: np.ndarray) -> np.ndarray:
        return dividends(values, factors)[:, terms]

    def share(values: np.ndarray) -> np.ndarray:
        whole = values[:, -1:]
        return shapley(values, factors) / np.where(whole > 0, whole, np.nan)

    estimate = dividend(world.corrected[None])[0]
    doubt = DOUBT * np.abs(dividend(world.bias[None])[0])
    ends = basic_interval(estimate, dividend(truth)[0], dividend(world.drawn_corrected), options.level, doubt)
    fill("information", estimate, ends)
    share_out("shapley", lambda values: shapley(values, factors))
    if differ:
        estimate = share(world.corrected[None])[0]
        low, high = basic_interval(estimate, share(truth)[0], share(world.drawn_corrected), options.level)
        fill("share", estimate, (np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)))
    else:
        fill("share", np.full(factors, np.nan), (np.full(factors, np.nan), np.full(factors, np.nan)))
    share_out("given_others", lambda values: values[:, -1:] - values[:, rest])

    for name in ("null", "p_any"):
        columns[name] = np.full(len(terms), np.nan)
    for factor in own:
        exchanged = permuted_information(codes, labels, factor, options.resamples, rng)
        columns["p_any"][factor] = p_value(world.counted[-1], exchanged)
        columns["null"][factor] = np.quantile(exchanged, options.level) - exchanged.mean()

    low, high = root_interval(world.counted[-1:], world.truth[-1:], drawn[:, -1:], options.level)
    return columns, {
        "value": float(world.corrected[-1]),
        "value_low": float(low[0]),
        "value_high": float(high[0]),
        "p": p_total,
        "differ": differ,
        "labels": labels,
        "unseen": unseen(counts.reshape(design.cells, labels)),
        "bias": float(world.bias[-1]),
    }
