"""Parts of an atlas that nothing joins."""

from __future__ import annotations

import polars as pl


def components(nodes: pl.DataFrame, edges: pl.DataFrame, walks: pl.DataFrame) -> list[int]:
    """Sizes of the connected components, the largest first.

    Two nodes are joined by an edge of finite value other than 0, in either direction, and by a run that goes from one
    to the other.

    Example:
        >>> import polars as pl
        >>> from allroads.atlases.tables import EDGES, WALKS
        >>> walks = pl.DataFrame({"run": ["r", "r"], "place": [0, 1], "node": ["a", "b"]})
        >>> components(pl.DataFrame({"node": ["a", "b", "c"]}), pl.DataFrame(schema=EDGES), walks)
        [2, 1]
    """
    import networkx as nx

    graph: nx.Graph = nx.Graph()
    graph.add_nodes_from(nodes["node"])
    joined = edges.filter(pl.col("value").is_finite() & (pl.col("value") != 0))
    graph.add_edges_from(joined.select("source", "target").iter_rows())
    following = walks.sort("run", "place").with_columns(after=pl.col("node").shift(-1).over("run"))
    graph.add_edges_from(following.drop_nulls("after").select("node", "after").iter_rows())
    return sorted(map(len, nx.connected_components(graph)), reverse=True)
