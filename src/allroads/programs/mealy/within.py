"""Boxes of hidden states position by position: a network computes a machine up to a length."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from allroads.programs.mealy.bounds import UnboundedError
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.induction import NUMBERS, WORK, _Attempt, _axes, _Flow
from allroads.programs.mealy.quotient import Quotient

WALKS = 512
"""Words whose hidden states the boxes are put around."""


@dataclass(frozen=True)
class Within:
    """What was shown position by position.

    Args:
        length: Length L up to which all words are answered as the machine does.
        margin: Smallest distance of an output from where its answer changes, a lower bound.
        transitions: Pairs of a box and a letter that were checked.
        why: What stood in the way of a greater length.
    """

    length: int
    margin: float = float("nan")
    transitions: int = 0
    why: str = ""


def within(steps: Steps, machine: Quotient, length: int, seed: int, *, seconds: float = 12.0) -> Within:
    """Length up to which a network computes a machine, by boxes of hidden states in double precision.

    At each position there is one box for each machine state that words of that length reach. The step maps the boxes
    of one position into those of the next, with rounding errors bounded as in
    :func:`~allroads.programs.mealy.induction.closure`. No box has to be mapped into itself, so hidden states may drift.

    Args:
        steps: The network.
        machine: The machine; what it does beyond the length is of no matter.
        length: Length of the longest words.
        seed: Decides the words whose hidden states the boxes are put around.
        seconds: Time that each of two attempts, by plain intervals and with slopes, may take.

    Returns:
        A :class:`Within`; its length is less than the one asked for where some box holds hidden states with another
        answer, or time ran out.

    Example:
        >>> from allroads.programs.mealy import Machine, compile_machine
        >>> from allroads.programs.subject import subject_of
        >>> from allroads.targets import build_target
        >>> target = build_target("sequence", task="Parity_All", length=5)
        >>> parity = Machine.of(target.truth["machine"])
        >>> steps = Steps(subject_of(*compile_machine(parity, cell="relu", length=5), target))
        >>> moves, answers = np.array(parity.transitions), np.array(parity.outputs)[..., None]
        >>> within(steps, Quotient(moves, answers, steps.start()), 5, 0).length
        5
    """
    best = Within(0, why="no operation of the step was bounded")
    for slopes in (False, True):
        try:
            found = _attempt(steps, machine, length, slopes, seed, time.perf_counter() + seconds)
        except UnboundedError as error:
            return Within(0, why=str(error))
        best = max(best, found, key=lambda one: one.length)
        if best.length == length:
            break
    return best


def _attempt(steps: Steps, machine: Quotient, length: int, slopes: bool, seed: int, until: float) -> Within:
    letters = len(steps.letters)
    engine = _Attempt(steps, machine, 0, 1, slopes, seed, until)
    if engine.work * length > WORK:
        return Within(0, why="there would be too many boxes")
    states, hidden = _walks(steps, machine, length, seed)
    if slopes:
        engine.basis = _axes(hidden.reshape(-1, hidden.shape[2]), states.ravel() * (length + 1))
    engine.slopes = slopes
    at, start = np.zeros(1, int), steps.start()
    flow = _Flow.at(start, engine.basis)
    centre, radius = start, flow.reach(start)
    margin, checked = np.inf, 0
    most = max(1, NUMBERS // (steps.width ** (1 + slopes) * letters))
    for position in range(length):
        after = np.unique(machine.moves[at])
        place = {int(q): i for i, q in enumerate(after)}
        middle = _centres(states[:, position + 1], hidden[:, position + 1], after)
        needed = np.zeros((len(after), radius.shape[1]))
        seen = np.zeros(len(after), bool)
        for first in range(0, len(at), most):
            if time.perf_counter() > until:
                return Within(position, margin, checked, "there was no time for longer words")
            some = slice(first, min(first + most, len(at)))
            own = np.repeat(at[some], letters)
            read = np.tile(np.arange(letters), len(at[some]))
            boxes = _Flow.box(centre[some], radius[some], engine.basis)
            images, outputs = engine._move(boxes.repeated(letters), read)
            least, same = engine._answered(outputs, own, read)
            if not same:
                return Within(position, margin, checked, "some box holds hidden states with another answer")
            margin, checked = min(margin, least), checked + len(own)
            into = np.array([place[q] for q in machine.moves[own, read].tolist()])
            new = ~seen[into]
            if new.any():  # the centre of a state that no walk came by is where a box leads
                low, high = images.hull()
                for k in np.flatnonzero(new & np.isnan(middle[into]).any(axis=1)):
                    if np.isnan(middle[into[k]]).any():
                        middle[into[k]] = (low[k] + high[k]) / 2
                seen[into] = True
            np.maximum.at(needed, into, images.reach(middle[into]))
        if not np.isfinite(needed).all():
            return Within(position + 1, margin, checked, "the boxes grow without end")
        at, centre, radius = after, middle, needed
    return Within(length, margin, checked)


def _walks(steps: Steps, machine: Quotient, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Machine states ``[n, T + 1]`` and hidden states ``[n, T + 1, H]`` along words that are drawn."""
    rng = np.random.default_rng(seed)
    letters = machine.moves.shape[1]
    shares = rng.dirichlet(np.full(letters, 0.5), size=WALKS).cumsum(axis=1)
    shares[: WALKS // 2] = np.arange(1, letters + 1) / letters
    words = (rng.random((WALKS, length))[..., None] > shares[:, None, :-1]).sum(axis=-1)
    hidden = steps.run(np.repeat(steps.start(), WALKS, axis=0), words)[0]
    return machine.states(words), hidden


def _centres(states: np.ndarray, hidden: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Middle of the hidden states seen in each machine state, ``[len(wanted), H]``; not a number where none was."""
    found = np.full((len(wanted), hidden.shape[1]), np.nan)
    for row, q in enumerate(wanted):
        own = hidden[states == q]
        if len(own):
            found[row] = (own.min(axis=0) + own.max(axis=0)) / 2
    return found
