"""The door for Equinox modules."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

from allroads.errors import InputError, NotDeterministicError
from allroads.pfmap.network import Network, Params


def from_equinox(
    module: Any, *, batched: bool = False, init: Callable[[Any], Any] | None = None
) -> tuple[Network, Params]:
    """An Equinox module as a network and its present parameters.

    The parameters are the module's floating-point arrays (``equinox.partition``); everything else is fixed.
    Modules are per example by Equinox's custom and are mapped over the batch.

    Args:
        module: Any callable ``equinox.Module``; one scalar output counts as one output, ``[N, 1]``.
        batched: The module takes the whole batch ``[N, ...]`` itself.
        init: ``init(key) -> module`` draws a module anew. Equinox has no general rule for that, so without it
            ``network.init`` raises an error.

    Returns:
        ``(network, params)``; ``params`` is a pytree with the module's structure.

    Raises:
        InputError: If the module is not one, has no parameters, or carries state (batch norm).
        NotDeterministicError: If it draws random numbers: dropout outside inference mode, or a call that
            needs a key.

    Fails where a module hides randomness or state that its call does not show.

    References: [kidger2021]

    Example:
        >>> network, params = from_equinox(eqx.nn.MLP(2, 1, width_size=3, depth=1, key=jax.random.key(0)))
        >>> network.apply(params, jax.numpy.ones((4, 2))).shape
        (4, 1)
    """
    name = type(module).__name__
    _refuse_what_is_no_function(module, name)
    params, fixed = eqx.partition(module, eqx.is_inexact_array)
    if not jax.tree.leaves(params):
        raise InputError(f"Equinox module {name!r} has no floating-point arrays, so there is nothing to move.")

    def apply(params: Params, inputs: Any) -> Any:
        whole = eqx.combine(params, fixed)
        outputs = whole(inputs) if batched else jax.vmap(whole)(inputs)
        return outputs[:, None] if outputs.ndim == 1 else outputs

    def init_params(key: Any) -> Params:
        if init is None:
            raise InputError(
                f"Equinox module {name!r} cannot be drawn anew: Equinox has no rule for it. Pass "
                "from_equinox(module, init=lambda key: YourModule(..., key=key)), or use the parameters it "
                "came with."
            )
        drawn = eqx.filter(init(key), eqx.is_inexact_array)
        shape: Any = jax.tree.structure(drawn)
        if shape != jax.tree.structure(params):
            raise InputError(
                f"init gives a module whose parameters are arranged otherwise than those of {name!r}; "
                "expected the same architecture. Build it with the same options."
            )
        return drawn

    return Network(init_params, apply, name=name), params


def _refuse_what_is_no_function(module: Any, name: str) -> None:
    """Refuse modules whose outputs depend on more than parameters and inputs."""
    if not (isinstance(module, eqx.Module) and callable(module)):
        raise InputError(f"expected a callable equinox.Module, got {name}. Pass a module instance, not its class.")
    inference = f"Pass equinox.nn.inference_mode({name.lower()}) to fix it."
    kinds = (eqx.nn.Dropout, eqx.nn.StateIndex)
    parts = jax.tree.leaves(module, is_leaf=lambda part: isinstance(part, kinds))
    if any(isinstance(part, eqx.nn.Dropout) and not part.inference and part.p > 0 for part in parts):
        raise NotDeterministicError(
            f"Equinox module {name!r} has dropout in training mode, so it answers one question in many ways. "
            f"{inference}"
        )
    if any(isinstance(part, eqx.nn.StateIndex) for part in parts):
        raise InputError(
            f"Equinox module {name!r} carries state (such as batch norm's running averages), which is no "
            "function of parameters and inputs. Put it in equinox.nn.inference_mode and give Network an "
            "apply that closes over the state: lambda params, x: vmap(lambda x: combine(params, fixed)(x, "
            "state)[0])(x)."
        )
    key = inspect.signature(type(module).__call__).parameters.get("key")
    if key is not None and key.default is inspect.Parameter.empty:
        raise NotDeterministicError(
            f"Equinox module {name!r} cannot be called without a random key, so it answers one question in "
            f"many ways. {inference} Its call must then work with key=None."
        )
