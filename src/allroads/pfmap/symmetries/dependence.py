"""Dependence between axes: which have one permutation per index of others, and into which blocks arrays fall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from allroads.pfmap.symmetries.axes import Atom, compound, find, is_pinned, unify
from allroads.pfmap.symmetries.constraints import Constraints
from allroads.pfmap.symmetries.degrees import Leaf, NormalForm, normal_form, substitute

IndexedAxes = dict[Atom, tuple[Atom, dict[int, Atom]]]
"""For an axis that differs from one index of a pinned axis to the next: the pinned axis, and the axis at each index."""


def blocks(
    forms: Sequence[NormalForm], index: np.ndarray, indexed: IndexedAxes
) -> Iterator[tuple[np.ndarray, list[Leaf]]]:
    """The blocks of an array: the parts that are plain products of atoms.

    Args:
        forms: The normal form of every axis.
        index: An integer for every element, shaped like the array.
        indexed: Axes that are to be looked up by the index of another axis of the array.

    Returns:
        For every block the integers in it, and one leaf per dimension.
    """
    for part, dimensions in _blocks(forms, index, indexed):
        assert part is not None
        yield part, dimensions


def block_axes(forms: Sequence[NormalForm], indexed: IndexedAxes) -> Iterator[list[Leaf]]:
    """The leaves of every block of an array with these axes."""
    return (dimensions for _, dimensions in _blocks(forms, None, indexed))


def _blocks(
    forms: Sequence[NormalForm], index: np.ndarray | None, indexed: IndexedAxes
) -> Iterator[tuple[np.ndarray | None, list[Leaf]]]:
    done: list[Leaf] = []
    for at, form in enumerate(forms):
        rest = forms[at + 1 :]
        if isinstance(form, Leaf):
            done.append(form)
            if form.atom in indexed:
                other, members = indexed[form.atom]
                held = [k for k, leaf in enumerate(forms) if isinstance(leaf, Leaf) and leaf.atom is other]
                if held:
                    yield from _by_index(forms, held[0], len(members), index, indexed)
                    return
        elif form.kind == "prod":
            inner = index
            if index is not None:
                sizes = [part.size for part in form.parts]
                inner = index.reshape(*index.shape[:at], *sizes, *index.shape[at + 1 :])
            yield from _blocks([*forms[:at], *form.parts, *rest], inner, indexed)
            return
        else:
            start = 0
            for part in form.parts:
                cut = None
                if index is not None:
                    cut = np.take(index, range(start, start + part.size), axis=at)
                yield from _blocks([*forms[:at], part, *rest], cut, indexed)
                start += part.size
            return
    yield index, done


def _by_index(
    forms: Sequence[NormalForm], held: int, count: int, index: np.ndarray | None, indexed: IndexedAxes
) -> Iterator[tuple[np.ndarray | None, list[Leaf]]]:
    """The blocks at each index of dimension ``held``; every axis that depends on it is what it is there."""
    pinned = forms[held]
    assert isinstance(pinned, Leaf)
    for i in range(count):
        chosen: list[NormalForm] = []
        for k, form in enumerate(forms):
            if k == held:
                chosen.append(Leaf(Atom(1, {"one index of a pinned axis"}), {}, 1))
            elif isinstance(form, Leaf) and form.atom in indexed and indexed[form.atom][0] is pinned.atom:
                chosen.append(substitute(normal_form(indexed[form.atom][1][i]), form.form, i))
            else:
                chosen.append(form)
        cut = None if index is None else np.take(index, [i], axis=held)
        yield from _blocks(chosen, cut, indexed)


def dependencies(constraints: Constraints, indexed: IndexedAxes) -> dict[Atom, set[Atom]]:
    """For every free axis, the axes of which exactly one stands in every array that has it."""
    found: dict[Atom, set[Atom]] = {}
    seen = set()
    for axes in constraints.arrays:
        roots = tuple(map(find, axes))
        if roots in seen or all(map(is_pinned, roots)):
            continue
        seen.add(roots)
        for leaves in block_axes([normal_form(root) for root in roots], indexed):
            count = Counter(leaf.atom for leaf in leaves)
            single = {atom for atom, times in count.items() if times == 1}
            for atom in count:
                if not atom.reasons:
                    found[atom] = found[atom] & single if atom in found else set(single)
    return {atom: others - {atom} for atom, others in found.items()}


def resolve_indexed_axes(constraints: Constraints) -> IndexedAxes:
    """The axes that differ from one index of another axis to the next; all others are unified, to a fixed point."""
    while True:
        table = _by_roots(constraints)
        depends = dependencies(constraints, {})
        chosen = {atom: other for atom, other in table if other in depends.get(atom, ())}
        shared = [(atom, other) for atom, other in table if chosen.get(atom) is not other]
        for atom, other in shared:
            for member in table[atom, other].values():
                unify(atom, member)
        if not shared:
            return {atom: (other, members) for (atom, other), members in table.items()}


def _by_roots(constraints: Constraints) -> dict[tuple[Atom, Atom], dict[int, Atom]]:
    """The axes at each index, by what all axes have been unified with."""
    table: dict[tuple[Atom, Atom], dict[int, Atom]] = {}
    waiting = list(constraints.at_indices.items())
    while waiting:
        (atom, other, i), member = waiting.pop()
        atom, other = find(atom), find(other)
        if atom is find(member):
            continue
        if is_pinned(atom):
            unify(atom, member)
        elif atom.parts:
            parts = [Atom(part.size) for part in atom.parts]
            waiting.extend(((part, other, i), new) for part, new in zip(atom.parts, parts, strict=True))
            unify(compound(atom.kind or "", parts), member)
        else:
            known = table.setdefault((atom, other), {})
            if i in known:
                unify(known[i], member)
            known[i] = find(member)
    for (_, other), members in table.items():
        for i in range(other.size):
            members.setdefault(i, Atom(next(iter(members.values())).size))
    constraints.at_indices = {
        (atom, other, i): member for (atom, other), members in table.items() for i, member in members.items()
    }
    return table
