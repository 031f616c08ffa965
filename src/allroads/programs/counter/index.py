"""The place of the largest or smallest of several counters, as variables of a term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from allroads.programs.mealy.rule import named
from allroads.programs.piecewise.term import Term, node_bits


def counters(count: int) -> list[str]:
    """Names of counters.

    Example:
        >>> counters(1), counters(2)
        (['c'], ['c0', 'c1'])
    """
    return named("c", count)


def places(count: int) -> list[str]:
    """Python text of the four places: of the largest and smallest, from the front and from the back.

    Example:
        >>> places(2)[0], len(places(1))
        ('(c0, c1).index(max(c0, c1))', 0)
    """
    if count < 2:
        return []
    names = counters(count)
    return [
        f"({', '.join(order)}).index({best}({', '.join(names)}))"
        for best in ("max", "min")
        for order in (names, names[::-1])
    ]


def variables(values: np.ndarray) -> dict[str, Any]:
    """All variables of counters ``[k, …]``, with their values ``[…]``.

    Example:
        >>> variables(np.array([[3, 0], [3, 1]]))["(c0, c1).index(max(c0, c1))"].tolist()
        [0, 1]
    """
    count = len(values)
    found: dict[str, Any] = dict(zip(counters(count), values, strict=True))
    if count > 1:
        each = (values.argmax(axis=0), values[::-1].argmax(axis=0), values.argmin(axis=0), values[::-1].argmin(axis=0))
        found |= dict(zip(places(count), each, strict=True))
    return found


def point(values: tuple[int, ...]) -> Mapping[str, int]:
    """All variables at one point, in whole numbers of any size."""
    found = dict(zip(counters(len(values)), values, strict=True))
    if len(values) > 1:
        back = values[::-1]
        each = (values.index(max(values)), back.index(max(values)), values.index(min(values)), back.index(min(values)))
        found |= dict(zip(places(len(values)), each, strict=True))
    return found


def term_bits(term: Term, count: int) -> float:
    """Length in bits of a term of counters: a place is coded as an operation on all of them.

    Example:
        >>> round(term_bits(Term(places(2)[0]), 2), 3), round(term_bits(Term("c"), 1), 3)
        (11.017, 2.954)
    """
    others = places(count)
    names = count + len(others)
    named_in_places = sum(part.head in others for part in term.parts())
    return term.bits(names) + named_in_places * count * node_bits("c", names)
