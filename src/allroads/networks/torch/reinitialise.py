"""New weights, drawn as the module itself would draw them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from allroads.errors import InputError
from allroads.networks.torch.arrays import jax_dtype, to_numpy


def reinitialiser(module: torch.nn.Module) -> Callable[[Any], dict[str, jax.Array]]:
    """``init(key) -> params`` through the module's own ``reset_parameters``.

    The key seeds PyTorch's generator, which is put back afterwards. It is a call-back from JAX, so it works under
    ``jit`` and, one member after the other, under ``vmap``.

    Args:
        module: A copy of the user's module that nobody else changes.
    """
    checked: list[list[str]] = []

    def draw(bits: Any) -> dict[str, np.ndarray]:
        high, low = (int(b) for b in np.asarray(bits))
        fresh = copy.deepcopy(module)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(high << 32 | low)
            _reset(fresh)
        return {n: to_numpy(p).astype(jax_dtype(p.dtype)) for n, p in fresh.named_parameters()}

    def init(key: Any) -> dict[str, jax.Array]:
        if not checked:
            checked.append(_unreached(module))
        if checked[0]:
            raise InputError(
                f"Network.init: no reset_parameters of the module reaches {', '.join(checked[0])}. Give that module a "
                "reset_parameters method that draws them, or say how to draw all weights with "
                "from_torch(module, example_inputs, init=lambda key: params)."
            )
        shapes = {n: jax.ShapeDtypeStruct(tuple(p.shape), jax_dtype(p.dtype)) for n, p in module.named_parameters()}
        bits = jax.random.bits(key, (2,), jnp.uint32)
        return jax.pure_callback(draw, shapes, bits, vmap_method="sequential")

    return init


def _reset(module: torch.nn.Module) -> None:
    """Children first, as constructors do; a model of ``transformers`` by its own ``_init_weights``."""
    if callable(getattr(module, "_init_weights", None)) and hasattr(module, "config"):
        for thing in (*module.modules(), *module.parameters(), *module.buffers()):
            if hasattr(thing, "_is_hf_initialized"):  # the mark by which transformers passes over what is loaded
                del thing._is_hf_initialized
        module.apply(module._init_weights)
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
