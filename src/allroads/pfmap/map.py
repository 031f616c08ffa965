"""The parameter–function map F: parameters to the outputs on fixed probe inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

from allroads.compiled import keep_compiled
from allroads.errors import InputError
from allroads.memory import check_left, memory_left
from allroads.pfmap.arrays import as_array, is_tensor
from allroads.pfmap.inputs import number_of_examples, read_inputs
from allroads.pfmap.kernel import examples_apart, kernel_function, plan_kernel
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import exact_products


@dataclass(frozen=True, eq=False)
class ParameterFunctionMap:
    """F: θ ↦ the outputs of a network on N probe inputs, with its derivatives.

    Every method is a pure function of its arguments: it works under ``jax.jit``, and under ``jax.vmap`` over
    a leading member axis of the parameters. Precision is that of the parameters: float32, or float64 inside
    :func:`allroads.float64`.

    Args:
        network: The two pure functions.
        inputs: Probe inputs ``[N, ...]``, real numbers or integer tokens; a tuple or mapping of such arrays for a
            network that takes several.
        memory: Bytes that ``kernel`` may take beside its arguments, its result included. Default 2³¹ (2 GiB).

    Raises:
        InputError: If the inputs are empty, not numbers, or not finite.

    Example:
        >>> import jax.numpy as jnp
        >>> square = Network(lambda key: jnp.ones(2), lambda w, x: (x @ w**2)[:, None])
        >>> F = ParameterFunctionMap(square, np.array([[1.0, 0.0], [1.0, 1.0]]))
        >>> w = jnp.array([1.0, 3.0])
        >>> F.values(w).ravel()
        Array([ 1., 10.], dtype=float32)
        >>> F.kernel(w)  # J = [[2, 0], [2, 6]]
        Array([[ 4.,  4.],
               [ 4., 40.]], dtype=float32)
    """

    network: Network
    inputs: Any
    memory: int = 2**31

    def __post_init__(self) -> None:
        keep_compiled()
        object.__setattr__(self, "inputs", read_inputs(self.inputs))

    def values(self, params: Params) -> Num[jax.Array, " examples *outputs"]:
        """F(θ): the outputs on the probes, in the units of the network's outputs.

        Args:
            params: A point of parameter space: a pytree of floating-point arrays.

        Returns:
            ``[N, C]``, or ``[N, T, C]`` for one output a position, as the network gives them.

        Raises:
            InputError: If a leaf of ``params`` is not a floating-point array, or the network's outputs do not
                lead with the example axis.
        """
        return self._function(_floating(params))

    def jvp(self, params: Params, tangent: Params) -> Num[jax.Array, " examples *outputs"]:
        """J t: how the values change along a direction of parameter space.

        Args:
            params: The point.
            tangent: A pytree like ``params``.

        Returns:
            The shape of the values.

        Raises:
            InputError: As ``values``, or if the tangent is not shaped like the parameters.
        """
        params = _floating(params)
        along: jax.Array = jax.jvp(self._function, (params,), (_like(params, tangent, "tangent"),))[1]
        return along

    def vjp(self, params: Params, cotangent: Any) -> Params:
        """Jᵀ c: a direction of function space pulled back to the parameters.

        Args:
            params: The point.
            cotangent: The shape of the values, or flat ``[N·C]``.

        Returns:
            A pytree like ``params``.

        Raises:
            InputError: As ``values``, or if the cotangent is not shaped like the values.
        """
        values, pull = jax.vjp(self._function, _floating(params))
        return pull(_shaped(values, cotangent, "cotangent"))[0]

    def kernel(self, params: Params) -> Float[jax.Array, "outputs outputs"]:
        """K = J Jᵀ, the empirical neural tangent kernel on the probes.

        Rows and columns are the outputs of the first example, then those of the second, and so on. J is made
        in blocks of rows that fit ``memory``. Under ``jax.vmap`` as many members are computed side by side as fit
        ``memory``, the others after them.

        A network whose outputs depend on one another's examples (batch norm in training mode, an attention
        over the batch) gives its true kernel too, at N times the cost of one that takes its examples one by
        one; which of the two it is, is found out by comparing derivatives, to rounding, at a drawn point and
        at ``params``.

        Args:
            params: The point.

        Returns:
            ``[N·C, N·C]``, symmetric, in squared output units per squared parameter unit.

        Raises:
            InputError: As ``values``.
            MemoryBudgetError: If the result and one row of J do not fit ``memory``, or the machine lacks the memory;
                says how much it needs.

        References: [jacot2018]
        """
        params, inputs = _floating(params), jax.tree.map(jnp.asarray, self.inputs)
        jax.eval_shape(self._function, params)
        with exact_products():
            plan = plan_kernel(self.network, params, inputs, examples_apart(self.network, params, inputs), self.memory)
            remedy = "Use fewer inputs, a smaller memory=, or kernel_product."
            check_left("the kernel", plan.bytes, memory_left(jax.devices()[0]), remedy)
            kernel: jax.Array = kernel_function(self.network, plan)(params, inputs)
        return kernel

    def kernel_product(self, params: Params, v: Any) -> Float[jax.Array, "*shape"]:
        """K v = J (Jᵀ v), by one backward and one forward pass; neither J nor K is formed.

        Args:
            params: The point.
            v: The shape of the values, or flat ``[N·C]``.

        Returns:
            The shape of ``v``.

        Raises:
            InputError: As ``vjp``.
        """
        params = _floating(params)
        with exact_products():
            return self.jvp(params, self.vjp(params, v)).reshape(jnp.shape(v))

    def _function(self, params: Params) -> Num[jax.Array, " examples *outputs"]:
        values: jax.Array = jax.jit(self.network.apply)(params, jax.tree.map(jnp.asarray, self.inputs))
        count = number_of_examples(self.inputs)
        if jnp.ndim(values) == 0 or values.shape[0] != count:
            raise InputError(
                f"network {self.network.name!r} gives outputs of shape {jnp.shape(values)} for "
                f"{count} examples; expected [N, C] or [N, T, C]. Give apply(params, inputs) "
                "outputs that lead with the examples."
            )
        return values


def _floating(params: Params) -> Params:
    """The parameters as JAX arrays; refuses a leaf that cannot be moved."""

    def checked(path: Any, leaf: Any) -> Any:
        leaf = as_array(leaf) if is_tensor(leaf) else leaf
        kind = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
        if not jnp.issubdtype(kind, jnp.floating):
            raise InputError(
                f"params{jax.tree_util.keystr(path)} is {kind}, not a floating-point array, so it has no "
                "derivative. Keep it out of the parameters (close over it in apply, or equinox.partition the "
                "module), or convert it."
            )
        return jnp.asarray(leaf)

    return jax.tree_util.tree_map_with_path(checked, params)


def _like(params: Params, tangent: Params, what: str) -> Params:
    """The tangent with the parameters' dtypes; refuses another structure or shape."""
    expected: Any = jax.tree.structure(params)
    given: Any = jax.tree.structure(tangent)
    if expected != given:
        raise InputError(f"{what} has structure {given}; expected that of the parameters, {expected}.")

    def checked(path: Any, leaf: Any, part: Any) -> Any:
        if jnp.shape(part) != leaf.shape:
            raise InputError(
                f"{what}{jax.tree_util.keystr(path)} has shape {jnp.shape(part)}; expected {leaf.shape}, "
                "that of the parameter."
            )
        return jnp.asarray(part, leaf.dtype)

    return jax.tree_util.tree_map_with_path(checked, params, tangent)


def _shaped(values: Any, vector: Any, what: str) -> Any:
    """The vector in the shape and dtype of the values; refuses another shape."""
    if jnp.shape(vector) not in (values.shape, (values.size,)):
        raise InputError(
            f"{what} has shape {jnp.shape(vector)}; expected {values.shape}, that of the values, or ({values.size},)."
        )
    return jnp.asarray(vector, values.dtype).reshape(values.shape)
