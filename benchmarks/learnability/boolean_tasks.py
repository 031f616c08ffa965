"""Balanced Boolean functions of eight bits, of every family that theory speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from allroads.targets.rules import RULES, all_bits
from allroads.targets.tomita import TOMITA

from .task import Task, balanced, distinct, drawn, flipped, generator, median_signs, signs

BITS = 8
ROWS = all_bits(BITS)
X = signs(ROWS)
"""Inputs as signs: bit b stands for (−1)^b."""


def boolean_tasks() -> list[Task]:
    """All of them; a fixed function that is not balanced is left out, a random one is drawn again."""
    fixed = [*_spectral(), *_voting(), *_circuits(), *_symmetric(), *_arithmetic(), *_automata(), *_composed()]
    return distinct([*(task for task in fixed if balanced(task.labels)), *_random(), *_noisy()])


def _product(*variables: int) -> np.ndarray:
    return X[:, list(variables)].prod(axis=1)


def _terms(text: str) -> np.ndarray:
    """The sign of a sum of monomials such as ``"0+01+012"``."""
    return np.sign(sum(_product(*map(int, monomial)) for monomial in text.split("+")))


def _rule(rule: str, **options: object) -> np.ndarray:
    return signs(RULES[rule](ROWS, **options))


def _spectral() -> Iterator[Task]:
    for variables in (
        "2",
        "7",
        "01",
        "25",
        "46",
        "012",
        "356",
        "0123",
        "2456",
        "01234",
        "23456",
        "012345",
        "1234567",
        "01234567",
    ):
        yield Task(f"parity {variables}", "parity", _product(*map(int, variables)))
    for text in ("0+01+012", "6+65+654", "2+23+234+2345+23456", "0+01+012+0123+01234+012345+0123456"):
        yield Task(f"staircase {text}", "staircase", _terms(text))
    for text in (
        "0+12+345",
        "0+123+456",
        "0+012+01234",
        "01+23+45",
        "012+234+456",
        "0+1234+56",
        "01+012+34",
        "123+456+0",
    ):
        if (_terms(text) != 0).all():
            yield Task(f"leap {text}", "leap", _terms(text))


def _voting() -> Iterator[Task]:
    for variables in ((0, 1, 2), (3, 4, 6), (0, 1, 2, 3, 4), (2, 3, 4, 5, 6), (0, 1, 2, 3, 4, 5, 6)):
        name = "".join(map(str, variables))
        yield Task(f"majority {name}", "majority", _rule("majority", variables=variables))
    yield Task("majority 01234 xor 5", "majority", _rule("majority", variables=(0, 1, 2, 3, 4)) * X[:, 5])
    yield Task("majority 012 xor 3456", "majority", _rule("majority", k=3) * _product(3, 4, 5, 6))
    for weights in (
        (4, 2, 2, 1, 1, 1, 1, 1),
        (8, 4, 2, 1, 1, 1, 2, 2),
        (3, 3, 2, 2, 2, 1, 1, 1),
        (2, -1, 1, -1, 1, -1, 1, -1),
    ):
        values = np.sign(X @ np.array(weights, float))
        yield Task(f"threshold {','.join(map(str, weights))}", "threshold", values)
    for index in range(5):
        name = f"threshold {index}"
        values = np.sign(X @ generator(name).standard_normal(BITS))
        yield Task(name, "threshold", values)


def _circuits() -> Iterator[Task]:
    yield Task("mux 0?2:1", "mux", np.where(ROWS[:, 0], X[:, 2], X[:, 1]))
    yield Task("mux 6?0:5", "mux", np.where(ROWS[:, 6], X[:, 0], X[:, 5]))
    yield Task("mux address 2", "mux", _rule("mux", address=2))
    yield Task("mux address 2 xor 6", "mux", _rule("mux", address=2) * X[:, 6])
    yield Task("mux 0?12:34", "mux", np.where(ROWS[:, 0], _product(1, 2), _product(3, 4)))
    yield Task("mux 01?23:456", "mux", np.where(_product(0, 1) < 0, _product(2, 3), _product(4, 5, 6)))
    pairs = (ROWS[:, 0] & ROWS[:, 1]) ^ (ROWS[:, 2] & ROWS[:, 3]) ^ (ROWS[:, 4] & ROWS[:, 5])
    yield Task("inner product 01,23,45 xor 6", "bent", signs(pairs ^ ROWS[:, 6]))
    yield Task(
        "inner product 01,23 xor 4", "bent", signs((ROWS[:, 0] & ROWS[:, 1]) ^ (ROWS[:, 2] & ROWS[:, 3]) ^ ROWS[:, 4])
    )
    yield Task("and 01 xor 2", "bent", signs((ROWS[:, 0] & ROWS[:, 1]) ^ ROWS[:, 2]))
    yield Task("and 012 xor 3", "bent", signs((ROWS[:, 0] & ROWS[:, 1] & ROWS[:, 2]) ^ ROWS[:, 3]))


def _symmetric() -> Iterator[Task]:
    count = ROWS.sum(axis=1)
    for accepted in (
        (0, 1, 4, 5, 8),
        (3, 4),
        (1, 2, 5, 6),
        (0, 3, 4, 7),
        (2, 5, 7),
        (3, 5, 6),
        (0, 4, 5, 8),
        (2, 4, 8),
        (3, 5),
    ):
        yield Task(f"count in {''.join(map(str, accepted))}", "symmetric", signs(np.isin(count, accepted)))


def _arithmetic() -> Iterator[Task]:
    places = 1 << np.arange(3)
    a, b, carry = ROWS[:, :3] @ places, ROWS[:, 3:6] @ places, ROWS[:, 6].astype(int)
    number = ROWS @ (1 << np.arange(BITS))
    tables = {
        "a + b + c, bit 0": (a + b + carry) & 1,
        "a + b + c, bit 1": (a + b + carry) >> 1 & 1,
        "a + b + c, bit 2": (a + b + carry) >> 2 & 1,
        "a + b + c, bit 3": (a + b + carry) >> 3 & 1,
        "a · b, bit 2": (a * b) >> 2 & 1,
        "a · b + c, bit 0": (a * b + carry) & 1,
        "a · b + c, bit 1": (a * b + 2 * carry) >> 1 & 1,
        "a > b, c breaks ties": np.where(a == b, carry, a > b),
        "a² + b, bit 2": (a * a + b) >> 2 & 1,
        "x · 37 mod 256, bit 7": (number * 37) >> 7 & 1,
        "x², bit 4": (number * number) >> 4 & 1,
        "gray code, bit 3": (number ^ number >> 1) >> 3 & 1,
    }
    for name, table in tables.items():
        yield Task(name, "arithmetic", signs(table))


def _automata() -> Iterator[Task]:
    def accepted(step: object, state: object) -> np.ndarray:
        table = []
        for row in ROWS.astype(int):
            now, output = state, 0
            for bit in row:
                now, output = step(now, bit)
            table.append(output)
        return signs(np.array(table))

    for number, language in TOMITA.items():
        values = accepted(language.step, 0)
        yield Task(f"tomita {number}", "automaton", values)
        yield Task(f"tomita {number} xor last", "automaton", values * X[:, -1])
    for states, wanted in ((3, 4), (4, 4)):
        for index in range(wanted):
            name = f"automaton {states} states {index}"
            rng = generator(name)
            while True:
                table, output = rng.integers(states, size=(states, 2)), rng.integers(2, size=states)
                values = accepted(lambda s, x, t=table, o=output: (int(t[s, x]), int(o[t[s, x]])), 0)
                if balanced(values) and _used(values) >= 4:
                    break
            yield Task(name, "automaton", values)


def _composed() -> Iterator[Task]:
    majority = _rule("majority", k=3)
    yield Task("majority of parities 01,23,45", "composed", np.sign(_product(0, 1) + _product(2, 3) + _product(4, 5)))
    yield Task("majority of parities 012,345,6", "composed", np.sign(_product(0, 1, 2) + _product(3, 4, 5) + X[:, 6]))
    yield Task("parity of majorities 012,456", "composed", majority * _rule("majority", variables=(4, 5, 6)))
    yield Task(
        "majority of majorities", "composed", np.sign(majority + _rule("majority", variables=(3, 4, 5)) + X[:, 6])
    )
    yield Task(
        "if 012 agree then 34 else 56",
        "composed",
        np.where(np.abs(X[:, :3].sum(1)) == 3, _product(3, 4), _product(5, 6)),
    )
    yield Task("longest run of ones above 2", "composed", signs(_longest_run(ROWS) >= 2))
    yield Task("changes along the bits are odd", "composed", signs((ROWS[:, 1:] ^ ROWS[:, :-1]).sum(1) % 2))
    yield Task(
        "changes along the bits above 3",
        "composed",
        np.sign((ROWS[:, 1:] ^ ROWS[:, :-1]).sum(1) + 0.5 * ROWS[:, 0] - 3.25),
    )
    yield Task("more pairs 11 than 00", "composed", np.sign(_pairs(True) - _pairs(False) + 0.5 * X[:, 3]))


def _longest_run(rows: np.ndarray) -> np.ndarray:
    best = run = np.zeros(len(rows), int)
    for column in rows.T:
        run = np.where(column, run + 1, 0)
        best = np.maximum(best, run)
    return best


def _pairs(bit: bool) -> np.ndarray:
    return sum((ROWS[:, a] == bit) & (ROWS[:, b] == bit) for a, b in pairwise(range(BITS))).astype(float)


def _random() -> Iterator[Task]:
    yield from drawn("tree depth 3", "tree", 4, lambda rng: _tree(rng, 3))
    yield from drawn("tree depth 4", "tree", 3, lambda rng: _tree(rng, 4))
    yield from drawn("tree depth 5", "tree", 3, lambda rng: _tree(rng, 5))
    yield from drawn("formula", "formula", 6, _formula)
    yield from drawn("dnf", "dnf", 4, _dnf)
    for k, count in ((3, 3), (4, 4), (5, 4)):
        for index in range(count):
            name = f"junta {k} of 8, {index}"
            yield Task(name, "junta", _rule("junta", k=k, function_seed=100 * k + index))
    for degree in (2, 3):
        yield from drawn(
            f"polynomial degree {degree}", "polynomial", 4, lambda rng, d=degree: median_signs(_polynomial(rng, d))
        )
    for index in range(8):
        yield Task(f"random {index}", "random", _rule("random", function_seed=index))


def _noisy() -> Iterator[Task]:
    clean = {"majority": _rule("majority", k=7), "parity 01": _product(0, 1), "bit 3": X[:, 3]}
    for name, values in clean.items():
        for percent in (6, 25):
            full = f"{name}, {percent} % flipped"
            yield Task(full, "noisy", flipped(values, percent / 100, generator(full)))


def _used(values: np.ndarray) -> int:
    """How many bits a function depends on."""
    index = np.arange(len(values))
    return sum(bool((values != values[index ^ (1 << i)]).any()) for i in range(BITS))


def _tree(rng: np.random.Generator, depth: int) -> np.ndarray:
    def grow(free: list[int], depth: int) -> np.ndarray:
        if depth == 0:
            return np.full(len(X), rng.choice((-1.0, 1.0)))
        variable = rng.choice(free)
        rest = [v for v in free if v != variable]
        return np.where(ROWS[:, variable], grow(rest, depth - 1), grow(rest, depth - 1))

    values = grow(list(range(BITS)), depth)
    return values if _used(values) >= depth else np.ones(len(X))


def _formula(rng: np.random.Generator) -> np.ndarray:
    """A read-once formula of and, or, xor over all bits in random order."""
    parts = [ROWS[:, i] ^ bool(rng.integers(2)) for i in rng.permutation(BITS)]
    while len(parts) > 1:
        i = int(rng.integers(len(parts) - 1))
        operation = (np.logical_and, np.logical_or, np.logical_xor)[rng.integers(3)]
        parts[i : i + 2] = [operation(parts[i], parts[i + 1])]
    return signs(parts[0])


def _dnf(rng: np.random.Generator) -> np.ndarray:
    """A disjunction of four conjunctions of two or three literals."""
    table = np.zeros(len(ROWS), bool)
    for _ in range(4):
        chosen = rng.choice(BITS, rng.integers(2, 4), replace=False)
        table |= (ROWS[:, chosen] ^ rng.integers(2, size=len(chosen)).astype(bool)).all(axis=1)
    return signs(table)


def _polynomial(rng: np.random.Generator, degree: int) -> np.ndarray:
    """A real polynomial of the signs with normal coefficients on all monomials up to the degree."""
    sets = [s for s in range(1, 2**BITS) if s.bit_count() <= degree]
    return sum(rng.standard_normal() * _product(*(i for i in range(BITS) if s >> i & 1)) for s in sets)
