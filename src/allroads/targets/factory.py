"""A user's own target, from a Python function named by its import path."""

from __future__ import annotations

from typing import Any

from allroads.errors import InputError
from allroads.imported import imported, reason
from allroads.targets.target import Target


def factory(*, path: str, **options: Any) -> Target:
    """The target that a user's function gives.

    Args:
        path: ``"module:function"``; the function gives a :class:`Target`.
        **options: Given to it as they are.

    Returns:
        What it gives.

    Raises:
        InputError: If the path cannot be read or imported, or the function fails or gives something else.

    Example:
        >>> factory(path="allroads.targets.modular:modular", p=5).name
        'a + b mod 5'
    """
    make = imported(path)
    try:
        target = make(**options)
    except Exception as error:
        raise InputError(f"{path} failed: {reason(error)}.") from error
    if not isinstance(target, Target):
        raise InputError(f"{path} gave {type(target).__name__}; it must give an allroads.Target.")
    return target
