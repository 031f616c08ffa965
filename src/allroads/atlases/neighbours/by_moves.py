"""Neighbour shares by draws: points of a network, moved at random, with the programs before and after."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.atlases.neighbours.answers import packed_answers
from allroads.atlases.neighbours.counted import counted
from allroads.atlases.neighbours.enumerated import numbered, text_of
from allroads.atlases.neighbours.moves import Step, move_of
from allroads.atlases.neighbours.neighbours import Neighbours
from allroads.atlases.tables import NONE
from allroads.budget import budgeted
from allroads.checks import check_count, check_options
from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.points.prior.draws import Source, source_of
from allroads.points.prior.threefry import key_of
from allroads.results import finish
from allroads.status import AtlasStatus

BLOCK = 2048
"""Starts that are moved between two looks at the clock, where labels are functions."""
LABELLED = 64
"""The same where labels are a function of the user's, which may be slow."""
_STARTS, _MOVES = 0, 1


def neighbour_share(
    network: Network,
    starts: int | Params,
    labels: Any,
    sigma: float | None = None,
    *,
    move: str | Callable[[Any, Params], Params] = "additive",
    moves: int = 4,
    answers: str | None = None,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Neighbours:
    """φ(q|p; σ): the probability that a small move from a point of program p ends at a point of program q.

    Starts are drawn, or given; each is moved several times. A share is the mean over the starts in p of the share of
    their moves that end in q. Moves from one start depend on each other, so intervals are by independent starts, see
    :func:`~allroads.distributions.clustered_interval`.

    ``boundary`` is f_p φ(q|p). It is symmetric where moves are reversible with respect to the law of the starts.
    ``balance`` tests that on one move per start, and below 0.001 the status is ``not reversible``.

    Args:
        network: A :class:`~allroads.Network`.
        starts: How many to draw from ``init``; or a population, each array with a leading member axis.
        labels: Inputs ``[N, …]``: a program is then the function on them. Or ``labels(population) -> labels``, one
            hashable per member, with ``None`` for no program.
        sigma: Size σ of the move; default 0.1. Of additive moves it is in units of the root mean square of each array
            over draws of ``init``, and arrays that are zero there do not move. Of reversible moves it is s in (0, 1].
        move: ``"additive"``: θ + σ ξ with normal ξ. ``"reversible"``: a step of preconditioned Crank and Nicolson, or
            new draws of entries or arrays, whichever leaves the law of ``init`` as it is. Or a function
            ``(key, params) -> params`` of one network.
        moves: Moves per start; default 4.
        answers: How outputs are read as functions, see :func:`~allroads.function_prior`.
        seed: Decides starts and moves; below 2⁶³.
        budget: Seconds, looked at between blocks of starts. One block is always moved. Ctrl-C ends the call as a
            budget does, and the status is then ``cut short``.
        progress: Whether progress is written.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not sound.

    Returns:
        :class:`~allroads.atlases.neighbours.Neighbours`. A pair that no move joined has no entry; ``between`` gives its
        upper bound. Starts with outputs that are not finite are left out; moved points with such outputs have the
        program ``"none"``.

    Raises:
        InputError: If there is no start, members differ in number, labels are not one per member, or an option cannot
            be used.

    When it fails: shares of rare pairs. Robustness and shares depend on σ; compare at one σ and the same inputs alone.
    Evolvability counts what was seen, so that it grows with the number of starts.

    References: [greenbury2016, cotter2013]

    Example:
        The sign of one normal weight changes under a move of its own scale with probability arctan(1) / π = ¼:

        >>> unit = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: x @ w)
        >>> found = neighbour_share(unit, 8192, np.array([[1.0], [2.0]]), 1.0, progress=False)
        >>> change = found.between("11", "00")
        >>> change.stats["low"] < 0.25 < change.stats["high"]
        True
    """
    check_options("network", network, Network)
    check_count("moves", moves)
    check_count("seed", seed, 0)
    source = None if callable(labels) else source_of(network, labels, answers, seed)
    if source is None and answers is not None:
        raise InputError("answers: they say how outputs on inputs are read; labels of your own need none.")
    population, total = _starts(network, starts)
    done = move_of(network, move, sigma)
    read = _of_functions(network, source) if source is not None else _of_labels(labels)
    block = LABELLED if source is None else min(BLOCK, 16 * source.batch)
    numbers: dict[Hashable, int] = {NONE: 0}
    found: list[np.ndarray] = []  # of each block, the programs before and after [starts, 1 + moves]
    with budgeted("neighbour_share", budget, progress) as clock:
        for low in range(0, total, block):
            clock.say(f"{low:,} of {total:,} starts")
            with clock.interruptible() if found else nullcontext():
                members, keys = _members(network, population, seed, low, block, total)
                columns = [read(members, numbers)]
                for turn in range(moves):
                    moved = _moved(done.step)(_folded(keys, turn), members, done.scale)
                    columns.append(read(moved, numbers))
                found.append(np.stack(columns, axis=1)[: total - low])
            if clock.ended:
                break
        ended = clock.ended if sum(map(len, found)) < total else None
    ends = np.concatenate(found)
    keep = ends[:, 0] >= (0 if source is None else 1)
    if not keep.any():
        raise InputError("starts: outputs of all of them are not finite. Lower the scale of the initialisation.")
    stats = {
        "move": done.words, "sigma": sigma, "moves": moves, "starts": int(keep.sum()), "not_finite": int((~keep).sum()),
        "seed": seed, "ended": ended, "exact": False, "functions": source is not None and source.answers.exact,
    }  # fmt: skip
    shares = counted(tuple(numbers), ends[keep, 0], ends[keep, 1:], seed, stats)
    if ended and shares.status is AtlasStatus.OK:
        shares = replace(shares, status=AtlasStatus.CUT_SHORT)
    return finish(shares, throw)


def _starts(network: Network, starts: Any) -> tuple[Params | None, int]:
    """The population, ``None`` where it is drawn, and the number of starts."""
    if isinstance(starts, int | np.integer) and not isinstance(starts, bool):
        check_count("starts", starts)
        return None, int(starts)
    leaves = jax.tree.leaves(starts)
    wanted = jax.eval_shape(network.init, key_of(0))
    arrays = all(hasattr(leaf, "shape") for leaf in leaves)
    given: Any = jax.tree.structure(starts)
    if not leaves or not arrays or given != jax.tree.structure(wanted):
        raise InputError(
            "starts: expected a number of draws, or a population of the network's parameters, each array with a "
            f"leading member axis; got {type(starts).__name__}."
        )
    sizes = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in leaves}
    shapes = [tuple(np.shape(leaf)[1:]) for leaf in leaves]
    if len(sizes) != 1 or 0 in sizes or shapes != [leaf.shape for leaf in jax.tree.leaves(wanted)]:
        raise InputError(
            f"starts: arrays have shapes {[list(np.shape(leaf)) for leaf in leaves]}; expected [members, …] before "
            f"{[list(leaf.shape) for leaf in jax.tree.leaves(wanted)]}, with one number of members."
        )
    return jax.tree.map(jnp.asarray, starts), sizes.pop()


def _members(network: Network, population: Any, seed: int, low: int, block: int, total: int) -> tuple[Params, Any]:
    """A block of starts, the last one filled up with the first of them, and a key for each."""
    numbers = low + np.arange(block)
    numbers = np.where(numbers < total, numbers, low)
    keys = _folded(_fold(key_of(seed), _MOVES), numbers)
    if population is not None:
        return jax.tree.map(lambda leaf: leaf[numbers], population), keys
    return _drawn(network)(_folded(_fold(key_of(seed), _STARTS), numbers)), keys


def _fold(key: Any, number: int) -> Any:
    return jax.random.fold_in(key, number)


@jax.jit
def _folded(keys: Any, numbers: Any) -> Any:
    """One key folded with each number, or each key with one number."""
    axes = (None, 0) if jnp.ndim(numbers) else (0, None)
    return jax.vmap(jax.random.fold_in, axes)(keys, numbers)


@lru_cache(maxsize=16)
def _drawn(network: Network) -> Callable[[Any], Params]:
    return jax.jit(jax.vmap(network.init))


@lru_cache(maxsize=32)
def _moved(step: Step) -> Callable[[Any, Params, Any], Params]:
    return jax.jit(jax.vmap(step, (0, 0, None)))


Reader = Callable[[Params, dict[Hashable, int]], np.ndarray]


def _of_functions(network: Network, source: Source) -> Reader:
    """Functions as strings of answers, or digests where they are long; 0 where outputs are not finite."""
    packed, read = packed_answers(network, source.answers), source.answers

    def of(members: Params, numbers: dict[Hashable, int]) -> np.ndarray:
        words, finite = (np.asarray(part) for part in packed(members, source.inputs))
        codes, place = np.unique(read.codes(words), axis=0, return_inverse=True)
        said = read.read_all(codes).reshape(len(codes), -1) if read.exact else codes
        own = [numbers.setdefault(text_of(row), len(numbers)) for row in said]
        found: np.ndarray = np.where(finite, np.array(own)[place.ravel()], 0)
        return found

    return of


def _of_labels(labels: Callable[..., Any]) -> Reader:
    def of(members: Params, numbers: dict[Hashable, int]) -> np.ndarray:
        given = labels(members)
        found = given.tolist() if hasattr(given, "tolist") else list(given)
        size = len(jax.tree.leaves(members)[0])
        if len(found) != size:
            raise InputError(f"labels: a population of {size} members got {len(found)} labels; expected one for each.")
        return numbered(found, numbers, "labels")

    return of
