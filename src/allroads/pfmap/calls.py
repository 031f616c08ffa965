"""Calls: equations that run a function on their operands and do nothing else."""

from __future__ import annotations

from typing import Any

from jax.extend import core

CALLS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "custom_jvp_call", "custom_vjp_call")
"""The primitives."""

Body = tuple[Any, list[Any]]
"""A jaxpr and its constants."""


def called(equation: Any) -> Body | None:
    """The function that a call runs; ``None`` for every other equation."""
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if equation.primitive.name in CALLS else ():
        inner = equation.params.get(key)
        if isinstance(inner, core.ClosedJaxpr):
            return inner.jaxpr, list(inner.consts)
        if isinstance(inner, core.Jaxpr):
            return inner, []
    return None
