"""The walker: the equations of a jaxpr, run in order over any domain of values.

Numbers are one domain, the axes of arrays another. Calls of functions are entered; loops and branches are single
equations, and a rule that needs their bodies walks those in turn. Equations are numbered from 0 in the order in which
they run, calls not counted. Code that no output depends on is removed first, so it has no number and ties nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import jax
from jax.extend import core
from jax.interpreters import partial_eval

T = TypeVar("T")

CALLS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "custom_jvp_call", "custom_vjp_call")
"""Primitives that run a function on their operands and do nothing else."""

Rule = Callable[[int, core.JaxprEqn, list[T]], Sequence[T]]
"""``rule(number of the equation, equation, operands) -> outputs``."""


class Shaped(Protocol):
    """The shape and the precision of an array."""

    shape: tuple[int, ...]
    dtype: Any
    ndim: int
    size: int


@dataclass(frozen=True, eq=False)
class Traced:
    """A function as a jaxpr without dead code.

    Args:
        jaxpr: The equations.
        consts: The arrays that the function closes over.
        structure: The pytree of the outputs.
    """

    jaxpr: core.Jaxpr
    consts: tuple[Any, ...]
    structure: Any


def trace(function: Callable[..., Any], *args: Any) -> Traced:
    """The jaxpr of ``function(*args)``, without the equations that no output depends on.

    Args:
        function: A JAX function.
        *args: Pytrees of arrays or of their shapes.

    Example:
        >>> import jax.numpy as jnp
        >>> traced = trace(lambda x: (jnp.cos(x), jnp.sin(x))[1], 1.0)
        >>> [equation.primitive.name for equation in traced.jaxpr.eqns]
        ['sin']
    """
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)
    return Traced(*without_dead_code(closed), jax.tree.structure(shape))


def without_dead_code(closed: core.ClosedJaxpr) -> tuple[core.Jaxpr, tuple[Any, ...]]:
    """A jaxpr and its constants, without the equations that no output depends on, inside loops too."""
    jaxpr, _ = partial_eval.dce_jaxpr(closed.jaxpr, used_outputs=True, instantiate=True)
    return jaxpr, tuple(closed.consts)


def called(equation: core.JaxprEqn) -> core.ClosedJaxpr | None:
    """The function that a call runs; ``None`` for every other equation."""
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if equation.primitive.name in CALLS else ():
        inner = equation.params.get(key)
        if isinstance(inner, core.ClosedJaxpr):
            return inner
        if isinstance(inner, core.Jaxpr):
            return core.ClosedJaxpr(inner, ())
    return None


def interpret(
    jaxpr: core.Jaxpr,
    consts: Sequence[T],
    args: Sequence[T],
    rule: Rule[T],
    literal: Callable[[Any], T],
    enter: Callable[[core.JaxprEqn], core.ClosedJaxpr | None] = called,
) -> list[T]:
    """The outputs of a jaxpr over a domain of values.

    Args:
        jaxpr: The equations.
        consts: What stands for its constants.
        args: What stands for its arguments.
        rule: What becomes of one equation.
        literal: What stands for a number in the jaxpr.
        enter: The function that is walked in place of an equation; ``None`` where the rule decides.

    Example:
        Over the integers that count multiplications:

        >>> depth = lambda number, equation, operands: [max(operands) + (equation.primitive.name == "mul")]
        >>> traced = trace(lambda x: x * x * x + x, 2.0)
        >>> interpret(traced.jaxpr, [], [0], depth, lambda value: 0)
        [2]
    """
    return _interpret(jaxpr, consts, args, rule, literal, enter, itertools.count())


def _interpret(
    jaxpr: core.Jaxpr,
    consts: Sequence[T],
    args: Sequence[T],
    rule: Rule[T],
    literal: Callable[[Any], T],
    enter: Callable[[core.JaxprEqn], core.ClosedJaxpr | None],
    numbers: Iterator[int],
) -> list[T]:
    known: dict[core.Var, T] = dict(zip(jaxpr.constvars, consts, strict=True))
    known.update(zip(jaxpr.invars, args, strict=True))

    def read(var: core.Var | core.Literal) -> T:
        return literal(var.val) if isinstance(var, core.Literal) else known[var]

    for equation in jaxpr.eqns:
        operands = [read(var) for var in equation.invars]
        body = enter(equation)
        if body is None:
            outputs = rule(next(numbers), equation, operands)
        else:
            inner = [literal(const) for const in body.consts]
            outputs = _interpret(body.jaxpr, inner, operands, rule, literal, enter, numbers)
        known.update(zip(equation.outvars, outputs, strict=True))
    return [read(var) for var in jaxpr.outvars]


def shaped(var: core.Var | core.Literal) -> Shaped:
    """Shape and precision of a variable."""
    return cast(Shaped, var.aval)


def bind(equation: core.JaxprEqn, operands: Sequence[Any], params: Mapping[str, Any] | None = None) -> list[Any]:
    """The outputs of one equation on arrays, with its own parameters or with others."""
    primitive: Any = equation.primitive
    outputs = primitive.bind(*operands, **primitive.get_bind_params(equation.params if params is None else params))
    return list(outputs) if primitive.multiple_results else [outputs]
