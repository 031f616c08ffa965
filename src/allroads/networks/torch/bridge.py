"""The bridge itself: checks, export, and the network made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

from allroads.compiled import quickly_compiled
from allroads.errors import InputError, UnknownNameError, UnsupportedOperatorError
from allroads.networks.torch.arrays import differences, read_state, running_statistics, to_jax, to_numpy, to_torch
from allroads.networks.torch.export import OneOutput, Program, Programs, runtime_precision
from allroads.networks.torch.lookups import Lookups
from allroads.networks.torch.prepare import copied, exportable, floating_precision, make_parameters, unwrapped
from allroads.networks.torch.probe import probe
from allroads.networks.torch.reinitialise import initialiser
from allroads.networks.torch.rules.refusals import PACKED
from allroads.pfmap.arrays import as_jax_array, is_tensor
from allroads.pfmap.network import Network

STATISTICS = ("constants", "params")
"""What the running statistics of batch norms can be."""


def bridge(
    module: torch.nn.Module, example_inputs: Any, init: Callable[[Any], Any] | str | None, statistics: str
) -> tuple[Network, dict[str, Any]]:
    """See :func:`allroads.from_torch`."""
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"from_torch: expected a torch.nn.Module, got {type(module).__name__}.")
    if statistics not in STATISTICS:
        raise UnknownNameError("place for running statistics", statistics, STATISTICS)
    own = floating_precision(module)
    examples = _examples(example_inputs, own)
    kept = exportable(module)
    answer = probe(OneOutput(copied(module)), examples)
    if statistics == "params":
        make_parameters(kept, running_statistics(kept))
    programs = Programs(kept, examples, own)
    shapes = {name: tuple(parameter.shape) for name, parameter in kept.named_parameters()}
    lookups: dict[Program, Lookups] = {}

    @jax.jit
    def computed(params: Mapping[str, Any], arrays: Sequence[jax.Array]) -> jax.Array:
        runtime = runtime_precision(params, arrays)
        own_params = {
            name: p.astype(runtime) if jnp.issubdtype(p.dtype, jnp.floating) else p for name, p in params.items()
        }
        program = programs.find(tuple(a.shape for a in arrays))
        cast = [a.astype(runtime) if e.is_floating_point() else a for a, e in zip(arrays, examples, strict=True)]
        output: jax.Array = program.run(own_params, cast, runtime)
        return output

    def check(inputs: Any) -> None:
        given = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(given)):
            return
        with jax.ensure_compile_time_eval():  # under a trace, constants too would become tracers
            arrays = _arrays(inputs, examples)
        program = programs.find(tuple(a.shape for a in arrays))
        if program not in lookups:
            lookups[program] = Lookups(program)
        if lookups[program].found:
            lookups[program].check([to_torch(a).to(e.dtype) for a, e in zip(arrays, examples, strict=True)])

    def point(params: Any) -> dict[str, jax.Array]:
        return read_state(params, kept)

    def apply(params: Any, inputs: Any) -> jax.Array:
        if not isinstance(params, Mapping) or params.keys() != shapes.keys() or any(map(is_tensor, params.values())):
            params = point(params)
        _check_params(params, shapes)
        check(inputs)
        output: jax.Array = computed(dict(params), _arrays(inputs, examples))
        return output

    network = Network(initialiser(kept, init), apply, name=type(unwrapped(module)).__name__, check=check, point=point)
    params = {name: to_jax(parameter) for name, parameter in kept.named_parameters()}
    _check_answer(network, params, examples, answer)
    return network, params


def _examples(example_inputs: Any, own: torch.dtype) -> tuple[torch.Tensor, ...]:
    """The example inputs as tensors, the real ones in the module's precision."""
    if isinstance(example_inputs, PackedSequence):
        raise InputError(f"from_torch: example_inputs is a PackedSequence: {PACKED}")
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
    arrays = [as_jax_array(a) for a in (inputs if isinstance(inputs, (tuple, list)) else (inputs,))]
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


def _check_params(params: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    given = {name: tuple(jnp.shape(p)) for name, p in params.items()}
    if given != shapes:
        raise InputError(f"Network.apply: these are not the network's parameters. {differences(given, shapes)}")


def _check_answer(network: Network, params: Any, examples: Sequence[torch.Tensor], answer: torch.Tensor) -> None:
    """Hold the network's answer to the example inputs against PyTorch's, so that no wrong rule goes unseen."""
    arrays = tuple(to_jax(e) for e in examples)
    inputs = arrays if len(arrays) > 1 else arrays[0]
    if network.check is not None:  # what follows looks at no values
        network.check(inputs)
    computed = jax.jit(network.apply, compiler_options=quickly_compiled(brief=True))(params, inputs)
    ours, theirs = np.asarray(computed, np.float64), to_numpy(answer).astype(np.float64)
    tolerance = 1e-6 if answer.dtype == torch.float64 else 1e-2
    finite = np.abs(theirs[np.isfinite(theirs)])
    scale = finite.max() if finite.size else 1.0
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=0, atol=tolerance * scale, equal_nan=True):
        raise UnsupportedOperatorError(
            f"from_torch: the network's answer to the example inputs differs from PyTorch's (shapes {ours.shape} and "
            f"{theirs.shape}). This is an error of the bridge: please report the module."
        )
