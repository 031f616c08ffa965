"""Explorers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from allroads.errors import InputError, UnknownNameError, nearest_name
from allroads.explorers.adam import adam, adamw
from allroads.explorers.explorer import Explorer
from allroads.explorers.gd import gd
from allroads.explorers.muon import muon
from allroads.explorers.samplers import SAMPLERS, sampler_explorer
from allroads.explorers.sgd import sgd

EXPLORERS: dict[str, Callable[..., Explorer]] = {"gd": gd, "sgd": sgd, "adam": adam, "adamw": adamw, "muon": muon}
for _name, _sampler in SAMPLERS.items():
    EXPLORERS[_name] = partial(sampler_explorer, _sampler)
    EXPLORERS[_name].__doc__ = inspect.getdoc(inspect.getmodule(_sampler.draw))


def build_explorer(kind: str, **options: Any) -> Explorer:
    """The explorer of that name; equal options give the same object, so that compiled runs are used again.

    Args:
        kind: One of ``EXPLORERS``.
        **options: Its keyword options.

    Raises:
        UnknownNameError: If there is no such explorer.
        InputError: If it has no such option, or a value is out of range.

    Example:
        >>> build_explorer("adam", learning_rate=0.01) is build_explorer("adam", learning_rate=0.01)
        True
    """
    if kind not in EXPLORERS:
        raise UnknownNameError("explorer", kind, EXPLORERS)
    allowed = inspect.signature(EXPLORERS[kind]).parameters
    for key in options:
        if key not in allowed:
            near = nearest_name(key, allowed)
            hint = f"did you mean {near!r}? " if near else ""
            raise InputError(f"explorer {kind!r} has no option {key!r}: {hint}Options: {', '.join(allowed)}.")
    return _cached(kind, tuple(sorted(options.items())))


@lru_cache(maxsize=256)
def _cached(kind: str, options: tuple[tuple[str, Any], ...]) -> Explorer:
    return EXPLORERS[kind](**dict(options))
