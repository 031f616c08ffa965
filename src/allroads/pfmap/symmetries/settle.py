"""From the axes of all arrays: which parts depend on which, and into which blocks arrays fall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from allroads.pfmap.symmetries.axes import Atom, compound, find, is_pinned, unify
from allroads.pfmap.symmetries.grades import Tree, normal, substitute
from allroads.pfmap.symmetries.trace import Trace

Block = tuple[np.ndarray | None, list[Tree]]
"""A part of an array that is a plain product of axes: where its elements lie, and one leaf for each dimension."""

Families = dict[Atom, tuple[Atom, dict[int, Atom]]]
"""For an axis that is another one at every index of a pinned axis: that axis, and what it is at each index."""


def blocks(trees: Sequence[Tree], index: np.ndarray | None, families: Families) -> Iterator[Block]:
    """The blocks of an array with these axes.

    Args:
        trees: The normal form of every axis.
        index: An integer for every element, shaped like the array, or ``None`` where only the axes are asked for.
        families: Axes that are to be looked up by the index of another axis of the array.
    """
    for at, tree in enumerate(trees):
        rest = trees[at + 1 :]
        if tree.kind == "prod":
            inner = index
            if index is not None:
                sizes = [part.size for part in tree.parts]
                inner = index.reshape(*index.shape[:at], *sizes, *index.shape[at + 1 :])
            yield from blocks([*trees[:at], *tree.parts, *rest], inner, families)
            return
        if tree.kind == "cat":
            start = 0
            for part in tree.parts:
                cut = None
                if index is not None:
                    cut = np.take(index, range(start, start + part.size), axis=at)
                yield from blocks([*trees[:at], part, *rest], cut, families)
                start += part.size
            return
        if tree.atom in families:
            other, members = families[tree.atom]
            held = [k for k, leaf in enumerate(trees) if leaf.kind == "leaf" and leaf.atom is other]
            if held:
                yield from _by_index(trees, held[0], len(members), index, families)
                return
    yield index, list(trees)


def _by_index(
    trees: Sequence[Tree], held: int, count: int, index: np.ndarray | None, families: Families
) -> Iterator[Block]:
    """The blocks at each index of dimension ``held``: every axis that depends on it is what it is there."""
    other = trees[held].atom
    for i in range(count):
        chosen = []
        for k, tree in enumerate(trees):
            whole, members = families.get(tree.atom, (None, {})) if tree.atom is not None else (None, {})
            if k == held:
                chosen.append(Tree(1, "leaf", (), Atom(1, {"one index of a pinned axis"}), {}))
            elif tree.kind == "leaf" and whole is other:
                chosen.append(substitute(normal(members[i]), tree.form or {}, i))
            else:
                chosen.append(tree)
        cut = None if index is None else np.take(index, [i], axis=held)
        yield from blocks(chosen, cut, families)


def dependencies(trace: Trace, families: Families) -> dict[Atom, set[Atom]]:
    """For every free axis, the axes of which exactly one stands in every array that has it."""
    found: dict[Atom, set[Atom]] = {}
    seen = set()
    for axes in trace.arrays:
        roots = tuple(map(find, axes))
        if roots in seen or all(map(is_pinned, roots)):
            continue
        seen.add(roots)
        for _, leaves in blocks([normal(root) for root in roots], None, families):
            count = Counter(leaf.atom for leaf in leaves)
            single = {atom for atom, times in count.items() if times == 1 and atom is not None}
            for atom in count:
                if atom is not None and not atom.reasons:
                    found[atom] = found[atom] & single if atom in found else set(single)
    return {atom: others - {atom} for atom, others in found.items()}


def settle(trace: Trace) -> Families:
    """Decide for every axis that was looked at by index whether it is one axis or one for each index."""
    while True:
        table = _regrouped(trace)
        depends = dependencies(trace, {})
        chosen = {atom: other for atom, other in table if other in depends.get(atom, ())}
        shared = [(atom, other) for atom, other in table if chosen.get(atom) is not other]
        for atom, other in shared:
            for member in table[atom, other].values():
                unify(atom, member)
        if not shared:
            break
    trace.members = {(atom, other, i): m for (atom, other), members in table.items() for i, m in members.items()}
    return {atom: (other, members) for (atom, other), members in table.items()}


def _regrouped(trace: Trace) -> dict[tuple[Atom, Atom], dict[int, Atom]]:
    """What is known of axes held at an index, by the axes as they are called now."""
    table: dict[tuple[Atom, Atom], dict[int, Atom]] = {}
    waiting = list(trace.members.items())
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
    trace.members = {(atom, other, i): m for (atom, other), members in table.items() for i, m in members.items()}
    return table
