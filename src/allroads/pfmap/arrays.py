"""Arrays as people have them: NumPy, JAX and PyTorch alike, turned into NumPy arrays at the door."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError


def as_array(value: Any) -> np.ndarray:
    """The numbers of a NumPy, JAX or PyTorch array, or of nested lists, as a NumPy array.

    A PyTorch tensor may need a gradient or lie on another device. PyTorch is not imported. A tensor of a type that
    NumPy lacks (``bfloat16``) is read as ``float32``.

    Example:
        >>> as_array([[1, 2]]).shape
        (1, 2)
    """
    if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        return np.asarray(value.numpy())
    return np.asarray(value)


def as_point(params: Any, what: str = "params") -> Any:
    """A point as JAX arrays in the present precision: float32, or float64 inside :func:`allroads.float64`.

    Args:
        params: A pytree of arrays, PyTorch tensors among them.
        what: How errors call it.

    Raises:
        InputError: If there is no array in it, or an array is not floating-point or not finite; names the array.

    Example:
        >>> as_point({"w": np.ones(2)})["w"].dtype
        dtype('float32')
    """

    def checked(path: Any, leaf: Any) -> Any:
        name = f"{what}{jax.tree_util.keystr(path)}"
        if isinstance(leaf, jax.core.Tracer):
            return leaf
        array = leaf if isinstance(leaf, jax.Array) else as_array(leaf)
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise InputError(
                f"{name} is {array.dtype}, not a floating-point array, so it has no derivative. Keep it out of the "
                "parameters (close over it in apply, or equinox.partition the module), or convert it."
            )
        moved = jnp.asarray(array, float)
        if not np.isfinite(np.asarray(moved)).all():
            raise InputError(f"{name} holds NaN or infinity; expected finite numbers. Choose another point.")
        return moved

    if not jax.tree.leaves(params):
        raise InputError(f"{what}: there is no array in it, so there is nothing to move. Give a pytree of arrays.")
    return jax.tree_util.tree_map_with_path(checked, params)
