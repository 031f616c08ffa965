"""The horizontal lift: the shortest motion of the parameters that moves the function as asked.

``θ̇ = Jᵀ (J Jᵀ + r)⁻¹ ż``: of all motions with Jθ̇ = ż the one with the least ‖θ̇‖, up to the regularisation r. The
kernel is formed where outputs are few, JᵀJ where parameters are, and otherwise the kernel is only multiplied with. The
motion always lies in the range of Jᵀ, so an inexact solution falls short of ż but never moves along the fibre, where
the function stands still.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.sparse.linalg import cg

from allroads.compiled import quickly_compiled
from allroads.errors import InputError
from allroads.paths.road.behaviour import compiled_values
from allroads.paths.road.factors import DenseKernel, FactoredJacobian, Solution, extreme_eigenvalue, smaller_gram
from allroads.pfmap.charts import to_chart
from allroads.pfmap.jacobian import jacobian_function
from allroads.pfmap.kernel import examples_apart, kernel_function, plan_kernel
from allroads.pfmap.network import Network, Params

REGULARISATION = {"float32": 1e-6, "float64": 1e-12}
"""r as a share of the kernel's largest eigenvalue: above the rounding of a kernel computed in that precision."""

ITERATIONS = 1000
"""Conjugate-gradient steps at most. What they leave undone is the residual that the next step of a road aims at."""

_POWER_STEPS = 30


class TangentLift(NamedTuple):
    """A motion of the parameters and what it leaves undone.

    Args:
        motion: ``Jᵀ(K + r)⁻¹ v``, a pytree like the parameters.
        length: Its Euclidean norm.
        outside: ``‖v − J motion‖² / ‖v‖²``: share of the direction that the regularised kernel does not reach.
    """

    motion: Params
    length: float
    outside: float


@dataclass(frozen=True, eq=False)
class Lifter:
    """Lifts for one network on one set of inputs.

    Args:
        network: Its outputs are coordinates in the chart.
        inputs: ``[N, …]``, or a pytree of such arrays.
        form: J or ``J Jᵀ`` at a point, compiled; ``None`` where neither is formed.
        held: Whether it is J.
        method: ``dense`` where K is factored, ``normal equations`` where JᵀJ is, else ``matrix-free``.
        share: r over the largest eigenvalue of the kernel at the start.
        largest: That eigenvalue; by power iteration where the kernel is not formed.
    """

    network: Network
    inputs: Any
    form: Callable[[Params, Any], Any] | None
    held: bool
    method: str
    share: float
    largest: float

    @property
    def ridge(self) -> float:
        """r, in the unit of the kernel: positive even where the kernel is zero."""
        return self.share * (self.largest or 1.0)

    def values(self, params: Params) -> np.ndarray:
        """Coordinates of the function, flat ``[N·C]``, in double precision."""
        return np.asarray(compiled_values(self.network)(params, self.inputs), np.float64).ravel()

    def at(self, params: Params) -> LocalGeometry:
        """The kernel at a point, ready to lift directions."""
        if self.form is None:
            return LocalGeometry(self, params, None)
        formed = np.asarray(self.form(params, self.inputs), np.float64)
        if self.held:
            return LocalGeometry(self, params, FactoredJacobian.of(formed, self.ridge))
        return LocalGeometry(self, params, DenseKernel.of(formed, self.ridge))


@dataclass(frozen=True, eq=False)
class LocalGeometry:
    """A point of parameter space with its factored kernel, where that was formed.

    Args:
        lifter: What it belongs to.
        params: The point.
        solver: The factors, or ``None``.
    """

    lifter: Lifter
    params: Params
    solver: DenseKernel | FactoredJacobian | None

    @cached_property
    def smallest(self) -> float | None:
        """Smallest eigenvalue of the kernel; ``None`` where nothing is formed."""
        return None if self.solver is None else self.solver.smallest()

    def push(self, motion: Params) -> np.ndarray:
        """``J motion``, flat."""
        pushed = _compiled(self.lifter.network).push(self.params, self.lifter.inputs, motion)
        return np.asarray(pushed, np.float64)

    def lift(self, direction: np.ndarray) -> TangentLift:
        """TangentLift of a flat direction ``[N·C]``."""
        if not direction.any():
            return TangentLift(jax.tree.map(np.zeros_like, self.params), 0.0, 0.0)
        solved = self.solve(direction)
        if solved.motion is not None:
            motion = _shaped(solved.motion, self.params)
        else:
            pulled = _compiled(self.lifter.network).pull(self.params, self.lifter.inputs, solved.weights)
            motion = jax.tree.map(np.asarray, pulled)
        return TangentLift(motion, norm(motion), solved.outside)

    def solve(self, direction: np.ndarray) -> Solution:
        """``(K + r)⁻¹ v`` and what v costs."""
        size = float(direction @ direction)
        if size == 0:
            return Solution(direction, None, 0.0, 0.0)
        if self.solver is not None:
            return self.solver.solve(direction)
        lifter = self.lifter
        solved, undone = _compiled(lifter.network).solve(self.params, lifter.inputs, direction, lifter.ridge)
        weights = np.asarray(solved, np.float64)
        return Solution(weights, None, float(direction @ weights), float(undone) ** 2 / size)


def make_lifter(
    network: Network, params: Params, inputs: Any, chart: str, regularisation: float | None, dense: int, memory: int
) -> Lifter:
    """Choose how to solve, and fix r by the kernel at ``params``.

    Raises:
        InputError: If the regularisation is not in (0, 1), ``dense`` is negative, or the derivative is not finite.
        MemoryBudgetError: If the kernel is to be formed and does not fit.
    """
    network, inputs = in_chart(network, chart), jax.tree.map(jnp.asarray, inputs)
    precision = jnp.result_type(*jax.tree.leaves(params)).name
    share = REGULARISATION.get(precision, 1e-6) if regularisation is None else regularisation
    if not 0 < share < 1:
        raise InputError(
            f"regularisation: expected a share of the kernel's largest eigenvalue, in (0, 1); got {share}."
        )
    if dense < 0:
        raise InputError(f"dense: expected a number of outputs, 0 or more (0: never form the kernel); got {dense}.")
    outputs = jax.eval_shape(network.apply, params, inputs).size
    parameters = sum(np.size(leaf) for leaf in jax.tree.leaves(params))
    form, held, method = None, False, "matrix-free"
    side = min(outputs, parameters)
    if side <= dense:
        apart = examples_apart(network, params, inputs)
        held = apart and 3 * 8 * (outputs * parameters + side**2) <= memory
        if held:
            form, method = jacobian_function(network), "dense" if outputs <= parameters else "normal equations"
        elif outputs <= dense:
            form, method = kernel_function(network, plan_kernel(network, params, inputs, apart, memory)), "dense"
    if form is None:
        largest = float(_compiled(network).largest(params, inputs))
    else:  # no further program to compile
        form = _compiled_form(form)
        square = np.asarray(form(params, inputs), np.float64)
        square = smaller_gram(square) if held else square
        largest = float(np.maximum(extreme_eigenvalue(square, len(square) - 1), 0.0))  # NaN stays
    if not np.isfinite(largest):
        raise InputError(
            "the network's derivative at the start is not finite, so nothing can be followed from there. Start from a "
            "point where it is."
        )
    return Lifter(network, inputs, form, held, method, share, largest)


@lru_cache(maxsize=64)
def _compiled_form(form: Callable[[Params, Any], Any]) -> Callable[[Params, Any], Any]:
    """J or ``J Jᵀ``, compiled quickly; ``form`` itself is for use inside other programs too."""
    compiled: Callable[[Params, Any], Any] = jax.jit(form, compiler_options=quickly_compiled())
    return compiled


def _shaped(vector: np.ndarray, params: Params) -> Params:
    """A vector as a pytree like the parameters, in their precision."""
    leaves, structure = jax.tree.flatten(params)
    ends = np.cumsum([np.size(leaf) for leaf in leaves])
    parts = [
        part.reshape(np.shape(leaf)).astype(jnp.result_type(leaf))
        for part, leaf in zip(np.split(vector, ends[:-1]), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, parts)


@lru_cache(maxsize=64)
def in_chart(network: Network, chart: str) -> Network:
    """The network followed by its chart."""
    if chart == "outputs":
        return network
    return Network(network.init, lambda params, inputs: to_chart(network.apply(params, inputs), chart))


class _Compiled(NamedTuple):
    push: Any
    pull: Any
    solve: Any
    largest: Any


@lru_cache(maxsize=64)
def _compiled(network: Network) -> _Compiled:
    def products(params: Params, inputs: Any) -> tuple[Any, Any, Any]:
        """The values, ``J t`` and ``Jᵀ c`` on flat cotangents."""
        values, push = jax.linearize(lambda p: network.apply(p, inputs).ravel(), params)
        transposed = jax.linear_transpose(push, params)
        return values, push, lambda c: transposed(c.astype(values.dtype))[0]

    def forward(params: Params, inputs: Any, motion: Params) -> Any:
        return products(params, inputs)[1](motion)

    def pull(params: Params, inputs: Any, weights: Any) -> Params:
        return products(params, inputs)[2](weights)

    def solve(params: Params, inputs: Any, direction: Any, ridge: Any) -> tuple[Any, Any]:
        values, push, back = products(params, inputs)
        direction = direction.astype(values.dtype)
        tolerance = float(jnp.finfo(values.dtype).eps) ** 0.5
        steps = min(ITERATIONS, 2 * values.size)
        weights, _ = cg(lambda x: push(back(x)) + ridge.astype(x.dtype) * x, direction, tol=tolerance, maxiter=steps)
        return weights, jnp.linalg.norm(direction - push(back(weights)))

    def largest(params: Params, inputs: Any) -> Any:
        values, push, back = products(params, inputs)

        def step(_: Any, v: Any) -> Any:
            turned = push(back(v))
            size = jnp.linalg.norm(turned)
            return turned / jnp.where(size > 0, size, 1.0)

        first = jax.random.normal(jax.random.key(0), values.shape, values.dtype)
        v = jax.lax.fori_loop(0, _POWER_STEPS, step, first)
        return jnp.linalg.norm(push(back(v)))

    functions, options = (forward, pull, solve, largest), quickly_compiled()
    return _Compiled(*(jax.jit(function, compiler_options=options) for function in functions))


def norm(motion: Params) -> float:
    """Euclidean norm of a pytree."""
    flat = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(motion)]
    with np.errstate(all="ignore"):  # what is not finite stays so
        return float(np.sqrt(sum(leaf @ leaf for leaf in flat)))


def combined(weights: np.ndarray, *motions: Params) -> Params:
    """``Σ_i w_i motion_i``, in the precision of the motions."""

    def of_leaf(*parts: Any) -> np.ndarray:
        kind = np.asarray(parts[0]).dtype
        terms = [w.astype(kind) * np.asarray(part) for w, part in zip(weights, parts, strict=True)]
        return np.asarray(sum(terms), kind)

    with np.errstate(all="ignore"):
        return jax.tree.map(of_leaf, *motions)


def difference(a: Params, b: Params) -> Params:
    """``a − b``."""
    with np.errstate(all="ignore"):
        return jax.tree.map(lambda x, y: np.asarray(x) - np.asarray(y), a, b)
