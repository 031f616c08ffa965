"""Grades: how an array scales along an axis when the units of that axis are scaled.

If unit i of an axis is multiplied by s_i, an array multiplies by s_i^g along it; g is the grade. Grades of parameters
are unknown, and every operation gives linear equations between them; what solves all of them is a symmetry. Two systems
are kept side by side: over the rationals for positive scales, modulo 2 for signs. Grades are expressions that are
worked out only when the structure of all axes is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from allroads.pfmap.symmetries.axes import Atom, find, flat, is_pinned

Form = dict[tuple, Fraction]
"""A linear form in the unknowns: unknown → coefficient."""


@dataclass(frozen=True, eq=False)
class Tree:
    """An axis in normal form, with a linear form at every leaf.

    Args:
        size: How many indices.
        kind: ``"leaf"``, ``"cat"`` or ``"prod"``.
        parts: Of a concatenation or product, none of which is of the same kind.
        atom: Of a leaf.
        form: Of a leaf.
    """

    size: int
    kind: str
    parts: tuple[Tree, ...] = ()
    atom: Atom | None = None
    form: Form | None = None


Grade = Callable[[], "Tree | None"]
"""Worked out when called; ``None`` stands for zero everywhere."""


def zero() -> Tree | None:
    """The grade of what does not scale."""
    return None


def join(kind: str, parts: Sequence[Tree]) -> Tree:
    """A concatenation or product in normal form: nested ones flattened, a cut first factor drawn outwards."""
    if kind == "prod":
        parts = [part for part in parts if part.size != 1] or list(parts[:1])
    small = [p for part in parts for p in (part.parts if part.kind == kind else (part,))]
    if len(small) == 1:
        return small[0]
    if kind == "prod" and small[0].kind == "cat":
        return join("cat", [join("prod", [part, *small[1:]]) for part in small[0].parts])
    size = 1
    for part in small:
        size = size * part.size if kind == "prod" else size + part.size
    return Tree(size if kind == "prod" else size - 1, kind, tuple(small))


def normal(atom: Atom) -> Tree:
    """The normal form of an axis, with empty forms."""
    root = find(atom)
    if not root.parts:
        return Tree(root.size, "leaf", (), root, {})
    return join(root.kind or "", [normal(part) for part in flat(root)])


def leaves(tree: Tree) -> list[Tree]:
    """The leaves of a normal form, in order."""
    return [tree] if tree.kind == "leaf" else [leaf for part in tree.parts for leaf in leaves(part)]


def unknown(atom: Atom, name: int) -> Grade:
    """An unknown grade: one unknown for every leaf that the axis turns out to have."""

    def evaluate() -> Tree:
        count = iter(range(1 << 30))

        def fill(tree: Tree) -> Tree:
            if tree.kind == "leaf":
                return Tree(tree.size, "leaf", (), tree.atom, {(name, next(count)): Fraction(1)})
            return Tree(tree.size, tree.kind, tuple(map(fill, tree.parts)))

        return fill(normal(atom))

    return evaluate


def substitute(tree: Tree, form: Form, index: int) -> Tree:
    """A form on an axis as forms on the parts that the axis has where another one is held at an index."""
    count = iter(range(1 << 30))

    def fill(part: Tree) -> Tree:
        if part.parts:
            return Tree(part.size, part.kind, tuple(map(fill, part.parts)))
        at = next(count)
        return Tree(part.size, "leaf", (), part.atom, {(*name, index, at): k for name, k in form.items()})

    return fill(tree)


def total(terms: Sequence[tuple[Fraction | int, Grade]]) -> Grade:
    """Σ coefficient · grade of arrays that share an axis."""
    terms = [(c, g) for c, g in terms if g is not zero]
    if not terms:
        return zero
    if len(terms) == 1 and terms[0][0] == 1:
        return terms[0][1]

    def evaluate() -> Tree | None:
        trees = [scaled(tree, Fraction(c)) for c, g in terms if (tree := g()) is not None]
        result = trees[0] if trees else None
        for tree in trees[1:]:
            result = added(result, tree)
        return result

    return evaluate


def scaled(tree: Tree, c: Fraction) -> Tree:
    """A tree with every form multiplied."""
    if tree.kind == "leaf":
        return Tree(tree.size, "leaf", (), tree.atom, {v: c * k for v, k in (tree.form or {}).items()})
    return Tree(tree.size, tree.kind, tuple(scaled(part, c) for part in tree.parts))


def added(a: Tree | None, b: Tree | None) -> Tree | None:
    """The sum of two grades of one axis."""
    if a is None or b is None:
        return a or b
    if a.kind == b.kind == "leaf":
        form = dict(a.form or {})
        for v, k in (b.form or {}).items():
            form[v] = form.get(v, Fraction(0)) + k
        return Tree(a.size, "leaf", (), a.atom, {v: k for v, k in form.items() if k})
    a, b = _alike(a, b)
    if a.kind == b.kind and [p.size for p in a.parts] == [p.size for p in b.parts]:
        parts = [added(x, y) for x, y in zip(a.parts, b.parts, strict=True)]
        return Tree(a.size, a.kind, tuple(part for part in parts if part is not None))
    return None  # structures differ only where everything is pinned


def _alike(a: Tree, b: Tree) -> tuple[Tree, Tree]:
    """Where one is a product of rows and the other lists them, list both."""
    if a.kind == "prod" and b.kind == "cat":
        return _rows(a), b
    return (a, _rows(b)) if a.kind == "cat" and b.kind == "prod" else (a, b)


def _rows(tree: Tree) -> Tree:
    first, *rest = tree.parts
    return join("cat", [join("prod", rest)] * first.size)


def chain(kind: str, parts: Sequence[tuple[Atom, Grade]]) -> Grade:
    """The grade of axes put side by side (``"cat"``) or merged into one (``"prod"``)."""
    if all(grade is zero for _, grade in parts):
        return zero
    return lambda: join(kind, [tree if (tree := grade()) is not None else normal(atom) for atom, grade in parts])


def section(grade: Grade, start: int, stop: int) -> Grade:
    """The grade of indices ``start … stop−1`` of an axis."""
    if grade is zero:
        return zero
    return lambda: None if (tree := grade()) is None else _section(tree, start, stop)


def _section(tree: Tree, start: int, stop: int) -> Tree | None:
    if (start, stop) == (0, tree.size):
        return tree
    if tree.kind == "cat":
        taken, at = [], 0
        for part in tree.parts:
            low, high = max(start - at, 0), min(stop - at, part.size)
            if low < high:
                taken.append(_section(part, low, high))
            at += part.size
        return None if None in taken else join("cat", [part for part in taken if part is not None])
    if tree.kind == "prod":
        inner = tree.size // tree.parts[0].size
        if start % inner == 0 and stop % inner == 0:
            rows = _section(tree.parts[0], start // inner, stop // inner)
            rest = list(tree.parts[1:])
            return join("prod", [rows, *rest] if rows is not None else rest)
    return Tree(stop - start, "leaf", (), tree.atom, tree.form) if tree.kind == "leaf" else None


def factor(grade: Grade, inner: int, which: int) -> Grade:
    """The grade of the outer (0) or inner (1) factor of an axis that is split as ``outer × inner``."""
    if grade is zero:
        return zero
    return lambda: None if (tree := grade()) is None else _factors(tree, inner)[which]


def _factors(tree: Tree, inner: int) -> tuple[Tree | None, Tree | None]:
    if inner == 1:
        return tree, None
    if inner == tree.size:
        return None, tree
    if tree.kind == "cat":
        rows = [_section(tree, at, at + inner) for at in range(0, tree.size, inner)]
        return None, rows[0]
    outer, taken, size = list(tree.parts), [], 1
    while size < inner and outer:
        taken.insert(0, outer.pop())
        size *= taken[0].size
    if size != inner:
        return None, None
    return (join("prod", outer) if outer else None), join("prod", taken)


def pinned_throughout(tree: Tree) -> bool:
    """Whether no leaf of a normal form can move."""
    return all(leaf.atom is None or is_pinned(leaf.atom) for leaf in leaves(tree))
