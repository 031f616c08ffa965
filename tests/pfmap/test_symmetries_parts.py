"""The pieces of the derivation: axes, equations."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from allroads.pfmap.symmetries.axes import Atom, atoms_of, compound, cut, find, is_pinned, pin, split, unify
from allroads.pfmap.symmetries.degrees import Leaf, leaves, normal_form
from allroads.pfmap.symmetries.solve import in_span, null_space


def labelled(atom):
    """The axis spelled out: for every index the atoms and the indices in them."""
    tree = normal_form(atom)

    def spell(part):
        if isinstance(part, Leaf):
            return [((id(find(part.atom)), i),) for i in range(part.size)]
        if part.kind == "cat":
            return [label for p in part.parts for label in spell(p)]
        return [sum(labels, ()) for labels in itertools.product(*map(spell, part.parts))]

    return spell(tree)


def without_ones(atom):
    """The labels without the atoms of a single index, which tell nothing apart inside a product."""
    sizes = {id(find(leaf.atom)): leaf.size for leaf in leaves(normal_form(atom))}
    return [tuple(part for part in label if sizes[part[0]] > 1) or label for label in labelled(atom)]


@settings(deadline=None)
@given(st.integers(0, 10**6))
@example(122_232)  # one of them spells an atom of one index
def test_unified_axes_are_spelled_alike(seed):
    rng = np.random.default_rng(seed)

    def random_axis(size):
        """An axis cut, split and put together again at random."""
        atom = Atom(size)
        for _ in range(rng.integers(0, 4)):
            parts = [find(part) for part in atoms_of(atom)]
            part = parts[rng.integers(len(parts))]
            divisors = [d for d in range(2, part.size) if part.size % d == 0]
            if divisors and rng.random() < 0.6:
                split(part, int(rng.choice(divisors)))
            elif part.size > 1:
                cut(part, int(rng.integers(1, part.size)))
        return atom

    a, b = random_axis(24), random_axis(24)
    unify(a, b)
    assert a.size == b.size == len(labelled(a)) == len(labelled(b))
    free = [leaf for axis in (a, b) for leaf in leaves(normal_form(axis)) if not is_pinned(leaf.atom)]
    if free and not any(is_pinned(leaf.atom) for axis in (a, b) for leaf in leaves(normal_form(axis))):
        assert without_ones(a) == without_ones(b)


def test_gates_side_by_side_against_rows_of_a_matrix():
    width = Atom(5)
    gates, rows = compound("cat", [width] * 3), Atom(15)
    outer, inner = split(rows, 5)
    unify(rows, gates)
    assert find(inner) is find(width) and outer.size == 3
    assert len({label[-1] for label in labelled(gates)}) == 5


def test_factors_that_do_not_divide_each_other_are_pinned():
    a, b = Atom(12), Atom(12)
    split(a, 4), split(b, 6)
    unify(a, b)
    assert labelled(a) == labelled(b) or (is_pinned(a) and is_pinned(b))
    c, d = Atom(36), Atom(36)
    split(c, 4), split(d, 9)
    unify(c, d)
    assert is_pinned(c) and is_pinned(d)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_pinned_with_free_is_pinned_whichever_comes_first(order):
    pair = [pin(Atom(4), "inputs"), Atom(4)]
    unify(pair[order[0]], pair[order[1]])
    assert is_pinned(pair[0]) and is_pinned(pair[1])


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(-1, 1), min_size=4, max_size=4), max_size=5))
def test_signs_solve_their_equations_against_all_sixteen(rows):
    names = "abcd"
    equations = [{n: Fraction(v) for n, v in zip(names, row, strict=True) if v} for row in rows]
    basis = null_space(equations, list(names), 2)
    spanned = {
        tuple(sum(c * way.get(n, 0) for c, way in zip(chosen, basis, strict=True)) % 2 for n in names)
        for chosen in itertools.product((0, 1), repeat=len(basis))
    }
    true = {
        values
        for values in itertools.product((0, 1), repeat=4)
        if all(sum(v * x for v, x in zip(row, values, strict=True)) % 2 == 0 for row in rows)
    }
    assert spanned == true and len(spanned) == 2 ** len(basis)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(-2, 2), min_size=4, max_size=4), max_size=5))
def test_scales_solve_their_equations_against_the_rank(rows):
    names = "abcd"
    equations = [{n: Fraction(v) for n, v in zip(names, row, strict=True) if v} for row in rows]
    basis = null_space(equations, list(names), None)
    matrix = np.array(rows, float).reshape(-1, 4)
    assert len(basis) == 4 - np.linalg.matrix_rank(matrix)
    for way in basis:
        assert not (matrix @ [way.get(n, 0) for n in names]).any()
        assert in_span(way, basis, None)
    assert not in_span({"e": 1}, basis, None)


def test_unknowns_that_are_not_asked_for_are_eliminated():
    one = Fraction(1)
    assert null_space([{"a": one, "state": -one}, {"b": one, "state": one}], ["a", "b"], None) == [{"a": 1, "b": -1}]
    assert null_space([{"a": Fraction(2), "b": one}], ["a", "b"], None) == [{"a": 1, "b": -2}]
