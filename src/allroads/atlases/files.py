"""An atlas as files: parquet for its tables, JSON for its words, GraphML for other tools."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from allroads.atlases.atlas import Atlas
from allroads.errors import InputError, UnknownNameError
from allroads.results import Measurement
from allroads.status import AtlasStatus

if TYPE_CHECKING:
    import networkx as nx

TABLES = ("nodes", "edges", "walks")
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML 1.0 has not."""


def save(atlas: Atlas, folder: str | Path) -> Path:
    """Write an atlas into a folder; see :meth:`Atlas.save`.

    Raises:
        InputError: If the folder cannot be written to.
    """
    import networkx as nx

    folder = Path(folder)
    words = {
        "status": atlas.status.value,
        "conventions": dict(atlas.conventions),
        "stats": Measurement(0.0, stats=atlas.stats).to_dict()["stats"],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            getattr(atlas, name).write_parquet(folder / f"{name}.parquet")
        (folder / "atlas.json").write_text(json.dumps(words, indent=1, ensure_ascii=False) + "\n", "utf-8")
        nx.write_graphml(graphml(atlas), folder / "atlas.graphml")
    except OSError as error:
        raise InputError(f"{folder}: an atlas cannot be written there ({error}); give another folder.") from error
    return folder


def load(folder: str | Path) -> Atlas:
    """Read what :func:`save` wrote.

    Raises:
        InputError: If the folder holds no atlas, or a file of it cannot be read.
    """
    folder = Path(folder)
    if absent := [name for name in (*(f"{n}.parquet" for n in TABLES), "atlas.json") if not (folder / name).is_file()]:
        raise InputError(f"{folder} holds no atlas: {absent[0]} is absent; give a folder that Atlas.save wrote.")
    try:
        tables = {name: pl.read_parquet(folder / f"{name}.parquet", glob=False) for name in TABLES}
        words = json.loads((folder / "atlas.json").read_text("utf-8"))
        status, conventions, stats = words["status"], words["conventions"], words["stats"]
    except (pl.exceptions.PolarsError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: a file of the atlas cannot be read ({error}); save it again.") from error
    if status not in [member.value for member in AtlasStatus]:
        raise UnknownNameError("status", status, [member.value for member in AtlasStatus])
    return Atlas.from_tables(**tables, conventions=conventions, stats=stats, status=AtlasStatus(status))


def graphml(atlas: Atlas) -> nx.DiGraph:
    r"""All quantities in one graph whose attributes are numbers and words, as GraphML holds them.

    An edge has ``changes``, ``changes_low``, ``changes_high`` and so on; what is null is left out, and lists are
    joined by `` | ``. Control characters, which XML has not, are written as ``\x1b``.

    Example:
        >>> from allroads import atlas
        >>> graphml(atlas([["a", "b"]] * 5)).edges["a", "b"]["changes"]
        1.0
    """
    import networkx as nx

    graph: nx.DiGraph = nx.DiGraph()
    for row in atlas.nodes.iter_rows(named=True):
        graph.add_node(_writable(row["node"]), **_attributes({name: row[name] for name in row if name != "node"}))
    for row in atlas.edges.iter_rows(named=True):
        name = row["quantity"]
        numbers = {name: row["value"]} | {f"{name}_{of}": row[of] for of in ("low", "high", "tried", "status")}
        graph.add_edge(_writable(row["source"]), _writable(row["target"]), **_attributes(numbers))
    return graph


def _writable(text: str) -> str:
    r"""A text whose characters XML has; what it has not is written as Python writes it.

    Example:
        >>> print(_writable("x0 ∧\x1b"))
        x0 ∧\x1b
    """
    return FORBIDDEN.sub(lambda found: repr(found[0])[1:-1], text)


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    """What GraphML can hold."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, bool | int | float):
            found[name] = value
        elif value is not None:
            found[name] = _writable(" | ".join(map(str, value)) if isinstance(value, list | pl.Series) else str(value))
    return found
