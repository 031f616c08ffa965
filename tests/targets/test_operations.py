"""Arithmetic modulo p and finite operations."""

import itertools

import numpy as np
import pytest

from allroads.errors import InputError
from allroads.targets.groups import FAMILIES, dihedral, group, symmetric
from allroads.targets.magma import associativity_failure, properties
from allroads.targets.modular import modular


def properties_by_search(table):
    n = len(table)
    elements = range(n)
    t = table.tolist()
    neutral = [e for e in elements if all(t[e][x] == x == t[x][e] for x in elements)]
    associative = all(t[t[a][b]][c] == t[a][t[b][c]] for a, b, c in itertools.product(elements, repeat=3))
    inverses = bool(neutral) and all(any(t[a][b] == neutral[0] == t[b][a] for b in elements) for a in elements)
    latin = all(len(set(line)) == n for line in [*t, *zip(*t, strict=True)])
    commutative = all(t[a][b] == t[b][a] for a, b in itertools.product(elements, repeat=2))
    is_group = associative and inverses
    return {
        "order": n,
        "commutative": commutative,
        "associative": associative,
        "latin_square": latin,
        "identity": neutral[0] if neutral else None,
        "group": is_group,
        "abelian": is_group and commutative,
    }


@pytest.mark.parametrize("n", [2, 3])
def test_laws_of_small_operations_by_search(n):
    tables = itertools.product(range(n), repeat=n * n)
    for entries in itertools.islice(tables, 0, None, 1 if n == 2 else 37):
        table = np.array(entries).reshape(n, n)
        assert properties(table) == properties_by_search(table)


@pytest.mark.parametrize(("family", "n"), [("cyclic", 6), ("dihedral", 4), ("symmetric", 3), ("symmetric", 4)])
def test_families_are_groups(family, n):
    table = FAMILIES[family][0](n)
    assert properties(table) == properties_by_search(table)
    assert properties(table)["group"]
    assert properties(table)["abelian"] == (family == "cyclic")


def test_symmetric_is_composition():
    permutations = list(itertools.permutations(range(4)))
    table = symmetric(4)
    for a, b in itertools.product(range(24), repeat=2):
        composed = tuple(permutations[a][permutations[b][i]] for i in range(4))
        assert permutations[table[a, b]] == composed


def test_dihedral_acts_on_the_corners():
    n = 5

    def act(element, corner):
        turn, mirror = element % n, element // n
        return (turn + (-corner if mirror else corner)) % n

    table = dihedral(n)
    for a, b, corner in itertools.product(range(2 * n), range(2 * n), range(n)):
        assert act(table[a, b], corner) == act(a, act(b, corner))


def test_five_elements_permuted():
    target = group(family="symmetric", n=5, train_size=2000, held_out_size=100)
    assert target.interface.outputs == target.interface.vocabulary == 120
    assert target.truth["order"] == 120 and target.truth["group"] and not target.truth["abelian"]


POLYNOMIALS = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a*b": lambda a, b: a * b,
    "a**2 + a*b + b**2": lambda a, b: a**2 + a * b + b**2,
    "-(a + 3)*b**3 + 5": lambda a, b: -(a + 3) * b**3 + 5,
    "+a - -b": lambda a, b: a + b,
    "(a + b)**40": lambda a, b: (a + b) ** 40,
}


@pytest.mark.parametrize("text", POLYNOMIALS)
@pytest.mark.parametrize("p", [2, 7, 12])
def test_polynomials_by_python_integers(text, p):
    values = [POLYNOMIALS[text](a, b) % p for a, b in itertools.product(range(p), repeat=2)]
    target = modular(p=p, polynomial=text, train_fraction=1)
    assert target.full.labels.tolist() == values
    assert target.full.inputs.tolist() == [list(pair) for pair in itertools.product(range(p), repeat=2)]
    table = np.array(values).reshape(p, p)
    assert {k: target.truth[k] for k in properties(table)} == properties_by_search(table)


def test_addition_mod_53():
    target = modular(p=53)
    assert target.interface.input_shape == (2,) and target.interface.vocabulary == target.interface.outputs == 53
    assert (len(target.train), len(target.held_out), len(target.full)) == (1404, 1405, 2809)
    assert target.loss == "cross_entropy" and target.truth["abelian"]
    assert target.function([50, 7]) == 4


def test_laws_that_tell_polynomials_apart():
    assert modular(p=7, polynomial="a - b").truth["latin_square"]
    assert not modular(p=7, polynomial="a - b").truth["associative"]
    assert not modular(p=7, polynomial="a*b").truth["latin_square"]
    assert modular(p=7, polynomial="a*b").truth["identity"] == 1
    assert modular(p=7, polynomial="a + b + a*b").truth["associative"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 1}, r"p: expected an integer in 2 … 1024, got 1"),
        ({"p": 7.0}, "p: expected"),
        ({"p": 7, "polynomial": "a/b"}, r"'a / b' is not allowed"),
        ({"p": 7, "polynomial": "a^b"}, "not allowed"),
        ({"p": 7, "polynomial": "a**b"}, "exponent 'b'"),
        ({"p": 7, "polynomial": "a**-1"}, "exponent"),
        ({"p": 7, "polynomial": "a**99999999999"}, "exponent"),
        ({"p": 7, "polynomial": "a + c"}, "'c' is not allowed"),
        ({"p": 7, "polynomial": "__import__('os')"}, "not allowed"),
        ({"p": 7, "polynomial": "a +"}, "cannot be read"),
        ({"p": 7, "polynomial": "1.5*a"}, "'1.5' is not allowed"),
        ({"p": 7, "polynomial": "True*a"}, "not allowed"),
        ({"p": 7, "polynomial": "(" * 300 + "a" + ")" * 300}, "cannot be read|nested"),
        ({"p": 7, "polynomial": "7*a + 3"}, "every answer is 3: one class only"),
    ],
)
def test_bad_polynomials(options, message):
    with pytest.raises(InputError, match=message):
        modular(**options)


KLEIN = [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]


def test_a_users_own_table():
    assert group(table=KLEIN).truth["abelian"]
    free = group(table=[[0, 1], [1, 1]], group=False, train_fraction=1)
    assert not free.truth["group"] and free.full.labels.tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either family and n, or table"),
        ({"family": "cyclic", "n": 3, "table": KLEIN}, "either"),
        ({"family": "cyclical", "n": 3}, "did you mean 'cyclic'"),
        ({"family": "cyclic"}, "n of the cyclic group"),
        ({"family": "symmetric", "n": 7}, r"2 … 6, got 7"),
        ({"table": KLEIN, "n": 4}, "Drop n"),
        ({"table": KLEIN[:3]}, r"shape \(3, 4\)"),
        ({"table": [[0, 1], [1, 2]]}, r"entries 0 … 2"),
        ({"table": [[0, 1], [1]]}, "one shape"),
        ({"table": [[0, 1], [0, 0]]}, "no group: \\(1∘0\\)∘1"),
        ({"table": [[0, 1], [1, 1]]}, "no inverse"),
        ({"table": [[0, 0], [1, 1]]}, "no identity"),
        ({"table": [[0, 0], [0, 0]], "group": False}, "one class only"),
        ({"table": KLEIN, "group": "no"}, "group: expected true or false"),
    ],
)
def test_bad_groups(options, message):
    with pytest.raises(InputError, match=message):
        group(**options)


def test_a_failing_triple_is_one():
    table = (np.arange(5)[:, None] - np.arange(5)) % 5
    x, g, y = associativity_failure(table)
    assert table[table[x, g], y] != table[x, table[g, y]]


def test_one_hot_labels_are_rows_of_the_same_answers():
    plain, rows = modular(p=5, polynomial="a*b + 1"), modular(p=5, polynomial="a*b + 1", one_hot=True)
    assert (rows.loss, rows.interface.outputs, rows.interface.per_position) == ("mse", 5, False)
    np.testing.assert_array_equal(rows.full.labels.argmax(axis=1), plain.full.labels)
    np.testing.assert_array_equal(rows.full.labels.sum(axis=1), 1)
    np.testing.assert_array_equal(rows.train.inputs, plain.train.inputs)
    assert modular(p=2, one_hot=True).train.labels.ndim == 2
    with pytest.raises(InputError, match="one_hot"):
        modular(p=5, one_hot="yes")
