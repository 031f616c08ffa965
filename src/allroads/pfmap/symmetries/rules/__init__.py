"""What each primitive of JAX does to axes and grades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allroads.pfmap.symmetries.rules import contractions, control, elementwise, indexing, reductions, shapes
from allroads.pfmap.symmetries.rules.opaque import opaque
from allroads.pfmap.symmetries.trace import Array, Trace

RULES = {
    **elementwise.RULES,
    **shapes.RULES,
    **reductions.RULES,
    **contractions.RULES,
    **indexing.RULES,
}


def apply_rule(trace: Trace, equation: Any, operands: Sequence[Array], capture: bool) -> list[Array]:
    """The outputs of one equation of a jaxpr; where its primitive has no rule, everything it touches is pinned."""
    name = equation.primitive.name
    if name in control.RULES:
        return control.RULES[name](trace, equation, operands)
    if control.called(equation) is not None:
        return control.call(trace, equation, operands, capture)
    rule = RULES.get(name, opaque)
    return rule(trace, equation, operands)
