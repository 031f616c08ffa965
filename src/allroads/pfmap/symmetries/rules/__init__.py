"""Rules: what each primitive of JAX demands of the axes of its operands, loops and branches apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jax.extend import core

from allroads.pfmap.symmetries.constraints import Array, Constraints
from allroads.pfmap.symmetries.rules import contractions, elementwise, indexing, reductions, shapes

Rule = Callable[[Constraints, core.JaxprEqn, Sequence[Array]], list[Array]]
"""``rule(constraints, equation, operands) -> outputs``."""

RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **shapes.RULES,
    **reductions.RULES,
    **contractions.RULES,
    **indexing.RULES,
}
"""A rule per primitive. One without a rule pins everything that it touches."""
