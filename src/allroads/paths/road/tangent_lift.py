"""The horizontal lift: the shortest motion of the parameters that moves the function as asked.

``θ̇ = Jᵀ (J Jᵀ + r)⁻¹ ż``: of all motions with Jθ̇ = ż the one with the least ‖θ̇‖, up to the regularisation r. The
kernel is formed where the outputs are few and otherwise only multiplied with; either way the motion lies in the range
of Jᵀ, so an inexact solution falls short of ż but never moves along the fibre, where the function stands still.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.sparse.linalg import cg

from allroads.errors import InputError
from allroads.pfmap.charts import to_chart
from allroads.pfmap.kernel import KernelPlan, examples_apart, kernel_function, plan_kernel
from allroads.pfmap.network import Network, Params

REGULARISATION = {"float32": 1e-6, "float64": 1e-12}
"""r as a share of the kernel's largest eigenvalue: above the rounding of a kernel computed in that precision."""

ITERATIONS = 1000
"""Conjugate-gradient steps at most. What they leave undone is the residual that the next step of a road aims at."""

MOST = 5
"""Motions that are combined at most."""
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
        inputs: ``[N, …]``.
        plan: How the kernel is formed, or ``None`` where it is only multiplied with.
        share: r over the largest eigenvalue of the kernel at the start.
        largest: That eigenvalue; by power iteration where the kernel is not formed.
    """

    network: Network
    inputs: Any
    plan: KernelPlan | None
    share: float
    largest: float

    @property
    def ridge(self) -> float:
        """r, in the unit of the kernel: positive even where the kernel is zero."""
        return self.share * (self.largest or 1.0)

    @property
    def method(self) -> str:
        """``dense`` where the kernel is formed, else ``matrix-free``."""
        return "matrix-free" if self.plan is None else "dense"

    def values(self, params: Params) -> np.ndarray:
        """Coordinates of the function, flat ``[N·C]``, in double precision."""
        return np.asarray(_compiled(self.network).values(params, self.inputs), np.float64).ravel()

    def at(self, params: Params) -> LocalGeometry:
        """The kernel at a point, ready to lift directions."""
        if self.plan is None:
            return LocalGeometry(self, params, None, None)
        kernel = np.asarray(kernel_function(self.network, self.plan)(params, self.inputs), np.float64)
        if not np.isfinite(kernel).all():
            return LocalGeometry(self, params, np.full(len(kernel), np.nan), kernel)
        return LocalGeometry(self, params, *np.linalg.eigh(kernel))


@dataclass(frozen=True, eq=False)
class LocalGeometry:
    """A point of parameter space with the eigenvectors of its kernel, where that was formed.

    Args:
        lifter: What it belongs to.
        params: The point.
        eigenvalues: ``[N·C]``, rising, or ``None``.
        vectors: Their columns, or ``None``.
    """

    lifter: Lifter
    params: Params
    eigenvalues: np.ndarray | None
    vectors: np.ndarray | None

    @property
    def smallest(self) -> float | None:
        """Smallest eigenvalue of the kernel; ``None`` where the kernel is not formed."""
        return None if self.eigenvalues is None else float(self.eigenvalues[0])

    def push(self, motion: Params) -> np.ndarray:
        """``J motion``, flat."""
        pushed = _compiled(self.lifter.network).push(self.params, self.lifter.inputs, motion)
        return np.asarray(pushed, np.float64)

    def lift(self, direction: np.ndarray) -> TangentLift:
        """TangentLift of a flat direction ``[N·C]``."""
        weights, outside = self.solve(direction)
        motion, length = _compiled(self.lifter.network).pull(self.params, self.lifter.inputs, weights)
        return TangentLift(motion, float(length), outside)

    def solve(self, direction: np.ndarray) -> tuple[np.ndarray, float]:
        """``(K + r)⁻¹ v`` and the share of v that K times it does not reach."""
        size = float(direction @ direction)
        if size == 0:
            return direction, 0.0
        ridge = self.lifter.ridge
        if self.eigenvalues is None or self.vectors is None:
            network, inputs = self.lifter.network, self.lifter.inputs
            weights, undone = _compiled(network).solve(self.params, inputs, direction, ridge)
            return np.asarray(weights, np.float64), float(undone) ** 2 / size
        parts = (direction @ self.vectors) / (np.maximum(self.eigenvalues, 0) + ridge)
        return self.vectors @ parts, float(ridge**2 * (parts @ parts) / size)


def make_lifter(
    network: Network, params: Params, inputs: Any, chart: str, regularisation: float | None, dense: int, memory: int
) -> Lifter:
    """Choose how to solve, and fix r by the kernel at ``params``.

    Raises:
        InputError: If the regularisation is not in (0, 1), ``dense`` is negative, or the derivative is not finite.
        MemoryBudgetError: If the kernel is to be formed and does not fit.
    """
    network, inputs = in_chart(network, chart), jnp.asarray(inputs)
    precision = jnp.result_type(*jax.tree.leaves(params)).name
    share = REGULARISATION.get(precision, 1e-6) if regularisation is None else regularisation
    if not 0 < share < 1:
        raise InputError(
            f"regularisation: expected a share of the kernel's largest eigenvalue, in (0, 1); got {share}."
        )
    if dense < 0:
        raise InputError(f"dense: expected a number of outputs, 0 or more (0: never form the kernel); got {dense}.")
    plan = None
    if jax.eval_shape(network.apply, params, inputs).size <= dense:
        plan = plan_kernel(network, params, inputs, examples_apart(network, params, inputs), memory)
    if plan is None:
        largest = float(_compiled(network).largest(params, inputs))
    else:  # no further program to compile
        kernel = np.asarray(kernel_function(network, plan)(params, inputs), np.float64)
        largest = max(float(np.linalg.eigvalsh(kernel)[-1]), 0.0) if np.isfinite(kernel).all() else np.nan
    if not np.isfinite(largest):
        raise InputError(
            "the network's derivative at the start is not finite, so nothing can be followed from there. Start from a "
            "point where it is."
        )
    return Lifter(network, inputs, plan, share, largest)


@lru_cache(maxsize=64)
def in_chart(network: Network, chart: str) -> Network:
    """The network followed by its chart."""
    if chart == "outputs":
        return network
    return Network(network.init, lambda params, inputs: to_chart(network.apply(params, inputs), chart))


class _Compiled(NamedTuple):
    values: Any
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

    def pull(params: Params, inputs: Any, weights: Any) -> tuple[Params, Any]:
        motion = products(params, inputs)[2](weights)
        return motion, norm(motion)

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

    return _Compiled(*(jax.jit(function) for function in (network.apply, forward, pull, solve, largest)))


@jax.jit
def norm(motion: Params) -> Any:
    """Euclidean norm of a pytree."""
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(motion)))


def combined(weights: np.ndarray, *motions: Params) -> Params:
    """``Σ_i w_i motion_i``, in the precision of the motions; filled up to one number of them, compiled once."""
    spare = MOST - len(motions)
    return _combined(np.concatenate([weights, np.zeros(spare)]), *motions, *motions[:1] * spare)


@jax.jit
def _combined(weights: Any, *motions: Params) -> Params:
    return jax.tree.map(
        lambda *parts: sum(w.astype(m.dtype) * m for w, m in zip(weights, parts, strict=True)), *motions
    )


@jax.jit
def difference(a: Params, b: Params) -> Params:
    """``a − b``."""
    return jax.tree.map(jnp.subtract, a, b)
