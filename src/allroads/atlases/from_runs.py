"""An atlas from the labels that runs have at their records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from allroads.atlases.atlas import Atlas
from allroads.atlases.changes import change_edges
from allroads.atlases.clusters import clustered
from allroads.atlases.labels import Labels
from allroads.atlases.stays import Stay, flickers, merged, stays
from allroads.atlases.tables import NODES, NONE, WALKS
from allroads.checks import check_count
from allroads.errors import InputError
from allroads.status import AtlasStatus

Runs = Sequence[Sequence[Hashable]] | Mapping[str, Sequence[Hashable]]


def from_runs(
    runs: Runs | np.ndarray,
    *,
    steps: Sequence[int] | Sequence[Sequence[int]] | Mapping[str, Sequence[int]] | None = None,
    nodes: pl.DataFrame | None = None,
    least: int = 5,
    flicker: int = 2,
    merge_flicker: bool = False,
    most: int = 1000,
) -> Atlas:
    """Programs along runs as an atlas: nodes with visits and ends, edges ``changes``, and walks.

    Equal labels that follow each other are one stay. The share of changes that leave p which go to q has the exact
    interval of Clopper and Pearson. It takes changes as independent, also those of one run.

    A label *flickers* where a stay is shorter than ``flicker`` records and the label before it comes back: p → q → p.
    Such stays are counted in ``stats["flicker"]``, and kept unless ``merge_flicker`` is set.

    Programs of two languages are kept apart, since no edit leads from one to the other. Where nodes tell their
    function, ``stats["language_changes"]`` counts changes of language that keep the function: a change of reading and
    not of what is computed.

    Args:
        runs: For each run the labels of its records in order: programs, words, numbers, or ``None`` where nothing was
            read. A mapping gives names of runs; else they are numbered. An array has a row per run.
        steps: Steps of the records: one list for all runs, or one per run; default 0, 1, ….
        nodes: What is known of the labels: a table with ``node`` and columns of :class:`Atlas`.
        least: Fewest changes that must leave a node for its edges to be estimated.
        flicker: Records below which a stay that comes back is a flicker; 1 is none.
        merge_flicker: Whether flickers join the stays around them.
        most: Nodes, at most. With more, nodes are joined by function, else by parts, else those that are visited least
            become one; ``stats["clusters"]`` says which.

    Raises:
        InputError: If there is no run, a run has no record, or a label cannot be used.

    References: [clopper1934]

    Example:
        >>> found = from_runs([["a", "a", "b", "a", "c"]] * 5)
        >>> found.matrix("changes")[0].tolist(), found.stats["flicker"]
        ([nan, 0.5, 0.5], 5)
        >>> from_runs([["a", "a", "b", "a", "c"]] * 5, merge_flicker=True).names
        ['a', 'c']
    """
    check_count("least", least)
    check_count("flicker", flicker)
    check_count("most", most, 2)
    named, labels = named_runs(runs)
    times = _steps(named, steps)
    known = _known(nodes)
    details: dict[str, Mapping[str, Any]] = {
        name: {**row, **known.get(name, {})} for name, row in labels.details.items()
    }
    cluster = clustered(details, Counter(name for run in named.values() for name in run), most)
    if cluster.by:
        named = {run: [cluster.of[name] for name in walk] for run, walk in named.items()}
        details = dict(cluster.rows)
    counts: Counter[str] = Counter()
    walks: dict[str, list[Stay]] = {}
    for run, walk in named.items():
        found = stays(walk)
        counts["flicker"] += len(flickers(found, flicker))
        walks[run] = merged(found, flicker) if merge_flicker else found
        counts["flicker_merged"] += (len(found) - len(walks[run])) // 2
    sequences = [[stay.label for stay in walk] for walk in walks.values()]
    edges, changes = change_edges(sequences, least)
    visits: Counter[str] = Counter()
    for stay in (stay for walk in walks.values() for stay in walk):
        visits[stay.label] += stay.records
    ends = Counter(sequence[-1] for sequence in sequences)
    rows = [{**details[name], "ends": ends[name], "visits": count} for name, count in visits.items()]
    languages = sorted({row["language"] for row in rows if row.get("language")})
    stats: dict[str, Any] = {"runs": len(named), **changes, **counts, "flicker_below": flicker, "least": least}
    stats |= {"languages": languages, "language_changes": _language_changes(sequences, details)}
    if cluster.by:
        stats |= {"clusters": f"{len(cluster.of)} labels are {len(cluster.rows)} nodes, joined by {cluster.by}"}
    return Atlas.from_tables(
        _table(rows, known),
        edges,
        _walks(walks, times),
        stats=stats,
        status=AtlasStatus.CLUSTERED if cluster.by else None,
    )


def named_runs(runs: Runs | np.ndarray) -> tuple[dict[str, list[str]], Labels]:
    """Names of the nodes of every record, by run."""
    if isinstance(runs, np.ndarray):
        runs = runs.tolist()
    if isinstance(runs, str) or not isinstance(runs, Mapping | Sequence) or not len(runs):
        raise InputError("runs: expected the labels of one run or more, such as [['a', 'b'], ['a', 'c']].")
    given = {str(name): run for name, run in (runs.items() if isinstance(runs, Mapping) else enumerate(runs))}
    if len(given) < len(runs):
        raise InputError("runs: two runs have one name; rename one.")
    labels = Labels()
    named = {}
    for name, run in given.items():
        if isinstance(run, str | bytes) or not hasattr(run, "__iter__"):
            raise InputError(f"runs: run {name!r} is {run!r}; expected the labels of its records, such as ['a', 'b'].")
        named[name] = [labels.name(label) for label in run]
        if not named[name]:
            raise InputError(f"runs: run {name!r} has no record; leave it out.")
    return named, labels


def _steps(named: Mapping[str, Sequence[str]], steps: Any) -> dict[str, list[int]]:
    """The step of every record, by run."""
    if steps is None:
        return {name: list(range(len(walk))) for name, walk in named.items()}
    try:
        if isinstance(steps, Mapping):
            found = {name: _whole(steps[name]) for name in named}
        elif len(steps) and hasattr(steps[0], "__iter__"):
            found = {name: _whole(of) for name, of in zip(named, steps, strict=True)}
        else:
            found = {name: _whole(steps) for name in named}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"steps: expected whole numbers, one list for all runs or one per run ({error}).") from None
    for name, walk in named.items():
        if len(found[name]) != len(walk):
            raise InputError(f"steps: run {name!r} has {len(walk)} records and {len(found[name])} steps.")
    return found


def _whole(steps: Sequence[Any]) -> list[int]:
    found = [int(step) for step in steps]
    if wrong := [step for step, whole in zip(steps, found, strict=True) if step != whole]:
        raise ValueError(f"got {wrong[0]!r}")
    return found


def _known(nodes: pl.DataFrame | None) -> dict[str, dict[str, Any]]:
    if nodes is None:
        return {}
    if not isinstance(nodes, pl.DataFrame) or "node" not in nodes.columns:
        raise InputError("nodes: expected a polars DataFrame with the column 'node'.")
    return {row["node"]: {k: v for k, v in row.items() if v is not None} for row in nodes.iter_rows(named=True)}


def _language_changes(sequences: Sequence[Sequence[str]], details: Mapping[str, Mapping[str, Any]]) -> int:
    """Changes between programs of two languages that have one function."""

    def reread(p: Mapping[str, Any], q: Mapping[str, Any]) -> bool:
        same = p.get("function") is not None and p.get("function") == q.get("function")
        return same and None not in (p.get("language"), q.get("language")) and p["language"] != q["language"]

    return sum(reread(details[p], details[q]) for walk in sequences for p, q in pairwise(walk))


def _table(rows: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """Nodes in the order in which runs visit them, the one without a program last."""
    further = dict.fromkeys(name for row in known.values() for name in row if name not in NODES)
    ordered = sorted(rows, key=lambda row: row["node"] == NONE)
    own = pl.DataFrame([{name: row.get(name) for name in NODES} for row in ordered], schema=dict(NODES))
    return own.with_columns(pl.Series(name, [row.get(name) for row in ordered]) for name in further)


def _walks(walks: Mapping[str, Sequence[Stay]], times: Mapping[str, Sequence[int]]) -> pl.DataFrame:
    rows = [
        (run, place, stay.label, times[run][stay.first], stay.records)
        for run, walk in walks.items()
        for place, stay in enumerate(walk)
    ]
    return pl.DataFrame(rows, schema=dict(WALKS), orient="row")
