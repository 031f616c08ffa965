"""Reading of recurrent networks that answer whole numbers as piecewise-linear recurrences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from allroads.programs.equivalence import Equivalence
from allroads.programs.language import Reading
from allroads.programs.linear.affine import AffineCell, affine_cell
from allroads.programs.linear.ask import Oracle
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.induction import closure
from allroads.programs.mealy.quotient import Quotient
from allroads.programs.mealy.within import within
from allroads.programs.piecewise.interchange import interchange
from allroads.programs.piecewise.machine import machine
from allroads.programs.piecewise.recurrence import Piecewise
from allroads.programs.piecewise.search import Examples, search
from allroads.programs.subject import Subject

SEQUENCES = 64
"""Sequences on which programs are looked for."""

FRESH = 2048
"""Sequences that programs are held against besides the known ones, half of them twice as long."""

ROUNDS = 4
"""Times that a search is made, each with the sequences on which the one before failed."""

SAME = 1e-6
"""Largest difference, relative to the outputs, between a network and the fold of its cell."""

FAR = 0.2
"""Mean distance of outputs from whole numbers above which the network does not answer in them."""

NEAR = 0.95
"""Share of the answers from which a program that is not the network's is shown, with a counterexample."""

QUICK, PROOF_SECONDS = 3.0, 12.0
"""Time that a proof by boxes, and one by sets with axes of their own, may take, in seconds."""


def fits(subject: Subject) -> str | None:
    """Why a network cannot be read as a piecewise-linear recurrence; ``None`` where it can be tried."""
    target = subject.target
    if subject.network.cell is None:
        return "the network has no recurrent cell"
    if target.loss != "mse" or target.interface.vocabulary is not None:
        return "the target does not ask whole numbers of numbers (loss mse, as_numbers)"
    if not target.interface.per_position or target.interface.outputs != 1:
        return "the target does not ask one number at each position"
    if not np.array_equal(subject.known, np.rint(subject.known)):
        return "the inputs are not whole numbers"
    return subject.asks_fractions


def read(subject: Subject, seed: int = 0) -> Reading:
    """The piecewise-linear recurrence that a recurrent network computes, the network being its own oracle.

    Registers with short updates are followed along sequences. Where the network's rounded answers are a function of
    some of them and the input, the shortest term of that function is enumerated. The program must then answer as the
    network does on all known sequences and on fresh ones of twice the length. It is proved by boxes of hidden states
    where its registers take few values: at all lengths by induction, or position by position up to the target's length.

    Args:
        subject: The network, its point and its target.
        seed: Decides the sequences that are drawn and the interventions.

    Returns:
        The reading. A program that has sums only is left to the language ``linear``. Where no program gives all answers
        and one gives 95 % of them, that one comes with a counterexample.

    When it fails: see :func:`~allroads.programs.piecewise.search.search` for how long terms may be.

    References: [michaud2024] [geiger2021]
    """
    if isinstance(affine_cell(subject), AffineCell):
        return Reading(None, why="each operation of its step is affine: a recurrence of the language linear")
    question = _Question(subject, Oracle(subject), seed)
    against = question.against()
    if against is not None:
        return Reading(None, why=against)
    inputs, answers = question.few()
    nearest: tuple[float, Piecewise] | None = None
    for _ in range(ROUNDS):
        examples = Examples(inputs, answers, question.low, question.high)
        missed = None
        for program in search(examples):
            off = question.differs(program)
            if off is None:
                if program.canonical().linear:
                    return Reading(None, why="its answers are sums: a recurrence of the language linear")
                return question.reading(program)
            missed = missed or off
            share = question.share(program)
            if share >= NEAR and not program.canonical().linear and (nearest is None or share > nearest[0]):
                nearest = share, program
        if missed is None:
            break
        inputs = np.concatenate([inputs, missed[0][:16, : inputs.shape[1]]])
        answers = np.concatenate([answers, missed[1][:16, : inputs.shape[1]]])
    if nearest is None:  # sequences of the ends may hold all that is odd: look at the others
        some = slice(0, SEQUENCES, 2)
        examples = Examples(inputs[some], answers[some], question.low, question.high)
        near = next((p for p in search(examples) if not p.canonical().linear), None)
        if near is not None and question.share(near) >= NEAR:
            nearest = question.share(near), near
    if nearest is not None:
        return question.partly(nearest[1], nearest[0])
    why = "its answers follow no short term of registers with short updates"
    return Reading(None, table_bits=question.table_bits, why=why)


@dataclass(frozen=True, eq=False)
class _Question:
    """What is read, and what it is compared on."""

    subject: Subject
    oracle: Oracle
    seed: int

    @cached_property
    def known(self) -> np.ndarray:
        known = np.asarray(self.subject.known, float)
        return known.reshape(*known.shape[:2], -1)

    @cached_property
    def outputs(self) -> np.ndarray:
        return self.subject.outputs(self.subject.known)

    @cached_property
    def answers(self) -> np.ndarray:
        found: np.ndarray = np.rint(self.outputs[..., 0]).astype(np.int64)
        return found

    @property
    def symbols(self) -> np.ndarray:
        """Numbers that an input may be."""
        alphabet = self.subject.target.alphabet
        return np.unique(self.known) if alphabet is None else np.array(sorted(alphabet), float)

    @property
    def low(self) -> int:
        return int(self.symbols.min())

    @property
    def high(self) -> int:
        return int(self.symbols.max())

    def against(self) -> str | None:
        """Why no program is looked for."""
        if not np.isfinite(self.outputs).all():
            return "the network's outputs are not finite"
        tie = self.subject.tie(self.outputs)
        if tie is not None:
            return tie
        some = slice(0, 64)
        apart = float(np.abs(self.outputs[some] - self.oracle.run(self.known[some])[0]).max())
        if apart > SAME * max(1.0, float(np.abs(self.outputs).max())):
            return f"the network's cell does not give its outputs: they differ by {apart:.3g}"
        if float(np.abs(self.outputs).max()) > 2.0**40:
            return "its outputs are too large to be read as whole numbers"
        off = float(np.abs(self.outputs - np.rint(self.outputs)).mean())
        if off > FAR:
            return f"its outputs are {off:.2f} away from whole numbers on average"
        if (self.answers == self.answers[0, 0]).all():
            return "its answers do not depend on its inputs"
        return None

    def drawn(self, count: int, positions: int, salt: int) -> np.ndarray:
        """Sequences ``[n, T, D]``: of all numbers, of a few of them, near 0, and at the ends."""
        rng = np.random.default_rng((self.seed, salt))
        numbers, shape = self.symbols, (count, positions, self.known.shape[2])
        found = rng.choice(numbers, size=shape)
        near = numbers[np.argsort(np.abs(numbers), kind="stable")][: min(5, len(numbers))]
        ends = np.concatenate([numbers[:2], numbers[-2:], near[:1]])
        for row in range(count):
            kind = row % 4
            if kind == 1:
                found[row] = rng.choice(rng.choice(numbers, size=min(3, len(numbers)), replace=False), size=shape[1:])
            elif kind == 2:
                found[row] = rng.choice(near, size=shape[1:])
            elif kind == 3 and row % 8 == 3:
                found[row] = rng.choice(ends, size=shape[1:])
        return found

    def asked(self, inputs: np.ndarray) -> np.ndarray:
        """Rounded answers ``[N, T]`` of the network."""
        found: np.ndarray = np.rint(self.oracle.run(inputs)[0][..., 0]).astype(np.int64)
        return found

    def few(self) -> tuple[np.ndarray, np.ndarray]:
        """Sequences on which programs are looked for, and the answers."""
        inputs = self.drawn(SEQUENCES, self.known.shape[1], 0)
        return inputs.astype(np.int64), self.asked(inputs)

    @cached_property
    def fresh(self) -> list[tuple[np.ndarray, np.ndarray]]:
        positions = self.known.shape[1]
        made = [self.drawn(FRESH // 2, positions, 1), self.drawn(FRESH // 8, 2 * positions, 2)]
        return [(inputs, self.asked(inputs)) for inputs in made]

    def differs(self, program: Piecewise) -> tuple[np.ndarray, np.ndarray] | None:
        """Sequences of the target's length on which a program answers otherwise, with the network's answers."""
        for inputs, answers in ((self.known, self.answers), self.fresh[0]):
            wrong = np.flatnonzero((program.follow(inputs)[0] != answers).any(axis=1))
            if len(wrong):
                return inputs[wrong].astype(np.int64), answers[wrong]
        return None

    def share(self, program: Piecewise) -> float:
        """Share of the answers, on all sequences at hand, that a program gives too."""
        sides = ((self.known, self.answers), self.fresh[0])
        return float(np.mean(np.concatenate([(program.follow(x)[0] == y).ravel() for x, y in sides])))

    def partly(self, program: Piecewise, share: float) -> Reading:
        """A program that gives most answers, with the shortest counterexample that was seen."""
        best: tuple[list[Any], int, int] | None = None
        for inputs, answers in ((self.known, self.answers), self.fresh[0]):
            said = program.follow(inputs)[0]
            wrong = said != answers
            for row in np.flatnonzero(wrong.any(axis=1)):
                at = int(wrong[row].argmax())
                if best is None or at + 1 < len(best[0]):
                    shown = inputs[row, : at + 1].astype(int).tolist()
                    word: list[Any] = [v[0] for v in shown] if program.channels == 1 else [tuple(v) for v in shown]
                    best = word, int(answers[row, at]), int(said[row, at])
        assert best is not None
        word, own, other = best
        count = len(self.known) + len(self.fresh[0][0])
        equal = Equivalence(False, "sampled", count, len(word), None, word, (own, other), {"share": share})
        why = f"the nearest program gives {share:.2%} of its answers"
        return Reading(program, equal, None, self.table_bits, why)

    @property
    def table_bits(self) -> float:
        """Length of the table of all answers up to the target's length."""
        symbols = float(len(self.symbols) ** self.known.shape[2])
        kinds = len(np.unique(self.answers))
        return math.log2(max(2, kinds)) * sum(symbols**t for t in range(1, self.known.shape[1] + 1))

    def reading(self, program: Piecewise) -> Reading:
        """The program with what was shown of it."""
        positions = self.known.shape[1]
        margin = float(self.subject.margins(self.outputs).min())
        inputs, answers = self.fresh[1]
        later = np.flatnonzero((program.follow(inputs)[0] != answers).any(axis=1))
        count = len(self.known) + len(self.fresh[0][0]) + len(inputs)
        stats: dict[str, object] = {"range": [self.low, self.high], "sequences": count}
        if len(later):
            row = int(later[0])
            at = int(np.flatnonzero(program.follow(inputs[row : row + 1])[0][0] != answers[row])[0])
            stats["longer"] = inputs[row, : at + 1].astype(int).tolist()
        finite = None if self.subject.letters is None else machine(program, self.subject.letters)
        equal, why = self._proved(program, finite, margin, stats, bool(len(later)))
        if equal is None:
            scope = "sampled" if self.subject.domain is None else "exhaustive"
            equal = Equivalence(True, scope, count if self.subject.domain is None else len(self.known),
                                positions if self.subject.domain is None else None, margin, stats=stats)  # fmt: skip
        causal = interchange(self.oracle, program, self._used(), finite, self.seed)
        return Reading(program, equal, causal, self.table_bits, why)

    def _used(self) -> np.ndarray:
        if len(self.known) < 256:
            return self.fresh[0][0][:512]
        return self.known[np.random.default_rng(self.seed).permutation(len(self.known))[:512]]

    def _proved(
        self, program: Piecewise, finite: Quotient | None, margin: float, stats: dict[str, object], longer: bool
    ) -> tuple[Equivalence | None, str]:
        if finite is None:
            return None, "its registers take many values, and sequences were compared"
        steps, positions = Steps(self.subject), self.known.shape[1]
        longer = longer or not self.subject.folds(*self.fresh[1])
        if not longer:
            closed = closure(steps, finite, self.seed, seconds=QUICK)
            if closed.closed:
                why = f"boxes of hidden states are closed ({closed.transitions:,} transitions)"
                least = min(margin, closed.margin)
                return Equivalence(True, "all lengths", closed.transitions, None, least, stats=stats), why
        shown = within(steps, finite, positions, self.seed, seconds=PROOF_SECONDS, always=not longer)
        if shown.always:
            why = f"sets of hidden states are closed ({shown.transitions:,} transitions)"
            least = min(margin, shown.margin)
            return Equivalence(True, "all lengths", shown.transitions, None, least, stats=stats), why
        if shown.length >= positions:
            why = f"sets of hidden states are mapped into each other for {positions} positions"
            least = min(margin, shown.margin)
            return Equivalence(True, "to length", shown.transitions, positions, least, stats=stats), why
        return None, f"sequences were compared; no proof beyond length {shown.length}: {shown.why}"
