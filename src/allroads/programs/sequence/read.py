"""Reading of a sequence network as a position-wise program."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from allroads.programs.equivalence import Equivalence
from allroads.programs.language import Reading
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.enumerate import shortest_expressions
from allroads.programs.mealy.least import prefix_answers
from allroads.programs.mealy.rule import letter_values
from allroads.programs.sequence.features import Named, double_features, simple_features
from allroads.programs.sequence.interchange import interchange
from allroads.programs.sequence.lines import Formula
from allroads.programs.sequence.program import SequenceProgram
from allroads.programs.subject import Subject

ENTRIES = 2**21
"""Most entries of one attention pattern, words × positions × positions."""

LETTERS = 64
"""Most letters."""

TRIED = 24
"""Sets of lines that decide the answers whose formulas are searched."""

FOUND = 4
"""Programs after which the search stops."""

SECONDS = 60.0
"""Time that the search may take, in seconds: a guard, as the counts above end it before."""


def fits(subject: Subject) -> str | None:
    """Why a network and its target cannot be read as a position-wise program; ``None`` where they can."""
    interface = subject.target.interface
    if subject.letters is None:
        return "the target has no alphabet; give it one, or the letters cannot be enumerated"
    if not interface.per_position:
        return "the target asks one answer for a whole sequence"
    if len(interface.input_shape) > 1 and interface.input_shape[1] > 1:
        return "a position has several symbols; a position-wise program reads one"
    if subject.network.cell is not None:
        return "the network is recurrent; it has no positions to look at"
    if len(subject.letters) > LETTERS:
        return f"there are {len(subject.letters):,} letters, more than {LETTERS:,}"
    return subject.asks_fractions


def read(subject: Subject, seed: int) -> Reading:
    """The shortest position-wise program that was found of what a network answers on its whole domain.

    The answers to all words of the domain are taken. One or two lines that look at other positions are tried, from
    counts of letters to ranks. Where their values, with the letter and the position, decide the answers, the shortest
    formula of these is searched. A program is taken only where it gives every answer on the whole domain.

    Args:
        subject: The network at a point, with its target.
        seed: Decides the exchanges.

    Returns:
        A :class:`Reading` with the scope *exhaustive*, or *to length* where answers depend on earlier letters alone;
        without a program where no candidate gives all answers.

    References: [weiss2021] [geiger2021]
    """
    steps = Steps(subject)
    words = _domain(steps)
    if isinstance(words, str):
        return Reading(None, why=words)
    outputs = subject.outputs(subject.domain)
    labels = subject.decide(outputs)
    margin = float(subject.margins(outputs).min())
    if labels.ndim != 2:
        return Reading(None, why="the target asks several numbers at a position")
    tie = subject.tie(outputs)
    if tie is not None:
        return Reading(None, why=tie)
    causal = _causal(words, labels)
    search = _Search(steps, words, labels, causal, time.perf_counter() + SECONDS)
    found = list(itertools.islice(search.programs(), FOUND))
    table_bits = search.table_bits
    if not found:
        return Reading(None, table_bits=table_bits, why="no position-wise program was found that gives all answers")
    program = min(found, key=lambda one: one.bits).canonical()
    if not np.array_equal(program.table(words), search.wanted):
        raise AssertionError("the normal form answers otherwise than the program")
    exchanged = None if program.bits >= table_bits else interchange(subject, program, words, seed)
    # Answers that depend on no later letter are those to all shorter words too, unless the length itself is read.
    whole = len(words) == len(search.alphabet) ** words.shape[1]
    scope = "to length" if causal and whole and subject.answers_prefixes else "exhaustive"
    equality = Equivalence(True, scope, len(words), words.shape[1], margin)
    return Reading(
        program, equality, exchanged, table_bits, "the shortest of the position-wise programs that were tried"
    )


def _domain(steps: Steps) -> np.ndarray | str:
    """All words of the domain as positions in the alphabet, or why they cannot be compared."""
    domain = steps.subject.domain
    if domain is None:
        return "the domain is not finite, or too large to be enumerated"
    words = steps.words(domain)
    if words.size * words.shape[1] > ENTRIES:
        return f"there are {len(words):,} words, too many to compare attention on all of them"
    return "some inputs are not letters of the alphabet" if (words < 0).any() else words


def _causal(words: np.ndarray, labels: np.ndarray) -> bool:
    """Whether no answer depends on later letters, as far as the domain shows."""
    letters = int(words.max()) + 1
    if len(words) == letters ** words.shape[1]:
        order = np.lexsort(words.T[::-1])
        return prefix_answers(labels[order][..., None], letters) is not None
    for t in range(words.shape[1]):
        both = np.concatenate([words[:, : t + 1], labels[:, t : t + 1]], axis=1)
        if len(np.unique(both, axis=0)) > len(np.unique(both[:, :-1], axis=0)):
            return False
    return True


@dataclass(eq=False)
class _Search:
    steps: Steps
    words: np.ndarray
    labels: np.ndarray
    causal: bool
    until: float

    def __post_init__(self) -> None:
        self.length = self.words.shape[1]
        self.alphabet = tuple(self.steps.letters)
        values, own = letter_values(self.alphabet)
        self.letters = tuple(v[0] for v in values) if own else tuple(range(len(self.alphabet)))
        kinds = np.unique(self.labels).tolist()
        said = {k: self.steps.symbol([k]) for k in kinds}
        whole = all(isinstance(o, int) and not isinstance(o, bool) for o in said.values())
        self.symbols = () if whole else tuple(said.values())
        number = {k: said[k] if whole else place for place, k in enumerate(kinds)}
        self.wanted = np.vectorize(number.__getitem__, otypes=[int])(self.labels)
        prefixes = {False: self.words.size, True: sum(len(np.unique(self.words[:, :t], axis=0)) for t in
                                                      range(1, self.length + 1))}[self.causal]  # fmt: skip
        self.table_bits = float(prefixes * math.log2(max(2, len(kinds))))
        largest = {len(self.alphabet), max(self.letters), self.length, self.length - 1, int(self.wanted.max())}
        self.constants = sorted({0, 1, 2, 3} | {c for c in largest if 0 < c < 1000})
        at = np.broadcast_to(np.arange(self.length), self.words.shape)
        self.given = {"x": np.array(self.letters)[self.words], "i": at, "n": np.full(self.words.shape, self.length)}

    def programs(self) -> Iterator[SequenceProgram]:
        """Programs that give all answers: formulas of the letter and the position, of one look, of two, of ranks."""
        tried = 0
        simple = list(simple_features(self.letters, self.length, self.causal))
        known = {lines: self._values(lines) for lines in simple}
        pairs = itertools.combinations(simple, 2)
        doubles = list(double_features(self.letters, self.causal))
        sets: Iterator[tuple[Named, ...]] = itertools.chain(
            [()], ((lines,) for lines in simple), ((lines,) for lines in doubles), pairs
        )
        for chosen in sets:
            if tried >= TRIED or time.perf_counter() > self.until:
                return
            columns = {}
            for lines in chosen:
                values = known[lines] if lines in known else self._values(lines)
                columns[lines[-1][0]] = values
            for extra in ((), ("x",), ("i",), ("x", "i")):
                points = columns | {name: self.given[name] for name in extra}
                if points and self._decided(points):
                    tried += 1
                    made = self._program(chosen, points)
                    if made is not None:
                        yield made
                    break

    def _values(self, lines: Named) -> np.ndarray:
        known = dict(self.given)
        for name, line in lines:
            known[name] = line.values(known)
        found: np.ndarray = known[lines[-1][0]]
        return found

    def _decided(self, points: dict[str, np.ndarray]) -> bool:
        """Whether equal values always have equal answers."""
        key = np.zeros(self.words.size, np.int64)
        for values in points.values():
            low = int(values.min())
            key = key * (int(values.max()) - low + 1) + (values.ravel() - low)
        wanted = self.wanted.ravel()
        order = np.argsort(key, kind="stable")
        same = np.diff(key[order]) == 0
        return not bool((same & (np.diff(wanted[order]) != 0)).any())

    def _program(self, chosen: Sequence[Named], points: dict[str, np.ndarray]) -> SequenceProgram | None:
        names = list(points)
        rows = np.stack([*(points[name].ravel() for name in names), self.wanted.ravel()], axis=1)
        rows = np.unique(rows, axis=0)
        columns = {name: rows[:, k] for k, name in enumerate(names)}
        leaves = 4 if len(names) < 3 else 3
        found = shortest_expressions(columns, [rows[:, -1]], self.constants, leaves)[0]
        if found is None:
            return None
        lines = dict(line for named in chosen for line in named)
        lines["y"] = Formula(found)
        if found.left is None and found.head in lines:  # the answer is a line as it is
            del lines["y"]
            lines[str(found.head)] = lines.pop(str(found.head))
        program = SequenceProgram(self.alphabet, tuple(lines.items()), self.length, self.symbols)
        return program if np.array_equal(program.table(self.words), self.wanted) else None
