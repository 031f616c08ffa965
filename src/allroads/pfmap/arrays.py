"""Arrays as people have them (NumPy, JAX, PyTorch), as JAX arrays."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Network, Params

HALF_PRECISIONS = (jnp.dtype("float16"), jnp.dtype(jnp.bfloat16))
"""Precisions in which no measure computes: points in them are read as ``float32``, which holds them exactly."""


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a PyTorch tensor, told by its methods: PyTorch is not imported."""
    return all(callable(getattr(x, method, None)) for method in ("detach", "cpu", "numpy", "data_ptr"))


def as_array(x: Any) -> jax.Array:
    """A number, a nested list, or an array of NumPy, JAX or PyTorch as a JAX array.

    Args:
        x: A tensor may require gradients, lie on another device, or be ``bfloat16``.

    Returns:
        The same numbers in the same precision, or in the widest one that is switched on.

    Raises:
        InputError: If ``x`` is none of these.

    Example:
        >>> as_array([1, 2]).tolist()
        [1, 2]
    """
    if is_tensor(x):
        tensor = x.detach().cpu()
        if "bfloat16" in str(tensor.dtype):  # NumPy has no such precision
            return jnp.asarray(tensor.float().numpy(), jnp.bfloat16)
        return jnp.asarray(np.array(tensor.resolve_conj().resolve_neg().numpy()))
    try:
        return jnp.asarray(x)
    except (TypeError, ValueError) as error:
        raise InputError(f"expected an array of NumPy, JAX or PyTorch, got {type(x).__name__} ({error}).") from error


def as_point(params: Any, network: Network | None = None) -> Params:
    """A point of parameter space as a pytree of JAX arrays.

    A point may be any pytree of NumPy, JAX or PyTorch arrays, a PyTorch ``state_dict()`` included. Given the network,
    a point is also read as that network reads it: for a network of ``from_torch``, a state dict may hold buffers,
    every name of a tied parameter, and the prefixes ``module.`` and ``_orig_mod.``.

    Args:
        params: The point, or an object whose ``state_dict()`` is it.
        network: The network that it is a point of.

    Returns:
        The same structure, an ``OrderedDict`` as a ``dict``. Half precisions become ``float32``.

    Raises:
        InputError: If a leaf is no array; names its path.

    Example:
        >>> as_point({"layer": [np.ones(2), 3.0]})
        {'layer': [Array([1., 1.], dtype=float32), Array(3., dtype=float32, weak_type=True)]}
    """
    if callable(getattr(params, "state_dict", None)):
        params = params.state_dict()
    if isinstance(params, OrderedDict):
        params = dict(params)
    if network is not None and network.point is not None:
        params = network.point(params)

    def leaf(path: Any, x: Any) -> jax.Array:
        try:
            array = as_array(x)
        except InputError as error:
            name = jax.tree_util.keystr(path, simple=True, separator=".") or "the point itself"
            raise InputError(f"{name}: {error} A point is a pytree of arrays.") from error
        return array.astype(jnp.float32) if array.dtype in HALF_PRECISIONS else array

    return jax.tree_util.tree_map_with_path(leaf, params)


def as_population(points: Sequence[Any], network: Network | None = None) -> Params:
    """Points, such as a list of state dicts, as one population: every leaf leads with the member axis.

    Raises:
        InputError: If there are no points, or their structures or shapes differ.

    Example:
        >>> as_population([{"w": np.zeros(2)}, {"w": np.ones(2)}])["w"].shape
        (2, 2)
    """
    members = [as_point(point, network) for point in points]
    if not members:
        raise InputError("a population needs at least one point; got none.")
    shapes = [jax.tree.map(jnp.shape, member) for member in members]
    for k, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise InputError(f"point {k} is {shape} and point 0 is {shapes[0]}; expected points of one network.")
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
