"""H2 on an atlas: whether programs are reached in fewer steps where roads are short and descents direct."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from allroads.status import AtlasStatus
from allroads.studies.measures.matrices import FEWEST, function_distances, spelled_nodes

if TYPE_CHECKING:
    from allroads.atlases.atlas import Atlas

NEEDS = {"reach_cost": "reach", "directness": "reach", "road_cost": "road_costs"}
"""The measure behind each quantity of the test."""
TESTS = {"road cost": "H2 road cost", "directness": "H2 directness"}
NUMBERS = ("value", "low", "high", "p", "detectable")


def direct_path_rows(atlas: Atlas, shared: Mapping[str, Any], measured: Collection[str]) -> Iterator[dict[str, Any]]:
    """A row per predictor; where something is missing, the status says so and ``reason`` what it is.

    Args:
        atlas: With edges ``reach_cost``, ``directness`` and ``road_cost``.
        shared: ``permutations`` and ``level``.
        measured: Names of the measures that ran.
    """
    from allroads.atlases.hypotheses import direct_path_hypothesis

    known = atlas.edges.drop_nulls("value")["quantity"].unique()
    absent = sorted({measure for quantity, measure in NEEDS.items() if quantity not in known})
    nodes = _reached(atlas)
    if absent or nodes is None:
        off = " and ".join(name for name in absent if name not in measured)
        reason = "fewer than five functions of up to six bits"
        if off:
            reason = f"no edges of {off}: switch {off} on"
        elif absent:
            reason = f"no pair of programs has a number of {' and '.join(absent)}"
        status = AtlasStatus.NOT_MEASURED if off else AtlasStatus.TOO_FEW_PAIRS
        for test in TESTS.values():
            yield {"test": test, "status": status.value, "reason": f"{reason}."}
        return
    place = nodes["place"].to_numpy()
    cost, road, direct = (
        atlas.matrix(name)[np.ix_(place, place)] for name in ("reach_cost", "road_cost", "directness")
    )
    kept = complete(np.isnan(road) | np.isnan(direct))
    left = len(place) - len(kept)
    gaps = f"programs left out, to or from which some road or descent has no number: {left}." if left else None
    if len(kept) < FEWEST:
        for test in TESTS.values():
            yield {"test": test, "status": AtlasStatus.TOO_FEW_PAIRS.value, "reason": gaps}
        return
    cost, road, direct = (matrix[np.ix_(kept, kept)] for matrix in (cost, road, direct))
    functions = function_distances(nodes[kept.tolist()])
    h2 = direct_path_hypothesis(cost, road, direct, functions, node_effects=True, **shared)
    for name, test in TESTS.items():
        slope = h2.slopes[name]
        numbers = {key: getattr(slope, key) for key in NUMBERS} | {"null": 0.0, "events": slope.pairs}
        told = {"verdict": h2.verdict[name], "status": slope.status.value, "reason": gaps}
        yield {"test": test, **numbers, **told}


def complete(absent: np.ndarray) -> np.ndarray:
    """Numbers of nodes between all of which nothing is absent: by turns the node goes that lacks most.

    Relabellings take predictors of every pair, so a node with a gap cannot stay.

    Args:
        absent: Whether a pair lacks a number ``[N, N]``; the diagonal plays no part.

    Example:
        >>> complete(np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1]], bool)).tolist()
        [0, 2]
    """
    lacking = absent | absent.T
    np.fill_diagonal(lacking, False)
    kept = np.arange(len(lacking))
    while (counts := lacking[np.ix_(kept, kept)].sum(1)).any():
        kept = np.delete(kept, int(counts.argmax()))
    return kept


def _reached(atlas: Atlas) -> pl.DataFrame | None:
    """The nodes between which descents were tried, with their ``place``."""
    edges = atlas.edges.filter(pl.col("quantity") == "reach_cost")
    tried = pl.concat([edges["source"], edges["target"]]).unique()
    return spelled_nodes(atlas.nodes.with_row_index("place").filter(pl.col("node").is_in(tried.implode())))
