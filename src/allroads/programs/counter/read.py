"""Reading of a recurrent network as counters, with its proof and its causal check."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from allroads.programs.counter.counter import Counter
from allroads.programs.counter.fit import Fit
from allroads.programs.counter.fit import fits as fitting
from allroads.programs.counter.index import counters
from allroads.programs.counter.interchange import interchange
from allroads.programs.counter.states import horizon
from allroads.programs.counter.tree import Tree, grow
from allroads.programs.equivalence import Equivalence
from allroads.programs.language import Reading
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.within import within
from allroads.programs.piecewise.term import Term
from allroads.programs.subject import Subject

LETTERS = 64
"""Most letters."""

KINDS = 6
"""Most kinds of letters: letters that the network treats alike are one kind."""

WORDS = 2**20
"""Most words that are enumerated."""

DRAWN = 2048
"""Words of the target's length that are drawn where not all are enumerated."""

CLOSE = 1e-8
"""Relative difference up to which the cell's outputs are the network's."""

TIE = 1e-9
"""Margin below which rounding decides an answer."""

TRIED = 6
"""Most fits that are held against all words."""

PROOF_SECONDS = 6.0
"""Time that each attempt at a proof by boxes may take, in seconds."""


def fits(subject: Subject) -> str | None:
    """Why a network and its target cannot be read as counters; ``None`` where they can."""
    if subject.network.cell is None:
        return "the network has no cell; counters are read from a recurrent network, one position at a time"
    if subject.letters is None:
        return "the target has no alphabet; give it one, or the letters cannot be enumerated"
    if not subject.target.interface.per_position:
        return "the target asks one answer for a whole sequence; counters answer at every position"
    if len(subject.letters) > LETTERS:
        return f"there are {len(subject.letters):,} letters, more than {LETTERS}"
    if subject.target.loss != "cross_entropy" and subject.target.interface.outputs > 1:
        return "the target asks several numbers at a position; counters answer one"
    return subject.asks_fractions


def read(subject: Subject, seed: int) -> Reading:
    """The counters that a recurrent network computes up to the target's length, the network being its own oracle.

    Letters that the network treats alike are one kind. Its answers to all words of one letter per kind are held against
    sums of steps. The answer is a function of few counters where words with the same counts are answered alike. Words
    in which a latch is set are left out. The shortest term of these counters that gives the answers is looked for. The
    program must then answer as the network does on all words up to the target's length. Where these are too many, many
    are drawn, and a proof by boxes of hidden states is tried.

    Args:
        subject: The network at a point, with its target.
        seed: Decides the words that are drawn.

    Returns:
        A :class:`Reading` with the scope *to length*, or *sampled*. A trained network counts only so far, and nothing
        is claimed beyond.

    When it fails: no program where there are more than six kinds of letters, steps are larger than 2, or the answer has
    more than four leaves.

    References: [minsky1967] [michaud2024]
    """
    steps = Steps(subject)
    length = int(subject.target.interface.input_shape[0])
    words = _drawn(len(steps.letters), length, seed)
    _, answers = steps.run(np.repeat(steps.start(), len(words), axis=0), words)
    off = _cell_error(steps, words)
    if off > CLOSE:
        return Reading(None, why=f"the cell's outputs differ from the network's by {off:.2g} of their size")
    said = answers[..., 0]
    if (said == said[0, 0]).all():
        return Reading(None, why="its answers never change: nothing is counted")
    kinds = _kinds(steps, words)
    r = max(kinds) + 1
    if r > KINDS:
        return Reading(None, why=f"it treats letters in {r} ways, more than {KINDS}")
    if r == 1:
        return Reading(None, why="it answers by the position alone: nothing is counted")
    longest = min(length, int(math.log2(WORDS) / math.log2(r)))
    tree = grow(steps, [kinds.index(k) for k in range(r)], longest)
    if tree.margin < TIE:
        return Reading(None, why="two answers tie on some word, and rounding decides there")
    question = _Question(steps, tree, kinds, words, said, length, seed)
    for fit in _first(tree):
        program = _program(fit, kinds, steps)
        if program is not None and question.holds(program):
            return question.reading(program)
    return Reading(None, table_bits=question.table_bits, why=question.against())


def _first(tree: Tree) -> list[Fit]:
    return [fit for fit, _ in zip(fitting(tree), range(TRIED), strict=False)]


def _drawn(letters: int, length: int, seed: int) -> np.ndarray:
    """Words ``[n, T]``: half of them of letters alike, half of letters with shares of their own."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(letters, 0.3), size=DRAWN).cumsum(axis=1)
    shares[: DRAWN // 2] = np.arange(1, letters + 1) / letters
    found: np.ndarray = (rng.random((DRAWN, length))[..., None] > shares[:, None, :-1]).sum(axis=-1)
    return found


def _cell_error(steps: Steps, words: np.ndarray) -> float:
    """Largest difference of the cell's outputs from the network's, relative to their size."""
    some = words[:64]
    whole = steps.subject.outputs(steps.padded(some))
    hidden, apart = np.repeat(steps.start(), len(some), axis=0), 0.0
    for position, letters in enumerate(some.T):
        hidden, outputs = steps.move(hidden, letters)
        off = np.abs(outputs - whole[:, position]) / (1 + np.abs(outputs))
        apart = max(apart, float(off.max()))
    return apart if math.isfinite(apart) else math.inf


def _kinds(steps: Steps, words: np.ndarray) -> list[int]:
    """The kind of each letter: letters are of one kind where an exchange at one place changed no answer."""
    rng = np.random.default_rng(0)
    some = words[:: max(1, len(words) // 96)].copy()
    place = rng.integers(some.shape[1], size=len(some))
    rows = np.arange(len(some))
    start = np.repeat(steps.start(), len(some), axis=0)
    known: list[bytes] = []
    found = []
    for letter in range(len(steps.letters)):
        some[rows, place] = letter
        key = steps.run(start, some)[1].tobytes()
        if key not in known:
            known.append(key)
        found.append(known.index(key))
    return found


def _program(fit: Fit, kinds: list[int], steps: Steps) -> Counter | None:
    """A fit over kinds of letters as a program over all letters."""
    columns = list(fit.forms)
    answer, latch = fit.answer, None
    if fit.latch is not None:
        if fit.latch.form not in columns:
            if not answer.variables <= set(counters(len(columns))):
                return None  # places of counters would mean other ones beside one more
            old, new = counters(len(columns)), counters(len(columns) + 1)
            answer = answer.replaced({a: Term(b) for a, b in zip(old, new, strict=False)})
            columns.append(fit.latch.form)
        latch = fit.latch.term(counters(len(columns))[columns.index(fit.latch.form)])
    symbols = steps.subject.target.output_alphabet or ()
    if symbols == tuple(range(len(symbols))):
        symbols = ()
    moves = [[column[kind] for column in columns] for kind in kinds]
    dead = 0 if fit.latch is None else fit.latch.answer
    return Counter(tuple(steps.letters), tuple(map(tuple, moves)), answer, latch, dead, symbols).canonical()


@dataclass(frozen=True, eq=False)
class _Question:
    """What a program is compared on."""

    steps: Steps
    tree: Tree
    kinds: list[int]
    words: np.ndarray
    answers: np.ndarray
    length: int
    seed: int

    @cached_property
    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """The target's examples as words ``[N, T]``, and what the network as it is applied answers."""
        subject = self.steps.subject
        words = self.steps.words(subject.known)
        inside = (words >= 0).all(axis=1)
        answers = subject.answers(subject.known[inside])
        return words[inside], answers.reshape(*words[inside].shape, -1)[..., 0]

    @property
    def complete(self) -> bool:
        """Whether the tree holds all words of the target's length."""
        return len(self.tree.letters) == len(self.kinds) and self.tree.length == self.length

    def holds(self, program: Counter) -> bool:
        """Whether a program answers as the network does on all words at hand."""
        if not np.array_equal(program.follow(self.words), self.answers):
            return False
        known, answers = self.known
        if not np.array_equal(program.follow(known), answers):
            return False  # the network itself, which may answer otherwise than its cell
        state = np.zeros((1, program.size), np.int64)
        dead = np.zeros(1, bool)
        r, letters = len(self.tree.letters), np.array(self.tree.letters)
        moves = np.array(program.steps, np.int64).reshape(len(program.alphabet), program.size)[letters]
        for answers in self.tree.answers:
            state = (state[:, None] + moves[None]).reshape(len(answers), -1)
            dead, said = program.answers(state, np.repeat(dead, r))
            if not np.array_equal(said, answers):
                return False
        return True

    @property
    def table_bits(self) -> float:
        """Length of the table of all answers up to the target's length: one symbol for each word."""
        symbols = len(np.unique(np.concatenate([self.answers.ravel(), *self.tree.answers])))
        return math.log2(max(2, symbols)) * sum(float(len(self.kinds)) ** t for t in range(1, self.length + 1))

    def against(self) -> str:
        """Why there is no program."""
        return (
            f"its answers to {self.tree.prefixes:,} words follow no short term of counters, with a latch or without one"
        )

    def reading(self, program: Counter) -> Reading:
        """The program with what was shown of it."""
        machine = horizon(program, self.length)
        stats: dict[str, object] = {"words": self.tree.prefixes, "kinds": len(self.tree.letters)}
        why = f"all {self.tree.prefixes:,} words up to length {self.length} were compared"
        if self.complete:
            equal = Equivalence(True, "to length", self.tree.prefixes, self.length, self.tree.margin, stats=stats)
        else:
            shown = None if machine is None else within(self.steps, machine, self.length, self.seed,
                                                        seconds=PROOF_SECONDS)  # fmt: skip
            if shown is not None and shown.length == self.length:
                margin = min(shown.margin, self.tree.margin)
                equal = Equivalence(True, "to length", shown.transitions, self.length, margin, stats=stats)
                why = f"boxes of hidden states are mapped into each other for {self.length} positions"
            else:
                count = len(self.words) + self.tree.prefixes
                equal = Equivalence(True, "sampled", count, self.length, self.tree.margin, stats=stats)
                why = "words were compared" + ("" if shown is None else f"; no proof: {shown.why}")
        causal = None if machine is None else interchange(self.steps, program, machine, self.length, self.seed)
        return Reading(program, equal, causal, self.table_bits, why)
