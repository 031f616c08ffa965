"""The spectrum of the kernel of the parameter–function map."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import check_count, check_options
from allroads.pfmap.arrays import as_point
from allroads.pfmap.inputs import choose, number_of_examples
from allroads.pfmap.map import ParameterFunctionMap
from allroads.pfmap.network import Network, Params
from allroads.points.spectrum.eigenpairs import Eigenpairs, dense_eigenpairs, extreme_eigenpairs
from allroads.points.spectrum.functionals import trace
from allroads.points.spectrum.matrix import Apply, Matrix, example_index, fit_examples
from allroads.points.spectrum.options import SpectrumOptions, matrix_free_bytes, number_of_pairs
from allroads.points.spectrum.quadrature import Quadrature, lanczos_quadrature
from allroads.points.spectrum.results import Density, KernelSpectrum
from allroads.points.spectrum.spectrum import pairs_status
from allroads.results import Measurement, finish
from allroads.status import SpectrumStatus


def kernel_spectrum(
    network: Network,
    params: Params,
    inputs: Any,
    *,
    top: int | None = None,
    options: SpectrumOptions = SpectrumOptions(),  # noqa: B008 - frozen
    seed: int = 0,
    throw: bool = False,
) -> KernelSpectrum:
    """Eigenvalues and eigenvectors of the empirical neural tangent kernel ``K = J Jᵀ`` on some inputs.

    J is the derivative of all outputs, ``[N·C, d]``, so the nonzero eigenvalues are those of ``Jᵀ J``, for the loss
    ``mse`` N·C/2 times those of the Gauss–Newton matrix. They are the rates at which gradient flow on ``½ Σ (f − y)²``
    learns the directions of function space.

    Args:
        network: The network.
        params: The point.
        inputs: Probe inputs ``[N, …]``; a tuple or mapping of arrays for a network that takes several.
        top: Number of eigenpairs; default 10, or all where there are fewer.
        options: Method, probes, steps, tolerance and memory.
        seed: Decides start vectors and probes.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.points.spectrum.KernelSpectrum`. Status ``flat`` where no output moves with the parameters.

    Raises:
        InputError: If parameters, inputs or options cannot be used.
        MemoryBudgetError: If it does not fit the memory; says how much it needs.

    References: [jacot2018], [meyer2021]

    Example:
        >>> import jax.numpy as jnp
        >>> line = Network(lambda key: jnp.zeros(2), lambda w, x: (x @ w)[:, None])
        >>> kernel_spectrum(line, jnp.zeros(2), np.array([[1.0, 0.0], [0.0, 3.0], [0.0, 4.0]])).eigenvalues.round(4)
        array([25.,  1.,  0.])
    """
    check_count("seed", seed, 0)
    check_options("options", options, SpectrumOptions)
    params, memory = as_point(params, network=network), options.budget
    function = ParameterFunctionMap(network, inputs, memory)
    values = jax.eval_shape(function.values, params)
    dtype = jnp.result_type(*jax.tree.leaves(params))
    top = number_of_pairs("top", top, values.size, "outputs")
    tolerance, probes, steps = options.tolerance_for(dtype.itemsize), options.probes, options.steps
    method = options.method_for(values.size)
    if method == "dense":
        kernel = np.asarray(function.kernel(params), np.float64)
        if not np.isfinite(kernel).all():
            return finish(_diverged(values.shape, method), throw)
        pairs = dense_eigenpairs(kernel)
        quadrature = Quadrature(pairs.values, 0, [], [])
    else:
        operator = _kernel_matrix(network, params, function, values, dtype, max(1, top), steps, memory)
        if not np.isfinite(operator.product(np.random.default_rng(seed).standard_normal(values.size))).all():
            return finish(_diverged(values.shape, method), throw)
        pairs = extreme_eigenpairs(operator.product, values.size, max(1, top), tolerance=tolerance, seed=seed)
        sure = pairs.residuals <= 2 * tolerance * pairs.norm
        quadrature = lanczos_quadrature(
            operator, pairs.vectors[sure], pairs.values[sure], probes=probes, steps=steps, seed=seed
        )
    pairs = Eigenpairs(pairs.values[:top], pairs.vectors[:top], pairs.residuals[:top], pairs.norm, pairs.complete)
    found = KernelSpectrum(
        eigenvalues=pairs.values,
        eigenvectors=pairs.vectors.reshape(top, *values.shape),
        residuals=pairs.residuals,
        trace=trace(quadrature),
        density=Density(*quadrature.nodes()),
        norm=pairs.norm,
        method=method,
        status=pairs_status((pairs,), tolerance, method),
    )
    return finish(found, throw)


def _kernel_matrix(
    network: Network,
    params: Params,
    function: ParameterFunctionMap,
    values: Any,
    dtype: Any,
    top: int,
    steps: int,
    memory: int,
) -> Matrix:
    inputs = jax.tree.map(jnp.asarray, function.inputs)

    def chunked(at_a_time: int) -> tuple[Any, Any]:
        index, counts = example_index(number_of_examples(inputs), at_a_time)
        return choose(inputs, index), jnp.asarray(counts)

    held = matrix_free_bytes(values.size, dtype.itemsize, top, steps)
    return fit_examples(_applied(network), chunked, network, params, inputs, size=values.size, held=held, memory=memory)


@lru_cache(maxsize=64)
def _applied(network: Network) -> Apply:
    """``apply(v, params, inputs, counts)``: ``J (Jᵀ v)``, one chunk of examples after another, twice."""

    def apply(v: Any, params: Params, inputs: Any, counts: Any) -> Any:
        shape = jax.eval_shape(network.apply, params, choose(inputs, 0)).shape
        outputs = math.prod(shape[1:])
        filling = counts.size - v.size // outputs
        parts = jnp.pad(v.reshape(-1, outputs), ((0, filling), (0, 0))).reshape(number_of_examples(inputs), *shape)

        def pull(total: Params, chunk: tuple[Any, Any]) -> tuple[Params, None]:
            x, cotangent = chunk
            back = jax.vjp(lambda p: network.apply(p, x), params)[1]
            return jax.tree.map(jnp.add, total, back(cotangent)[0]), None

        direction = jax.lax.scan(pull, jax.tree.map(jnp.zeros_like, params), (inputs, parts))[0]
        pushed = jax.lax.map(lambda x: jax.jvp(lambda p: network.apply(p, x), (params,), (direction,))[1], inputs)
        return pushed.reshape(-1)[: v.size].astype(v.dtype)

    return apply


def _diverged(shape: tuple[int, ...], method: str) -> KernelSpectrum:
    """No kernel: a derivative of an output is not finite."""
    none, unknown = np.zeros(0), Measurement(np.nan, status=SpectrumStatus.DIVERGED)
    return KernelSpectrum(
        none, np.zeros((0, *shape)), none, unknown, Density(none, none), np.nan, method, SpectrumStatus.DIVERGED
    )
