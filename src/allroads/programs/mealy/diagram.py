"""State graph of a Mealy machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allroads.programs.diagram import Diagram, ring, shortened

if TYPE_CHECKING:
    from allroads.programs.mealy.machine import Machine

MOST_STATES = 16
"""States above which a graph is no longer read."""


def state_graph(machine: Machine) -> Diagram | None:
    """States on a ring, clockwise from the initial one, and edges "letter/answer"; ``None`` above 16 states.

    Example:
        >>> from allroads.programs.mealy import Machine
        >>> state_graph(Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0)))).edges
        ((0, 0, '0/0'), (0, 1, '1/1'), (1, 0, '1/0'), (1, 1, '0/1'))
    """
    if machine.states > MOST_STATES:
        return None
    found: dict[tuple[int, int], list[str]] = {}
    for state, (moves, answers) in enumerate(zip(machine.transitions, machine.outputs, strict=True)):
        for letter, following, answer in zip(machine.alphabet, moves, answers, strict=True):
            found.setdefault((state, following), []).append(f"{_text(letter)}/{_text(answer)}")
    names = [f"s{state}" for state in range(machine.states)]
    edges = tuple((a, b, shortened(labels)) for (a, b), labels in sorted(found.items()))
    return Diagram("state graph", ring(names) if machine.states > 1 else ((names[0], 0.0, 0.0),), edges)


def _text(symbol: object) -> str:
    return " ".join(map(str, symbol)) if isinstance(symbol, tuple) else str(symbol)
