"""Degrees of homogeneity: how an array scales along an axis when the units of that axis are scaled.

If unit i of an axis is multiplied by s_i, an array is multiplied by s_i^d along it; d is its degree. The degrees of
parameters are unknown. Every operation gives linear equations between degrees, and each solution of all equations is a
symmetry. There are two systems: over the rationals for positive scales, modulo 2 for signs. A degree is an expression
that is evaluated only when the structure of all axes is known.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from allroads.pfmap.symmetries.axes import Atom, find, flat

UnknownDegree = tuple[int, ...]
"""The name of an unknown degree."""

LinearForm = dict[UnknownDegree, Fraction]
"""A linear form in the unknowns: unknown → coefficient."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """An atom of an axis, with its degree.

    Args:
        atom: The atom.
        form: Its degree as a linear form.
    """

    atom: Atom
    form: LinearForm
    size: int


@dataclass(frozen=True, eq=False)
class Compound:
    """A concatenation or a product of axes in normal form.

    Args:
        kind: ``"cat"`` or ``"prod"``.
        parts: None of which is of the same kind; the first is outermost.
    """

    kind: str
    parts: tuple[NormalForm, ...]
    size: int


NormalForm = Leaf | Compound
"""An axis with everything that it is made of, and a degree for every leaf."""

Degree = Callable[[], NormalForm | None]
"""The degree along an axis, evaluated when called; ``None`` stands for zero everywhere."""


def zero() -> NormalForm | None:
    """The degree of what does not scale."""
    return None


def _parts(form: NormalForm, kind: str) -> tuple[NormalForm, ...]:
    return form.parts if isinstance(form, Compound) and form.kind == kind else (form,)


def join(kind: str, parts: Sequence[NormalForm]) -> NormalForm:
    """A concatenation or product in normal form: nested ones flattened, a cut first factor drawn outwards."""
    if kind == "prod":
        parts = [part for part in parts if part.size != 1] or list(parts[:1])
    small = [p for part in parts for p in _parts(part, kind)]
    if len(small) == 1:
        return small[0]
    if kind == "prod" and isinstance(small[0], Compound) and small[0].kind == "cat":
        return join("cat", [join("prod", [part, *small[1:]]) for part in small[0].parts])
    size = 1
    for part in small:
        size = size * part.size if kind == "prod" else size + part.size
    return Compound(kind, tuple(small), size if kind == "prod" else size - 1)


def normal_form(atom: Atom) -> NormalForm:
    """The normal form of an axis, with degree 0."""
    root = find(atom)
    if not root.parts:
        return Leaf(root, {}, root.size)
    return join(root.kind or "", [normal_form(part) for part in flat(root)])


def leaves(form: NormalForm) -> list[Leaf]:
    """The leaves of a normal form, in order."""
    return [form] if isinstance(form, Leaf) else [leaf for part in form.parts for leaf in leaves(part)]


def _map_leaves(form: NormalForm, change: Callable[[int, Leaf], LinearForm]) -> NormalForm:
    """A normal form with the degree ``change(number, leaf)`` on every leaf."""
    count = itertools.count()

    def fill(part: NormalForm) -> NormalForm:
        if isinstance(part, Leaf):
            return Leaf(part.atom, change(next(count), part), part.size)
        return Compound(part.kind, tuple(map(fill, part.parts)), part.size)

    return fill(form)


def unknown(atom: Atom, name: int) -> Degree:
    """An unknown degree: one unknown for every leaf that the axis turns out to have."""
    return lambda: _map_leaves(normal_form(atom), lambda at, _: {(name, at): Fraction(1)})


def substitute(form: NormalForm, degree: LinearForm, index: int) -> NormalForm:
    """A degree of an axis on the leaves that the axis has where another one is held at an index."""
    return _map_leaves(form, lambda at, _: {(*name, index, at): k for name, k in degree.items()})


def total(terms: Sequence[tuple[Fraction | int, Degree]]) -> Degree:
    """Σ coefficient · degree of arrays that share an axis."""
    terms = [(c, degree) for c, degree in terms if degree is not zero]
    if not terms:
        return zero
    if len(terms) == 1 and terms[0][0] == 1:
        return terms[0][1]

    def evaluate() -> NormalForm | None:
        forms = [_scaled(form, Fraction(c)) for c, degree in terms if (form := degree()) is not None]
        result: NormalForm | None = forms[0] if forms else None
        for form in forms[1:]:
            result = _added(result, form)
        return result

    return evaluate


def _scaled(form: NormalForm, c: Fraction) -> NormalForm:
    return _map_leaves(form, lambda _, leaf: {name: c * k for name, k in leaf.form.items()})


def _added(a: NormalForm | None, b: NormalForm | None) -> NormalForm | None:
    """The sum of two degrees of one axis."""
    if a is None or b is None:
        return a or b
    if isinstance(a, Leaf) and isinstance(b, Leaf):
        form = dict(a.form)
        for name, k in b.form.items():
            form[name] = form.get(name, Fraction(0)) + k
        return Leaf(a.atom, {name: k for name, k in form.items() if k}, a.size)
    a, b = _alike(a, b)
    if isinstance(a, Compound) and isinstance(b, Compound) and _structure(a) == _structure(b):
        parts = [_added(x, y) for x, y in zip(a.parts, b.parts, strict=True)]
        return Compound(a.kind, tuple(part for part in parts if part is not None), a.size)
    return None  # structures differ only where everything is pinned


def _structure(form: Compound) -> tuple[str, list[int]]:
    return form.kind, [part.size for part in form.parts]


def _alike(a: NormalForm, b: NormalForm) -> tuple[NormalForm, NormalForm]:
    """Where one is a product of rows and the other lists them, list both."""
    if isinstance(a, Compound) and isinstance(b, Compound):
        if a.kind == "prod" and b.kind == "cat":
            return _rows(a), b
        if a.kind == "cat" and b.kind == "prod":
            return a, _rows(b)
    return a, b


def _rows(product: Compound) -> NormalForm:
    first, *rest = product.parts
    return join("cat", [join("prod", rest)] * first.size)


def chain(kind: str, parts: Sequence[tuple[Atom, Degree]]) -> Degree:
    """The degree of axes put side by side (``"cat"``) or merged into one (``"prod"``)."""
    if all(degree is zero for _, degree in parts):
        return zero
    return lambda: join(kind, [form if (form := degree()) is not None else normal_form(atom) for atom, degree in parts])


def section(degree: Degree, start: int, stop: int) -> Degree:
    """The degree of indices ``start … stop−1`` of an axis."""
    if degree is zero:
        return zero
    return lambda: None if (form := degree()) is None else _section(form, start, stop)


def _section(form: NormalForm, start: int, stop: int) -> NormalForm | None:
    if (start, stop) == (0, form.size):
        return form
    if isinstance(form, Leaf):
        return Leaf(form.atom, form.form, stop - start)
    if form.kind == "cat":
        taken: list[NormalForm] = []
        at = 0
        for part in form.parts:
            low, high = max(start - at, 0), min(stop - at, part.size)
            at += part.size
            if low < high:
                piece = _section(part, low, high)
                if piece is None:
                    return None
                taken.append(piece)
        return join("cat", taken)
    inner = form.size // form.parts[0].size
    if start % inner or stop % inner:
        return None
    rows = _section(form.parts[0], start // inner, stop // inner)
    rest = list(form.parts[1:])
    return join("prod", [rows, *rest] if rows is not None else rest)


def factor(degree: Degree, inner: int, which: int) -> Degree:
    """The degree of the outer (0) or inner (1) factor of an axis that is split as ``outer × inner``."""
    if degree is zero:
        return zero
    return lambda: None if (form := degree()) is None else _factors(form, inner)[which]


def _factors(form: NormalForm, inner: int) -> tuple[NormalForm | None, NormalForm | None]:
    if inner == 1:
        return form, None
    if inner == form.size:
        return None, form
    if isinstance(form, Compound) and form.kind == "cat":
        return None, _section(form, 0, inner)
    outer = list(form.parts) if isinstance(form, Compound) else [form]
    taken: list[NormalForm] = []
    size = 1
    while size < inner and outer:
        taken.insert(0, outer.pop())
        size *= taken[0].size
    if size != inner:
        return None, None
    return (join("prod", outer) if outer else None), join("prod", taken)
