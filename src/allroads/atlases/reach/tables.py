"""A reach matrix as the tables of an atlas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from allroads.atlases.atlas import Atlas
from allroads.atlases.changes import change_edges
from allroads.atlases.tables import EDGES
from allroads.errors import InputError
from allroads.status import AtlasStatus

if TYPE_CHECKING:
    from allroads.atlases.reach.result import Reach


def edges(found: Reach, names: Sequence[str] | None = None) -> pl.DataFrame:
    """A row per pair of two functions that was tried and quantity; see :meth:`Reach.edges`."""
    called = _names(found, names)
    from_, to = (np.array([called[text] for text in _texts(all)]) for all in (found.sources, found.targets))
    rows, columns = np.nonzero((found.tried > 0) & found.others)
    unknown = np.full(found.tried.shape, np.nan)
    quantities = (
        ("reach", found.probability, found.low, found.high),
        ("reach_cost", found.cost, found.cost_low, found.cost_high),
        ("directness", found.straightness, unknown, unknown),
    )
    parts = []
    for quantity, *numbers in quantities:
        value, low, high = (np.where(np.isfinite(all), all, np.nan).astype(float)[rows, columns] for all in numbers)
        status = np.where(np.isnan(value), AtlasStatus.NOT_REACHED.value, AtlasStatus.OK.value)
        ends = {"source": from_[rows], "target": to[columns], "quantity": np.full(len(rows), quantity)}
        tried = found.tried[rows, columns]
        parts.append(pl.DataFrame(ends | {"value": value, "low": low, "high": high, "tried": tried, "status": status}))
    return pl.concat(parts).with_columns(pl.col("value", "low", "high").fill_nan(None)).cast(pl.Schema(EDGES))


def as_atlas(found: Reach, names: Sequence[str] | None, least: int) -> Atlas:
    """Functions as nodes; see :meth:`Reach.atlas`."""
    called = _names(found, names)
    nodes = {text: name for text, name in called.items()}
    table, walks, counts = edges(found, names), None, dict[str, Any]()
    stays = np.zeros(0, dtype=object)
    if len(found.walks.run):
        texts = _texts(found.walks.functions())
        nodes |= {text: text for text in dict.fromkeys(texts) if text not in nodes}
        stays = np.array([nodes[text] for text in texts])
        first = np.flatnonzero(np.diff(found.walks.run, prepend=-1))
        changes, counts = change_edges([walk.tolist() for walk in np.split(stays, first[1:])], least)
        table, counts = pl.concat([table, changes]), {**counts, "least": least}
        place = np.arange(len(stays)) - np.repeat(first, np.diff(first, append=len(stays)))
        run = pl.Series(found.walks.run).cast(pl.String)
        walks = pl.DataFrame({"run": run, "place": place, "node": stays, "step": found.walks.step})
    visits = dict(zip(*np.unique(stays.astype(str), return_counts=True), strict=True)) if len(stays) else {}
    rows = [{"node": name, "label": name, "function": text, "visits": int(visits.get(name, 0))}
        for text, name in nodes.items()]  # fmt: skip
    said = {"explorer": found.stats["explorer"], "loss": found.stats["loss"], "steps": found.stats["steps"]}
    return Atlas.from_tables(pl.DataFrame(rows), table, walks, stats=said | counts | {"reach": found.status.value})


def _texts(functions: np.ndarray) -> list[str]:
    """Answers as a text: digits, or numbers between hyphens where some have two digits."""
    mark = "" if functions.max(initial=0) < 10 else "-"
    return [mark.join(map(str, function)) for function in functions.reshape(len(functions), -1).tolist()]


def _names(found: Reach, names: Sequence[str] | None) -> dict[str, str]:
    """The name of each function that was asked for, by its text."""
    texts = list(dict.fromkeys([*_texts(found.sources), *_texts(found.targets)]))
    if names is None:
        return {text: text for text in texts}
    if len(names) != len(texts) or len(set(names)) != len(texts):
        raise InputError(
            f"names: expected {len(texts)} different names, of the sources and then of the targets that are no "
            f"sources; got {len(names)}."
        )
    return dict(zip(texts, names, strict=True))
