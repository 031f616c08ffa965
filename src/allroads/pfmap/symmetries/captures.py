"""Captured arrays: those inside a network whose units can be compared between two points, with their signs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from allroads.pfmap.symmetries.axes import Atom, find, is_pinned
from allroads.pfmap.symmetries.constraints import SIGN, Axis, Constraints
from allroads.pfmap.symmetries.degrees import Leaf, NormalForm, UnknownDegree, leaves, normal_form
from allroads.pfmap.symmetries.dependence import IndexedAxes, blocks
from allroads.pfmap.symmetries.group import Block, Capture

CapturedDegree = tuple[Atom, frozenset[tuple[UnknownDegree, Fraction]]]
"""An atom, and the degree modulo 2 with which a captured array is multiplied by the signs of its units."""


class Generator(NamedTuple):
    """One independent way in which arrays scale with some units.

    Args:
        powers: The power of every parameter block, by block and dimension.
        captured: The power of every captured axis, by the number of its degree.
    """

    powers: dict[tuple[int, int], int]
    captured: dict[int, int]


@dataclass(frozen=True, eq=False)
class CapturedBlock:
    """A block of an array inside the network: the number of its equation, its elements, the leaf on each dimension."""

    equation: int
    index: np.ndarray
    dimensions: list[Leaf]


def captured_blocks(
    constraints: Constraints, indexed: IndexedAxes, batch: Atom | None, numbers: Mapping[Atom, int]
) -> Iterator[CapturedBlock]:
    """The blocks that have an axis of units, of arrays outside loops that have the axis of examples."""
    seen = set()
    for equation, array in constraints.captured:
        roots = [find(axis.atom) for axis in array.axes]
        if id(array) in seen or batch is None or find(batch) not in roots or all(map(is_pinned, roots)):
            continue
        seen.add(id(array))
        forms = [form for axis in array.axes if (form := _with_signs(axis)) is not None]
        if len(forms) < len(roots):
            continue
        index = np.arange(int(np.prod(array.shape, dtype=int))).reshape(array.shape)
        for part, dimensions in blocks(forms, index, indexed):
            if any(leaf.atom in numbers for leaf in dimensions):
                yield CapturedBlock(equation, part, dimensions)


def _with_signs(axis: Axis) -> NormalForm | None:
    """An axis with its degrees for signs; ``None`` where they do not fit it."""
    plain, form = normal_form(axis.atom), axis.degrees[SIGN]()
    if form is None:
        return plain
    return form if [leaf.atom for leaf in leaves(form)] == [leaf.atom for leaf in leaves(plain)] else None


def _degree(leaf: Leaf) -> CapturedDegree:
    return leaf.atom, frozenset((name, Fraction(1)) for name, k in leaf.form.items() if k % 2)


def number_degrees(captured: Iterable[CapturedBlock]) -> dict[CapturedDegree, int]:
    """A number for every degree with which a captured array changes its sign."""
    found: dict[CapturedDegree, int] = {}
    for leaf in (leaf for block in captured for leaf in block.dimensions):
        degree = _degree(leaf)
        if degree[1] and not is_pinned(leaf.atom):
            found.setdefault(degree, len(found))
    return found


def captures(
    captured: Sequence[CapturedBlock],
    numbers: Mapping[Atom, int],
    degrees: Mapping[CapturedDegree, int],
    signs: Mapping[Atom, Sequence[Generator]],
    solutions: Mapping[Atom, Sequence[Generator]],
) -> tuple[Capture, ...]:
    """The captured blocks with the sign flips that flip them; those whose sign is not determined are left out.

    Args:
        captured: The blocks.
        numbers: The number of every axis of units.
        degrees: The numbers of the degrees of captured axes.
        signs: The generators of the sign flips of the units, in the order of :class:`Units`.
        solutions: All solutions for signs.
    """
    undetermined = {number for ways in solutions.values() for way in ways if not way.powers for number in way.captured}
    found = []
    for block in captured:
        known = [degrees.get(_degree(leaf)) for leaf in block.dimensions]
        if undetermined.isdisjoint(known):
            flips = tuple(
                tuple(way for way, generator in enumerate(signs.get(leaf.atom, ())) if number in generator.captured)
                for leaf, number in zip(block.dimensions, known, strict=True)
            )
            units = tuple(numbers.get(leaf.atom, -1) for leaf in block.dimensions)
            found.append(Capture(str(block.equation), Block(block.index, units), flips))
    return tuple(found)
