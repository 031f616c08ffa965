"""New weights, drawn as the module itself would draw them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from allroads.errors import InputError, UnknownNameError
from allroads.networks.torch.arrays import jax_dtype, to_numpy

MATCH_MOMENTS = "match_moments"
"""The rule that draws what no ``reset_parameters`` reaches by the mean and standard deviation that it has now."""


def initialiser(
    module: torch.nn.Module, init: Callable[[Any], Any] | str | None
) -> Callable[[Any], dict[str, jax.Array]]:
    """``init(key) -> params``: the caller's own, or through the module's ``reset_parameters``.

    The key seeds PyTorch's generator, which is put back afterwards. It is a call-back from JAX, so it works under
    ``jit`` and, one member after the other, under ``vmap``.

    Args:
        module: A copy of the user's module that nobody else changes.
        init: The caller's function; or ``"match_moments"``, by which parameters that no reset reaches are normal with
            the mean and standard deviation of the present ones; or ``None``, by which those are an error.
    """
    if callable(init):
        return init
    if init not in (None, MATCH_MOMENTS):
        raise UnknownNameError("init of from_torch", str(init), [MATCH_MOMENTS])
    checked: list[list[str]] = []

    def draw(bits: Any) -> dict[str, np.ndarray]:
        high, low = (int(b) for b in np.asarray(bits))
        fresh = copy.deepcopy(module)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(high << 32 | low)
            _reset(fresh)
            _draw_by_moments(fresh, checked[0])
        return {n: to_numpy(p).astype(jax_dtype(p.dtype)) for n, p in fresh.named_parameters()}

    def init_params(key: Any) -> dict[str, jax.Array]:
        if not checked:
            checked.append(_unreached(module))
        if checked[0] and init is None:
            raise InputError(
                f"Network.init: no reset_parameters of the module reaches {', '.join(checked[0])}. Give that module a "
                "reset_parameters method that draws them; or have them drawn with the mean and standard deviation "
                f'that they have now, by from_torch(module, example_inputs, init="{MATCH_MOMENTS}"); or say how to '
                "draw all weights with from_torch(module, example_inputs, init=lambda key: params)."
            )
        shapes = {n: jax.ShapeDtypeStruct(tuple(p.shape), jax_dtype(p.dtype)) for n, p in module.named_parameters()}
        bits = jax.random.bits(key, (2,), jnp.uint32)
        drawn: dict[str, jax.Array] = jax.pure_callback(draw, shapes, bits, vmap_method="sequential")
        return drawn

    return init_params


def _draw_by_moments(module: torch.nn.Module, names: Collection[str]) -> None:
    """Draw parameters from the normal distribution with their own mean and standard deviation; constants stay."""
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name in names:
            parameter = parameters[name]
            parameter.normal_(parameter.mean().item(), parameter.std(correction=0).item())


def _reset(module: torch.nn.Module) -> None:
    """Children first, as constructors do; a model of ``transformers`` by its own ``_init_weights``."""
    init_weights = getattr(module, "_init_weights", None)
    if callable(init_weights) and hasattr(module, "config"):
        for thing in (*module.modules(), *module.parameters(), *module.buffers()):
            if hasattr(thing, "_is_hf_initialized"):  # the mark by which transformers passes over what is loaded
                del thing._is_hf_initialized
        module.apply(init_weights)
        return
    for child in module.children():
        _reset(child)
    for name in ("reset_parameters", "_reset_parameters"):
        if callable(getattr(module, name, None)):
            getattr(module, name)()


def _unreached(module: torch.nn.Module) -> list[str]:
    """The parameters that keep a NaN through a reset."""
    marked = copy.deepcopy(module)
    real = {name: p for name, p in marked.named_parameters() if p.is_floating_point()}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for parameter in real.values():
            parameter.fill_(torch.nan)
        _reset(marked)
    return [name for name, parameter in real.items() if parameter.isnan().any()]
