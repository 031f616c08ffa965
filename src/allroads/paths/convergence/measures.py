"""The measures of representations by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from allroads.checks import check_choice
from allroads.errors import InputError
from allroads.paths.convergence.cka import CKA
from allroads.paths.convergence.comparison import Comparison
from allroads.paths.convergence.neighbours import check_neighbours, neighbours
from allroads.paths.convergence.procrustes import PROCRUSTES
from allroads.paths.convergence.rsa import RSA
from allroads.paths.convergence.stitching import stitch

MEASURES = ("cka", "procrustes", "neighbours", "rsa", "stitching")
"""All of them, in the order of tables."""

Taken = TypeVar("Taken")

NEIGHBOURS = 10
"""Neighbours where no number is given, but no more than a quarter of the inputs."""


def chosen_measures(names: Sequence[str] | str, k: int | None, inputs: int) -> list[Comparison]:
    """Measures of representations by their names.

    Args:
        names: Some of ``MEASURES``, or one.
        k: Neighbours of ``"neighbours"``; ``None`` for 10, or a quarter of fewer than 40 inputs.
        inputs: Number of inputs n.

    Raises:
        InputError: If no measure is named, or k is not from 1 to n − 1.
        UnknownNameError: If there is no measure of a name.

    Example:
        >>> [comparison.name for comparison in chosen_measures(("rsa", "cka"), None, 8)]
        ['rsa', 'cka']
    """
    asked = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    if not asked:
        raise InputError(f"measures: got none; choose from {', '.join(MEASURES)}.")
    for name in asked:
        check_choice("measure", name, MEASURES)
    k = min(NEIGHBOURS, inputs // 4) if k is None else k
    check_neighbours(k, inputs)
    known = {"cka": CKA, "procrustes": PROCRUSTES, "rsa": RSA}
    built = {"neighbours": lambda: neighbours(k), "stitching": stitch}
    return [known[name] if name in known else built[name]() for name in asked]


def in_order(found: Mapping[str, Taken]) -> dict[str, Taken]:
    """What measures gave, in the order of ``MEASURES``, whichever order a pytree has left.

    Example:
        >>> list(in_order({"rsa": 1, "cka": 2}))
        ['cka', 'rsa']
    """
    return {name: found[name] for name in MEASURES if name in found}
