"""The shortest piecewise-linear recurrence that gives a network's answers to sequences."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from allroads.programs.mealy.rule import named
from allroads.programs.piecewise.enumerate import BINARY, grown, matches
from allroads.programs.piecewise.features import Feature, features
from allroads.programs.piecewise.recurrence import Piecewise, Register
from allroads.programs.piecewise.term import Term

HEADS = (*BINARY, "abs")

LEAVES = 4
"""Most leaves of an answer."""

POINTS = 160
"""Points at which answers are enumerated."""

SURVIVORS = 10
"""Most sets of registers whose answers are looked for."""

PAIRED = 48
"""Registers of which pairs are tried."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Sequences ``[N, T, D]`` and answers ``[N, T]``, with the range of inputs."""

    inputs: np.ndarray
    answers: np.ndarray
    low: int
    high: int

    @property
    def constants(self) -> tuple[int, ...]:
        """Numbers that may stand in a term: small ones, and the ends of what is read and answered."""
        ends = (self.low, self.high, int(self.answers.min()), int(self.answers.max()))
        return tuple(dict.fromkeys((0, 1, 2, *ends)))


def search(examples: Examples) -> Iterator[Piecewise]:
    """Programs that give the answers: those without a register, with one, with two, and windows of three and four.

    Of each kind the shortest come first. Registers are kept as candidates where the answers are a function of them and
    the input; the shortest term of that function is then enumerated.

    Args:
        examples: Sequences, among them some with few values, so that values meet again.

    When it fails: registers whose update has more than three leaves, clips apart, or answers of more than four leaves.
    """
    yield from _found(examples, [()])
    known = features(examples.inputs, examples.constants, _starts(examples))
    alone = [(f,) for f in known]
    found = list(_found(examples, alone))
    yield from found
    if found:
        return
    windows = [_window(examples, k) for k in (2, 3)]
    near = [f for f in known if abs(f.register.start) in (0, abs(examples.low), abs(examples.high))][:PAIRED]
    pairs = sorted(itertools.combinations(near, 2), key=lambda pair: sum(f.bits for f in pair))
    yield from _found(examples, [*windows, *pairs])


def _starts(examples: Examples) -> tuple[int, ...]:
    return tuple(dict.fromkeys((0, 1, -1, examples.low, examples.high, *examples.constants)))


def _window(examples: Examples, k: int) -> tuple[Feature, ...]:
    """The last k inputs as registers, the oldest first, each reading the next one; of one channel."""
    found = []
    for lag in range(k, 0, -1):
        before = np.zeros(examples.answers.shape, np.int64)
        before[:, lag:] = examples.inputs[:, : examples.answers.shape[1] - lag, 0]
        after = np.zeros_like(before)
        after[:, lag - 1 :] = examples.inputs[:, : examples.answers.shape[1] - lag + 1, 0]
        name = Term(named("x", examples.inputs.shape[2])[0]) if lag == 1 else Term(f"s{k - lag + 1}")
        found.append(Feature(Register(0, name), before, after, 0.0))
    return tuple(found)


def _found(examples: Examples, sets: Sequence[tuple[Feature, ...]]) -> Iterator[Piecewise]:
    """Programs over given sets of registers, the shortest first."""
    flat = examples.inputs.reshape(-1, examples.inputs.shape[2])
    answers = examples.answers.ravel()
    tried = 0
    made: list[Piecewise] = []
    for chosen in sets:
        held = np.array([f.before.ravel() for f in chosen], np.int64).reshape(len(chosen), len(answers))
        if not _decides(np.concatenate([flat.T, held]), answers):
            continue
        tried += 1
        least = min((program.bits for program in made), default=np.inf)
        if tried > SURVIVORS or sum(f.bits for f in chosen) > least:
            break
        for fresh in itertools.product((False, True), repeat=len(chosen)) if len(chosen) < 3 else [(False,) * 3]:
            made += _answered(examples, chosen, fresh[: len(chosen)], made)
    yield from sorted(made, key=lambda program: (program.bits, program.source))


def _answered(
    examples: Examples, chosen: tuple[Feature, ...], fresh: tuple[bool, ...], made: Sequence[Piecewise]
) -> list[Piecewise]:
    """The shortest program with given registers, or none."""
    if any(f and len(r.register.update.variables & {"s0", "s1", "s2"}) for f, r in zip(fresh, chosen, strict=True)):
        return []
    ahead = {name for name, new in zip(named("s", len(chosen)), fresh, strict=True) if new}
    if any(not new and f.register.update.variables & ahead for new, f in zip(fresh, chosen, strict=True)):
        return []  # a register that holds what was cannot be updated by one that is already moved
    flat, answers = examples.inputs.reshape(-1, examples.inputs.shape[2]), examples.answers.ravel()
    held = [(f.after if new else f.before).ravel() for f, new in zip(chosen, fresh, strict=True)]
    names, reads = named("s", len(chosen)), named("x", flat.shape[1])
    terms = [Term(n) for n in (*names, *reads)] + [Term(c) for c in examples.constants]
    rows = np.array([*held, *flat.T, *(np.full(len(flat), c) for c in examples.constants)], np.int64)
    some = np.unique(np.linspace(0, len(answers) - 1, min(len(answers), POINTS)).astype(int))
    deep = LEAVES if len(chosen) < 2 else 3 + (len(chosen) > 2)
    for leaves in range(1, deep + 1):
        levels = grown((terms, rows[:, some]), max(1, leaves - 1), HEADS, most=500)
        hits = itertools.islice(matches(levels, answers[some], leaves, HEADS), 400)
        count = len(names) + len(reads)
        points = dict(zip((*names, *reads), rows, strict=False))
        for term in sorted(hits, key=lambda t: (t.bits(count), str(t))):
            if np.array_equal(np.broadcast_to(term.values(points), len(answers)), answers):
                registers = tuple(
                    Register(f.register.start, f.register.update.replaced({"s": Term(n)}), new)
                    for n, f, new in zip(names, chosen, fresh, strict=True)
                )
                try_one = Piecewise(registers, term, examples.low, examples.high, flat.shape[1])
                return [] if try_one in made else [try_one]
    return []


def _decides(values: np.ndarray, answers: np.ndarray) -> bool:
    """Whether answers are a function of values ``[k, P]``."""
    order = np.lexsort(values)
    ordered, said = values[:, order], answers[order]
    same = (ordered[:, 1:] == ordered[:, :-1]).all(axis=0)
    return bool((said[1:] == said[:-1])[same].all())
