"""Axes of arrays as terms that are unified: what moves together, and what is made of what.

An axis is an :class:`Atom`. A free atom can be found out to be a concatenation of others (the gates of a GRU side by
side) or a product of others (heads × width of a head); it is then *bound* to them. Pinned atoms cannot be permuted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(eq=False)
class Atom:
    """One axis, or a part of one.

    Args:
        size: How many indices it has.
        reasons: Why it is pinned; empty while it is free.
        parent: The atom that it was found to be the same as.
        kind: ``"cat"`` or ``"prod"`` where it is made of ``parts``, first part outermost.
    """

    size: int
    reasons: set[str] = field(default_factory=set)
    parent: Atom | None = None
    kind: str | None = None
    parts: tuple[Atom, ...] = ()


def find(atom: Atom) -> Atom:
    """The atom that stands for all that were found to be the same."""
    while atom.parent is not None:
        if atom.parent.parent is not None:
            atom.parent = atom.parent.parent
        atom = atom.parent
    return atom


def compound(kind: str, parts: Sequence[Atom]) -> Atom:
    """A concatenation or a product of axes; one part stands for itself, and factors of size 1 are dropped.

    Example:
        >>> compound("prod", [Atom(4), Atom(1), Atom(8)]).size
        32
    """
    if kind == "prod":
        parts = [part for part in parts if part.size != 1] or list(parts[:1])
    if len(parts) == 1:
        return parts[0]
    total = sum if kind == "cat" else math.prod
    return Atom(total(part.size for part in parts), kind=kind, parts=tuple(parts))


def is_pinned(atom: Atom) -> bool:
    """Whether no part of an axis can move."""
    atom = find(atom)
    return all(map(is_pinned, atom.parts)) if atom.parts else bool(atom.reasons)


def pin(atom: Atom, *reasons: str) -> Atom:
    """Forbid every motion of an axis; returns it."""
    root = find(atom)
    for part in root.parts:
        pin(part, *reasons)
    if not root.parts:
        root.reasons.update(reasons)
    return atom


def flat(atom: Atom) -> list[Atom]:
    """The parts of a bound atom, with parts of the same kind taken apart too."""
    root = find(atom)
    parts = (find(part) for part in root.parts)
    return [small for part in parts for small in (flat(part) if part.kind == root.kind else [part])]


def unify(a: Atom, b: Atom) -> None:
    """Make two axes of one size the same, as far as their makings agree; what cannot agree is pinned."""
    a, b = find(a), find(b)
    if a is b:
        return
    if a.size != b.size:
        raise AssertionError(f"axes of sizes {a.size} and {b.size} cannot be one")
    if a.parts and b.parts:
        _unify_compounds(a, b)
        return
    if a.parts:
        a, b = b, a
    if a.reasons:
        pin(b, *a.reasons)
    a.parent = b


def _unify_compounds(a: Atom, b: Atom) -> None:
    if a.kind != b.kind:
        _unify_product_with_blocks(*((a, b) if a.kind == "prod" else (b, a)))
    elif [part.size for part in a.parts] == [part.size for part in b.parts]:
        for x, y in zip(a.parts, b.parts, strict=True):
            unify(x, y)
        a.parent = b
    elif a.kind == "cat":
        _unify_in_turn(flat(a), flat(b))
    else:
        _unify_factors(a, b)


def _unify_in_turn(left: list[Atom], right: list[Atom]) -> None:
    """Two cuts of one axis: refine both to the common one."""
    left, right = left[::-1], right[::-1]
    while left:
        x, y = left.pop(), right.pop()
        if x.size > y.size:
            x, rest = cut(x, y.size)
            left.append(rest)
        elif y.size > x.size:
            y, rest = cut(y, x.size)
            right.append(rest)
        unify(x, y)


def _unify_factors(a: Atom, b: Atom) -> None:
    """Two factorisations of one axis, from the innermost factor outwards."""
    left, right = flat(a), flat(b)
    while left and right:
        x, y = left.pop(), right.pop()
        small = math.gcd(x.size, y.size)
        if small < min(x.size, y.size):
            pin(a, "two factorisations that do not divide each other")
            pin(b, "two factorisations that do not divide each other")
            return
        if x.size > small:
            outer, x = split(x, small)
            left.append(outer)
        elif y.size > small:
            outer, y = split(y, small)
            right.append(outer)
        unify(x, y)


def _unify_product_with_blocks(product: Atom, blocks: Atom) -> None:
    """``first × rest`` against blocks side by side: the first factor is cut where the blocks end."""
    first, *others = flat(product)
    rest = compound("prod", others)
    queue = flat(blocks)[::-1]
    while queue:
        group = [queue.pop()]
        while (total := sum(part.size for part in group)) % rest.size:
            group.append(queue.pop())
        rows = total // rest.size
        if rows < first.size:
            head, first = cut(first, rows)
        else:
            head = first
        if rows > 1 and len(group) > 1:  # blocks that end inside a row: take the rows one by one
            for _ in range(rows):
                row, group = _take(group, rest.size)
                unify(rest, compound("cat", row))
            pin(head, "blocks that end inside a row")
        else:
            unify(compound("prod", [head, rest]), compound("cat", group))


def _take(group: list[Atom], size: int) -> tuple[list[Atom], list[Atom]]:
    """The parts that make up the first ``size`` indices, and the others."""
    taken, left = [], list(group)
    while size:
        part = left.pop(0)
        if part.size > size:
            part, rest = cut(part, size)
            left.insert(0, rest)
        taken.append(part)
        size -= part.size
    return taken, left


def cut(atom: Atom, at: int) -> tuple[Atom, Atom]:
    """An axis as its first ``at`` indices and the others, 0 < at < size.

    Example:
        >>> gates = Atom(12)
        >>> [part.size for part in cut(gates, 4)], gates.kind
        ([4, 8], 'cat')
    """
    root = find(atom)
    if not root.parts:
        halves = Atom(at, set(root.reasons)), Atom(root.size - at, set(root.reasons))
        if not root.reasons:
            root.kind, root.parts = "cat", halves
        return halves
    if root.kind == "cat":
        left, right = _take(flat(root), at)
        return compound("cat", left), compound("cat", right)
    first, *rest = flat(root)
    inner = root.size // first.size
    if at % inner == 0:
        head, tail = cut(first, at // inner)
        return compound("prod", [head, *rest]), compound("prod", [tail, *rest])
    pin(root, "a cut through a product of axes")
    return pin(Atom(at), *pinned_by(root)), pin(Atom(root.size - at), *pinned_by(root))


def split(atom: Atom, inner: int) -> tuple[Atom, Atom]:
    """An axis as a product ``outer × inner``; ``inner`` divides its size.

    Example:
        >>> columns = Atom(128)
        >>> heads, width = split(columns, 32)
        >>> heads.size, width.size, columns.kind
        (4, 32, 'prod')
    """
    root = find(atom)
    if inner == 1:
        return root, Atom(1)
    if inner == root.size:
        return Atom(1), root
    if not root.parts:
        factors = Atom(root.size // inner, set(root.reasons)), Atom(inner, set(root.reasons))
        if not root.reasons:
            root.kind, root.parts = "prod", factors
        return factors
    if root.kind == "cat":
        return _split_blocks(root, inner)
    outer = flat(root)
    taken: list[Atom] = []
    while (need := inner // math.prod(part.size for part in taken)) > 1:
        factor = outer.pop()
        if factor.size > need:
            if factor.size % need:
                break
            more, factor = split(factor, need)
            outer.append(more)
        elif need % factor.size:
            break
        taken.insert(0, factor)
    else:
        return compound("prod", outer), compound("prod", taken)
    pin(root, "a reshape across factors")
    return pin(Atom(root.size // inner), *pinned_by(root)), pin(Atom(inner), *pinned_by(root))


def _split_blocks(root: Atom, inner: int) -> tuple[Atom, Atom]:
    rows: list[Atom] = []
    left = flat(root)
    while left:
        row, left = _take(left, inner)
        rows.append(compound("cat", row))
    for other in rows[1:]:
        unify(rows[0], other)
    return pin(Atom(len(rows)), "rows of a concatenation"), rows[0]


def pinned_by(atom: Atom) -> set[str]:
    """The reasons for which parts of an axis are pinned."""
    root = find(atom)
    return set().union(root.reasons, *map(pinned_by, root.parts))


def atoms_of(atom: Atom) -> list[Atom]:
    """The unbound atoms that an axis is made of, in order."""
    root = find(atom)
    return list(itertools.chain.from_iterable(map(atoms_of, root.parts))) if root.parts else [root]
