"""The table of rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rule = Callable[..., Any]

RULES: dict[str, Rule] = {}
"""By operator name, without namespace: ``add`` for every overload, ``max.dim`` where one overload differs."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a function under these operator names."""

    def enter(function: Rule) -> Rule:
        for name in names:
            assert name not in RULES, f"two rules for {name}"
            RULES[name] = function
        return function

    return enter


def find_rule(name: str, overload: str) -> Rule | None:
    """The rule of an operator: of that overload, else of all overloads, else of the plain form of an in-place one."""
    plain = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    for key in (f"{plain}.{overload}", plain):
        if key in RULES:
            return RULES[key]
    return None
