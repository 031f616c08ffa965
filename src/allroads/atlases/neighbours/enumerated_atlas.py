"""The atlas of an enumerated map, and of neighbour shares that were drawn."""

from __future__ import annotations

from dataclasses import replace

from allroads.atlases.atlas import Atlas
from allroads.atlases.neighbours.enumerated import EnumeratedMap
from allroads.atlases.neighbours.exact import exact_neighbour_share
from allroads.atlases.neighbours.neighbours import QUANTITIES, Neighbours
from allroads.atlases.tables import CONVENTIONS
from allroads.checks import check_options
from allroads.status import AtlasStatus


def enumerated_atlas(map: EnumeratedMap) -> Atlas:
    """Programs of an enumerated map as nodes, neighbour shares and boundaries as edges; all of it exact.

    Args:
        map: From :func:`~allroads.enumerate_map`.

    Raises:
        InputError: As :func:`~allroads.exact_neighbour_share`.

    Example:
        >>> from allroads import enumerate_map
        >>> grid = enumerate_map(lambda x: x[:, 0] & x[:, 1], (0, 1), coordinates=2, progress=False)
        >>> enumerated_atlas(grid).matrix("boundary").tolist()
        [[nan, 0.25], [0.25, nan]]
    """
    return neighbours_atlas(exact_neighbour_share(map))


def neighbours_atlas(neighbours: Neighbours) -> Atlas:
    """An atlas whose edges are neighbour shares and boundaries.

    Nodes have the further columns ``robustness``, ``evolvability`` and ``starts``. Where the shares were cut short, so
    is the atlas; ``stats["ended"]`` says by what.

    Args:
        neighbours: From :func:`~allroads.neighbour_share` or :func:`~allroads.exact_neighbour_share`.
    """
    check_options("neighbours", neighbours, Neighbours)
    move = f" Move: {neighbours.stats['move']}."
    kept = ("move", "moves", "starts", "exact", "ended")
    found = Atlas.from_tables(
        neighbours.nodes(),
        neighbours.edges(),
        conventions={quantity: CONVENTIONS[quantity] + move for quantity in QUANTITIES},
        stats={name: neighbours.stats[name] for name in kept if neighbours.stats.get(name) is not None},
    )
    cut = neighbours.stats.get("ended") and found.status.sound
    return replace(found, status=AtlasStatus.CUT_SHORT) if cut else found
