"""Sets of hidden states with axes of their own for each machine state: a network computes a machine up to a length."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from allroads.pfmap.jaxpr.walk import Traced, interpret
from allroads.pfmap.precision import float64
from allroads.programs.bounds.bound import ROUNDING, Bound, UnboundedError, constant
from allroads.programs.bounds.mean_value import exact, mean_value
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.flow import Flow, answered, most_sets
from allroads.programs.mealy.quotient import Quotient

WALKS = 4096
"""Words whose hidden states the sets are put around."""

GROWN = 12
"""Times that sets grow before an induction is given up."""

ENTRIES = 100_000
"""Most pairs of a state and a letter."""


@dataclass(frozen=True)
class Within:
    """What was shown of a network and a machine.

    Args:
        length: Length L up to which all words are answered as the machine does.
        always: Whether they are at every length.
        margin: Smallest distance of an output from where its answer changes, a lower bound.
        transitions: Pairs of a set and a letter that were checked.
        why: What stood in the way of a greater length.
    """

    length: int
    always: bool = False
    margin: float = float("nan")
    transitions: int = 0
    why: str = ""


def within(
    steps: Steps, machine: Quotient, length: int, seed: int, *, seconds: float = 12.0, always: bool = False
) -> Within:
    """Length up to which a network computes a machine, by sets of hidden states in double precision.

    There is one set of hidden states for each machine state: a box along the principal axes of those that were seen in
    it. A state that holds more than its machine state, such as the last letter, may vary along one axis and be tight
    along the others. Images are bounded by the mean-value form, with rounding errors, as in
    :func:`~allroads.programs.mealy.induction.closure`. Position by position, the sets of one are mapped into those of
    the next. No set has to be mapped into itself, so hidden states may drift.

    Args:
        steps: The network.
        machine: The machine; what it does beyond the length is of no matter unless ``always``.
        length: Length of the longest words.
        seed: Decides the words whose hidden states the sets are put around.
        seconds: Processor time that it may take.
        always: Whether an induction is tried: sets grow until they are mapped into each other, which shows all lengths.

    Returns:
        A :class:`Within`; its length is less than the one asked for where some set holds hidden states with another
        answer, or time ran out.

    References: [moore1966]

    Example:
        >>> from allroads.programs.mealy import Machine, compile_machine
        >>> from allroads.programs.subject import subject_of
        >>> from allroads.targets import build_target
        >>> target = build_target("sequence", task="Parity_All", length=5)
        >>> parity = Machine.of(target.truth["machine"])
        >>> steps = Steps(subject_of(*compile_machine(parity, length=5), target))
        >>> moves, answers = np.array(parity.transitions), np.array(parity.outputs)[..., None]
        >>> found = within(steps, Quotient(moves, answers, steps.start()), 5, 0, always=True)
        >>> found.length, found.always
        (5, True)
    """
    until = time.process_time() + seconds
    if machine.moves.size > ENTRIES:
        return Within(0, why="there are too many transitions")
    try:
        engine = _Engine(steps, machine, length, seed, until)
        if always:
            found = engine.induction()
            if found.always:
                return replace(found, length=length)
        return engine.positions(length)
    except UnboundedError as error:
        return Within(0, why=str(error))


class _Engine:
    """Centres ``[S, H]`` and axes ``[S, H, H]`` of the sets, and images of sets of given half-widths ``[S, H]``."""

    def __init__(self, steps: Steps, machine: Quotient, length: int, seed: int, until: float):
        # The start is a state of its own: its hidden state may be unlike those that come back to the first state.
        moves = np.concatenate([machine.moves, machine.moves[:1]])
        machine = Quotient(moves, np.concatenate([machine.answers, machine.answers[:1]]), machine.hidden)
        self.steps, self.machine, self.until, self.first = steps, machine, until, len(moves) - 1
        self.letters = moves.shape[1]
        self.traced: dict[int, Traced] = {}
        states, hidden = _walks(steps, machine, self.first, length, seed)
        self.centre, self.axes, self.seen = _sets(states, hidden, len(moves))
        self.centre[self.first] = steps.start()[0]
        # Bᵀ (h − c) = z gives h − c = B (I + E)⁻¹ z with E = Bᵀ B − I, which rounding leaves.
        product = np.einsum("nhk,nhl->nkl", self.axes, self.axes) - np.eye(steps.width)
        self.skew = np.abs(product).sum(axis=2).max(axis=1) + ROUNDING * steps.width

    def positions(self, length: int) -> Within:
        """Sets of one position mapped into those of the next, each around a centre of its own."""
        at, middle, half = np.array([self.first]), np.zeros_like(self.centre), np.zeros_like(self.centre)
        margin, checked = np.inf, 0
        for position in range(length):
            low, high, least, why = self.images(at, middle, half)
            if why:
                return Within(position, False, margin, checked, why)
            margin, checked = min(margin, least), checked + len(at) * self.letters
            at = np.unique(self.machine.moves[at])
            if not (np.isfinite(low[at]).all() and np.isfinite(high[at]).all()):
                return Within(position + 1, False, margin, checked, "the sets grow without end")
            middle, half = np.zeros_like(middle), np.zeros_like(half)
            middle[at] = (low[at] + high[at]) / 2
            half[at] = np.maximum(high[at] - middle[at], middle[at] - low[at]) * (1 + ROUNDING)
        return Within(length, False, margin, checked)

    def induction(self) -> Within:
        """Sets that grow until they are mapped into each other."""
        every = np.arange(len(self.machine.moves))
        radius = 1.05 * self.seen + 1e-12
        radius[self.first] = 0.0
        for _ in range(GROWN):
            low, high, least, why = self.images(every, np.zeros_like(radius), radius)
            if why:
                return Within(0, why=why)
            needed = np.maximum(np.maximum(-low, high), 0.0)
            grown = ~(needed <= radius)
            if not grown.any():
                return Within(0, True, least, len(every) * self.letters)
            if not np.isfinite(needed).all():
                break
            radius = np.where(grown, 1.1 * needed + 1e-12, radius)
        return Within(0, why="the sets still grow")

    def images(self, at: np.ndarray, middle: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, str]:
        """Ends along the axes of all images of the sets of some states, the margin, and what went wrong."""
        low, high, margin = np.full_like(half, np.inf), np.full_like(half, -np.inf), np.inf
        most = max(1, most_sets(self.steps, True) // (2 * self.letters))  # bounds over the sets and at their centres
        for first in range(0, len(at), most):
            if time.process_time() > self.until:
                return low, high, margin, "there was no time"
            some = at[first : first + most]
            own, read = np.repeat(some, self.letters), np.tile(np.arange(self.letters), len(some))
            flow, outputs = self.move(self.box(some, middle[some], half[some]).repeated(self.letters), read)
            least, same = answered(self.steps, self.machine, outputs, own, read)
            if not same:
                return low, high, margin, "some set holds hidden states with another answer"
            into = self.machine.moves[own, read]
            lower, upper = self.ends(flow, into)
            np.minimum.at(low, into, lower)
            np.maximum.at(high, into, upper)
            margin = min(margin, least)
        return low, high, margin, ""

    def move(self, flow: Flow, letters: np.ndarray) -> tuple[Flow, tuple[Bound, Bound | None]]:
        """Images of sets, and bounds of the outputs over them and at their centres.

        Every intermediate array is bounded by the mean-value form too, so that what cancels along an axis, cancels in
        front of a kink.
        """
        assert flow.centre is not None
        if len(letters) not in self.traced:
            self.traced[len(letters)] = self.steps.traced(len(letters))
        traced, (low, high) = self.traced[len(letters)], flow.hull()
        inputs = constant(self.steps.inputs[letters])
        given = [(Bound(low, high, flow.error, flow.slow, flow.shigh), constant(flow.centre)), (inputs, inputs)]
        consts = [exact(c) for c in traced.consts]
        with float64(), np.errstate(over="ignore", invalid="ignore"):
            moved, outputs = interpret(traced.jaxpr, consts, given, mean_value, exact)
        return Flow.after(*moved, flow.basis), outputs

    def box(self, states: np.ndarray, middle: np.ndarray, half: np.ndarray) -> Flow:
        """The sets of some states, ``|Bᵀ (h − c) − middle| ≤ half``."""
        axes, skew = self.axes[states], self.skew[states][:, None]
        moved = np.matmul(axes, middle[:, :, None])[:, :, 0]
        centre = self.centre[states] + moved
        most = np.abs(middle).max(axis=1, keepdims=True)
        sizes = np.abs(self.centre[states]).max(axis=1, keepdims=True) + self.steps.width * most
        off = np.where(most > 0, 2 * skew * most + 4 * ROUNDING * self.steps.width * sizes, 0.0)
        half = half * (1 + ROUNDING) + off + 2 * skew * (half.max(axis=1, keepdims=True) + off)
        spread = np.moveaxis(axes * half[:, None, :], 2, 0)
        reach = np.abs(spread).sum(axis=0) * (1 + 1e-9)
        reach = np.where(reach > 0, reach + 2 * ROUNDING * np.abs(centre), 0.0)
        return Flow(centre, spread, spread, np.zeros_like(centre), centre - reach, centre + reach, axes[0])

    def ends(self, flow: Flow, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ends along the axes of the sets of some states, from their centres, that hold sets, row by row."""
        assert flow.centre is not None and flow.slow is not None and flow.shigh is not None
        around, axes = self.centre[states], self.axes[states]
        middle, half = (flow.slow + flow.shigh) / 2, (flow.shigh - flow.slow) / 2
        along = np.abs(np.matmul(middle[:, :, None, :], axes)[:, :, 0]).sum(axis=0)
        sizes = half.sum(axis=0) + flow.error
        sizes = sizes + 8 * ROUNDING * (np.abs(flow.centre) + np.abs(around) + np.abs(middle).sum(axis=0))
        reach = (along + np.matmul(sizes[:, None, :], np.abs(axes))[:, 0]) * (1 + 1e-9)
        off = np.matmul((flow.centre - around)[:, None, :], axes)[:, 0]
        return off - reach, off + reach


def _walks(steps: Steps, machine: Quotient, first: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Machine states and hidden states ``[n, H]`` along words, some of all letters and some of a few in a row."""
    rng = np.random.default_rng(seed)
    letters = machine.moves.shape[1]
    ends = np.sort(rng.integers(letters, size=(2, WALKS)), axis=0)
    words = rng.integers(ends[0][:, None], ends[1][:, None] + 1, size=(WALKS, length))
    words[: WALKS // 4] = rng.integers(letters, size=(WALKS // 4, length))
    hidden = steps.run(np.repeat(steps.start(), WALKS, axis=0), words)[0]
    states = machine.states(words)
    states[:, 0] = first
    return states.ravel(), hidden.reshape(-1, hidden.shape[2])


def _sets(states: np.ndarray, hidden: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres, principal axes as columns, and half-widths along them, of the hidden states of each machine state."""
    width = hidden.shape[1]
    many = np.bincount(states, minlength=count)
    mean = np.zeros((count, width))
    np.add.at(mean, states, hidden)
    mean = mean / np.maximum(many, 1)[:, None]
    apart = hidden - mean[states]
    spread = np.zeros((count, width, width))
    np.add.at(spread, states, apart[:, :, None] * apart[:, None, :])
    # The axes of all states together decide where those of one are left open.
    spread = spread / np.maximum(many, 1)[:, None, None] + 1e-6 * spread.sum(axis=0) / len(hidden)
    axes: np.ndarray = np.linalg.eigh(spread)[1]
    along = np.matmul(apart[:, None, :], axes[states])[:, 0]
    low, high = np.full((count, width), np.inf), np.full((count, width), -np.inf)
    np.minimum.at(low, states, along)
    np.maximum.at(high, states, along)
    seen = many > 0
    low[~seen], high[~seen] = 0.0, 0.0
    centre = mean + np.matmul(axes, ((low + high) / 2)[:, :, None])[:, :, 0]
    centre[~seen] = hidden.mean(axis=0)
    return centre, axes, (high - low) / 2
