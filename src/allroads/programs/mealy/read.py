"""Reading of a sequence network as a Mealy machine, with its proof and its causal check."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from allroads.programs.equivalence import Equivalence
from allroads.programs.language import Reading
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.induction import Closure, closure
from allroads.programs.mealy.interchange import interchange
from allroads.programs.mealy.least import least_machine, prefix_answers
from allroads.programs.mealy.machine import Machine
from allroads.programs.mealy.quotient import STATES, Quotient, quotient
from allroads.programs.mealy.streams import interchange_of_positions
from allroads.programs.mealy.within import Within, within
from allroads.programs.subject import Subject

LETTERS = 1024
"""Most letters."""

WORDS = 2**16
"""Most words of the target's length that are enumerated; above, :data:`DRAWN` are drawn."""

DRAWN = 2048

LONGER = 512
"""Words of two and of four times the length that are drawn."""

SECONDS = 12.0
"""Time that one search for states, or one proof, may take, in seconds."""

CLOSE = 1e-8
"""Relative difference up to which the cell's outputs are the network's."""


def fits(subject: Subject) -> str | None:
    """Why a network and its target cannot be read as a Mealy machine; ``None`` where they can."""
    if subject.letters is None:
        return "the target has no alphabet; give it one, or the letters cannot be enumerated"
    if not subject.target.interface.per_position:
        return "the target asks one answer for a whole sequence; a Mealy machine answers at every position"
    if len(subject.letters) > LETTERS:
        return (
            f"there are {len(subject.letters):,} letters, and transitions are enumerated up to {LETTERS:,}; whole "
            "numbers are read as a recurrence where the target has as_numbers=True"
        )
    return subject.asks_fractions


def read(subject: Subject, seed: int, *, seconds: float = SECONDS) -> Reading:
    """The machine that a sequence network computes: states from what it answers, checked, proved where that can be.

    In a recurrent network hidden states are classes by the answers that follow, with the network as its own oracle.
    The machine is compared with the network on all words of the target's length, or on many where these are too many,
    and on longer ones. An induction over boxes of hidden states, in double precision, then proves it at all lengths,
    or does not. Where it does not and words are too many, sets of hidden states may prove it up to the target's length.

    A network without a cell, such as a causal transformer, is asked whole words. From its answers to all of them comes
    the machine with the fewest states; the proof reaches as far as these words.

    Args:
        subject: The network at a point, with its target.
        seed: Decides the words that are drawn.
        seconds: Time that each of at most three searches for states and three proofs may take.

    Returns:
        A :class:`Reading`. The scope is *all lengths* only where the induction closed. Otherwise it is *to length*
        where all words were compared or the sets hold to the end, else *sampled*. Without a machine of at most 256
        states ``program`` is ``None``.

    References: [angluin1987]
    """
    steps = Steps(subject)
    checks = _Checks(steps, seed)
    if subject.network.cell is None:
        return _of_words(steps, checks)
    off = checks.cell_error()
    if off > CLOSE:
        return Reading(None, why=f"the cell's outputs differ from the network's by {off:.2g} of their size")
    tie = subject.tie(checks.outputs)
    if tie is not None:
        return Reading(None, why=tie)
    first = quotient(steps, checks.within, seconds=seconds)
    if first.why:
        first = quotient(steps, checks.within, horizon=checks.length, seconds=seconds)
    if first.why:
        return Reading(None, table_bits=checks.table_bits, why=f"no small machine was found: {first.why}")
    longer = checks.beyond(first)
    found, proof = first, Closure(False, why="")
    if longer is None:
        first = found = _minimal(steps, first)
        proof = _proof(checks, found, seconds)
    else:
        second = quotient(steps, lambda m: checks.within(m) or checks.beyond(m), seconds=seconds)
        if not second.why:
            second = _minimal(steps, second)
            proof = _proof(checks, second, seconds)
            found = second if proof.closed else first
        if not proof.closed:
            found, proof = _minimal(steps, first), Closure(False, why=f"a word of {len(longer)} letters differs")
    machine = _machine(steps, found)
    shown = None if proof.closed or checks.complete else within(steps, found, checks.length, seed, seconds=seconds)
    return Reading(
        machine,
        checks.equivalence(found, proof, longer, shown),
        None if _constant(found) else interchange(steps, found, checks.length, seed),
        None if proof.closed else checks.table_bits,
        _said(proof, longer, shown),
    )


def _proof(checks: _Checks, machine: Quotient, seconds: float) -> Closure:
    """An induction over the step, unless the network itself answers shorter or longer words otherwise than its step."""
    proof = closure(checks.steps, machine, checks.seed, seconds=seconds)
    if proof.closed and not checks.steps.subject.answers_prefixes:
        return Closure(False, why="the network answers shorter words otherwise than its step does")
    if proof.closed and not checks.folds_longer:
        return Closure(False, why="the network answers longer words otherwise than its step does")
    return proof


def _of_words(steps: Steps, checks: _Checks) -> Reading:
    """The smallest machine of a network without a cell, from its answers to whole words."""
    letters = len(steps.letters)
    reach = min(checks.length, int(math.log2(WORDS) / math.log2(max(2, letters))))
    if reach < 1:
        return Reading(None, why=f"{letters:,} letters are too many to ask all words")
    tie = steps.subject.tie(checks.outputs)
    if tie is not None:
        return Reading(None, table_bits=checks.table_bits, why=tie)
    answers = [checks.answers] if checks.complete else checks.padded_twice(reach)
    levels = prefix_answers(answers[0], letters)
    if levels is None or any((a != answers[0]).any() for a in answers):
        return Reading(None, table_bits=checks.table_bits, why="the answer at a position depends on later letters")
    tried = [least_machine(levels, last=last) for last in (False, True)]
    least = [_minimal(steps, one) for one in tried if one is not None]
    if not least:
        return Reading(None, table_bits=checks.table_bits, why=f"no machine of at most {STATES} states was found")
    found = min(least, key=lambda one: _machine(steps, one).bits)
    machine = _machine(steps, found)
    table = machine.bits >= checks.table_bits
    return Reading(
        machine,
        checks.equivalence(found, Closure(False, why="the network reads no longer words"), None),
        None if table or _constant(found) else interchange_of_positions(steps, found, checks.length, checks.seed),
        checks.table_bits,
        f"the machine with the fewest states among all that answer alike on all words up to {reach} letters",
    )


def _said(proof: Closure, longer: list[int] | None, shown: Within | None) -> str:
    if proof.closed:
        return (
            f"boxes of hidden states, told apart by {proof.memory} letters, are closed after {proof.letters} letters "
            f"({proof.transitions:,} transitions, margin at least {proof.margin:.3g})"
        )
    if longer is not None:
        return f"the network answers otherwise on some words of {len(longer)} letters"
    why = f"not proved beyond the words that were compared: {proof.why}"
    return why if shown is None else f"{why}; sets of hidden states hold for {shown.length} letters"


@dataclass(frozen=True, eq=False)
class _Checks:
    """Words on which machines are compared with the network."""

    steps: Steps
    seed: int

    @property
    def length(self) -> int:
        return int(self.steps.subject.target.interface.input_shape[0])

    @cached_property
    def complete(self) -> bool:
        """Whether all words of the target's length are compared."""
        return self.length * math.log2(max(2, len(self.steps.letters))) <= math.log2(WORDS)

    @cached_property
    def words(self) -> np.ndarray:
        letters = len(self.steps.letters)
        if self.complete:
            grid = np.indices((letters,) * self.length).reshape(self.length, -1)
            return grid.T
        return np.concatenate([self._known(), self._drawn(DRAWN, self.length, 0)])

    def padded_twice(self, reach: int) -> list[np.ndarray]:
        """Answers ``[A^reach, reach, K]`` to all words of some letters, with two continuations that are drawn."""
        letters, found = len(self.steps.letters), []
        grid = np.indices((letters,) * reach).reshape(reach, -1).T
        for salt in (8, 9):
            words = np.concatenate([grid, self._drawn(len(grid), self.length - reach, salt)], axis=1)
            said = self.steps.subject.answers(self.steps.padded(words))
            found.append(said.reshape(*said.shape[:2], -1)[:, :reach])
        return found

    def _known(self) -> np.ndarray:
        """The target's own examples, as words."""
        words = self.steps.words(self.steps.subject.known[:DRAWN])
        return words[(words >= 0).all(axis=1)]

    def _drawn(self, count: int, length: int, salt: int) -> np.ndarray:
        """Words of one length: half of them of letters alike, half of letters with shares of their own."""
        rng = np.random.default_rng((self.seed, salt, length))
        letters = len(self.steps.letters)
        shares = rng.dirichlet(np.full(letters, 0.3), size=count).cumsum(axis=1)
        shares[: count // 2] = np.arange(1, letters + 1) / letters
        draws = rng.random((count, length))
        found: np.ndarray = (draws[..., None] > shares[:, None, :-1]).sum(axis=-1)
        return found

    @cached_property
    def outputs(self) -> np.ndarray:
        """Outputs of the network, as it is applied to the words."""
        return self.steps.subject.outputs(self.steps.padded(self.words))

    @cached_property
    def answers(self) -> np.ndarray:
        said = self.steps.subject.decide(self.outputs)
        return said.reshape(*said.shape[:2], -1)

    @cached_property
    def _long(self) -> list[tuple[np.ndarray, np.ndarray]]:
        found = []
        for times, count in ((2, LONGER), (4, LONGER // 4)):
            words = self._drawn(count, times * self.length, times)
            start = np.repeat(self.steps.start(), count, axis=0)
            found.append((words, self.steps.run(start, words)[1]))
        return found

    def cell_error(self) -> float:
        """Largest difference of the cell's outputs from the network's, relative to their size."""
        rows = np.arange(0, len(self.words), max(1, len(self.words) // 64))
        hidden = np.repeat(self.steps.start(), len(rows), axis=0)
        apart = 0.0
        for position in range(self.length):
            hidden, outputs = self.steps.move(hidden, self.words[rows, position])
            off = np.abs(outputs - self.outputs[rows, position]) / (1 + np.abs(outputs))
            apart = max(apart, float(off.max()))
        return apart if math.isfinite(apart) else math.inf

    @property
    def folds_longer(self) -> bool:
        """Whether the network answers words of twice the length as its step does; true where it reads none."""
        words, answers = self._long[0]
        return self.steps.subject.folds(self.steps.padded(words[:64]), answers)

    def within(self, machine: Quotient) -> list[int] | None:
        """The shortest word up to the target's length on which a machine differs."""
        return _differs(self.words, self.answers, machine)

    def beyond(self, machine: Quotient) -> list[int] | None:
        """A longer word on which a machine differs."""
        for words, answers in self._long:
            word = _differs(words, answers, machine)
            if word is not None:
                return word
        return None

    @property
    def table_bits(self) -> float:
        """Length of the table of all answers up to the target's length: one symbol for each word."""
        letters = len(self.steps.letters)
        kinds = len(np.unique(self.answers.reshape(-1, self.answers.shape[-1]), axis=0))
        return math.log2(max(2, kinds)) * sum(float(letters) ** t for t in range(1, self.length + 1))

    def equivalence(
        self, machine: Quotient, proof: Closure, longer: list[int] | None, shown: Within | None = None
    ) -> Equivalence:
        """What was shown, by words, by an induction, or by sets of hidden states up to a length."""
        word = self.within(machine)
        stats = {"why": proof.why, "words": len(self.words), "complete": self.complete}
        if word is not None:
            symbols = [self.steps.letters[i] for i in word]
            answers = self.answers[(self.words[:, : len(word)] == word).all(axis=1)][0, : len(word)]
            said = [self.steps.symbol(a) for a in machine.run(np.array([word]))[0]]
            own = [self.steps.symbol(a) for a in answers]
            scope = "to length" if self.complete else "sampled"
            return Equivalence(False, scope, len(self.words), len(word), None, symbols, (own, said), stats)
        if proof.closed:
            stats |= {"memory": proof.memory, "letters": proof.letters, "radius": proof.radius}
            return Equivalence(True, "all lengths", proof.transitions, None, proof.margin, stats=stats)
        if longer is not None:
            stats["longer"] = [self.steps.letters[i] for i in longer]
        margin = float(self.steps.subject.margins(self.outputs).min())
        scope = "to length" if self.complete else "sampled"
        if self.complete and not self.steps.subject.answers_prefixes:
            scope = "exhaustive"  # shorter words are answered otherwise
        if shown is not None and shown.length == self.length and self.steps.subject.answers_prefixes:
            margin = min(margin, shown.margin)
            return Equivalence(True, "to length", shown.transitions, self.length, margin, stats=stats)
        return Equivalence(True, scope, len(self.words), self.length, margin, stats=stats)


def _differs(words: np.ndarray, answers: np.ndarray, machine: Quotient) -> list[int] | None:
    """The shortest prefix on which a machine's last answer is another."""
    wrong = (machine.run(words) != answers).any(axis=2)
    rows = np.flatnonzero(wrong.any(axis=1))
    if not len(rows):
        return None
    first = wrong[rows].argmax(axis=1)
    k = int(first.argmin())
    found: list[int] = words[rows[k], : first[k] + 1].tolist()
    return found


def _minimal(steps: Steps, found: Quotient) -> Quotient:
    """The minimal machine of a quotient, states in breadth-first order."""
    letters = tuple(range(len(steps.letters)))
    labels = tuple(tuple(tuple(map(int, a)) for a in row) for row in found.answers)
    least = Machine(letters, tuple(map(tuple, found.moves.tolist())), labels).canonical()
    return Quotient(np.array(least.transitions), np.array(least.outputs), found.hidden[:1])


def _constant(found: Quotient) -> bool:
    """Whether a machine has one answer, so that no exchange of its states could show anything."""
    return bool((found.answers == found.answers[0, 0]).all())


def _machine(steps: Steps, found: Quotient) -> Machine:
    symbols = tuple(tuple(steps.symbol(a) for a in row) for row in found.answers)
    return Machine(tuple(steps.letters), tuple(map(tuple, found.moves.tolist())), symbols)
