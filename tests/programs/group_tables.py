"""Tables of small groups, from permutations and matrices, independent of the package."""

import itertools

import numpy as np


def from_elements(elements, product):
    place = {element: i for i, element in enumerate(elements)}
    return np.array([[place[product(a, b)] for b in elements] for a in elements])


def compose(a, b):
    return tuple(a[i] for i in b)


def is_even(permutation):
    return sum(a > b for a, b in itertools.combinations(permutation, 2)) % 2 == 0


def alternating(n):
    return from_elements([g for g in itertools.permutations(range(n)) if is_even(g)], compose)


def product(*sizes):
    elements = list(itertools.product(*map(range, sizes)))
    return from_elements(elements, lambda a, b: tuple((x + y) % m for x, y, m in zip(a, b, sizes, strict=True)))


def quaternions():
    """Q8 as ±1, ±i, ±j, ±k."""
    signs = {(1, 2): (1, 3), (2, 3): (1, 1), (3, 1): (1, 2), (2, 1): (-1, 3), (3, 2): (-1, 1), (1, 3): (-1, 2)}

    def times(a, b):
        if a[1] == 0 or b[1] == 0:
            return a[0] * b[0], a[1] + b[1]
        sign, axis = (-1, 0) if a[1] == b[1] else signs[a[1], b[1]]
        return a[0] * b[0] * sign, axis

    return from_elements([(s, axis) for axis in range(4) for s in (1, -1)], times)
