"""What chains hold, and what they observe, against the memory that they may take."""

from __future__ import annotations

from dataclasses import replace

import jax

from allroads.errors import MemoryBudgetError
from allroads.memory import check_left, gib, memory_left
from allroads.points.sampling.free_parameters import FreeParameters
from allroads.points.sampling.metric import LARGEST
from allroads.points.sampling.plan import Chains, Plan

COPIES = 12
"""Arrays of the size of the parameters that a chain holds at once."""
OBSERVED_COPIES = 3
"""How often what was observed is held at once."""
OBSERVED_ROUNDS = 8
"""Fewest rounds that a budget of memory must allow."""


def chains_bytes(free: FreeParameters, chains: int, options: Chains) -> int:
    """Bytes that chains, and a look at the point, hold at their peak; what a gradient passes through is not counted.

    Args:
        free: The free parameters.
        chains: Chains of all points.
        options: Of the chains.
    """
    rotated = options.metric == "curvature"
    sides = sum(side**2 for b in free.blocks for side in (b.rows, b.columns) if side <= LARGEST) if rotated else 0
    itemsize = 4 if options.dtype == "float32" else 8
    return itemsize * (COPIES * chains * free.dimension + 4 * sides)


def check_memory(free: FreeParameters, chains: int, options: Chains) -> int:
    """Bytes that chains need; refuse those that do not fit.

    Raises:
        MemoryBudgetError: With the bytes that they need.
    """
    needed, left = chains_bytes(free, chains, options), memory_left(jax.devices()[0])
    precision = "single" if options.dtype == "float32" else "double"
    what = f"{chains} chains of {free.dimension:,} parameters in {precision} precision"
    fewer = "Take fewer chains or Chains(dtype='float32', metric='none'), or restrict the parameters with mask."
    if needed > options.memory:
        raise MemoryBudgetError(
            f"{what} need about {gib(needed)}; the budget is {gib(options.memory)}. Raise memory, or do less: {fewer}"
        )
    check_left(what, needed, left, fewer)
    return needed


def within_memory(plan: Plan, width: int, memory: int) -> Plan:
    """The plan with no more rounds than fit, where each draw observes ``width`` numbers.

    Raises:
        MemoryBudgetError: If the rounds asked for do not fit, or fewer than eight do.
    """
    a_round = 8 * OBSERVED_COPIES * plan.chains * plan.draws * width
    allowed = memory // a_round
    needed = plan.rounds if plan.exactly else min(plan.rounds, OBSERVED_ROUNDS)
    if allowed < needed:
        raise MemoryBudgetError(
            f"{width} numbers seen at each of {plan.chains} × {needed * plan.draws} draws need about "
            f"{needed * a_round / 2**30:.1f} GiB; the budget is {memory / 2**30:.1f} GiB. Raise memory, name fewer "
            "examples, or ask for fewer draws."
        )
    return replace(plan, rounds=min(plan.rounds, allowed))
