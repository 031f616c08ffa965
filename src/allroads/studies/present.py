"""What can be measured where a run failed: units of several runs without the runs that lack something."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from allroads.studies.graph import Graph, make_node
from allroads.studies.units import UnitRef

if TYPE_CHECKING:
    from allroads.studies.store import Store
    from allroads.studies.units import RunRef

LEAST = {"pair": 2, "target": 1, "grid": 1, "study": 1}
"""Scopes of several trained runs, and how many of these a unit must have."""


def of_present(graph: Graph, name: str, store: Store) -> Graph:
    """The graph with one measure asked of those runs alone of which all that it needs is stored.

    A unit keeps its key where no run is missing. Where one is, the key is that of the others: so the result is taken
    again as long as the run is missing, and is computed anew when it is there.

    Args:
        graph: In which all that the measure needs has been tried.
        name: Of the measure.
        store: Where results are.
    """
    node = graph.nodes[name]
    if node.measure.scope not in LEAST:
        return graph
    needed = [graph.nodes[need] for need in node.measure.needs]

    def is_there(run: RunRef) -> bool:
        places = [home.place_of.get(run.index) for home in needed]
        return store.has("cells", run.cell) and all(place and place.find(store) for place in places)

    kept = [UnitRef(unit.labels, tuple(filter(is_there, unit.runs))) for unit in node.units]
    units = tuple(unit for unit in kept if len(unit.runs) >= LEAST[node.measure.scope])
    return replace(graph, nodes={**graph.nodes, name: make_node(node.asked, units, graph.nodes)})
