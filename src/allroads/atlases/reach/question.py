"""How functions are descended to: a network, its inputs, a loss, an explorer, and how outputs are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.atlases.reach.descents import Ends, Jobs, Limits, compiled_descents
from allroads.budget import Budget
from allroads.errors import InputError
from allroads.explorers.build import as_explorer
from allroads.explorers.explorer import Explorer
from allroads.explorers.per_member import member_rule
from allroads.explorers.width import pack_width
from allroads.pfmap.arrays import as_array
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.problem import Problem
from allroads.points.prior.answers import Answers
from allroads.points.prior.draws import source_of

WIDEST = 512
"""Descents side by side at most. Of 3-16-1 and 3-3-1 networks, 256 to 1,024 took the same time within a fifth."""
JOBS = 2**15
"""Descents of one compiled call at most."""
BYTES = 2**28
"""What the ends of those descents may take."""
ROUNDS = 512
"""Exchanges between two looks at the clock."""

Labels = Callable[[np.ndarray], Any]


class Targets(NamedTuple):
    """Functions as what descents are to reach: labels for the loss ``[K, N, …]`` and packed answers ``[K, W]``."""

    labels: Any
    words: Any

    def at(self, rows: np.ndarray) -> Targets:
        """Those of these rows."""
        return Targets(self.labels[rows], self.words[rows])


@dataclass(frozen=True, eq=False)
class Question:
    """What is descended, by whom, and on which inputs it is read, checked.

    Args:
        problem: Network, loss and inputs; its labels are those of the first function.
        explorer: One whose members move each on its own.
        answers: How outputs say which function a network computes.
        labels: ``[K, …]`` answers as what the loss takes.
        seed: Decides all draws.
        width: Descents side by side.
    """

    problem: Problem
    explorer: Explorer
    answers: Answers
    labels: Labels
    seed: int
    width: int

    @property
    def network(self) -> Network:
        """The network."""
        return self.problem.network

    def targets(self, functions: np.ndarray) -> Targets:
        """The functions as what descents are to reach."""
        labels, one = as_array(self.labels(functions)), self.problem.data.labels
        if labels.shape != (len(functions), *one.shape) or not np.isfinite(labels).all():
            raise InputError(
                f"labels: expected finite numbers of shape {[len(functions), *one.shape]} for {len(functions)} "
                f"functions; got shape {list(labels.shape)}."
            )
        return Targets(labels.astype(one.dtype), np.stack([self.answers.packed(function) for function in functions]))

    def keys(self, *words: np.ndarray, number: np.ndarray) -> Any:
        """A key per job from the words of its functions ``[J, W]`` and a number: not from what else is asked."""
        mixed = jnp.asarray(np.concatenate([*words, number[:, None].astype(np.uint32)], axis=1))
        return _keys(jax.random.key(self.seed), mixed)

    def block(self, kept: int) -> int:
        """How many descents one compiled call takes."""
        point, labels = jax.eval_shape(self.network.init, jax.random.key(0)), self.problem.data.labels
        weights = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(point))
        one = 2 * weights + labels.nbytes + 4 * (kept + 1) * (self.answers.words + 1) + 64
        return int(max(self.width, min(JOBS, BYTES // one)))

    def descend(
        self, points: Params, keys: Any, targets: Targets, limits: Limits, clock: Budget, *, kept: int, what: str
    ) -> Ends | None:
        """Make descents ``[J]``, at most :meth:`block` of them; ``None`` where the budget ended first.

        Args:
            points: Where they start, leaves ``[J, …]``.
            keys: A key per descent.
            targets: What each is to reach.
            limits: Steps and loss.
            clock: The budget.
            kept: Stays that are remembered.
            what: What is said meanwhile.
        """
        count, size = len(targets.words), self.block(kept)
        begin, go = compiled_descents(self.problem.objective, self.explorer, self.answers, kept)

        def filled(leaf: Any) -> Any:
            rows = np.minimum(np.arange(size), count - 1)
            return leaf[rows] if isinstance(leaf, jax.Array) else jnp.asarray(np.asarray(leaf)[rows])

        points, keys, labels, words = jax.tree.map(filled, (points, keys, *targets))
        jobs = Jobs(points, keys, labels, words, jnp.int32(count))
        inputs, more, until = self.problem.data.inputs, True, 0
        pack = begin(self.width, jobs, inputs)
        while more and not clock.ended:
            until += ROUNDS
            with clock.interruptible():
                clock.say(f"{what}, {min(int(pack.next), count):,} of {count:,}")
                pack, left = go(pack, jobs, inputs, limits, jnp.int32(until))
                more = bool(left)
        if more:
            return None
        ends: Ends = jax.tree.map(lambda leaf: np.asarray(leaf)[:count], pack.ends)
        return ends


@jax.jit
def _keys(key: Any, words: Any) -> Any:
    def one(words: Any) -> Any:
        return jax.lax.fori_loop(0, len(words), lambda i, key: jax.random.fold_in(key, words[i]), key)

    return jax.vmap(one)(words)


def question_of(
    network: Network,
    inputs: Any,
    functions: Any,
    loss: str | PerExampleLoss,
    explorer: Explorer | str,
    answers: str | None,
    labels: Labels | None,
    seed: int,
) -> Question:
    """Check what is asked, without compiling anything.

    Raises:
        InputError: On inputs, functions, labels or a loss that cannot be used, or an explorer that mixes members.
    """
    explorer = as_explorer(explorer)
    member_rule(explorer)
    kind = answers or {"bce": "signs", "cross_entropy": "classes"}.get(loss if isinstance(loss, str) else "")
    source = source_of(network, inputs, kind, seed)
    read = source.answers
    asked = labels or (lambda said: usual_labels(said, read, loss))
    functions = checked_functions("sources", functions, read)
    first = as_array(asked(functions[:1]))
    if first.shape[:1] != (1,):
        raise InputError(f"labels: expected one set of labels per function; got shape {first.shape} for one function.")
    problem = Problem(network, loss, np.asarray(source.inputs), first[0])
    if explorer.batch_size is not None and explorer.batch_size > len(problem):
        raise InputError(
            f"explorer {explorer.name!r}: batch_size {explorer.batch_size} is larger than the {len(problem)} inputs; "
            "make it smaller or leave it out for the full batch."
        )
    point = jax.eval_shape(network.init, jax.random.key(0))
    width = pack_width(network, point, problem.data.inputs, WIDEST)
    return Question(problem, explorer, read, asked, seed, width)


def checked_functions(name: str, functions: Any, answers: Answers) -> np.ndarray:
    """Functions as answers ``[K, …]``, each once.

    Raises:
        InputError: If they are no answers on the inputs, none are given, or one is there twice.
    """
    try:
        given = as_array(functions)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected answers [K, N] of K functions on N inputs ({error}).") from error
    if given.ndim < 2 or not len(given):
        raise InputError(f"{name}: expected answers [K, N] of K functions on N inputs; got shape {list(given.shape)}.")
    if len(answers.shape) == 2 and answers.shape[1] == 1 and given.ndim == 2:
        given = given[..., None]
    if given.shape[1:] != answers.shape:
        raise InputError(
            f"{name}: expected answers {list(answers.shape)} of each function, as the network's outputs are read; got "
            f"{list(given.shape[1:])}."
        )
    most = answers.outputs[-1] if answers.kind == "classes" else 2
    if not np.isin(given, np.arange(most)).all():
        raise InputError(
            f"{name}: expected whole numbers from 0 to {most - 1}, as outputs are read as {answers.kind}; got "
            f"{given[~np.isin(given, np.arange(most))].ravel()[0]}."
        )
    given = given.astype(np.int64)
    distinct, place = np.unique(given.reshape(len(given), -1), axis=0, return_index=True)
    if len(distinct) < len(given):
        twice = np.setdiff1d(np.arange(len(given)), place)[0]
        raise InputError(f"{name}: function {twice} is there twice; give each once.")
    return given


def usual_labels(said: np.ndarray, answers: Answers, loss: Any) -> np.ndarray:
    """Answers as what the loss takes: as they are; for ``mse`` signs ±1, or one-hot classes.

    Example:
        >>> usual_labels(np.array([[0, 1]]), Answers("signs", (2, 1)), "mse").tolist()
        [[-1.0, 1.0]]
    """
    if loss != "mse":
        return said if answers.kind == "classes" else said.astype(float)
    if answers.kind == "signs":
        signs: np.ndarray = 2.0 * said - 1.0
        return signs
    hot: np.ndarray = np.eye(answers.outputs[-1])[said]
    return hot
