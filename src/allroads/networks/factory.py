"""Networks from a user's own factory."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from allroads.errors import InputError
from allroads.imported import imported, reason
from allroads.networks.from_equinox import from_equinox
from allroads.pfmap.network import Network, Params
from allroads.targets.interface import Interface


def factory(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    vocabulary: int | None = None,
    per_position: bool = False,
    path: str,
    interface: Any,
    **options: Any,
) -> Network:
    """Call a user's function and take what it gives as a network.

    Args:
        input_shape: Shape of one example.
        outputs: Outputs of one example, or of one position; for the factory to keep to.
        vocabulary: Size of the alphabet of integer tokens; ``None`` for real inputs.
        per_position: One output per position.
        path: ``"module:function"``, importable from where allroads runs.
        interface: Given to the factory as the keyword ``interface`` if it takes one.
        **options: Given to the factory as they are.

    Returns:
        The network. The factory may give a ``Network``, a pair ``(network, params)``, a pair of functions
        ``(init, apply)``, an ``equinox.Module``, a Flax module (linen or nnx) or a ``torch.nn.Module``. For an Equinox
        or nnx module, a factory that takes the keyword ``key`` is called again with each key to draw the parameters
        anew.

    Raises:
        InputError: If the path cannot be imported, or the factory fails or gives something else; names the
            path and the original error.

    Example:
        >>> factory((2,), 1, path="allroads.networks.mlp:mlp", interface=None, depth=3)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        allroads.errors.InputError: factory 'allroads.networks.mlp:mlp' failed: TypeError: ...
    """
    result, draw = made(path, options, interface)
    examples = np.zeros((2, *input_shape), np.float32 if vocabulary is None else np.int64)
    return as_network(path, result, examples, draw)[0]


@functools.lru_cache(maxsize=32)
def evaluated(path: str, interface: Interface) -> tuple[Network, Params]:
    """The network of a user's function for weights that are given, and the shapes of its parameters.

    A PyTorch module is put in evaluation mode. Nothing is drawn: a network that cannot draw a point has a template
    where its module has parameters.

    Args:
        path: ``"module:function"``, importable from where allroads runs.
        interface: Given to the function as the keyword ``interface`` if it takes one.

    Returns:
        The network, the same object at every call; and a pytree of ``jax.ShapeDtypeStruct``.

    Raises:
        InputError: As :func:`factory`, or if the shapes of the parameters are not known.
    """
    result, draw = made(path, {}, interface)
    if is_torch(result):
        result.eval()
    examples = np.zeros((2, *interface.input_shape), np.float32 if interface.vocabulary is None else np.int64)
    network, params = as_network(path, result, examples, draw)
    if params is not None:
        return network, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype), params)
    try:
        return network, jax.eval_shape(network.init, jax.random.key(0))
    except Exception as error:  # a user's init may do anything
        raise InputError(
            f"factory {path!r} gave a network that cannot draw a point ({reason(error)}), so the shapes of its "
            "parameters are not known. Return (network, params), any point of it."
        ) from error


def made(path: str, options: Mapping[str, Any], interface: Any) -> tuple[Any, Callable[[Any], Any] | None]:
    """What a user's function gives.

    Args:
        path: ``"module:function"``.
        options: Given to it as they are.
        interface: Given to it as the keyword ``interface`` if it takes one.

    Returns:
        The result, and ``draw(key) -> result`` where the function takes the keyword ``key``; it was called with a key
        then, too.

    Raises:
        InputError: If the path cannot be imported, or the function fails.

    Example:
        >>> made("allroads.networks.deep_linear:deep_linear", {"input_shape": (2,), "outputs": 1}, None)[0].name
        'deep linear 64-64-1'
    """
    make = imported(path)
    accepted = inspect.signature(make).parameters
    if "interface" in accepted or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values()):
        options = {**options, "interface": interface}

    def call(**key: Any) -> Any:
        try:
            return make(**options, **key)
        except Exception as error:
            raise InputError(
                f"factory {path!r} failed: {reason(error)}. Fix the function, or the options given to it."
            ) from error

    if "key" in accepted:
        return call(key=jax.random.key(0)), lambda key: call(key=key)
    return call(), None


def as_network(
    path: str, result: Any, examples: Any, draw: Callable[[Any], Any] | None = None
) -> tuple[Network, Params | None]:
    """What a user's function gave, as a network with the parameters that it came with.

    Args:
        path: Of the function, for messages.
        result: A ``Network``, ``(network, params)``, a pair of functions ``(init, apply)``, an ``equinox.Module``, a
            ``flax.linen.Module``, a ``flax.nnx.Module`` or a ``torch.nn.Module``.
        examples: One batch as a PyTorch or Flax module takes it.
        draw: ``draw(key) -> result`` of an Equinox or nnx module.

    Returns:
        The network, and its parameters or ``None`` where it came without.

    Raises:
        InputError: If it is something else.

    Example:
        >>> network, params = as_network("my:pair", (lambda key: 1.0, lambda params, x: params * x), None)
        >>> float(network.apply(network.init(None), 2.0)), params
        (2.0, None)
    """
    params = None
    if isinstance(result, tuple) and len(result) == 2:
        if all(callable(part) and not isinstance(part, Network | eqx.Module) for part in result):
            result = Network(*result)
        else:
            result, params = result
    if isinstance(result, Network):
        return result, params
    if isinstance(result, eqx.Module):
        return from_equinox(result, init=draw)
    if is_flax(result):
        from allroads.networks.from_flax import from_flax

        return from_flax(result, examples, init=draw if is_flax(result, "nnx") else None)
    if is_torch(result):
        from allroads.networks.torch import from_torch

        return from_torch(result, examples)
    raise InputError(
        f"factory {path!r} gave {type(result).__name__}; expected a Network, (network, params), (init, apply), an "
        "equinox.Module, a Flax module or a torch.nn.Module. Return one of these."
    )


def is_torch(result: Any) -> bool:
    """Whether it is a PyTorch module; without importing PyTorch, as one exists only where that has been imported."""
    return "torch" in sys.modules and isinstance(result, sys.modules["torch"].nn.Module)


def is_flax(result: Any, *kinds: str) -> bool:
    """Whether it is a Flax module, of one kind or either; without importing Flax."""
    modules = [sys.modules.get(f"flax.{kind}") for kind in kinds or ("linen", "nnx")]
    return any(module is not None and isinstance(result, module.Module) for module in modules)
