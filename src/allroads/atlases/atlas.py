"""The atlas: a directed graph of programs, and the walks of runs on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from allroads.atlases.components import components
from allroads.atlases.tables import CONVENTIONS, EDGES, NODES, NONE, WALKS, completed
from allroads.errors import InputError, UnknownNameError
from allroads.results import Result
from allroads.status import AtlasStatus

if TYPE_CHECKING:
    import networkx as nx

SHOWN = 3
"""Nodes and edges that are printed."""
LONGEST = 60
"""Characters of a label that are printed."""


@dataclass(frozen=True, repr=False)
class Atlas(Result):
    """Programs as nodes, what lies between them as edges, runs as walks.

    ``value`` is the number of nodes. :meth:`from_tables` makes one from tables and says its status.

    Args:
        nodes: A row per program: ``node`` (its name), ``label``, ``language``, ``source``, ``bits``, ``parts``,
            ``function`` (its answers, or a digest of them), ``frequency`` (prior mass f), ``ends`` (runs that end
            there) and ``visits`` (records there). Further columns may follow. What has no program is the node
            ``"none"``.
        edges: A row per ordered pair and quantity: ``source``, ``target``, ``quantity``, ``value``, ``low`` and
            ``high`` (95 %), ``tried`` (trials, moves or changes) and ``status``.
        walks: A row per stay of a run at a node: ``run``, ``place`` (0, 1, …), ``step`` (of its first record),
            ``node`` and ``records`` (how many the stay has).
        conventions: A sentence for each quantity.
        status: What became of it.
        stats: What it rests on: ``runs``, ``components``, and what was left out.

    Example:
        >>> from allroads import atlas
        >>> found = atlas([["a", "b"]] * 8 + [["a", "c"]] * 2)
        >>> found.matrix("changes")[0].tolist()
        [nan, 0.8, 0.2]
    """

    nodes: pl.DataFrame
    edges: pl.DataFrame
    walks: pl.DataFrame
    conventions: Mapping[str, str] = field(default_factory=dict)
    status: AtlasStatus = AtlasStatus.OK
    stats: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_tables(
        cls,
        nodes: pl.DataFrame,
        edges: pl.DataFrame | None = None,
        walks: pl.DataFrame | None = None,
        conventions: Mapping[str, str] | None = None,
        stats: Mapping[str, Any] | None = None,
        status: AtlasStatus | None = None,
    ) -> Atlas:
        """An atlas from its tables; columns that are absent become null.

        Args:
            nodes: With the column ``node`` at least.
            edges: With ``source``, ``target``, ``quantity`` and ``value`` at least; default none.
            walks: With ``run``, ``place`` and ``node`` at least; default none.
            conventions: A sentence for each quantity that is not among the usual ones.
            stats: What it rests on.
            status: What became of it; default what the tables say.

        Raises:
            InputError: If a column is absent or of another type, a name is twice there, an end is unknown, or a
                quantity has no convention.

        Example:
            >>> import polars as pl
            >>> Atlas.from_tables(pl.DataFrame({"node": ["a", "b"]})).status.value
            'disconnected'
        """
        nodes = completed("nodes", nodes, NODES, 1)
        edges = completed("edges", edges, EDGES, 4)
        walks = _in_order(completed("walks", walks, WALKS, 3))
        known = {**CONVENTIONS, **(conventions or {})}
        _check(nodes, edges, walks, known)
        parts = components(nodes, edges, walks)
        if status is None:
            status = _status(nodes, len(parts))
        used = edges["quantity"].unique(maintain_order=True).to_list()
        said = {name: known[name] for name in used} | dict(conventions or {})
        found = {"runs": walks["run"].n_unique(), "components": len(parts), "largest": max(parts, default=0)}
        return cls(nodes, edges, walks, said, status, found | dict(stats or {}))

    @property
    def value(self) -> int:
        """How many nodes there are."""
        return self.nodes.height

    @property
    def error(self) -> None:
        """None: nodes are counted."""
        return None

    @property
    def names(self) -> list[str]:
        """The nodes, in the order of the matrices."""
        return self.nodes["node"].to_list()

    @property
    def quantities(self) -> list[str]:
        """The quantities that its edges have."""
        return self.edges["quantity"].unique(maintain_order=True).to_list()

    def matrix(self, quantity: str, column: str = "value") -> np.ndarray:
        """One quantity as a matrix ``[N, N]``, indexed [from, to]; NaN where there is no edge.

        Args:
            quantity: Which.
            column: ``value``, ``low``, ``high`` or ``tried``.

        Raises:
            UnknownNameError: If no edge has the quantity, or there is no such column.
        """
        rows = self._of(quantity)
        if column not in ("value", "low", "high", "tried"):
            raise UnknownNameError("column", column, ("value", "low", "high", "tried"))
        place = {name: index for index, name in enumerate(self.names)}
        found = np.full((len(place), len(place)), np.nan)
        at = [[place[name] for name in rows[end]] for end in ("source", "target")]
        found[at[0], at[1]] = rows[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return found

    def graph(self, quantity: str) -> nx.DiGraph:
        """One quantity as a graph of networkx; nodes and edges carry the columns of their tables.

        An edge's ``weight`` is its value.

        Args:
            quantity: Which.

        Raises:
            UnknownNameError: If no edge has the quantity.
        """
        import networkx as nx

        graph: nx.DiGraph = nx.DiGraph(quantity=quantity, convention=self.conventions.get(quantity, ""))
        for row in self.nodes.iter_rows(named=True):
            graph.add_node(row["node"], **{name: value for name, value in row.items() if name != "node"})
        for row in self._of(quantity).iter_rows(named=True):
            numbers = {name: row[name] for name in ("value", "low", "high", "tried", "status")}
            graph.add_edge(row["source"], row["target"], weight=row["value"], **numbers)
        return graph

    def sequences(self) -> dict[str, list[str]]:
        """The nodes that each run visits, in their order, by the run's name."""
        return {str(run): part["node"].to_list() for (run,), part in self.walks.group_by("run", maintain_order=True)}

    def save(self, folder: str | Path) -> Path:
        """Write the atlas into a folder: three tables as parquet, ``atlas.json`` and ``atlas.graphml``.

        Args:
            folder: Made where it is absent; files of these names are replaced.

        Raises:
            InputError: If the folder cannot be written to.
        """
        from allroads.atlases.files import save

        return save(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> Atlas:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: If the folder holds no atlas, or a file of it cannot be read.
        """
        from allroads.atlases.files import load

        return load(folder)

    def _of(self, quantity: str) -> pl.DataFrame:
        rows = self.edges.filter(pl.col("quantity") == quantity)
        if rows.is_empty() and quantity not in self.conventions:
            raise UnknownNameError("quantity", quantity, self.quantities or self.conventions)
        return rows

    def __repr__(self) -> str:
        counts = f"{self.value} nodes, {self.edges.height} edges, {self.stats.get('runs', 0)} runs"
        return f"Atlas({counts}, {self.status.value})"

    def __str__(self) -> str:
        programs = self.nodes.filter(pl.col("node") != NONE).height
        none = "" if programs == self.value else " and the node none/mixed"
        lines = [f"{programs} programs{none}, {self.stats.get('runs', 0)} runs; {self.status.value}"]
        if self.stats.get("components", 1) > 1:
            largest = self.stats["largest"]
            lines.append(f"{self.stats['components']} parts; the largest has {largest} node{'s' * (largest > 1)}")
        names = self.nodes.select("node", pl.coalesce("label", "node")).iter_rows()
        label = {node: name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for node, name in names}
        ends = self.nodes.filter(pl.col("ends") > 0).sort("ends", descending=True, maintain_order=True)
        if not ends.is_empty():
            most = [f"{label[node]} ({count})" for node, count in ends.select("node", "ends").head(SHOWN).iter_rows()]
            lines.append(f"ends: {', '.join(most)}{_more(ends.height)}")
        for quantity in self.quantities:
            far = quantity not in NEAR_FIRST
            rows = self._of(quantity).sort("value", descending=far, nulls_last=True, maintain_order=True)
            most = [_edge(row, label) for row in rows.head(SHOWN).iter_rows(named=True)]
            lines.append(f"{quantity}: {', '.join(most)}{_more(rows.height)}")
        if len(languages := self.stats.get("languages", ())) > 1:
            lines.append(f"languages: {', '.join(languages)}, kept apart")
        lines += [f"{name.replace('_', ' ')}: {self.stats[name]}" for name in COUNTED if self.stats.get(name)]
        lines += [f"not measured: {reason}" for reason in self.stats.get("left_out", ())]
        return "\n".join(lines)


NEAR_FIRST = ("pass_lower", "pass_upper", "reach_cost", "road_cost")
"""Quantities that grow as programs come apart: the smallest are printed, of all others the greatest."""
COUNTED = ("changes", "edges_left_out", "changes_left_out", "flicker", "flicker_merged", "language_changes")
"""Counts that are printed where they are not 0."""


def _more(count: int) -> str:
    return f" and {count - SHOWN} more" if count > SHOWN else ""


def _edge(row: Mapping[str, Any], label: Mapping[str, str]) -> str:
    value = "none" if row["value"] is None else f"{row['value']:.3g}"
    ends = "" if row["low"] is None or row["high"] is None else f" [{row['low']:.2g}, {row['high']:.2g}]"
    return f"{label[row['source']]} → {label[row['target']]} {value}{ends}"


def _in_order(walks: pl.DataFrame) -> pl.DataFrame:
    """Runs in the order of their first rows, the stays of each by their place."""
    runs = walks.select("run").unique(maintain_order=True).with_row_index("order")
    return walks.join(runs, on="run").sort("order", "place").select(walks.columns)


def _status(nodes: pl.DataFrame, parts: int) -> AtlasStatus:
    """What the tables say of the atlas."""
    if nodes.is_empty():
        return AtlasStatus.EMPTY
    if nodes.height == 1:
        return AtlasStatus.ONE_PROGRAM
    return AtlasStatus.DISCONNECTED if parts > 1 else AtlasStatus.OK


def _check(nodes: pl.DataFrame, edges: pl.DataFrame, walks: pl.DataFrame, known: Mapping[str, str]) -> None:
    if nodes["node"].null_count():
        raise InputError("nodes: a name is null; what has no program is called 'none'.")
    if nodes["node"].n_unique() < nodes.height:
        raise InputError(
            f"nodes: {nodes.filter(nodes['node'].is_duplicated())['node'][0]!r} is there twice; join them."
        )
    for table, rows, ends in (("edges", edges, ("source", "target")), ("walks", walks, ("node",))):
        for end in ends:
            if not (unknown := rows.filter(~pl.col(end).is_in(nodes["node"].implode()).fill_null(False))).is_empty():
                raise InputError(f"{table}: {unknown[end][0]!r} of {end} is no node; add a row to nodes.")
    if edges.select("source", "target", "quantity").is_duplicated().any():
        twice = edges.filter(edges.select("source", "target", "quantity").is_duplicated()).row(0, named=True)
        raise InputError(f"edges: {twice['source']} → {twice['target']} has {twice['quantity']} twice; keep one row.")
    if unsaid := sorted(set(edges["quantity"].to_list()) - set(known)):
        raise InputError(f"edges: the quantity {unsaid[0]!r} has no convention; give conventions={{{unsaid[0]!r}: …}}.")
    if walks.select("run", "place").is_duplicated().any():
        raise InputError("walks: a run has one place twice; number the stays of each run 0, 1, …")
