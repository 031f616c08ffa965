"""Clusters of programs, where there are more than an atlas holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allroads.atlases.tables import NONE

OTHERS = "others"
OF_THE_HEAD = ("node", "label", "language", "source", "bits", "parts")
"""Columns that say which label gives a cluster its name; the others are those of the whole cluster, or null."""


@dataclass(frozen=True)
class Clusters:
    """Which labels are one node.

    Attributes:
        by: ``"function"``, ``"parts"`` or ``"visits"``; empty where each label is a node.
        of: The node of each label.
        rows: What is known of each node.
    """

    by: str = ""
    of: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def clustered(details: Mapping[str, Mapping[str, Any]], visits: Counter[str], most: int) -> Clusters:
    """Labels joined by function; else by parts; else those that are visited least as one node ``"others"``.

    The first of these ways is taken that leaves at most ``most`` nodes; labels that lack the function, or the parts,
    stay apart. Each cluster has the name of its most visited label; ``"others"`` has stars where that is a label.

    Args:
        details: What is known of each label.
        visits: Records at each label.
        most: Nodes, at most.

    Example:
        >>> rows = {name: {"node": name, "function": "f" if name != "c" else "g"} for name in "abc"}
        >>> clustered(rows, Counter({"a": 1, "b": 5, "c": 1}), 2).of
        {'a': 'b', 'b': 'b', 'c': 'c'}
    """
    if len(details) <= most:
        return Clusters()
    first = {name: (-visits[name], place) for place, name in enumerate(details)}
    for by in ("function", "parts"):
        groups: dict[Any, list[str]] = {}
        for name, row in details.items():
            value = row.get(by)
            groups.setdefault((name,) if value is None else (by, str(value)), []).append(name)
        if len(groups) <= most:
            heads = {name: min(group, key=first.__getitem__) for group in groups.values() for name in group}
            return _clusters(by, heads, details)
    kept = {*sorted(details, key=first.__getitem__)[: most - 1 - (NONE in details)], *({NONE} & set(details))}
    others = OTHERS
    while others in details:
        others += "*"
    return _clusters("visits", {name: name if name in kept else others for name in details}, details)


def _clusters(by: str, of: Mapping[str, str], details: Mapping[str, Mapping[str, Any]]) -> Clusters:
    groups: dict[str, list[str]] = {}
    for name, head in of.items():
        groups.setdefault(head, []).append(name)
    rows = {}
    for name, group in groups.items():
        size, row = len(group), details.get(name, {"node": name, "label": name})
        more = f" and {size - 1} more" if size > 1 and name in details else f" ({size})" if size > 1 else ""
        rows[name] = {**row, **_of_all([details[one] for one in group])} if name in details and size > 1 else dict(row)
        rows[name]["label"] = f"{row.get('label') or name}{more}"
    return Clusters(by, of, rows)


def _of_all(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is true of a whole cluster: its frequency adds up, and a number on which its labels differ is null.

    Example:
        >>> _of_all([{"llc": 1.0, "frequency": 0.5, "function": "f"}, {"llc": 2.0, "frequency": 0.25, "function": "f"}])
        {'llc': None, 'frequency': 0.75, 'function': 'f'}
    """
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for row in rows for name in row if name not in OF_THE_HEAD):
        values = [row.get(name) for row in rows]
        if name == "frequency":
            found[name] = None if None in values else float(np.sum(np.array(values, np.float64)))
        else:
            found[name] = values[0] if all(value == values[0] for value in values) else None
    return found
