"""Targets by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from allroads.errors import InputError, UnknownNameError
from allroads.targets.arrays import arrays
from allroads.targets.boolean import boolean
from allroads.targets.checks import one_of
from allroads.targets.digits import digits
from allroads.targets.factory import factory
from allroads.targets.groups import group
from allroads.targets.linear_teacher import linear_teacher
from allroads.targets.modular import modular
from allroads.targets.sequence import sequence
from allroads.targets.target import Target
from allroads.targets.tomita import tomita

TARGETS: dict[str, Callable[..., Target]] = {
    "arrays": arrays,
    "boolean": boolean,
    "digits": digits,
    "factory": factory,
    "group": group,
    "linear_teacher": linear_teacher,
    "modular": modular,
    "sequence": sequence,
    "tomita": tomita,
}


def build_target(kind: str, **options: Any) -> Target:
    """The target of a kind.

    Args:
        kind: A name in ``TARGETS``.
        options: Keyword arguments of that kind.

    Raises:
        InputError: If there is no such kind or option, or an option that is needed is missing or cannot be
            used.

    Example:
        >>> build_target("modular", p=53, polynomial="a*b + 1").name
        'a*b + 1 mod 53'
    """
    make = TARGETS[one_of("kind of target", kind, TARGETS)]
    parameters = inspect.signature(make).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for option in options:
        if option not in parameters and not open_ended:
            raise UnknownNameError(f"option of the target {kind!r}", option, parameters)
    needed = [n for n, p in parameters.items() if p.default is p.empty and p.kind is p.KEYWORD_ONLY]
    missing = [name for name in needed if name not in options]
    if missing:
        raise InputError(f"the target {kind!r} needs {', '.join(missing)}; give it.")
    return make(**options)
