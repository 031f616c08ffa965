"""Edit distance of terms."""

from __future__ import annotations

from allroads.programs.piecewise.term import SYMMETRIC, Term


def term_distance(a: Term | None, b: Term | None) -> float:
    """Nodes to be changed, removed or added from the root down; no term counts as one without nodes.

    Below an operation that both have, operands are compared in turn, those of symmetric operations in either order. A
    leaf for a leaf counts 1, and any other exchange all nodes of both.

    Example:
        >>> x, s = Term("x"), Term("s")
        >>> term_distance(Term("max", (x, s)), Term("max", (s, Term(0)))), term_distance(None, x)
        (1.0, 1.0)
    """
    if a == b:
        return 0.0
    if a is None or b is None:
        return float(sum(len(term.parts()) for term in (a, b) if term is not None))
    if not a.args and not b.args:
        return 1.0
    whole = float(len(a.parts()) + len(b.parts()))
    if a.head != b.head:
        return whole
    pairs = [list(zip(a.args, b.args, strict=True))]
    if a.head in SYMMETRIC:
        pairs.append(list(zip(a.args, b.args[::-1], strict=True)))
    return min(whole, *(sum(term_distance(p, q) for p, q in pair) for pair in pairs))
