"""Looking at the arrays inside a network while it runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax

from allroads.pfmap.network import Network, Params
from allroads.pfmap.replay import replay

See = Callable[[int, Any, Sequence[Any], Sequence[Any]], None]


def watch(network: Network, params: Params, inputs: Any, see: See) -> None:
    """Run a network and show every equation: ``see(number, equation, operands, outputs)``.

    Equations are numbered as :class:`Trace` numbers them: from 1 in the order in which they run; calls are gone into
    and have no number, loops and branches are one equation each.
    """
    count = 0

    def look(equation: Any, operands: Sequence[Any], _: Any, outputs: Sequence[Any]) -> tuple[Sequence[Any], None]:
        nonlocal count
        count += 1
        see(count, equation, operands, outputs)
        return outputs, None

    replay(network, params, inputs, lambda leaf: None, None, look)


def inside(network: Network, numbers: Collection[int]) -> Callable[[Params, Any], dict[int, Any]]:
    """``run(params, inputs) -> {number: array}``: the arrays that the equations with these numbers give.

    Numbers are those of :func:`watch`.
    """

    def run(params: Params, inputs: Any) -> dict[int, Any]:
        seen: dict[int, Any] = {}

        def see(number: int, _: Any, __: Any, outputs: Sequence[Any]) -> None:
            if number in numbers:
                seen[number] = outputs[0]

        watch(network, params, inputs, see)
        return seen

    return jax.jit(run)
