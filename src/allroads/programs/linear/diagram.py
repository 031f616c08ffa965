"""Signal-flow graph of an integer recurrence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allroads.programs.diagram import Diagram, ring

if TYPE_CHECKING:
    from allroads.programs.linear.recurrence import Recurrence

MOST_NODES = 16
"""Nodes above which a graph is no longer read."""


def signal_flow(program: Recurrence) -> Diagram | None:
    """Inputs x, states s and answers y on a ring, with the coefficients of ``A, B, C, D`` that are not 0 on the edges.

    An edge into a state is what the state becomes at the next position. A coefficient 1 is not written.

    Example:
        >>> from allroads.programs.linear import Recurrence
        >>> found = signal_flow(Recurrence(a=[[1]], b=[[2]], c=[[1]], d=[[0]], start=[0]))
        >>> [label for label, _, _ in found.nodes], found.edges
        (['x0', 's0', 'y0'], ((0, 1, '2'), (1, 1, ''), (1, 2, '')))
    """
    n, inputs, outputs = program.states, program.inputs, program.outputs
    if n + inputs + outputs > MOST_NODES:
        return None
    names = [
        *(f"x{i}" for i in range(inputs)),
        *(f"s{i}" for i in range(n)),
        *(f"y{i}" for i in range(outputs)),
    ]
    blocks = (
        (program.b, 0, inputs),
        (program.a, inputs, inputs),
        (program.d, 0, inputs + n),
        (program.c, inputs, inputs + n),
    )
    edges = [
        (source + column, sink + row, "" if value == 1 else str(value))
        for rows, source, sink in blocks
        for row, values in enumerate(rows)
        for column, value in enumerate(values)
        if value
    ]
    return Diagram("recurrence", ring(names), tuple(sorted(edges)))
