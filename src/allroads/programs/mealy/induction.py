"""Induction over hidden states: a network computes a machine at all lengths."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from allroads.pfmap.jaxpr.walk import Traced, interpret
from allroads.pfmap.precision import float64
from allroads.programs.mealy.bounds import ROUNDING, Bound, UnboundedError, constant
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.intervals import bound_equation
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
"""Slopes that are held at once."""


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
    :class:`~allroads.programs.mealy.bounds.Bound`.

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
    why = "there was no time"
    for memory, letters, slopes in SCHEDULE:
        if time.perf_counter() - began > seconds:
            break
        try:
            attempt = _Attempt(steps, machine, memory, letters, slopes, seed, began + seconds)
            if attempt.work > WORK:
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
        self.work = len(self.state) * words * steps.width ** (2 + slopes) * 12.0

    def run(self) -> Closure:
        centre, radius = self._seen()
        for _ in range(GROWN):
            if time.perf_counter() > self.until:
                return Closure(False, why="there was no time to close the boxes")
            images, margin, agree = self._images(centre, radius)
            if not agree:
                return Closure(False, why="some box holds hidden states with another answer")
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

    def _images(self, centre: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """Half-widths that the boxes need to hold all images, the margin, and whether all answers are the machine's."""
        needed = np.zeros_like(radius)
        # The hidden state before the first letter is a box of its own node and must lie in it.
        start = self.steps.start()
        needed[0] = _Flow.at(start, self.basis).reach(centre[:1])[0]
        margin, agree = np.inf, True
        most = max(1, NUMBERS // (self.steps.width ** (1 + self.slopes) * self.alphabet**self.letters))
        for first in range(0, len(self.state), most):
            chosen = np.arange(first, min(first + most, len(self.state)))
            flow = _Flow.box(centre[chosen], radius[chosen], self.basis)
            node = chosen
            for _ in range(self.letters):
                letters = np.tile(np.arange(self.alphabet), len(node))
                flow, outputs = self._move(flow.repeated(self.alphabet), letters)
                least, same = self._answered(outputs, np.repeat(self.state[node], self.alphabet), letters)
                margin, agree = min(margin, least), agree and same
                node = self.next[np.repeat(node, self.alphabet), letters]
                if not agree:
                    return needed, margin, False
            np.maximum.at(needed, node, flow.reach(centre[node]))
        return needed, margin, agree

    def _move(self, flow: _Flow, letters: np.ndarray) -> tuple[_Flow, tuple[Bound, Bound | None]]:
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
            return _Flow(None, None, None, moved.error, moved.low, moved.high, None), (outputs, None)
        at, told = self._bounds(self.traced[count], constant(flow.centre), inputs)
        return _Flow.after(moved, at, flow.basis), (outputs, told)

    @staticmethod
    def _bounds(traced: Traced, hidden: Bound, inputs: Bound) -> list[Bound]:
        consts = [constant(np.asarray(c)) for c in traced.consts]
        with float64(), np.errstate(over="ignore", invalid="ignore"):
            found: list[Bound] = interpret(traced.jaxpr, consts, [hidden, inputs], bound_equation, constant)
        return found

    def _answered(
        self, outputs: tuple[Bound, Bound | None], states: np.ndarray, letters: np.ndarray
    ) -> tuple[float, bool]:
        """Smallest margin of the machine's answers over boxes, a lower bound, and whether all are above 0."""
        over, at = outputs
        low, high = over.low - over.error, over.high + over.error
        wanted, rows = self.machine.answers[states, letters], np.arange(len(states))
        loss = self.steps.subject.target.loss
        if loss == "cross_entropy":
            own = wanted[:, 0]
            gaps = low[rows, own][:, None] - high
            if at is not None:
                gaps = np.fmax(gaps, _mean_gaps(over, at, rows, own))
            gaps[rows, own] = np.inf
            least = float(gaps.min()) / 2
            return least, bool(least > 0)
        if at is not None:
            middle, slack = _middle(over, at)
            reach = np.maximum(*map(np.abs, over.slopes)).sum(axis=0) * (1 + 1e-9) + slack
            low, high = np.fmax(low, middle - reach), np.fmin(high, middle + reach)
        if loss == "bce":
            least = float(np.where(wanted == 1, low, -high).min())
        else:
            least = float((0.5 - np.maximum(np.abs(low - wanted), np.abs(high - wanted))).min())
        return least, bool(least > 0)


def _middle(over: Bound, at: Bound) -> tuple[np.ndarray, np.ndarray]:
    """Outputs at the centre, and how far those that are computed may be from them, slopes apart."""
    middle = (at.low + at.high) / 2
    return middle, (at.high - at.low) * (0.5 + ROUNDING) + over.error + 4 * ROUNDING * np.abs(middle)


def _mean_gaps(over: Bound, at: Bound, rows: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Lower bounds of the answer's score minus each score, by the mean-value form of their difference."""
    (slow, shigh), (middle, slack) = over.slopes, _middle(over, at)
    change = np.maximum(np.abs(slow[:, rows, own][..., None] - shigh), np.abs(shigh[:, rows, own][..., None] - slow))
    apart = middle[rows, own][:, None] - middle - slack[rows, own][:, None] - slack
    gaps: np.ndarray = apart - change.sum(axis=0) * (1 + 1e-9)
    return gaps


@dataclass(frozen=True, eq=False)
class _Flow:
    """Sets of hidden states ``c + Σ_k y_k g_k + e``: centres ``[n, H]``, slopes ``[K, n, H]`` and errors ``[n, H]``.

    ``low`` and ``high`` are a box around ``c + Σ y g``. Without slopes the box is all there is. A region around a
    point p is where ``|Bᵀ (h − p)|`` is at most its half-widths, with B the basis; ``None`` stands for the units' own
    axes.
    """

    centre: np.ndarray | None
    slow: np.ndarray | None
    shigh: np.ndarray | None
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    basis: np.ndarray | None

    @classmethod
    def box(cls, centre: np.ndarray, radius: np.ndarray, basis: np.ndarray | None) -> _Flow:
        """The regions with half-widths ``[n, H]`` around points ``[n, H]``."""
        error = np.zeros_like(centre)
        if basis is None:
            own = np.where(radius > 0, 2 * ROUNDING * (np.abs(centre) + radius), 0.0)
            return cls(None, None, None, error, centre - radius - own, centre + radius + own, None)
        # Bᵀ (h − p) = z gives h − p = B (I + E)⁻¹ z with E = Bᵀ B − I, which rounding leaves.
        off = float(np.abs(basis.T @ basis - np.eye(len(basis))).sum(axis=1).max()) + ROUNDING * len(basis)
        radius = radius * (1 + ROUNDING) + 2 * off * radius.max(axis=1, keepdims=True)
        spread = np.moveaxis(basis[None] * radius[:, None, :], 2, 0)
        reach = np.abs(spread).sum(axis=0) * (1 + 1e-9) + 2 * ROUNDING * np.abs(centre)
        return cls(centre, spread, spread, error, centre - reach, centre + reach, basis)

    @classmethod
    def at(cls, points: np.ndarray, basis: np.ndarray | None) -> _Flow:
        """Points ``[n, H]``."""
        zero = None if basis is None else np.zeros((1, *points.shape))
        return cls(None if basis is None else points, zero, zero, np.zeros_like(points), points, points, basis)

    @classmethod
    def after(cls, moved: Bound, at: Bound, basis: np.ndarray | None) -> _Flow:
        """What becomes of a set: its image bounded over the set, and the image of its centre."""
        if at.point:
            centre, off = at.low, np.zeros_like(at.low)
        else:
            centre = (at.low + at.high) / 2
            off = np.maximum(at.high - centre, centre - at.low) * (1 + ROUNDING)
        slow, shigh = moved.slopes
        return cls(centre, slow, shigh, moved.error + off, moved.low - off, moved.high + off, basis)

    def repeated(self, times: int) -> _Flow:
        parts = {name: getattr(self, name) for name in ("centre", "slow", "shigh", "error", "low", "high")}
        wide: dict[str, Any] = {
            name: None if part is None else np.repeat(part, times, axis=-2) for name, part in parts.items()
        }
        return replace(self, **wide)

    def hull(self) -> tuple[np.ndarray, np.ndarray]:
        """A box around ``c + Σ y g``."""
        if self.centre is None or self.slow is None or self.shigh is None:
            return self.low, self.high
        spread = np.maximum(np.abs(self.slow), np.abs(self.shigh)).sum(axis=0) * (1 + 1e-9)
        own = np.where(spread > 0, 4 * ROUNDING * (np.abs(self.centre) + spread), 0.0)
        low, high = self.centre - spread - own, self.centre + spread + own
        # Both boxes hold the set and its centre, so what they have in common does.
        return np.minimum(np.fmax(low, self.low), self.centre), np.maximum(np.fmin(high, self.high), self.centre)

    def reach(self, around: np.ndarray) -> np.ndarray:
        """Half-widths that regions around points ``[n, H]`` need to hold the set."""
        low, high = self.hull()
        reach = np.maximum(np.abs(low - around), np.abs(high - around)) + self.error
        if self.basis is None or self.centre is None or self.slow is None or self.shigh is None:
            found: np.ndarray = np.where(reach > 0, reach * (1 + 4 * ROUNDING), 0.0)
            return found
        turn = np.abs(self.basis)
        middle, half = (self.slow + self.shigh) / 2, (self.shigh - self.slow) / 2
        spread = (np.abs(middle @ self.basis) + half @ turn).sum(axis=0)
        off = np.abs((self.centre - around) @ self.basis) + self.error @ turn + spread
        own = 8 * ROUNDING * ((np.abs(self.centre) + np.abs(around) + np.abs(self.slow).sum(axis=0)) @ turn)
        both: np.ndarray = np.fmin(off * (1 + 1e-9) + own, (reach @ turn) * (1 + 1e-9))
        return both


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
