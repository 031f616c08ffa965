"""Frequency wheel of a Fourier program."""

from __future__ import annotations

from allroads.programs.diagram import Diagram, ring


def frequency_wheel(p: int, frequencies: tuple[int, ...]) -> Diagram:
    """The frequencies 0 … p − 1 on a ring, clockwise from 0, with a spoke to each that the program uses.

    A frequency and its negative are one wave, so each has two spokes.

    Example:
        >>> found = frequency_wheel(7, (2,))
        >>> [label for label, _, _ in found.nodes if label], found.edges
        (['2', '5'], ((7, 2, ''), (7, 5, '')))
    """
    used = {k for frequency in frequencies for k in (frequency, p - frequency)}
    nodes = ring([str(k) if k in used else "" for k in range(p)])
    return Diagram("frequency wheel", (*nodes, ("", 0.0, 0.0)), tuple((p, k, "") for k in sorted(used)), straight=True)
