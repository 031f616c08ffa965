"""The bridge itself: checks, export, and the network made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from allroads.compiled import quickly_compiled
from allroads.errors import InputError, UnknownNameError, UnsupportedOperatorError
from allroads.networks.torch.arrays import differences, read_state, running_statistics, to_jax, to_numpy, to_torch
from allroads.networks.torch.call import Call, OneOutput, Output, checked_output
from allroads.networks.torch.export import Program, Programs, runtime_precision
from allroads.networks.torch.lookups import Lookups
from allroads.networks.torch.prepare import copied, exportable, floating_precision, make_parameters, unwrapped
from allroads.networks.torch.probe import probe
from allroads.networks.torch.reinitialise import initialiser
from allroads.pfmap.arrays import is_tensor
from allroads.pfmap.network import Network

BRIEF = 1_000_000
"""Parameters up to which a network's first answer is compiled whole, without optimisation."""
STATISTICS = ("constants", "params")
"""What the running statistics of batch norms can be."""


def bridge(
    module: torch.nn.Module,
    example_inputs: Any,
    output: Output,
    init: Callable[[Any], Any] | str | None,
    statistics: str,
) -> tuple[Network, dict[str, Any]]:
    """See :func:`allroads.from_torch`."""
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"from_torch: expected a torch.nn.Module, got {type(module).__name__}.")
    if statistics not in STATISTICS:
        raise UnknownNameError("place for running statistics", statistics, STATISTICS)
    own = floating_precision(module)
    checked_output(output)
    call = Call.of(example_inputs, unwrapped(module), own)
    examples = call.examples
    kept = exportable(module)
    answer = probe(OneOutput(copied(module), call, output), examples)
    if answer.ndim == 0:
        raise InputError(
            "from_torch: the output is one number for the whole batch; expected one that leads with the examples. "
            "Choose another by output=, or wrap the module in one that gives it. A loss is the matter of Problem."
        )
    if statistics == "params":
        make_parameters(kept, running_statistics(kept))
    programs = Programs(OneOutput(kept, call, output), kept, examples, own)
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
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(inputs)):
            return
        with jax.ensure_compile_time_eval():  # under a trace, constants too would become tracers
            arrays = call.arrays(inputs)
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
        output: jax.Array = computed(dict(params), call.arrays(inputs))
        return output

    network = Network(initialiser(kept, init), apply, name=type(unwrapped(module)).__name__, check=check, point=point)
    params = {name: to_jax(parameter) for name, parameter in kept.named_parameters()}
    _check_answer(network, params, call, answer)
    return network, params


def _check_params(params: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    given = {name: tuple(jnp.shape(p)) for name, p in params.items()}
    if given != shapes:
        raise InputError(f"Network.apply: these are not the network's parameters. {differences(given, shapes)}")


def _check_answer(network: Network, params: Any, call: Call, answer: torch.Tensor) -> None:
    """Hold the network's answer to the example inputs against PyTorch's, so that no wrong rule goes unseen."""
    inputs = call.inputs([to_jax(example) for example in call.examples])
    if network.check is not None:  # what follows may look at no values
        network.check(inputs)
    apply = network.apply
    if sum(leaf.size for leaf in params.values()) <= BRIEF:
        apply = jax.jit(apply, compiler_options=quickly_compiled())
    ours, theirs = np.asarray(apply(params, inputs), np.float64), to_numpy(answer).astype(np.float64)
    tolerance = 1e-6 if answer.dtype == torch.float64 else 1e-2
    finite = np.abs(theirs[np.isfinite(theirs)])
    scale = finite.max() if finite.size else 1.0
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=0, atol=tolerance * scale, equal_nan=True):
        raise UnsupportedOperatorError(
            f"from_torch: the network's answer to the example inputs differs from PyTorch's (shapes {ours.shape} and "
            f"{theirs.shape}). This is an error of the bridge: please report the module."
        )
