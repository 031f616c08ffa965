"""The zoo: networks whose programs are known, by name."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from allroads.errors import UnknownNameError
from allroads.pfmap.network import Network, Params
from allroads.programs.compile import compile_program
from allroads.programs.ground_truth.boolean_models import circuits
from allroads.programs.ground_truth.entry import Entry
from allroads.programs.ground_truth.fourier_models import waves
from allroads.programs.ground_truth.machine_models import machines
from allroads.programs.ground_truth.recurrence_models import recurrences
from allroads.programs.ground_truth.sequence_models import selections
from allroads.programs.program import Program
from allroads.targets.target import Target


class Model(NamedTuple):
    """A network that computes a known program.

    Args:
        network: The network.
        params: The point at which it computes the program.
        program: The program.
        target: Its function, defined on its own; its domain is enumerated.
    """

    network: Network
    params: Params
    program: Program
    target: Target


@cache
def entries() -> dict[str, Entry]:
    """All entries by name: circuits, machines, recurrences, Fourier and position-wise programs.

    Example:
        >>> len(entries()) >= 40
        True
    """
    return {entry.name: entry for entry in (*circuits(), *machines(), *recurrences(), *waves(), *selections())}


def zoo(name: str) -> Model:
    """A network whose program is known: ground truth for methods that claim to read networks.

    The program is written into the weights by :func:`~allroads.programs.compile.compile_program`, and the network
    answers every input of the target's domain as the target does. The target's function is defined on its own.

    Args:
        name: A name of :func:`entries`; ``allroads zoo`` lists them.

    Returns:
        ``(network, params, program, target)``.

    Raises:
        UnknownNameError: If there is no such name.

    Example:
        >>> network, params, program, target = zoo("parity-all")
        >>> network.apply(params, [[1, 0, 1, 1, 0, 0, 1, 0, 0, 0]]).argmax(-1).tolist()
        [[1, 1, 0, 1, 1, 1, 0, 0, 0, 0]]
        >>> program([1, 0, 1, 1]), program.states
        ([1, 1, 0, 1], 2)
    """
    if name not in entries():
        raise UnknownNameError("zoo model", name, entries())
    entry = entries()[name]
    program, target = entry.make()
    network, params = compile_program(program, **entry.options)
    return Model(network, params, program, target)
