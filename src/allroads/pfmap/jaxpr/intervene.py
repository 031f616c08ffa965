"""Intermediates of a network: listed, captured and replaced, those inside loops included."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from allroads.errors import InputError
from allroads.pfmap.jaxpr.walk import bind, interpret, shaped, trace

Apply = Callable[[Any, Any], Any]
"""``apply(params, inputs) -> outputs``, such as ``network.apply``."""

Replacement = Any
"""An array that broadcasts to ``[*steps, *shape]``, or ``replacement(value) -> value``."""


@dataclass(frozen=True)
class Intermediate:
    """One array that a network computes on its way.

    Args:
        path: The number of its equation, ``"7"``. ``"7:1"`` is the second output of an equation with several, and
            ``"7/body/2"`` the third equation inside the loop that is the eighth.
        primitive: The primitive that gives it, such as ``"tanh"``.
        shape: Its shape, in one step of the loops around it.
        dtype: Its precision.
        steps: The lengths of the loops around it, outermost first. Captured values have shape ``[*steps, *shape]``.
        scope: The ``jax.named_scope`` around it.
    """

    path: str
    primitive: str
    shape: tuple[int, ...]
    dtype: str
    steps: tuple[int, ...] = ()
    scope: str = ""


def intermediates(apply: Apply, params: Any, inputs: Any) -> tuple[Intermediate, ...]:
    """Every array that ``apply(params, inputs)`` computes, in the order in which it is computed.

    Calls are entered; arrays on which no output depends are absent. The bodies of ``scan`` loops are listed. Those of
    ``while`` loops and branches are not, because they have no fixed number of steps: their outputs alone are.

    Args:
        apply: The function, such as ``network.apply``; a network from ``from_torch`` or ``from_equinox`` too.
        params: A point, or its shapes.
        inputs: As the function takes them, or their shapes.

    Example:
        >>> apply = lambda p, x: jnp.tanh(x @ p["in"]) @ p["out"]
        >>> params = {"in": jnp.ones((2, 3)), "out": jnp.ones((3, 1))}
        >>> [(found.path, found.primitive, found.shape) for found in intermediates(apply, params, jnp.ones((4, 2)))]
        [('0', 'dot_general', (4, 3)), ('1', 'tanh', (4, 3)), ('2', 'dot_general', (4, 1))]
    """
    found: list[Intermediate] = []
    _list(trace(apply, params, inputs).jaxpr, "", (), found)
    return tuple(found)


def _list(jaxpr: core.Jaxpr, prefix: str, steps: tuple[int, ...], found: list[Intermediate]) -> None:
    def rule(number: int, equation: core.JaxprEqn, operands: Sequence[None]) -> list[None]:
        path, name = f"{prefix}{number}", equation.primitive.name
        if name == "scan":
            _list(equation.params["jaxpr"].jaxpr, f"{path}/body/", (*steps, equation.params["length"]), found)
        for output, var in zip(_paths(path, equation), equation.outvars, strict=True):
            scope = str(equation.source_info.name_stack)
            found.append(Intermediate(output, name, tuple(shaped(var).shape), str(shaped(var).dtype), steps, scope))
        return [None] * len(equation.outvars)

    interpret(jaxpr, [None] * len(jaxpr.constvars), [None] * len(jaxpr.invars), rule, lambda value: None)


def _paths(path: str, equation: core.JaxprEqn) -> list[str]:
    """The paths of the outputs of an equation."""
    count = len(equation.outvars)
    return [path] if count == 1 else [f"{path}:{number}" for number in range(count)]


def evaluate(
    apply: Apply,
    params: Any,
    inputs: Any,
    capture: Collection[str] = (),
    replace: Mapping[str, Replacement] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """``apply(params, inputs)`` with some intermediates captured and some replaced.

    What comes after a replaced array is computed from the replacement, and a captured array is the one that the network
    goes on with. The function is pure JAX: it can be compiled, mapped over examples and differentiated.

    Args:
        apply: The function, such as ``network.apply``.
        params: The point.
        inputs: As the function takes them.
        capture: Paths of arrays to return, see :func:`intermediates`.
        replace: For a path, an array or a function of the value. Inside a loop an array has one value per step,
            ``[*steps, *shape]``, and a function sees one step at a time. Arrays broadcast: ``0.0`` ablates.

    Returns:
        The outputs, and ``{path: value}`` with values ``[*steps, *shape]``.

    Raises:
        InputError: If there is no such intermediate, it lies in a ``while`` loop or a branch, or a replacement has a
            shape that does not fit.

    When it fails: functions with derivative rules of their own are entered, so that a derivative through ``evaluate``
    is that of their equations; that of ``jax.nn.relu`` at exactly 0 becomes 1/2.

    Example:
        A hidden unit is read, then ablated:

        >>> apply = lambda p, x: jnp.tanh(x @ p["in"]) @ p["out"]
        >>> params, x = {"in": jnp.eye(2), "out": jnp.ones((2, 1))}, jnp.array([[0.0, 1.0]])
        >>> outputs, seen = evaluate(apply, params, x, capture=["1"])
        >>> float(seen["1"][0, 1]) == float(outputs[0, 0])
        True
        >>> outputs, _ = evaluate(apply, params, x, replace={"1": lambda value: value.at[:, 1].set(0)})
        >>> float(outputs[0, 0])
        0.0
    """
    replace = dict(replace or {})
    traced = trace(apply, params, inputs)
    listed: list[Intermediate] = []
    _list(traced.jaxpr, "", (), listed)
    known = {found.path: found for found in listed}
    for path in (*capture, *replace):
        if path not in known:
            raise _unknown(path, known)
    for path, value in replace.items():
        if not callable(value):
            found = known[path]
            replace[path] = _fitted(value, (*found.steps, *found.shape), found.dtype, path)
    args = [*jax.tree.leaves(params), *jax.tree.leaves(inputs)]
    outputs, captured = _run(core.ClosedJaxpr(traced.jaxpr, traced.consts), args, "", frozenset(capture), replace)
    return jax.tree.unflatten(traced.structure, outputs), {path: captured[path] for path in capture}


def _run(
    closed: core.ClosedJaxpr, args: Sequence[Any], prefix: str, capture: frozenset[str], replace: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    captured: dict[str, Any] = {}

    def rule(number: int, equation: core.JaxprEqn, operands: list[Any]) -> list[Any]:
        path = f"{prefix}{number}"
        inside = f"{path}/body/"
        if any(chosen.startswith(inside) for chosen in (*capture, *replace)):
            outputs, found = _scan(equation, operands, inside, capture, replace)
            captured.update(found)
        else:
            outputs = bind(equation, operands)
        for at, name in enumerate(_paths(path, equation)):
            if name in replace:
                new, old = replace[name], outputs[at]
                outputs[at] = _fitted(new(old), jnp.shape(old), old.dtype, name) if callable(new) else new
            if name in capture:
                captured[name] = outputs[at]
        return outputs

    return interpret(closed.jaxpr, closed.consts, args, rule, lambda value: value), captured


def _scan(
    equation: core.JaxprEqn, operands: Sequence[Any], prefix: str, capture: frozenset[str], replace: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """A loop with intermediates of its body captured and replaced: one value per step."""
    params, body = equation.params, equation.params["jaxpr"]
    first, count = params["num_consts"], params["num_carry"]
    consts, start, xs = operands[:first], operands[first : first + count], operands[first + count :]
    chosen = {path: value for path, value in replace.items() if path.startswith(prefix)}
    functions = {path: value for path, value in chosen.items() if callable(value)}
    arrays = {path: value for path, value in chosen.items() if not callable(value)}

    def step(state: list[Any], given: tuple[list[Any], dict[str, Any]]) -> tuple[list[Any], Any]:
        x, values = given
        outputs, captured = _run(body, [*consts, *state, *x], prefix, capture, {**functions, **values})
        return outputs[:count], (outputs[count:], captured)

    end, (ys, captured) = jax.lax.scan(
        step,
        list(start),
        (list(xs), arrays),
        length=params["length"],
        reverse=params["reverse"],
        unroll=params["unroll"],
    )
    return [*end, *ys], captured


def _fitted(value: Any, shape: tuple[int, ...], dtype: Any, path: str) -> Any:
    array = jnp.asarray(value)
    try:
        return jnp.broadcast_to(array, shape).astype(dtype)
    except ValueError as error:
        raise InputError(
            f"evaluate: the replacement of intermediate {path!r} has shape {array.shape}; expected {shape}, or what "
            "broadcasts to it. Inside a loop give one value per step along the leading axis."
        ) from error


def _unknown(path: str, known: Mapping[str, Intermediate]) -> InputError:
    loop = next((found for found in known.values() if path.split("/")[0] == found.path.split(":")[0]), None)
    if "/" in path and loop is not None and loop.primitive in ("while", "cond"):
        return InputError(
            f"evaluate: intermediate {path!r} lies inside a {loop.primitive!r}, which has no fixed number of steps. "
            f"Capture or replace its output {loop.path!r}, or write the loop as jax.lax.scan."
        )
    paths = list(known) or [""]
    return InputError(
        f"evaluate: there is no intermediate {path!r}; there are {len(known)}, from {paths[0]!r} to {paths[-1]!r}. "
        f" List them with intermediates(apply, params, inputs)."
    )
