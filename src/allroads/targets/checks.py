"""Checks of what a caller hands in; every message names the thing, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from allroads.errors import InputError, UnknownNameError


def integer(what: str, value: Any, low: int, high: int | None = None) -> int:
    """``value`` as a Python integer in ``low … high``.

    Raises:
        InputError: If it is no integer or lies outside.

    Example:
        >>> integer("bits", 7, 1, 20)
        7
    """
    allowed = f"an integer of at least {low}" if high is None else f"an integer in {low} … {high}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise InputError(f"{what}: expected {allowed}, got {value!r}; write it as a whole number.")
    if value < low or (high is not None and value > high):
        raise InputError(f"{what}: expected {allowed}, got {value}; choose a value in that range.")
    return int(value)


def fraction(what: str, value: Any) -> float:
    """``value`` as a float in ``(0, 1]``.

    Raises:
        InputError: If it is no number or lies outside.

    Example:
        >>> fraction("train_fraction", 1)
        1.0
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 0 < value <= 1:
        raise InputError(f"{what}: expected a number above 0 and at most 1, got {value!r}; 0.8 trains on 80 %.")
    return float(value)


def one_of(what: str, value: Any, known: Iterable[str]) -> str:
    """``value`` where it is one of the ``known`` names.

    Raises:
        UnknownNameError: If it is not; carries the nearest one.

    Example:
        >>> one_of("encoding", "bits", ("bits", "signs"))
        'bits'
    """
    known = tuple(known)
    if not isinstance(value, str) or value not in known:
        raise UnknownNameError(what, value, known)
    return value


def boolean(what: str, value: Any) -> bool:
    """``value`` where it is true or false.

    Raises:
        InputError: If it is anything else.

    Example:
        >>> boolean("flatten", True)
        True
    """
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{what}: expected true or false, got {value!r}.")
    return bool(value)


def numbers(what: str, values: Any) -> np.ndarray:
    """``values`` as an array of finite real numbers that is not empty; ``bool`` becomes ``int64``.

    Raises:
        InputError: If the array is ragged, not numeric, empty, or holds NaN or an infinity.

    Example:
        >>> numbers("inputs", [[0, 1], [1, 0]]).shape
        (2, 2)
    """
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InputError(f"{what}: expected an array with rows of one shape ({error}); pad or split it.") from error
    if array.dtype == bool:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{what}: expected real numbers, got dtype {array.dtype}; convert them to int or float.")
    if array.size == 0:
        raise InputError(f"{what}: empty, shape {array.shape}; at least one example is needed.")
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"{what}: {int(bad.sum())} values are NaN or infinite, the first at index {first}; "
            "remove or replace those examples."
        )
    return array


def generator(seed: int, purpose: str) -> np.random.Generator:
    """The random generator of one purpose: different purposes of one seed are independent.

    Example:
        >>> a, b = (generator(0, "split").integers(100, size=3).tolist() for _ in range(2))
        >>> a == b
        True
    """
    return np.random.default_rng([integer("seed", seed, 0), *purpose.encode()])
