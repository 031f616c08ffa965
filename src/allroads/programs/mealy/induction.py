"""Induction over hidden states: a network computes a machine at all lengths."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from allroads.pfmap.jaxpr.walk import Traced, interpret
from allroads.pfmap.precision import float64
from allroads.programs.bounds.bound import Bound, UnboundedError, constant
from allroads.programs.bounds.equation import bound_equation
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.flow import Flow, answered, most_sets
from allroads.programs.mealy.quotient import Quotient

DEEPER = ((0, 1), (1, 1), (2, 1), (2, 2), (3, 3), (4, 4), (6, 4), (8, 5))
SCHEDULE = (*((memory, 1, False) for memory in (0, 1, 2)), *((*pair, True) for pair in DEEPER))
"""Letters m that tell the boxes of one state apart, letters k after which they must be closed, and whether slopes are
bounded: tried in turn."""

NODES = 20000
"""Most boxes."""

GROWN = 30
"""Times that the boxes grow before an attempt is given up."""

WORK = 4e9
"""Multiplications that one pass may take; attempts beyond it are left out."""

NUMBERS = 4_000_000
"""Slopes of hidden states that are held at once."""

LATE = "there was no time to close the boxes"


@dataclass(frozen=True)
class Closure:
    """What became of an induction.

    Args:
        closed: Whether it was shown that the hidden states of each machine state stay in its boxes, and that the answer
            is the machine's in all of them.
        margin: Smallest distance of an output from where its answer changes, over all boxes; a lower bound.
        transitions: Pairs of a box and a letter that were checked.
        memory: Letters m that tell the boxes of one state apart.
        letters: Letters k after which boxes are closed.
        radius: Largest half-width of a box.
        why: What stood in the way.
    """

    closed: bool
    margin: float = float("nan")
    transitions: int = 0
    memory: int = 0
    letters: int = 0
    radius: float = float("nan")
    why: str = ""


def closure(steps: Steps, machine: Quotient, seed: int, *, seconds: float = 30.0) -> Closure:
    """Induction over hidden states, in double precision: boxes that the network's step maps into each other.

    There is one box of hidden states for each path of m letters through the machine, or from its start. Boxes begin
    around hidden states that were seen, and grow by their images. They are *closed* when every word of k letters leads
    from each box into the box where the machine says. Then every hidden state at every length lies in a box or within
    k letters of one, and the answers there are checked too.

    Images are bounded by plain intervals, and then by the mean-value form ``f(x) ∈ f(c) + J (x − c)`` with intervals
    for the slopes J. Rounding errors of the network's own arithmetic are bounded along with it, see
    :class:`~allroads.programs.bounds.bound.Bound`.

    Args:
        steps: The network.
        machine: The machine.
        seed: Decides the words whose hidden states the boxes begin with.
        seconds: Time that it may take.

    When it fails: hidden states that contract too slowly, boxes so wide that answers differ in them, or an operation
    without a bound. Nothing then is shown, and nothing refuted.

    References: [moore1966]
    """
    began = time.perf_counter()
    why = "the boxes would take too much time or memory"
    for memory, letters, slopes in SCHEDULE:
        if time.perf_counter() - began > seconds:
            break
        try:
            attempt = _Attempt(steps, machine, memory, letters, slopes, seed, began + seconds)
            if attempt.work > WORK or attempt.held < len(steps.letters) ** letters:
                continue
            found = attempt.run()
        except UnboundedError as error:
            why = str(error)
            if why.startswith("there is no bound"):
                break
            continue
        if found.closed:
            return found
        why = found.why
    return Closure(False, why=why)


class _Attempt:
    """One attempt at closing boxes with memory m after k letters."""

    def __init__(
        self, steps: Steps, machine: Quotient, memory: int, letters: int, slopes: bool, seed: int, until: float
    ):
        self.steps, self.machine, self.memory, self.letters, self.until = steps, machine, memory, letters, until
        self.slopes = slopes
        self.alphabet = len(steps.letters)
        self.traced: dict[int, Traced] = {}
        self.state, self.next = _nodes(machine.moves, memory)
        self.seed = seed
        self.basis: np.ndarray | None = None
        words = sum(self.alphabet**j for j in range(1, letters + 1))
        self.held = most_sets(steps, slopes)
        self.work = len(self.state) * words * steps.width ** (2 + slopes) * 12.0

    def run(self) -> Closure:
        centre, radius = self._seen()
        for _ in range(GROWN):
            images, margin, wrong = self._images(centre, radius)
            if wrong:
                return Closure(False, why=wrong)
            grown = ~(images <= radius)  # what is not a number is not held either
            if not grown.any():
                count = len(self.state) * sum(self.alphabet**j for j in range(1, self.letters + 1))
                return Closure(True, margin, count, self.memory, self.letters, float(radius.max()))
            if not np.isfinite(images).all() or images.max() > 1e3 * (1 + np.abs(centre).max()):
                return Closure(False, why="the boxes grow without end")
            radius = np.where(grown, 1.02 * images + 1e-15, radius)
        return Closure(False, why=f"the boxes still grow after {GROWN} passes")

    def _seen(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle and half-width, along the basis, of the hidden states that were seen in each node."""
        rng = np.random.default_rng(self.seed)
        hidden, node = [], []
        words = rng.integers(self.alphabet, size=(256, 24 + 2 * self.memory))
        now, at = np.repeat(self.steps.start(), len(words), axis=0), np.zeros(len(words), int)
        for letters in [*words.T, None]:
            hidden.append(now)
            node.append(at)
            if letters is not None:
                now, at = self.steps.move(now, letters)[0], self.next[at, letters]
        seen = set(np.concatenate(node).tolist())
        paths = _paths(self.next)
        missing = [i for i in range(len(self.state)) if i not in seen]
        now = np.repeat(self.steps.start(), len(missing), axis=0)
        for position in range(max((len(paths[i]) for i in missing), default=0)):
            going = [k for k, i in enumerate(missing) if position < len(paths[i])]
            now[going] = self.steps.move(now[going], [paths[missing[k]][position] for k in going])[0]
        states, nodes = np.concatenate([*hidden, now]), np.concatenate([*node, np.array(missing, int)])
        if self.slopes:
            self.basis = _axes(states, nodes)
            states = states @ self.basis
        low = np.full((len(self.state), self.steps.width), np.inf)
        high = -low
        np.minimum.at(low, nodes, states)
        np.maximum.at(high, nodes, states)
        middle = (low + high) / 2
        return middle if self.basis is None else middle @ self.basis.T, (high - low) / 2

    def _images(self, centre: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, float, str]:
        """Half-widths that the boxes need to hold all images, the margin, and what went wrong."""
        needed = np.zeros_like(radius)
        # The hidden state before the first letter is a box of its own node and must lie in it.
        start = self.steps.start()
        needed[0] = Flow.at(start, self.basis).reach(centre[:1])[0]
        margin = np.inf
        words = self.alphabet**self.letters
        most = max(1, min(NUMBERS // self.steps.width ** (1 + self.slopes), self.held) // words)
        for first in range(0, len(self.state), most):
            if time.perf_counter() > self.until:
                return needed, margin, LATE
            chosen = np.arange(first, min(first + most, len(self.state)))
            flow = Flow.box(centre[chosen], radius[chosen], self.basis)
            node = chosen
            for _ in range(self.letters):
                letters = np.tile(np.arange(self.alphabet), len(node))
                flow, outputs = self._move(flow.repeated(self.alphabet), letters)
                own = np.repeat(self.state[node], self.alphabet)
                least, same = answered(self.steps, self.machine, outputs, own, letters)
                margin = min(margin, least)
                node = self.next[np.repeat(node, self.alphabet), letters]
                if not same:
                    return needed, margin, "some box holds hidden states with another answer"
            np.maximum.at(needed, node, flow.reach(centre[node]))
        return needed, margin, ""

    def _move(self, flow: Flow, letters: np.ndarray) -> tuple[Flow, tuple[Bound, Bound | None]]:
        count = len(letters)
        if count not in self.traced:
            self.traced[count] = self.steps.traced(count)
        inputs = constant(self.steps.inputs[letters])
        low, high = flow.hull()
        over = Bound(low, high, flow.error, flow.slow, flow.shigh)
        if np.array_equal(low, high) and not flow.error.any():  # points: every slope is along nothing
            over = constant(low)
        moved, outputs = self._bounds(self.traced[count], over, inputs)
        if flow.slow is None:
            return Flow(None, None, None, moved.error, moved.low, moved.high, None), (outputs, None)
        at, told = self._bounds(self.traced[count], constant(flow.centre), inputs)
        return Flow.after(moved, at, flow.basis), (outputs, told)

    @staticmethod
    def _bounds(traced: Traced, hidden: Bound, inputs: Bound) -> list[Bound]:
        consts = [constant(np.asarray(c)) for c in traced.consts]
        with float64(), np.errstate(over="ignore", invalid="ignore"):
            found: list[Bound] = interpret(traced.jaxpr, consts, [hidden, inputs], bound_equation, constant)
        return found


def _axes(states: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Principal axes of hidden states around the mean of their node, as columns."""
    count = np.bincount(nodes)
    mean = np.zeros((len(count), states.shape[1]))
    np.add.at(mean, nodes, states)
    apart = states - (mean / np.maximum(count, 1)[:, None])[nodes]
    axes: np.ndarray = np.linalg.eigh(apart.T @ apart)[1]
    return axes


def _nodes(moves: np.ndarray, memory: int) -> tuple[np.ndarray, np.ndarray]:
    """Paths of at most m letters, those from the start and full ones: the state that each ends in, and what follows.

    A path is its first state and its letters, and whether it is from the start. The first path is empty.
    """
    index: dict[tuple[bool, int, tuple[int, ...]], int] = {(memory > 0, 0, ()): 0}
    order, ends, table = [*index], [0], []
    for k, (short, begin, seen) in enumerate(order):  # grows while it is walked
        table.append([0] * moves.shape[1])
        for letter, state in enumerate(moves[ends[k]].tolist()):
            longer = (*seen, letter)
            if len(longer) <= memory:
                node = (short and len(longer) < memory, begin, longer)
            else:
                node = (False, int(moves[begin, longer[0]]), longer[1:])
            if node not in index:
                index[node] = len(order)
                order.append(node)
                ends.append(state)
            table[-1][letter] = index[node]
        if len(order) > NODES:
            raise UnboundedError(f"more than {NODES} boxes would be needed")
    return np.array(ends), np.array(table)


def _paths(following: np.ndarray) -> dict[int, list[int]]:
    """A shortest word to each node."""
    found: dict[int, list[int]] = {0: []}
    order = [0]
    for node in order:  # grows while it is walked
        for letter, after in enumerate(following[node].tolist()):
            if after not in found:
                found[after] = [*found[node], letter]
                order.append(after)
    return found
