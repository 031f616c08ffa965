"""Steering: to end in a chosen one of several programs that fit the data, by weights, starts or explorers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from allroads.atlases.cross_entropy import cross_entropy_search
from allroads.budget import Budget, budgeted
from allroads.checks import check_choice, check_count, check_options
from allroads.distributions import share
from allroads.errors import InputError
from allroads.explorers.build import as_explorer
from allroads.explorers.explore import explore
from allroads.explorers.explorer import Explorer
from allroads.explorers.recording import Recording
from allroads.paths.agreement import answers
from allroads.pfmap.problem import Problem
from allroads.results import Measurement, Result, finish
from allroads.status import AtlasStatus

By: TypeAlias = Literal["weights", "start", "explorer"]

PILOT = 1 << 24
"""Index of the first pilot run; the runs that are counted have lower ones."""
SPREAD = 1.5
"""Standard deviation of the log weights in the first round of the search."""


@dataclass(frozen=True, repr=False)
class Steering(Result):
    """How often runs end in the chosen program, before and after steering.

    Args:
        before: Share of runs that end in it without steering; ``stats`` has the 95 % interval, ``low`` to ``high``.
        after: The same with steering; other runs than those that were steered by.
        status: What became of it.
        by: ``"weights"``, ``"start"`` or ``"explorer"``.
        weights: Of the examples, of mean 1; ``None`` where they are not what was changed.
        explorer: The explorer that the runs after steering took.
        stats: What it rests on: ``runs``, ``fit_before`` and ``fit_after`` (share of runs without an error on the
            data), ``functions_before`` and ``functions_after`` (how many functions the runs end in), ``pilot`` (runs
            that the search took), for explorers ``shares`` of the pilot, and ``ended``: ``"budget"``,
            ``"interrupted"`` or ``None``.
    """

    before: Measurement
    after: Measurement
    status: AtlasStatus
    by: str
    weights: np.ndarray | None
    explorer: Explorer
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The share after steering."""
        return self.after.value

    @property
    def error(self) -> float | None:
        """The larger side of its interval."""
        return self.after.error

    def __str__(self) -> str:
        parts = []
        for name, found in (("before", self.before), ("after", self.after)):
            low, high = 100 * found.stats["low"], 100 * found.stats["high"]
            told = f"{100 * found.value:.0f} % (95 % interval {low:.0f}–{high:.0f} %)"
            parts.append(f"{name} {'not measured' if np.isnan(found.value) else told}")
        runs = f"of {self.stats['runs']} runs end in the chosen program"
        return f"steered by {self.by}: {', '.join(parts)} {runs}; {self.status.value}"


def steer(
    problem: Problem,
    explorer: Explorer | str,
    chosen: Any,
    inputs: Any,
    *,
    steps: int,
    by: By = "weights",
    explorers: Sequence[Explorer | str] = (),
    runs: int = 200,
    pilot: int = 32,
    rounds: int = 8,
    candidates: int = 24,
    among: int = 64,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Steering:
    """Share of runs that end in a chosen function, one of several that fit the data, before and after steering.

    A run ends in the function if its answers on all ``inputs`` after ``steps`` are the chosen ones. Three ways:

    - ``"weights"``: the examples are weighted. The weights are searched by the cross-entropy method, which asks how
      many of ``pilot`` runs end in the function.
    - ``"start"``: each run begins at the best of ``among`` drawn starts, by the loss of the chosen answers on those
      ``inputs`` that are no training examples. No gradient is taken.
    - ``"explorer"``: the one of ``explorers`` with which most of ``pilot`` runs end there.

    The runs that are counted are none of those of the search. They are members 0, 1, … of ``explore`` with that seed,
    and before and after have the same keys.

    Args:
        problem: Network, loss and training data. Weights that it has are the state before.
        explorer: How the runs move, or its name.
        chosen: Answers on ``inputs``: bits, classes or whole numbers, ``[N]`` or shaped as the answers.
        inputs: All inputs that there are ``[N, …]``, or those on which functions are told apart.
        steps: Of every run.
        by: How runs are steered.
        explorers: What there is to choose from, for ``"explorer"``.
        runs: How many are counted, before and after.
        pilot: Runs per candidate of a search.
        rounds: Of the search for weights.
        candidates: Weights that one round tries.
        among: Starts that are drawn per run.
        seed: Decides all runs and searches.
        budget: Seconds for the search. It ends in time for the runs after it, which take as long as those before.
            Ctrl-C ends the search too. One that comes during the runs after it leaves out these.
        progress: Whether progress is written.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not sound.

    Returns:
        A :class:`Steering`. Its status is ``"ok"`` where the interval after lies above the one before, else
        ``"not steered"``; ``"cut short"`` where the search was, and ``"unfinished"`` where there are no runs after it.

    Raises:
        InputError: If the chosen answers do not fit the inputs or the training data, or an option is out of range.
        MeasurementError: With ``throw``.

    References: [rubinstein1999, clopper1934]

    Example:
        A perceptron with bias sees x = −1 and x = 1 with the answers 0 and 1. What it says at 0.25 is open:

        >>> from allroads import GD, Network
        >>> line = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x * w[0] + w[1])
        >>> problem = Problem(line, "bce", [[-1.0], [1.0]], [0, 1])
        >>> found = steer(problem, GD(learning_rate=0.5), [0, 0, 1], [[-1.0], [0.25], [1.0]], steps=20, runs=100,
        ...     rounds=3, candidates=8, progress=False)
        >>> found.before.value < 0.2, found.after.value > 0.5, bool(found.weights[0] > found.weights[1])
        (True, True, True)
    """
    check_options("problem", problem, Problem)
    explorer = as_explorer(explorer)
    check_choice("by", by, ("weights", "start", "explorer"))
    counts = {"runs": runs, "pilot": pilot, "rounds": rounds, "candidates": candidates, "among": among}
    for name, value in counts.items():
        check_count(name, value, 4 if name == "candidates" else 1)
    check_count("steps", steps, 0)
    check_count("seed", seed, 0)
    if by == "explorer" and len(explorers) < 1:
        raise InputError("explorers: expected one explorer or more to choose from.")
    if by != "explorer" and explorers:
        raise InputError(f"explorers: they are for by='explorer'; got by={by!r}.")
    asked = _Asked(problem, explorer, np.asarray(inputs), steps, seed)
    wanted = _wanted(asked, chosen)
    with budgeted("steer", budget, progress) as clock:
        clock.say(f"{runs} runs before")
        before = asked.ends(np.arange(runs))
        tries = _Tries(asked, wanted, PILOT + np.arange(pilot), clock, clock.spent)
        weights, start, other, after = None, None, explorer, None
        stats: dict[str, Any] = {}
        if by == "weights":
            weights = _weights(tries, rounds, candidates)
        elif by == "start":
            clock.say("drawing starts")
            with clock.interruptible():
                start = _starts(asked, chosen, runs, among)
        else:
            other, stats = _explorer(tries, explorers)
        ended = "interrupted" if clock.interrupted else tries.ended
        if by != "start" or start is not None:
            clock.say(f"{runs} runs after")
            changed = replace(asked, explorer=other, problem=asked.weighted(weights))
            try:
                after = changed.ends(np.arange(runs), start)
            except KeyboardInterrupt:
                ended = "interrupted"
    first, second = (
        share(0, 0) if ends is None else share(int((ends == wanted).all(axis=1).sum()), runs)
        for ends in (before, after)
    )
    for name, ends in (("before", before), ("after", after)):
        if ends is not None:
            stats[f"functions_{name}"] = len(Counter(end.tobytes() for end in ends))
            stats[f"fit_{name}"] = float(asked.fits(ends).mean())
    status = AtlasStatus.UNFINISHED
    if after is not None:
        rose = second.stats["low"] > first.stats["high"]
        status = AtlasStatus.CUT_SHORT if ended else AtlasStatus.OK if rose else AtlasStatus.NOT_STEERED
    stats = {"runs": runs, "steps": steps, "seed": seed, "pilot": pilot * tries.made, **stats, "ended": ended}
    return finish(Steering(first, second, status, by, weights, other, stats), throw)


@dataclass(frozen=True)
class _Asked:
    """What runs are asked for."""

    problem: Problem
    explorer: Explorer
    inputs: np.ndarray
    steps: int
    seed: int

    def ends(self, members: np.ndarray, start: Any = None) -> np.ndarray:
        """What runs answer at their end, ``[M, N·C]``; what is not finite answers −1."""
        record = Recording(records=2, checkpoints=2)
        found = explore(
            self.problem,
            self.explorer,
            members.tolist(),
            steps=self.steps,
            seed=self.seed,
            start=start,
            record=record,
            probes=self.inputs,
        )
        outputs = found.values[:, -1]
        said = answers(outputs, self.problem.loss).reshape(len(members), -1)
        finite = np.isfinite(outputs).reshape(len(members), -1).all(axis=1, keepdims=True)
        return np.where(finite, said, -1)

    def weighted(self, weights: np.ndarray | None) -> Problem:
        """The problem with other weights of its examples."""
        if weights is None:
            return self.problem
        return replace(self.problem, weights=weights.reshape(-1, *[1] * (np.ndim(self.problem.weights) - 1)))

    def fits(self, ends: np.ndarray) -> np.ndarray:
        """Which ends are right on the training examples that are among the inputs."""
        rows, said = self.trained
        each = ends.reshape(len(ends), len(self.inputs), -1)[:, rows]
        right: np.ndarray = (each == said).reshape(len(ends), -1).all(axis=1)
        return right

    @property
    def trained(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the inputs that are training examples, and the answers that their labels are ``[n, C]``."""
        place = {row.tobytes(): k for k, row in enumerate(_rows(self.inputs))}
        found = [(place.get(row.tobytes()), k) for k, row in enumerate(_rows(np.asarray(self.problem.inputs)))]
        pairs = np.array([(row, k) for row, k in found if row is not None], int).reshape(-1, 2)
        labels = np.asarray(self.problem.labels)
        if self.problem.loss == "cross_entropy" and labels.dtype.kind == "f":
            labels = labels.argmax(axis=-1)
        said = np.rint(labels).astype(int).reshape(len(labels), -1)
        return pairs[:, 0], said[pairs[:, 1]]


def _rows(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.reshape(len(array), -1), dtype=np.float32)


def _wanted(asked: _Asked, chosen: Any) -> np.ndarray:
    """The chosen answers ``[N·C]``, checked."""
    network = asked.problem.network
    point = jax.eval_shape(network.init, jax.random.key(0))
    outputs = jax.eval_shape(network.apply, point, jnp.asarray(asked.inputs))
    said = answers(np.zeros(outputs.shape), asked.problem.loss)
    wanted = np.asarray(chosen)
    if wanted.size != said.size or len(wanted) != len(asked.inputs):
        raise InputError(
            f"chosen: shape {wanted.shape} for {len(asked.inputs)} inputs; expected one answer per output, "
            f"{said.shape}."
        )
    if wanted.dtype.kind not in "iub" and not (np.rint(wanted) == wanted).all():
        raise InputError("chosen: expected bits, classes or whole numbers; round the answers first.")
    flat: np.ndarray = wanted.astype(int).reshape(-1)
    most = {"bce": 1, "cross_entropy": outputs.shape[-1] - 1}.get(str(asked.problem.loss))
    if most is not None and ((flat < 0) | (flat > most)).any():
        raise InputError(f"chosen: expected whole numbers from 0 to {most}; got {flat.min()} to {flat.max()}.")
    if not asked.fits(flat[np.newaxis]).all():
        raise InputError(
            "chosen: its answers differ from the labels of the training data, so no run that fits ends in it. Choose a "
            "function that fits, or leave those examples out."
        )
    return flat


@dataclass
class _Tries:
    """Pilot runs of one search, until it has to end; thrown away at the end of the call.

    Args:
        asked: What runs are asked for.
        wanted: The chosen answers.
        members: Which runs are made for each candidate.
        clock: The budget.
        held: Seconds that are held back for the runs after the search.
    """

    asked: _Asked
    wanted: np.ndarray
    members: np.ndarray
    clock: Budget
    held: float
    made: int = 0
    ended: str | None = None

    def of(self, changed: _Asked, what: str) -> np.ndarray | None:
        """Which answers of each pilot run are the chosen ones; ``None`` where the search has to end."""
        if not self.clock.ended and self.clock.left < self.held:
            self.ended = "budget"
        self.ended = self.clock.ended or self.ended
        if self.ended:
            return None
        self.clock.say(what)
        right: np.ndarray | None = None
        with self.clock.interruptible():
            right = changed.ends(self.members) == self.wanted
            self.made += 1
        return right


def _weights(tries: _Tries, rounds: int, candidates: int) -> np.ndarray:
    """Weights of the examples under which most pilot runs end in the chosen function."""

    def score(log_weights: np.ndarray) -> float | None:
        changed = replace(tries.asked, problem=tries.asked.weighted(_positive(log_weights)))
        right = tries.of(changed, f"weights {tries.made + 1} of {rounds * candidates}")
        return None if right is None else float(right.all(axis=1).mean() + 0.1 * right.mean())

    size, seed = len(tries.asked.problem), tries.asked.seed
    best = cross_entropy_search(score, size, rounds=rounds, candidates=candidates, spread=SPREAD, seed=seed)
    return _positive(best)


def _positive(log_weights: np.ndarray) -> np.ndarray:
    """Weights of mean 1."""
    raised = np.exp(log_weights - log_weights.max())
    weights: np.ndarray = raised / raised.mean()
    return weights


def _starts(asked: _Asked, chosen: Any, runs: int, among: int) -> Any:
    """For each run the best of some drawn starts, by the loss of the chosen answers where the data leave them open."""
    labels = np.asarray(chosen)
    labels = labels if asked.problem.loss == "cross_entropy" else labels.astype(float)
    open_ = np.setdiff1d(np.arange(len(labels)), asked.trained[0])
    rows = open_ if len(open_) else np.arange(len(labels))
    problem = asked.problem.on(asked.inputs[rows], labels[rows])
    network, data, objective = problem.network, problem.data, problem.objective
    key = jax.random.fold_in(jax.random.key(asked.seed), PILOT)

    @jax.jit
    def best(key: Any) -> Any:
        drawn = jax.vmap(network.init)(jax.random.split(key, among))
        losses = jax.vmap(objective.mean, (0, None))(drawn, data)
        return jax.tree.map(lambda leaf: leaf[jnp.argmin(losses)], drawn)

    return jax.lax.map(best, jax.random.split(key, runs))


def _explorer(tries: _Tries, explorers: Sequence[Explorer | str]) -> tuple[Explorer, dict[str, Any]]:
    """The explorer with which most pilot runs end in the chosen function; where none was tried, that of the runs."""
    known, shares = [as_explorer(explorer) for explorer in explorers], list[float]()
    for place, explorer in enumerate(known):
        right = tries.of(replace(tries.asked, explorer=explorer), f"explorer {place + 1} of {len(known)}")
        if right is None:
            break
        shares.append(float(right.all(axis=1).mean()))
    return known[int(np.argmax(shares))] if shares else tries.asked.explorer, {"shares": shares}
