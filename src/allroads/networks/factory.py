"""Networks from a user's own factory."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import equinox as eqx
import jax
import numpy as np

from allroads.errors import InputError
from allroads.imported import imported
from allroads.networks.from_equinox import from_equinox
from allroads.pfmap.network import Network


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
        per_position: One output a position.
        path: ``"module:function"``, importable from where allroads runs.
        interface: Given to the factory as the keyword ``interface`` if it takes one.
        **options: Given to the factory as they are.

    Returns:
        The network. The factory may give a ``Network``, a pair ``(network, params)``, an ``equinox.Module``
        or a ``torch.nn.Module``. For an Equinox module, a factory that takes the keyword ``key`` is called
        again with each key to draw the parameters anew.

    Raises:
        InputError: If the path cannot be imported, or the factory fails or gives something else; names the
            path and the original error.

    Example:
        >>> factory((2,), 1, path="allroads.networks.mlp:mlp", interface=None, depth=3)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        allroads.errors.InputError: factory 'allroads.networks.mlp:mlp' failed: TypeError: ...
    """
    make = imported(path)
    accepted = inspect.signature(make).parameters
    if "interface" in accepted or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values()):
        options |= {"interface": interface}
    draws = "key" in accepted

    def made(**key: Any) -> Any:
        try:
            return make(**options, **key)
        except Exception as error:
            raise InputError(
                f"factory {path!r} failed: {type(error).__name__}: {error}. Repair the function, or the "
                "options given to it."
            ) from error

    result = made(key=jax.random.key(0)) if draws else made()
    if isinstance(result, tuple) and len(result) == 2:
        result = result[0]
    if isinstance(result, Network):
        return result
    if isinstance(result, eqx.Module):
        return from_equinox(result, init=(lambda key: made(key=key)) if draws else None)[0]
    # Without importing PyTorch: a module of its exists only where it has been imported.
    if "torch" in sys.modules and isinstance(result, sys.modules["torch"].nn.Module):
        from allroads.networks.torch import from_torch

        return from_torch(result, np.zeros((2, *input_shape), np.float32 if vocabulary is None else np.int64))[0]
    raise InputError(
        f"factory {path!r} gave {type(result).__name__}; expected a Network, (network, params), an "
        "equinox.Module or a torch.nn.Module. Return one of these."
    )
