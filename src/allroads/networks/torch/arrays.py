"""Arrays and precisions, between PyTorch and JAX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from allroads.errors import InputError


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


def running_statistics(module: torch.nn.Module) -> list[str]:
    """The names of the running means and variances of batch norms."""
    return [
        f"{name}.{which}".removeprefix(".")
        for name, part in module.named_modules()
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and part.running_mean is not None
        for which in ("running_mean", "running_var")
    ]


def differences(given: Mapping[str, tuple], expected: Mapping[str, tuple]) -> str:
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
