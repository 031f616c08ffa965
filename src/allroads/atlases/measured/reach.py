"""Reach between programs, from the descents that start where runs end."""

from __future__ import annotations

import numpy as np
import polars as pl

from allroads.atlases.measured.places import Places
from allroads.atlases.reach.result import ABSENT, LATE, Reach
from allroads.atlases.reach.starts import Starts
from allroads.atlases.reach.walks import Walks
from allroads.atlases.tables import EDGES
from allroads.points.prior.answers import Answers
from allroads.status import AtlasStatus


def reach_edges(table: pl.DataFrame, places: Places) -> pl.DataFrame:
    """Edges ``reach``, ``reach_cost``, ``directness`` and ``reach_asymmetry``.

    Descents of all architectures and explorers are taken together.

    Args:
        table: ``reach`` of a study: a row per descent.
        places: Of the atlas.
    """
    rows = places.placed(table.filter(pl.col("status") == "ok"), "to_function").drop_nulls("target")
    if rows.is_empty():
        return pl.DataFrame(schema=dict(EDGES))
    names = pl.concat([rows["source"], rows["target"]]).unique(maintain_order=True).to_list()
    place = {name: at for at, name in enumerate(names)}
    number = pl.int_range(pl.len()).over("source", "target")
    at = rows.select(
        *(pl.col(end).replace_strict(place, return_dtype=pl.Int64) for end in ("source", "target")), number=number
    ).to_numpy()
    shape = len(names), len(names), int(at[:, 2].max()) + 1
    steps, directness = np.full(shape, ABSENT), np.full(shape, np.nan)
    steps[tuple(at.T)] = rows["steps"].fill_null(LATE).to_numpy()
    directness[tuple(at.T)] = rows["directness"].fill_null(np.nan).to_numpy()
    found = _as_reach(steps, directness)
    return pl.concat([found.edges(names), _asymmetry(found, names)])


def _as_reach(steps: np.ndarray, directness: np.ndarray) -> Reach:
    """Descents as a matrix of functions, which are numbers here."""
    count = len(steps)
    functions, none = np.arange(count)[:, None], np.zeros(count, int)
    walks = Walks.joined([], Answers("signs", (1,)))
    return Reach(functions, functions, steps, directness, walks, Starts({}, none, none), AtlasStatus.OK)


def _asymmetry(found: Reach, names: list[str]) -> pl.DataFrame:
    """R(p→q) − R(q→p), with the interval that the distances of both ends from their shares give, squared and added.

    References: [newcombe1998]
    """
    share, low, high = found.probability, found.low, found.high
    below, above = np.hypot(share - low, (high - share).T), np.hypot(high - share, (share - low).T)
    value = found.asymmetry
    both = np.argwhere(np.isfinite(value) & found.others)
    s, t = both.T
    tried = found.tried
    numbers = {
        "value": value[s, t],
        "low": np.maximum((value - below)[s, t], -1.0),
        "high": np.minimum((value + above)[s, t], 1.0),
        "tried": (tried + tried.T)[s, t],
    }
    ends = {"source": [names[i] for i in s], "target": [names[i] for i in t]}
    fixed = {"quantity": ["reach_asymmetry"] * len(s), "status": [AtlasStatus.OK.value] * len(s)}
    return pl.DataFrame(ends | numbers | fixed, schema_overrides=dict(EDGES)).select(list(EDGES))
