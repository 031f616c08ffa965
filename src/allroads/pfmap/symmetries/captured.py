"""Looking at the arrays inside a network while it runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax

from allroads.pfmap.network import Network, Params
from allroads.pfmap.replay import replay


def inside(network: Network, numbers: Collection[int]) -> Callable[[Params, Any], dict[int, Any]]:
    """``run(params, inputs) -> {number: array}``: the arrays that the equations with these numbers give.

    Equations are numbered as :class:`Trace` numbers them: from 1 in the order in which they run; calls are gone into
    and have no number, loops and branches are one equation each.
    """

    def run(params: Params, inputs: Any) -> dict[int, Any]:
        seen: dict[int, Any] = {}
        count = 0

        def look(_: Any, __: Any, ___: Any, outputs: Sequence[Any]) -> tuple[Sequence[Any], None]:
            nonlocal count
            count += 1
            if count in numbers:
                seen[count] = outputs[0]
            return outputs, None

        replay(network, params, inputs, lambda leaf: None, None, look)
        return seen

    return jax.jit(run)
