"""The bridge itself: checks, export, and the network made from it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from allroads.errors import InputError, UnknownNameError, UnsupportedOperatorError
from allroads.networks.torch.arrays import differences, jax_dtype, running_statistics, to_jax, to_numpy
from allroads.networks.torch.export import OneOutput, Programs, runtime_precision
from allroads.networks.torch.probe import probe
from allroads.networks.torch.reinitialise import reinitialiser
from allroads.pfmap.network import Network

STATISTICS = ("constants", "params")
"""What the running statistics of batch norms can be."""


def bridge(
    module: torch.nn.Module, example_inputs: Any, init: Callable[[Any], Any] | None, statistics: str
) -> tuple[Network, dict[str, Any]]:
    """See :func:`allroads.from_torch`."""
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"from_torch: expected a torch.nn.Module, got {type(module).__name__}.")
    if statistics not in STATISTICS:
        raise UnknownNameError("place for running statistics", statistics, STATISTICS)
    own = _own_precision(module)
    examples = _examples(example_inputs, own)
    kept = _copy(module)
    answer = probe(OneOutput(_copy(module)), examples)
    for parameter in kept.parameters():  # else PyTorch takes fused shortcuts that hide the operators
        parameter.requires_grad_(parameter.is_floating_point())
    if statistics == "params":
        _make_parameters(kept, running_statistics(kept))
    programs = Programs(kept, examples, own)
    shapes = {name: tuple(parameter.shape) for name, parameter in kept.named_parameters()}

    @jax.jit
    def apply(params: Mapping[str, Any], inputs: Any) -> jax.Array:
        _check_params(params, shapes)
        arrays = _arrays(inputs, examples)
        runtime = runtime_precision(params, arrays)
        own_params = {
            name: p.astype(runtime) if jnp.issubdtype(p.dtype, jnp.floating) else p for name, p in params.items()
        }
        program = programs.find(tuple(a.shape for a in arrays))
        cast = [a.astype(runtime) if e.is_floating_point() else a for a, e in zip(arrays, examples, strict=True)]
        return program.run(own_params, cast, runtime)

    network = Network(init or reinitialiser(kept), apply, name=type(module).__name__)
    params = {name: to_jax(parameter) for name, parameter in kept.named_parameters()}
    _check_answer(network, params, examples, answer)
    return network, params


def _make_parameters(module: torch.nn.Module, buffers: Sequence[str]) -> None:
    """Turn buffers into parameters, without gradients: PyTorch has none along running statistics."""
    for path in buffers:
        owner, _, name = path.rpartition(".")
        part = module.get_submodule(owner)
        part.register_parameter(name, torch.nn.Parameter(part._buffers.pop(name), requires_grad=False))


def _copy(module: torch.nn.Module) -> torch.nn.Module:
    try:
        return copy.deepcopy(module).cpu()
    except Exception as error:
        raise InputError(
            f"from_torch: the module cannot be copied ({type(error).__name__}: {error}). Do not keep computed tensors, "
            "open files or generators as attributes of the module."
        ) from error


def _own_precision(module: torch.nn.Module) -> torch.dtype:
    """The module's floating precision; the default one where it has no real tensors."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    real = [(name, t.dtype) for name, t in tensors if t.is_floating_point()]
    complex_ = [name for name, t in tensors if t.is_complex()]
    if complex_:
        raise InputError(f"from_torch: {complex_[0]} is complex; only real modules can be taken.")
    for name, dtype in real:
        if dtype == torch.float64 and jax_dtype(dtype) != np.float64:
            raise InputError(
                f"from_torch: the module is in double precision ({name} is float64) and JAX is not: call from_torch, "
                "and whatever uses its network, inside `with allroads.float64():`, or give module.float()."
            )
    return real[0][1] if real else torch.get_default_dtype()


def _examples(example_inputs: Any, own: torch.dtype) -> tuple[torch.Tensor, ...]:
    """The example inputs as tensors, the real ones in the module's precision."""
    given = tuple(example_inputs) if isinstance(example_inputs, (tuple, list)) else (example_inputs,)
    if not given:
        raise InputError("from_torch: example_inputs is empty; give one batch as the module takes it.")
    tensors = []
    for k, example in enumerate(given):
        if not isinstance(example, (torch.Tensor, np.ndarray, jax.Array)):
            raise InputError(
                f"from_torch: example_inputs[{k}] is {type(example).__name__}, expected a tensor or an array, or a "
                "tuple of them, as one batch that the module takes."
            )
        tensor = example.detach().cpu() if isinstance(example, torch.Tensor) else torch.from_numpy(np.array(example))
        if tensor.numel() == 0:
            raise InputError(f"from_torch: example_inputs[{k}] is empty (shape {tuple(tensor.shape)}).")
        tensors.append(tensor.to(own) if tensor.is_floating_point() else tensor)
    return tuple(tensors)


def _arrays(inputs: Any, examples: Sequence[torch.Tensor]) -> list[jax.Array]:
    """The inputs of one call, checked against the example inputs."""
    arrays = [jnp.asarray(a) for a in (inputs if isinstance(inputs, (tuple, list)) else (inputs,))]
    if len(arrays) != len(examples):
        raise InputError(f"Network.apply: expected {len(examples)} inputs (as a tuple), got {len(arrays)}.")
    for k, (array, example) in enumerate(zip(arrays, examples, strict=True)):
        if array.ndim != example.ndim:
            raise InputError(
                f"Network.apply: input {k} has shape {array.shape}; expected {example.ndim} axes, as in the example "
                f"{tuple(example.shape)}, the first over examples."
            )
        if jnp.issubdtype(array.dtype, jnp.floating) and not example.is_floating_point():
            raise InputError(f"Network.apply: input {k} is {array.dtype}; expected integers, as in the example inputs.")
    return arrays


def _check_params(params: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    if not isinstance(params, Mapping):
        raise InputError(f"Network.apply: params is {type(params).__name__}, expected a dict by parameter name.")
    given = {name: tuple(jnp.shape(p)) for name, p in params.items()}
    if given != shapes:
        raise InputError(f"Network.apply: these are not the network's parameters. {differences(given, shapes)}")


def _check_answer(network: Network, params: Any, examples: Sequence[torch.Tensor], answer: torch.Tensor) -> None:
    """Hold the network's answer to the example inputs against PyTorch's, so that no wrong rule goes unseen."""
    inputs = tuple(to_jax(e) for e in examples)
    ours, theirs = (
        np.asarray(network.apply(params, inputs if len(inputs) > 1 else inputs[0]), np.float64),
        to_numpy(answer).astype(np.float64),
    )
    tolerance = 1e-6 if answer.dtype == torch.float64 else 1e-2
    finite = np.abs(theirs[np.isfinite(theirs)])
    scale = finite.max() if finite.size else 1.0
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=0, atol=tolerance * scale, equal_nan=True):
        raise UnsupportedOperatorError(
            f"from_torch: the network's answer to the example inputs differs from PyTorch's (shapes {ours.shape} and "
            f"{theirs.shape}). This is an error of the bridge: please report the module."
        )
