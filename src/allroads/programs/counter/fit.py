"""The shortest counters that give the answers of a tree of words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from allroads.programs.counter.index import counters, places, term_bits, variables
from allroads.programs.counter.tree import Tree
from allroads.programs.piecewise.enumerate import grown, matches
from allroads.programs.piecewise.term import Term, number_bits

HEADS = ("+", "-", "min", "max", "abs", "<", "==")
LATCHES = 8
"""Most latches whose answers are looked for."""

FORMS = 24
"""Most sets of counters whose terms are looked for."""

FEW = 3000
"""Words on which a latch is tried first."""


@dataclass(frozen=True)
class Latch:
    """``form · counts`` compared with a number: ``<`` and ``>`` it, or ``==``; then the answer is fixed."""

    form: tuple[int, ...]
    head: str
    number: int
    answer: int

    def sets(self, counts: np.ndarray) -> np.ndarray:
        """Where it is set, given counts ``[n, r]``."""
        value = counts @ np.array(self.form)
        found: np.ndarray = (
            value < self.number
            if self.head == "<"
            else (value > self.number if self.head == ">" else (value == self.number))
        )
        return found

    def term(self, name: str) -> Term:
        """The same as a term of a counter."""
        if self.head == ">":
            return Term("<", (Term(self.number), Term(name)))
        return Term(self.head, (Term(name), Term(self.number)))

    @property
    def bits(self) -> float:
        """Length in bits, for the order of the search."""
        return sum(map(number_bits, self.form)) + number_bits(self.number)


@dataclass(frozen=True)
class Fit:
    """Counters over the letters of a tree: forms ``[k][r]``, the answer and the latch in their names."""

    forms: tuple[tuple[int, ...], ...]
    answer: Term
    latch: Latch | None

    @property
    def bits(self) -> float:
        """Length in bits, for the choice among fits."""
        steps = sum(number_bits(v) for form in self.forms for v in form)
        return steps + term_bits(self.answer, len(self.forms)) + (0 if self.latch is None else self.latch.bits)


def fits(tree: Tree) -> Iterator[Fit]:
    """Counters whose answers are those of the tree, the shortest first.

    A latch is looked for only where answers do not depend on the counts of the letters alone.

    When it fails: counters have steps of size at most 2, answers at most four leaves, latches compare with −3 … 3.
    """
    found = []
    for latch in _latches(tree):
        table = _table(tree, latch)
        if table is not None:
            found += [Fit(forms, answer, latch) for forms, answer in _answers(*table, latch)]
    yield from sorted(found, key=lambda fit: (fit.bits, str(fit)))


def _table(tree: Tree, latch: Latch | None, deepest: int | None = None) -> tuple[np.ndarray, np.ndarray] | None:
    """Counts ``[n, r]`` of words that are not latched, and their answers; ``None`` where words of one count differ."""
    r, dead = len(tree.letters), np.zeros(1, bool)
    base = (tree.length + 1) ** np.arange(r)
    known: dict[str, list[np.ndarray]] = {"counts": [], "answers": []}
    for level, answers in enumerate(tree.answers[:deepest], start=1):
        counts = tree.counts(level)
        dead = np.repeat(dead, r)
        if latch is not None:
            dead = dead | latch.sets(counts)
            if (answers[dead] != latch.answer).any():
                return None
        alive = np.flatnonzero(~dead)
        _, first, inverse = np.unique(counts[alive] @ base, return_index=True, return_inverse=True)
        if (answers[alive][first][inverse] != answers[alive]).any():
            return None
        known["counts"].append(counts[alive[first]])
        known["answers"].append(answers[alive[first]])
    return np.concatenate(known["counts"]), np.concatenate(known["answers"])


def _latches(tree: Tree) -> list[Latch | None]:
    """No latch where none is needed, else latches under which answers depend on counts alone, the shortest first."""
    r = len(tree.letters)
    few = max(1, sum(1 for t in range(1, tree.length + 1) if sum(r**i for i in range(1, t + 1)) <= FEW))
    if _table(tree, None, few) is not None and _table(tree, None) is not None:
        return [None]
    symbols = np.unique(np.concatenate(tree.answers[:few])).tolist()
    tried = [
        Latch(form, head, number, answer)
        for form in _forms(r, 2 if r < 4 else 1)
        for head in ("<", ">", "==")
        for number in range(-3, 4)
        for answer in symbols
        if head == "==" or (number <= 0 if head == "<" else number >= 0)
    ]
    found: list[Latch | None] = []
    for latch in sorted(tried, key=lambda one: (one.bits, one.head, one.number)):
        if _table(tree, latch, few) is not None and _table(tree, latch) is not None:
            found.append(latch)
            if len(found) == LATCHES:
                break
    return found


def _forms(r: int, largest: int) -> list[tuple[int, ...]]:
    """Steps of a counter up to a size, the first that is not 0 positive, shortest first."""
    sizes = range(-largest, largest + 1)
    made = [form for form in itertools.product(sizes, repeat=r) if next((v for v in form if v), 0) > 0]
    return sorted(made, key=lambda form: (sum(map(number_bits, form)), [-v for v in form]))


def _answers(
    counts: np.ndarray, answers: np.ndarray, latch: Latch | None
) -> Iterator[tuple[tuple[tuple[int, ...], ...], Term]]:
    """Sets of counters on which the answers depend, each with its shortest answer that was found."""
    r = counts.shape[1]
    forms = _forms(r, 2 if r < 4 else 1)
    single = [(form,) for form in forms if _decides(counts @ np.array([form]).T, answers)][:FORMS]
    if latch is not None and (latch.form,) in single:
        single = [(latch.form,), *(s for s in single if s != (latch.form,))]
    sets: list[tuple[tuple[int, ...], ...]] = [*single]
    if r > 1:
        sets.append(tuple(tuple(int(i == j) for j in range(r)) for i in range(r)))
    if not single and r > 1:
        near = forms[: 40 if r < 5 else 0]
        pairs = (pair for pair in itertools.combinations(near, 2) if _decides(counts @ np.array(pair).T, answers))
        sets += list(itertools.islice(pairs, FORMS))
    for chosen in sets:
        values = counts @ np.array(chosen).T
        term = _shortest(values, answers)
        if term is not None:
            yield chosen, term


def _decides(values: np.ndarray, answers: np.ndarray) -> bool:
    """Whether answers are a function of values ``[n, k]``."""
    low = values - values.min(axis=0)
    key = low @ np.cumprod([1, *(low.max(axis=0)[:-1] + 1)])
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    return bool((answers[order][1:] == answers[order][:-1])[same].all())


def _shortest(values: np.ndarray, answers: np.ndarray) -> Term | None:
    """The shortest term of counters ``[n, k]`` that was found."""
    kept = np.unique(np.column_stack([values, answers]), axis=0)
    values, answers = kept[:, :-1], kept[:, -1]
    k = values.shape[1]
    here = variables(values.T)
    constants = [0, 1, 2]
    if k == 1:
        turns = np.flatnonzero(np.diff(answers))
        edges = sorted({int(v) for i in turns for v in (values[i, 0], values[i + 1, 0])})
        constants += edges if len(edges) <= 8 else []
    names = [*counters(k), *places(k)]
    atoms = [Term(name) for name in names] + [Term(c) for c in dict.fromkeys(constants)]
    rows = np.array([np.broadcast_to(atom.values(here), len(answers)) for atom in atoms])
    for leaves in (1, 2, 3, 4) if k == 1 else (1, 2, 3):
        levels = grown((atoms, rows), max(1, leaves - 1), HEADS, most=600 if leaves < 4 else 1200)
        found = list(itertools.islice(matches(levels, answers, leaves, HEADS), 200))
        if found:
            return min(found, key=lambda term: (term_bits(term, k), str(term)))
    return None
