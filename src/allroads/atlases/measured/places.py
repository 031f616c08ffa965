"""Runs and functions of a study as nodes of its atlas."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from allroads.atlases.atlas import Atlas
from allroads.atlases.tables import NONE


@dataclass(frozen=True)
class Places:
    """Where runs end, and which node a function is.

    Attributes:
        ends: ``run`` and ``node``: the last node of each run.
        of: The node of each function. Where several programs have one function, it is the one that most records have.
    """

    ends: pl.DataFrame
    of: pl.DataFrame

    @classmethod
    def read(cls, atlas: Atlas) -> Places:
        """The places of an atlas.

        Example:
            >>> from allroads import atlas
            >>> nodes = pl.DataFrame({"node": ["a", "b"], "function": ["0x1", "0x2"]})
            >>> found = Places.read(atlas([["a", "b"]] * 2, nodes=nodes))
            >>> found.ends.rows(), found.of.rows()
            ([('0', 'b'), ('1', 'b')], [('0x1', 'a'), ('0x2', 'b')])
        """
        last = atlas.walks.group_by("run", maintain_order=True).last().select("run", "node")
        known = atlas.nodes.filter(pl.col("node") != NONE).drop_nulls("function")
        ranked = known.sort("visits", descending=True, nulls_last=True, maintain_order=True)
        of = ranked.unique("function", keep="first", maintain_order=True).select("function", "node")
        return cls(last, of)

    def placed(self, rows: pl.DataFrame, to: str) -> pl.DataFrame:
        """Rows of runs with the node ``source`` at which the run ends, and the node ``target`` of a function.

        Rows of runs that end at no program are left out; ``target`` is null where no node has the function.

        Args:
            rows: With ``run`` and the column that names the function.
            to: That column.
        """
        programs = self.ends.filter(pl.col("node") != NONE).rename({"node": "source"})
        found = rows.join(programs, on="run", maintain_order="left")
        of = self.of.rename({"function": to, "node": "target"})
        return found.join(of, on=to, how="left", maintain_order="left")
