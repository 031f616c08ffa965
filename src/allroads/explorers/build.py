"""Explorers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from allroads.errors import InputError, UnknownNameError, nearest_name
from allroads.explorers.adam import Adam, AdamW
from allroads.explorers.evolution import Evolution
from allroads.explorers.explorer import Explorer
from allroads.explorers.gd import GD
from allroads.explorers.muon import Muon
from allroads.explorers.natural_gradient import NaturalGradient
from allroads.explorers.neutral import SMC, GuessAndCheck, ZeroErrorWalk
from allroads.explorers.pattern_search import PatternSearch
from allroads.explorers.samplers import SAMPLERS, explorer_builder
from allroads.explorers.sgd import SGD
from allroads.explorers.soap import SOAP

EXPLORERS: dict[str, Callable[..., Explorer]] = {
    "gd": GD,
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "muon": Muon,
    "soap": SOAP,
    "natural_gradient": NaturalGradient,
    "pattern_search": PatternSearch,
    "zero_error_walk": ZeroErrorWalk,
    "evolution": Evolution,
    "guess_and_check": GuessAndCheck,
    "smc": SMC,
}
EXPLORERS |= {name: explorer_builder(sampler) for name, sampler in SAMPLERS.items()}


def build_explorer(kind: str, **options: Any) -> Explorer:
    """The explorer of that name; equal options give equal explorers, so that compiled runs are used again.

    Args:
        kind: One of ``EXPLORERS``.
        **options: Its keyword options.

    Raises:
        UnknownNameError: If there is no such explorer.
        InputError: If it has no such option, or a value is out of range.

    Example:
        >>> build_explorer("adam", learning_rate=0.01) == Adam(learning_rate=0.01)
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
    return EXPLORERS[kind](**options)


def as_explorer(explorer: Explorer | str) -> Explorer:
    """An explorer, or the one of a name with its default options.

    Raises:
        UnknownNameError: If there is no explorer of that name.
        InputError: If it is something else.

    Example:
        >>> as_explorer("gd") == GD()
        True
    """
    if isinstance(explorer, str):
        return build_explorer(explorer)
    if not isinstance(explorer, Explorer):
        raise InputError(
            f"explorer: expected an explorer such as Adam(learning_rate=0.01), or a name such as 'adam'; got "
            f"{explorer!r}."
        )
    return explorer
