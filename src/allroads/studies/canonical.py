"""One spelling for every JSON value, and its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from itertools import groupby
from typing import Any

_SPELL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def plain(value: Any) -> Any:
    """``value`` in JSON's own types: tuples become lists, NumPy scalars numbers, what is not finite ``None``.

    Raises:
        TypeError: If a part of it has no JSON form.

    Example:
        >>> plain({"widths": (64, 64), "loss": float("nan")})
        {'widths': [64, 64], 'loss': None}
    """
    if value is None or type(value) in (str, bool, int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict | Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def canonical(value: Any) -> str:
    """``value`` as JSON in its one spelling: keys sorted, no white space.

    Example:
        >>> canonical({"b": (1, 2), "a": "é"})
        '{"a":"é","b":[1,2]}'
    """
    return _SPELL(plain(value))


def digest(value: Any) -> str:
    """The SHA-256 of a value's canonical JSON, in hex.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def digester(shared: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], str]:
    """The digests of many mappings that share most of their entries, which are spelled once.

    Args:
        shared: The entries that all of them have, with names as keys.

    Returns:
        A function that takes the other entries of one mapping, of JSON's own types, and gives the :func:`digest` of
        the whole.

    Example:
        >>> digester({"steps": 10, "loss": "mse"})({"member": 3}) == digest({"steps": 10, "loss": "mse", "member": 3})
        True
    """
    known = {name: f"{_SPELL(name)}:{canonical(value)}" for name, value in shared.items()}

    @cache
    def layout(names: tuple[str, ...]) -> tuple[str | tuple[str, ...], ...]:
        """What is spelled already, and between it the names of entries to spell, in the order of all names."""
        every = sorted({*known, *names})
        runs = [(own, tuple(run)) for own, run in groupby(every, key=lambda name: name in names)]
        return tuple(run if own else ",".join(known[name] for name in run) for own, run in runs)

    def whole(own: Mapping[str, Any]) -> str:
        spelled = [
            part if isinstance(part, str) else _SPELL({name: own[name] for name in part})[1:-1]
            for part in layout(tuple(own))
        ]
        return hashlib.sha256(f"{{{','.join(spelled)}}}".encode()).hexdigest()

    return whole
