"""Terms of a matching: pairs of arrays, one of each point, whose dimensions run over units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allroads.paths.align.signs import Flips
from allroads.pfmap.symmetries import Block, Element, Symmetries


@dataclass(frozen=True, eq=False)
class Term:
    """One array of each of two points, in blocks of units.

    Args:
        block: What its dimensions run over.
        a: The values at the point that stays.
        b: The values at the point that moves, in its own order.
        flips: For each dimension, the sign flips of its units that flip it.
    """

    block: Block
    a: np.ndarray
    b: np.ndarray
    flips: tuple[Flips, ...]

    def moved(self, found: Symmetries, element: Element, held: Sequence[int] = ()) -> np.ndarray:
        """``b`` moved by an element, along all dimensions but those held."""
        kept = {d: self.block.units[d] for d in held}
        grids = tuple(
            np.arange(size).reshape([-1 if e == d else 1 for e in range(self.b.ndim)])
            if d in kept or number not in element.permutations
            else found.broadcast(self.block.units, d, element.permutations[number])
            for d, (number, size) in enumerate(zip(self.block.units, self.b.shape, strict=True))
        )
        result: np.ndarray = self.b[grids]
        for d, (number, ways) in enumerate(zip(self.block.units, self.flips, strict=True)):
            for way in ways:
                if d not in kept and (number, way) in element.signs:
                    result = result * found.broadcast(self.block.units, d, element.signs[number, way])
        return result


def weight_terms(found: Symmetries, a: np.ndarray, b: np.ndarray) -> list[Term]:
    """The parameters of two points, block by block."""
    terms = []
    for number, block in enumerate(found.blocks):
        if any(k >= 0 and found.units[k].movable for k in block.units):
            flips = tuple(
                tuple(w for w, way in enumerate(found.units[k].signs) if (number, d) in way) if k >= 0 else ()
                for d, k in enumerate(block.units)
            )
            terms.append(Term(block, a[block.index], b[block.index], flips))
    return terms


def inner_product(found: Symmetries, terms: Sequence[Term], element: Element) -> float:
    """Σ ⟨a, moved b⟩ over terms, which matching maximises; up to constants −½ ‖a − moved b‖²."""
    return float(sum((term.a * term.moved(found, element)).sum() for term in terms))


def gains(
    found: Symmetries, terms: Sequence[Term], element: Element, k: int, inner: int | None = None
) -> dict[tuple[Flips, Flips], np.ndarray]:
    """The gain of matching unit i of ``a`` with unit j of ``b``, apart for each set of sign flips that changes it.

    Args:
        found: The symmetries.
        terms: What is matched.
        element: The other units as they stand.
        k: The units.
        inner: Units inside these, to be matched anew for each pair of the outer ones.

    Returns:
        By the flips of the units and of the inner ones: ``[*shape, n, n]``; with ``inner`` ``[*shape, n, n, m, m]``.
    """
    total: dict[tuple[Flips, Flips], np.ndarray] = {}
    inside = set(inner_units(found, k))
    for term in terms:
        for d in (d for d, number in enumerate(term.block.units) if number == k):
            others = [e for e, number in enumerate(term.block.units) if number in inside]
            last = next((e for e in others if term.block.units[e] == inner), None)
            if (inner is None) != (last is None) or (inner is None and others):
                continue
            order = [term.block.units.index(other) for other in found.units[k].within] + [d]
            flips = (term.flips[d], () if last is None else term.flips[last])
            left, right = (_grouped(v, order, last) for v in (term.a, term.moved(found, element, [d, *others])))
            if last is None:
                gain = np.einsum("cir,cjr->cij", left, right)
            else:
                gain = np.einsum("cimr,cjnr->cijmn", left, right, optimize=True)
            shape = (*found.units[k].shape, *gain.shape[1:])
            total[flips] = total.get(flips, 0.0) + gain.reshape(shape)
    return total


def inner_units(found: Symmetries, k: int) -> list[int]:
    """The units that stand inside others, one set for each, and inside nothing further."""
    outer = {*found.units[k].within, k}
    return [
        other for other in found.movable if k in found.units[other].within and set(found.units[other].within) == outer
    ]


def _grouped(values: np.ndarray, order: list[int], last: int | None) -> np.ndarray:
    """``[contexts, units, (inner units,) everything else]``."""
    front = [*order, *([] if last is None else [last])]
    values = np.moveaxis(values, front, range(len(front)))
    contexts = int(np.prod(values.shape[: len(order) - 1], dtype=int))
    return values.reshape(contexts, *values.shape[len(order) - 1 : len(front)], -1)
