"""Arrays and precisions, between PyTorch and JAX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from allroads.errors import InputError
from allroads.networks.torch.names import with_names
from allroads.pfmap.arrays import as_jax_array

COUNTERS = "num_batches_tracked"
"""What the names of batch norms' counters end in: nothing computes with them outside training."""


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A tensor as an array of its own memory; ``bfloat16``, which NumPy lacks, becomes ``float32``."""
    tensor = tensor.detach().cpu()
    return np.array((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())


def to_jax(tensor: torch.Tensor) -> jax.Array:
    """A tensor as a JAX array of the same precision, or of the widest that is switched on."""
    return jnp.asarray(to_numpy(tensor), dtype=jax_dtype(tensor.dtype))


def to_torch(array: Any) -> torch.Tensor:
    """An array as a tensor of its own memory."""
    if jnp.asarray(array).dtype == jnp.bfloat16:
        return torch.from_numpy(np.array(array, dtype=np.float32)).to(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def jax_dtype(dtype: torch.dtype) -> np.dtype:
    """The JAX precision of a PyTorch one, at most as wide as is switched on."""
    return jax.dtypes.canonicalize_dtype(jnp.dtype(str(dtype).removeprefix("torch.")))


def first_names(module: torch.nn.Module) -> dict[str, str]:
    """Every name that a parameter goes by, and the first name of that parameter."""
    return _first_of(module.named_parameters(remove_duplicate=False))


def _first_of(named: Iterable[tuple[str, torch.Tensor]]) -> dict[str, str]:
    first: dict[int, str] = {}
    return {name: first.setdefault(id(tensor), name) for name, tensor in named}


def state(params: Mapping[str, Any], module: torch.nn.Module | None) -> dict[str, torch.Tensor]:
    """See :func:`allroads.to_torch_state`."""
    tensors = {name: to_torch(array) for name, array in params.items()}
    if module is None:
        return tensors
    held = module.state_dict()
    tensors = with_names(tensors, held)
    shapes = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    statistics = running_statistics(module)
    if any(name in tensors for name in statistics):
        shapes |= {name: tuple(held[name].shape) for name in statistics}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if given != shapes:
        raise InputError(f"to_torch_state: these are not the weights of this module. {differences(given, shapes)}")
    names = first_names(module) | _first_of(module.named_buffers(remove_duplicate=False))
    return {
        name: tensors[names.get(name, name)] if names.get(name, name) in tensors else tensor.clone()
        for name, tensor in held.items()
    }


def read_state(state: Any, module: torch.nn.Module) -> dict[str, jax.Array]:
    """A point out of a state dict, whatever else it holds: buffers, every name of a tied parameter, prefixes.

    Args:
        state: By name, arrays of NumPy, JAX or PyTorch; a leading member axis is possible.
        module: The copy that the network was made from.

    Raises:
        InputError: If ``state`` is no mapping, two names of one parameter differ, or a buffer is not the network's.
    """
    if not isinstance(state, Mapping):
        raise InputError(f"Network.apply: params is {type(state).__name__}, expected a dict by parameter name.")
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    first = first_names(module)
    point: dict[str, jax.Array] = {}
    for name, value in with_names(state, [*first, *buffers]).items():
        array, own = as_jax_array(value), first.get(name, name)
        if name in buffers:
            if not name.endswith(COUNTERS):
                _check_constant(name, array, buffers[name])
        elif own in parameters and own in point:
            if not _equal(array, point[own]):
                raise InputError(f"{name} and {own} are one parameter of this network, and differ in this point.")
        else:
            point[own] = array
    return point


def _check_constant(name: str, given: jax.Array, held: torch.Tensor) -> None:
    if not _equal(given, to_jax(held)):
        raise InputError(
            f"the buffer {name} of this point is not the network's: buffers are constants. For running statistics of "
            'batch norms, take from_torch(…, running_statistics="params"), which makes them part of the point; '
            "otherwise leave the buffer out of the point."
        )


def _equal(a: jax.Array, b: jax.Array) -> bool:
    """Whether two arrays hold the same numbers; those under a trace have none yet."""
    if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer):
        return True
    return bool(np.array_equal(np.broadcast_to(b, a.shape) if a.ndim > b.ndim else b, a, equal_nan=True))


def running_statistics(module: torch.nn.Module) -> list[str]:
    """The names of the running means and variances of batch norms."""
    return [
        f"{name}.{which}".removeprefix(".")
        for name, part in module.named_modules()
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and part.running_mean is not None
        for which in ("running_mean", "running_var")
    ]


def differences(given: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> str:
    """One sentence about the names and shapes that differ."""
    missing = sorted(set(expected) - set(given))
    unknown = sorted(set(given) - set(expected))
    shapes = [
        f"{n} has shape {given[n]}, expected {expected[n]}"
        for n in sorted(set(given) & set(expected))
        if given[n] != expected[n]
    ]
    parts = [
        f"Missing: {', '.join(missing)}." if missing else "",
        f"Unknown: {', '.join(unknown)}." if unknown else "",
    ]
    return " ".join([*filter(None, parts), *([f"Shapes: {'; '.join(shapes)}."] if shapes else [])])
