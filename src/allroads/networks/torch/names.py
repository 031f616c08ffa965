"""Names in state dicts, where wrappers have put prefixes before them. PyTorch is not imported here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def plain_name(name: str) -> str:
    """A parameter's name without what ``DataParallel`` (``module.``) and ``torch.compile`` (``_orig_mod.``) add.

    Example:
        >>> plain_name("module._orig_mod.layers.0.weight")
        'layers.0.weight'
    """
    parts = [part for part in name.split(".") if part != "_orig_mod"]
    while len(parts) > 1 and parts[0] == "module":
        parts = parts[1:]
    return ".".join(parts)


def match_names(given: Iterable[str], expected: Iterable[str]) -> dict[str, str]:
    """The expected name that every given name stands for.

    Equal names stand for themselves, so that a module with a part of its own called ``module`` keeps its names. Others
    are matched without the prefixes of wrappers, on either side.

    Returns:
        By given name; a name that stands for none of the expected ones stands for itself.

    Example:
        >>> match_names(["module.weight", "bias"], ["weight", "bias"])
        {'module.weight': 'weight', 'bias': 'bias'}
    """
    given, expected = list(given), list(expected)
    taken = set(given) & set(expected)
    by_plain_name = {plain_name(name): name for name in expected if name not in taken}
    return {name: name if name in taken else by_plain_name.get(plain_name(name), name) for name in given}


def with_names(state: Mapping[str, T], expected: Iterable[str]) -> dict[str, T]:
    """A state dict under the expected names.

    Example:
        >>> with_names({"_orig_mod.weight": 1}, ["weight"])
        {'weight': 1}
    """
    names = match_names(state, expected)
    return {names[name]: value for name, value in state.items()}
