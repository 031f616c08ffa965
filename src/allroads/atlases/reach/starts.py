"""Populations of points that compute given functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.atlases.reach.descents import Limits
from allroads.atlases.reach.question import Question
from allroads.budget import Budget
from allroads.errors import InputError
from allroads.pfmap.network import Params
from allroads.points.prior.answers import Answers


@dataclass(frozen=True, eq=False)
class Starts:
    """Points that compute functions.

    Args:
        params: Leaves ``[S, n, …]``: the first ``found[s]`` points of row s compute function s, what follows is void.
        found: How many there are of each function, ``[S]``.
        drawn: How many random starts were trained for it, ``[S]``; 0 where points were given.
        complete: Whether no budget ended the search.
    """

    params: Params
    found: np.ndarray
    drawn: np.ndarray
    complete: bool = True

    @staticmethod
    def joined(parts: Sequence[Starts], count: int) -> Starts:
        """Rows of several parts one after another, and void ones up to ``count``.

        Example:
            >>> one = Starts(np.ones((1, 2)), np.array([2]), np.array([3]))
            >>> both = Starts.joined([one, one], 3)
            >>> both.found.tolist(), both.params.tolist(), both.complete
            ([2, 2, 0], [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]], False)
        """
        left = count - sum(len(part.found) for part in parts)

        def rows(*leaves: np.ndarray) -> np.ndarray:
            return np.concatenate([*leaves, np.zeros((left, *leaves[0].shape[1:]), leaves[0].dtype)])

        params = jax.tree.map(rows, *(part.params for part in parts))
        found, drawn = (rows(*(getattr(part, name) for part in parts)) for name in ("found", "drawn"))
        return Starts(params, found, drawn, not left and all(part.complete for part in parts))

    @property
    def members(self) -> int:
        """Points per function, n."""
        return int(jax.tree.leaves(self.params)[0].shape[1])

    def flat(self) -> Params:
        """The points as ``[S·n, …]``."""
        return jax.tree.map(lambda leaf: jnp.asarray(leaf).reshape(-1, *leaf.shape[2:]), self.params)


def train_starts(
    question: Question,
    functions: np.ndarray,
    members: int,
    margin: float,
    steps: int,
    draws: int,
    clock: Budget,
    kept: int = 1,
) -> Starts:
    """Points that compute each function, trained from random starts until they do, with a loss of at most ``margin``.

    Draw d for a function has a key of its own. Of the draws that succeed the first ``members`` are taken, whatever
    time they took.

    Args:
        question: Network, loss, explorer and inputs.
        functions: Answers ``[S, …]``.
        members: Points per function.
        margin: Loss at which training ends.
        steps: Steps that training may take.
        draws: Random starts per function at most.
        clock: The budget; what it ends is left out.
        kept: Stays that descents remember; the same number as of other descents needs no other compiled loop.
    """
    targets, size, count = question.targets(functions), question.block(kept), len(functions)
    draw = jax.jit(jax.vmap(question.network.init))
    point = jax.eval_shape(question.network.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.zeros((count, members, *leaf.shape), leaf.dtype), point)
    found, drawn = np.zeros(count, int), np.zeros(count, int)
    limits = Limits(jnp.int32(steps), jnp.float32(margin))
    while True:
        lacking = np.flatnonzero((found < members) & (drawn < draws))
        if not len(lacking):
            return Starts(params, found, drawn)
        lacking = lacking[:size]
        each = np.minimum(max(1, min(2 * members, size // len(lacking))), draws - drawn[lacking])
        goal = np.repeat(lacking, each)
        number = drawn[goal] + np.concatenate([np.arange(n) for n in each])
        words = targets.words[goal]
        what = f"points of {count - len(lacking):,} of {count:,} functions"
        ends = question.descend(
            draw(question.keys(words, number=2 * number)), question.keys(words, number=2 * number + 1),
            targets.at(goal), limits, clock, kept=kept, what=what,
        )  # fmt: skip
        if ends is None:
            return Starts(params, found, drawn, complete=False)
        for one in lacking:
            rows = np.flatnonzero((goal == one) & (ends.step >= 0))[: members - found[one]]
            places = slice(found[one], found[one] + len(rows))
            for all, ended in zip(jax.tree.leaves(params), jax.tree.leaves(ends.params), strict=True):
                all[one, places] = ended[rows]
            found[one] += len(rows)
        drawn[lacking] += each


def given_starts(question: Question, functions: np.ndarray, starts: Params | Starts) -> Starts:
    """Points that were handed in, leaves ``[S, n, …]``, each of which must compute its function.

    With :class:`Starts`, only the first ``found[s]`` points of row s are taken and checked.

    Raises:
        InputError: If they are no points of the network, not as many rows as functions, or one computes another
            function.
    """
    counts = starts.found if isinstance(starts, Starts) else None
    starts = starts.params if isinstance(starts, Starts) else starts
    leaves = [np.shape(leaf) for leaf in jax.tree.leaves(starts)]
    leading = {shape[:2] for shape in leaves}
    if not leaves or len(leading) != 1 or len(next(iter(leading))) < 2 or 0 in next(iter(leading)):
        raise InputError(
            f"starts: expected points [S, n, …], n of each function; the arrays lead with {sorted(leading)}."
        )
    (rows, members) = next(iter(leading))
    if rows != len(functions):
        raise InputError(f"starts: got points of {rows} functions for {len(functions)} sources; give a row per source.")
    found = np.full(rows, members) if counts is None else np.asarray(counts)
    if found.shape != (rows,) or found.min() < 0 or found.max() > members:
        raise InputError(f"starts: found holds {found.tolist()}; expected {rows} numbers from 0 to {members}.")
    flat = jax.tree.map(lambda leaf: jnp.asarray(leaf).reshape(-1, *np.shape(leaf)[2:]), starts)
    flat = question.problem.population(flat, "starts")
    words = np.asarray(_reader(question.network, question.answers)(flat, question.problem.data.inputs))
    right = (words.reshape(rows, members, -1) == question.targets(functions).words[:, None]).all(-1)
    right |= np.arange(members) >= found[:, None]
    if not right.all():
        function, number = np.argwhere(~right)[0]
        raise InputError(
            f"starts: point {number} of source {function} does not compute it, nor do {(~right).sum() - 1} others; "
            "leave such points out, or name the functions that they compute."
        )
    params = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(rows, members, *leaf.shape[1:]), flat)
    return Starts(params, found, np.zeros(rows, int))


@lru_cache(maxsize=16)
def _reader(network: Any, answers: Answers) -> Callable[..., Any]:
    return jax.jit(jax.vmap(lambda params, inputs: answers.pack(network.apply(params, inputs)), (0, None)))
