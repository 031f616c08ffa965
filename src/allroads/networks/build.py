"""Networks by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from allroads.errors import InputError, UnknownNameError, nearest_name
from allroads.networks.convolutional import convolutional
from allroads.networks.deep_linear import deep_linear
from allroads.networks.embedding_sum import embedding_sum
from allroads.networks.factory import factory
from allroads.networks.mlp import mlp
from allroads.networks.recurrent import recurrent
from allroads.networks.transformer import transformer
from allroads.pfmap.network import Network

NETWORKS: dict[str, Callable[..., Network]] = {
    "mlp": mlp,
    "deep_linear": deep_linear,
    "convolutional": convolutional,
    "recurrent": recurrent,
    "transformer": transformer,
    "embedding_sum": embedding_sum,
    "factory": factory,
}
_INTERFACE = ("input_shape", "outputs", "vocabulary", "per_position", "interface")


@dataclass(frozen=True)
class _Interface:
    """What a network must take and give, as the builders and factories see it."""

    input_shape: tuple[int, ...]
    outputs: int
    vocabulary: int | None
    per_position: bool


def build(kind: str, interface: Any, **options: Any) -> Network:
    """The network of a kind that fits an interface.

    Equal arguments give the *same* object, options left at their defaults included, so what was compiled for
    it is used again.

    Args:
        kind: A name in ``NETWORKS``; ``"factory"`` calls a user's own function, ``path="module:function"``.
        interface: Has ``input_shape`` (of one example), ``outputs``, ``vocabulary`` (``None`` for real
            inputs) and ``per_position``.
        **options: What the builder takes; lists stand for tuples.

    Raises:
        UnknownNameError: If there is no such kind.
        InputError: If an option is unknown or missing, or its value cannot be used; names what is allowed.

    Example:
        >>> from types import SimpleNamespace
        >>> bits = SimpleNamespace(input_shape=(7,), outputs=1, vocabulary=None, per_position=False)
        >>> build("mlp", bits, widths=[40, 40]) is build("mlp", bits, widths=(40, 40), activation="relu")
        True
        >>> build("mlp", bits, width=[40])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        allroads.errors.InputError: network 'mlp' has no option 'width': did you mean 'widths'? ...
    """
    if kind not in NETWORKS:
        raise UnknownNameError("network", kind, NETWORKS)
    parameters = inspect.signature(NETWORKS[kind]).parameters.values()
    own = {p.name: p for p in parameters if p.name not in _INTERFACE and p.kind is p.KEYWORD_ONLY}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name in options:
        if name in _INTERFACE or not (open_ended or name in own):
            near = nearest_name(name, own)
            hint = f": did you mean {near!r}?" if near else "."
            raise InputError(f"network {kind!r} has no option {name!r}{hint} It takes: {', '.join(sorted(own))}.")
    missing = [name for name, p in own.items() if p.default is p.empty and name not in options]
    if missing:
        raise InputError(f"network {kind!r} needs the option {missing[0]!r}.")
    complete = {name: p.default for name, p in own.items() if p.default is not p.empty} | options
    shape = _Interface(
        tuple(int(size) for size in interface.input_shape),
        interface.outputs,
        interface.vocabulary,
        bool(interface.per_position),
    )
    try:
        return _built(kind, shape, tuple(sorted((name, _frozen(value)) for name, value in complete.items())))
    except TypeError as error:
        raise InputError(f"network {kind!r} cannot use these options: {error}.") from error


@functools.lru_cache(maxsize=256)
def _built(kind: str, interface: _Interface, options: tuple[tuple[str, Hashable], ...]) -> Network:
    given = dict(options) | ({"interface": interface} if kind == "factory" else {})
    return NETWORKS[kind](
        interface.input_shape,
        interface.outputs,
        vocabulary=interface.vocabulary,
        per_position=interface.per_position,
        **given,
    )


def _frozen(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, Mapping):
        raise TypeError(f"{value!r} is a table")
    return value
