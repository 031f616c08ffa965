"""What every explorer promises."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from allroads.errors import InputError
from allroads.explorers.explorer import Explorer, Info, State, TracedProblem
from allroads.explorers.pack import check_step
from allroads.networks.mlp import mlp
from allroads.pfmap.precision import float64
from allroads.pfmap.problem import Problem
from allroads.testing.promise import copied, difference, is_frozen, promise

MEMBERS, STEPS, STOP = 3, 4, 2
"""Members and steps of a check, and the step from which it is resumed."""


def check_explorer(explorer: Explorer, problem: Problem | None = None) -> None:
    """Whether an explorer keeps what every explorer promises, in double precision.

    - *options*: a frozen dataclass, hashable, equal to a copy, whose ``repr`` names every option; where all options are
      plain values, evaluating the ``repr`` gives an equal explorer;
    - *a step gives a state like the one before*: structure, shapes and dtypes, one loss per member;
    - *the same keys give the same run*: the explorer's functions are traced twice and remember nothing themselves;
    - *a run goes on from its state*: the state is copied through NumPy and handed to an equal explorer;
    - *members do not see each other*, unless ``mixes``: changing their order changes the order of the results, and
      neighbours that are far away or not finite change nothing;
    - *points stay finite*, as starts near zero and small steps should;
    - *the loss is one that the step saw*: before or after it, where all examples are looked at;
    - *evaluations are counted*: ``gradients + forwards`` of a step are how often it evaluated the loss, each on
      ``examples`` examples.

    Args:
        explorer: The explorer; with default steps, so that a few of them change a point.
        problem: What it descends; default a 2-3-1 tanh network on enough examples for the batch.

    Raises:
        AssertionError: At the first promise that is broken: says which, what was expected and what to do.

    Example:
        >>> from allroads import Adam
        >>> check_explorer(Adam(learning_rate=0.01))
    """
    part = f"explorer {getattr(explorer, 'name', explorer)!r}"
    _check_options(explorer, part)
    with float64():
        problem = _small_problem(explorer.batch_size or 1) if problem is None else problem
        keys = jax.random.split(jax.random.key(0), MEMBERS)
        population = jax.vmap(problem.network.init)(jax.random.split(jax.random.key(1), MEMBERS))
        traced = _Traced(explorer, problem)
        states, infos = _run(traced, traced.init(keys, population), part)
        evaluations = traced.evaluations
        again = _Traced(_copy(explorer), problem)
        _check_pure(part, again, states, keys, population)
        _check_steps(part, explorer, problem, states, infos)
        _check_cost(part, explorer, problem, infos, evaluations)
        if not explorer.mixes:
            _check_members(part, traced, states, keys, population)


class _Counted:
    """An objective that counts at run time how often its network is evaluated, once per member."""

    def __init__(self, problem: Problem):
        self.calls, network = 0, problem.network

        def apply(params: Any, inputs: Any) -> Any:
            first = sum(leaf.ravel()[0] for leaf in jax.tree.leaves(params))  # one of them may be a constant
            jax.debug.callback(self._count, first)
            return network.apply(params, inputs)

        self.objective = dataclasses.replace(problem.objective, network=dataclasses.replace(network, apply=apply))

    def _count(self, _: Any) -> None:
        self.calls += 1


class _Traced:
    """The two functions of an explorer, traced and compiled anew; ``evaluations`` counts those of the last call."""

    def __init__(self, explorer: Explorer, problem: Problem):
        self.counted = _Counted(problem)
        inside = TracedProblem(self.counted.objective, problem.data)
        self._init: Callable[..., State] = jax.jit(lambda keys, population: explorer.init(keys, population, inside))
        self._step: Callable[..., tuple[State, Info]] = jax.jit(lambda state: explorer.step(state, inside))
        self._shapes: Callable[[State], Any] = lambda state: jax.eval_shape(lambda at: explorer.step(at, inside), state)
        self.explorer, self.evaluations = explorer, 0

    def init(self, keys: Any, population: Any) -> State:
        return self._init(keys, population)

    def step(self, state: State) -> tuple[State, Info]:
        jax.effects_barrier()
        self.counted.calls = 0
        moved = self._step(state)
        jax.effects_barrier()
        self.evaluations = self.counted.calls
        return moved

    def check_shapes(self, state: State) -> None:
        """Refuse a step that gives another kind of state.

        Raises:
            InputError: Saying what is another.
        """
        stepped = self._shapes(state)
        check_step(self.explorer, state, stepped, MEMBERS)
        for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(stepped[0]), strict=True):
            if old.dtype != new.dtype:
                raise InputError(f"an array of the state is {old.dtype}, and {new.dtype} after the step.")


class _Seen(NamedTuple):
    before: State
    info: Info


def _run(traced: _Traced, state: State, part: str) -> tuple[list[State], list[_Seen]]:
    try:
        traced.check_shapes(state)
    except InputError as error:
        promise(
            False,
            part,
            "a step gives a state like the one before",
            "structure, shapes and dtypes of the state to stay, and one loss per member",
            str(error).rstrip("."),
            "Return State(params, memory) with the same leaves, and Info(loss) with a loss of shape [M].",
        )
    states, seen = [state], []
    for _ in range(STEPS):
        moved, info = traced.step(states[-1])
        seen.append(_Seen(states[-1], info))
        states.append(moved)
    return states, seen


def _copy(explorer: Any) -> Any:
    """Another explorer with the same options."""
    return dataclasses.replace(explorer)


def _check_options(explorer: Any, part: str) -> None:
    promise(
        isinstance(explorer, Explorer) and is_frozen(explorer),
        part,
        "options are frozen",
        "a frozen dataclass that subclasses Explorer",
        f"{type(explorer).__name__}, which is none",
        "Decorate the class with @dataclass(frozen=True) and keep in the state what changes.",
    )
    copy = _copy(explorer)
    names = [field.name for field in dataclasses.fields(copy) if field.init]
    try:
        same = copy == explorer and hash(copy) == hash(explorer)
    except TypeError as error:
        same = False
        part = f"{part} ({error})"
    promise(
        same,
        part,
        "equal options are equal explorers",
        "a hash, and a copy that is equal to it",
        "a copy that is not",
        "Take options that can be hashed: tuples for lists, no arrays; leave __eq__ to the dataclass.",
    )
    text = repr(explorer)
    missing = [name for name in names if f"{name}=" not in text]
    promise(
        not missing,
        part,
        "repr names every option",
        f"each of {', '.join(names)} in it",
        f"{text}, without {', '.join(missing)}",
        "Leave __repr__ to the dataclass.",
    )
    classes = _classes(explorer)
    if classes is not None:
        promise(
            eval(text, {"inf": math.inf, "nan": math.nan} | classes) == explorer,
            part,
            "repr names every option",
            "an equal explorer from evaluating it",
            f"another one from {text}",
            "Leave __repr__ and __eq__ to the dataclass.",
        )


def _classes(value: Any) -> dict[str, type] | None:
    """The classes that evaluating a repr takes; ``None`` where some value has no repr that can be evaluated."""
    if value is None or isinstance(value, bool | str | numbers.Number):
        return {}
    parts = []
    if isinstance(value, tuple):
        parts = [_classes(part) for part in value]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [_classes(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init and f.repr]
        parts.append({type(value).__name__: type(value)})
    else:
        return None
    found: dict[str, type] = {}
    for part in parts:
        if part is None:
            return None
        found |= part
    return found


def _check_pure(part: str, again: _Traced, states: list[State], keys: Any, population: Any) -> None:
    state = again.init(keys, population)
    for number, expected in enumerate(states):
        state = state if number == 0 else again.step(state)[0]
        promise(
            not (told := difference(state, expected)),
            part,
            "the same keys give the same run",
            f"the same state after {number} steps where the functions are traced again",
            f"another: {told}",
            "Draw from the keys alone, and remember everything in the state: nothing on the explorer or in a module.",
        )
    state = copied(states[STOP])
    for _ in range(STOP, STEPS):
        state = again.step(state)[0]
    promise(
        not (told := difference(state, states[-1])),
        part,
        "a run goes on from its state",
        f"the same end from a copy of the state after {STOP} steps",
        f"another: {told}",
        "Keep momenta, counters and random keys in State.memory.",
    )


def _check_steps(part: str, explorer: Explorer, problem: Problem, states: list[State], infos: list[_Seen]) -> None:
    for number, state in enumerate(states):
        finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
        promise(
            finite,
            part,
            "points stay finite",
            "finite parameters from a start near zero",
            f"NaN or infinity after {number} steps",
            "Check the rule for divisions by zero; take a smaller step by default.",
        )
    if explorer.batch_size is not None:
        return
    mean = jax.jit(jax.vmap(problem.objective.mean, in_axes=(0, None)))
    losses = [np.asarray(mean(state.params, problem.data)) for state in states]
    for number, seen in enumerate(infos):
        told = difference(np.asarray(seen.info.loss), losses[number])
        promise(
            not (told and difference(np.asarray(seen.info.loss), losses[number + 1])),
            part,
            "the loss is one that the step saw",
            f"Info.loss of step {number + 1} to be the mean loss of each member before the step, or after it",
            f"another: before the step {told}",
            "Return the loss that value_and_grad gave at the point before it moved.",
        )


def _check_cost(part: str, explorer: Explorer, problem: Problem, infos: list[_Seen], evaluations: int) -> None:
    info = infos[-1].info
    counts = [np.broadcast_to(np.asarray(count), (MEMBERS,)) for count in (info.gradients, info.forwards)]
    claimed = int(sum(count.sum() for count in counts))
    promise(
        claimed == evaluations and all((count >= 0).all() for count in counts),
        part,
        "evaluations are counted",
        f"gradients + forwards of {MEMBERS} members to be {evaluations}, as often as a step evaluated the loss",
        str(claimed),
        "Return Info(loss, gradients=…, forwards=…) with the numbers of one member; a gradient counts once.",
    )
    examples, expected = np.asarray(info.examples), explorer.batch_size or len(problem)
    promise(
        (examples == expected).all(),
        part,
        "evaluations are counted",
        f"Info.examples of {expected}: the batch, or all examples",
        str(examples.tolist()),
        "Return Info(…, examples=…) with the number of examples in one evaluation.",
    )


def _check_members(part: str, traced: _Traced, states: list[State], keys: Any, population: Any) -> None:
    def ends(keys: Any, population: Any) -> Any:
        state = traced.init(keys, population)
        for _ in range(STEPS):
            state = traced.step(state)[0]
        return state.params

    order = np.roll(np.arange(MEMBERS), 1)
    moved = ends(keys[order], jax.tree.map(lambda leaf: leaf[order], population))
    expected = jax.tree.map(lambda leaf: leaf[order], states[-1].params)
    remedy = "Work on each member alone (per_member does), or set the class attribute mixes = True."
    promise(
        not (told := difference(moved, expected)),
        part,
        "members do not see each other",
        "the results in another order where the members are in another order",
        f"others: {told}",
        remedy,
    )
    for words, value in (("far away", 1e3), ("not finite", np.nan)):
        others = jax.tree.map(lambda leaf: leaf.at[1:].set(value), population)  # noqa: B023
        found = jax.tree.map(lambda leaf: leaf[0], ends(keys, others))
        promise(
            not (told := difference(found, jax.tree.map(lambda leaf: leaf[0], states[-1].params))),
            part,
            "members do not see each other",
            f"the same end of the first member where all others are {words}",
            f"another: {told}",
            remedy,
        )


def _small_problem(batch: int) -> Problem:
    """A 2-3-1 tanh network on a smooth function of two numbers, with at least 8 examples."""
    count = max(8, 2 * batch)
    inputs = np.linspace(-1.0, 1.0, 2 * count).reshape(2, count).T * np.array([1.0, -0.7])
    network = mlp((2,), 1, widths=(3,), activation="tanh")
    return Problem(network, "mse", inputs, np.sin(3 * inputs[:, :1]) + inputs[:, 1:] ** 2)
