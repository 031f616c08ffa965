"""Arrays and points as people have them: NumPy, JAX and PyTorch alike, read at the door."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from allroads.compiled import keep_compiled
from allroads.errors import InputError
from allroads.pfmap.network import Network, Params


def is_tensor(value: Any) -> bool:
    """Whether a value is a PyTorch tensor, told by its methods: PyTorch is not imported."""
    return all(callable(getattr(value, method, None)) for method in ("detach", "cpu", "numpy", "data_ptr"))


def as_array(value: Any) -> np.ndarray:
    """The numbers of a NumPy, JAX or PyTorch array, or of nested lists, as a NumPy array.

    A PyTorch tensor may need a gradient or lie on another device. A tensor of 16 bits (``bfloat16``, ``float16``)
    is read as ``float32``, which holds it exactly; NumPy lacks the one, and XLA converts the other only where the
    processor does.

    Example:
        >>> as_array([[1, 2]]).shape
        (1, 2)
    """
    if is_tensor(value):
        tensor = value.detach().cpu()
        tensor = tensor.float() if "float16" in str(tensor.dtype) else tensor
        return np.array(tensor.resolve_conj().resolve_neg().numpy())
    return np.asarray(value)


def as_jax_array(value: Any) -> jax.Array:
    """The numbers of any such array as a JAX array; what is traced stays as it is.

    Raises:
        InputError: If it is no array.

    Example:
        >>> as_jax_array([1, 2]).tolist()
        [1, 2]
    """
    try:
        return value if isinstance(value, jax.Array) else jnp.asarray(as_array(value))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"expected an array of NumPy, JAX or PyTorch; got {type(value).__name__} ({error})."
        ) from error


def as_point(params: Any, what: str = "params", network: Network | None = None) -> Params:
    """A point as JAX arrays in the present precision: float32, or float64 inside :func:`allroads.float64`.

    A point may be any pytree of NumPy, JAX or PyTorch arrays, a PyTorch module or its ``state_dict()`` included. Given
    the network, it is also read as that network reads it: for a network of ``from_torch``, a state dict may hold
    buffers, every name of a tied parameter, and the prefixes ``module.`` and ``_orig_mod.``.

    Args:
        params: The point, or an object whose ``state_dict()`` is it.
        what: How errors call it.
        network: The network that it is a point of.

    Raises:
        InputError: If there is no array in it, or an array is not floating-point or not finite; names the array.

    Example:
        >>> as_point({"w": np.ones(2)})["w"].dtype
        dtype('float32')
    """
    keep_compiled()
    if callable(getattr(params, "state_dict", None)):
        params = params.state_dict()
    if isinstance(params, OrderedDict):
        params = dict(params)
    if network is not None and network.point is not None:
        params = network.point(params)

    def checked(path: Any, leaf: Any) -> Any:
        name = f"{what}{jax.tree_util.keystr(path)}"
        if isinstance(leaf, Tracer):
            return leaf
        try:
            array = np.asarray(leaf) if isinstance(leaf, jax.Array) else as_array(leaf)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name}: {type(leaf).__name__} is no array; a point is a pytree of arrays.") from error
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise InputError(
                f"{name} is {array.dtype}, not a floating-point array, so it has no derivative. Keep it out of the "
                "parameters (close over it in apply, or equinox.partition the module), or convert it."
            )
        with np.errstate(over="ignore"):
            moved = array.astype(jax.dtypes.canonicalize_dtype(float))  # a copy: device_put may share memory
        if not np.isfinite(moved).all():
            raise InputError(f"{name} holds NaN or infinity; expected finite numbers. Choose another point.")
        return leaf if isinstance(leaf, jax.Array) and leaf.dtype == moved.dtype else jax.device_put(moved)

    if not jax.tree.leaves(params):
        raise InputError(f"{what}: there is no array in it, so there is nothing to move. Give a pytree of arrays.")
    return jax.tree_util.tree_map_with_path(checked, params)


def as_population(points: Sequence[Any], network: Network | None = None) -> Params:
    """Points, such as a list of state dicts, as one population: every leaf leads with the member axis.

    Raises:
        InputError: If there are no points, or their structures or shapes differ.

    Example:
        >>> as_population([{"w": np.zeros(2)}, {"w": np.ones(2)}])["w"].shape
        (2, 2)
    """
    members = [as_point(point, f"point {k}", network) for k, point in enumerate(points)]
    if not members:
        raise InputError("a population needs at least one point; got none.")
    shapes = [jax.tree.map(jnp.shape, member) for member in members]
    for k, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise InputError(f"point {k} is {shape} and point 0 is {shapes[0]}; expected points of one network.")
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
