"""The one check of options: whole numbers, positive numbers, shares and names."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

from allroads.errors import InputError, UnknownNameError

LARGEST = 2**63 - 1
"""The largest whole number that NumPy and JAX hold."""
MOST_STEPS = 2**31 - 1
"""The largest number of steps: compiled loops count in 32 bits."""


def check_count(name: str, value: Any, least: int = 1, absent: bool = False, most: int = LARGEST) -> None:
    """Refuse what is not a whole number from ``least`` to ``most``; ``None`` passes where it may be ``absent``.

    Raises:
        InputError: Naming the option.

    Example:
        >>> check_count("chains", 2.5)
        Traceback (most recent call last):
        allroads.errors.InputError: chains: expected a whole number of 1 or more; got 2.5.
    """
    if absent and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise InputError(f"{name}: expected a whole number of {least} or more; got {value!r}.")
    if int(value) > most:
        raise InputError(f"{name}: expected a whole number of {most} or less; got {value!r}.")


def check_options(name: str, value: Any, kind: type) -> None:
    """Refuse what is not an object of the options' class.

    Raises:
        InputError: Naming the option and its class.

    Example:
        >>> check_options("options", 3, dict)
        Traceback (most recent call last):
        allroads.errors.InputError: options: expected dict(…); got 3.
    """
    if not isinstance(value, kind):
        raise InputError(f"{name}: expected {kind.__name__}(…); got {value!r}.")


def check_number(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, open_low: bool = False, absent: bool = False
) -> None:
    """Refuse what is not a finite number in ``[low, high]``, or ``(low, high]`` with ``open_low``.

    Raises:
        InputError: Naming the option.

    Example:
        >>> check_number("fit", 1.5, 0, 1)
        Traceback (most recent call last):
        allroads.errors.InputError: fit: expected a finite number from 0 to 1; got 1.5.
    """
    if absent and value is None:
        return
    try:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        real = False
    if real and low <= value <= high and not (open_low and value == low):
        return
    if math.isinf(high):
        expected = "" if math.isinf(low) else f" above {low:g}" if open_low else f" of {low:g} or more"
    else:
        expected = f" above {low:g} and up to {high:g}" if open_low else f" from {low:g} to {high:g}"
    raise InputError(f"{name}: expected a finite number{expected}; got {value!r}.")


def check_positive(**numbers: Any) -> None:
    """Refuse options that are given and are not finite numbers above 0; ``None`` passes.

    Raises:
        InputError: Naming the option.

    Example:
        >>> check_positive(step_size=0.1, nbeta=None)
    """
    for name, value in numbers.items():
        check_number(name, value, 0, open_low=True, absent=True)


def check_choice(name: str, value: Any, known: Iterable[str]) -> None:
    """Refuse a name that is not among the known ones.

    Raises:
        UnknownNameError: With the nearest of them.

    Example:
        >>> check_choice("metric", "curvature", ("curvature", "none"))
    """
    known = tuple(known)
    if value not in known:
        raise UnknownNameError(name, value, known)
