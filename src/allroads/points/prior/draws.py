"""Networks drawn from their initialisation by the million, each read as the function that it computes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.budget import Budget
from allroads.checks import check_count, check_options
from allroads.errors import InputError
from allroads.pfmap.arrays import as_array
from allroads.pfmap.jaxpr import traceable
from allroads.pfmap.map import ParameterFunctionMap
from allroads.pfmap.network import Network, Params
from allroads.points.prior.answers import Answers, answers_of
from allroads.points.prior.tally import Tally
from allroads.points.prior.threefry import key_of

CHUNK = 8192
"""Draw i is number ``i % CHUNK`` of chunk ``i // CHUNK``; draws of two chunks are not made together."""
PIECE = 0.5
"""Seconds between two looks at the clock, about."""
BATCH = 128
"""Networks that are evaluated together: their activations should stay in a processor's cache."""
LARGEST = 2**24
"""Parameters and outputs of one batch, at most."""
_MOVES = 2**32 - 1
"""Stands in the place of a chunk's number in the keys of moves."""

Move = Callable[[Any, Params, Any], Params]
"""``move(key, params, scale) -> params``."""


@dataclass(frozen=True, eq=False)
class Source:
    """What is drawn and on what it is read, checked.

    Args:
        network: The network.
        inputs: ``[N, ...]``.
        answers: How outputs are read.
        seed: Decides every draw.
        batch: Networks that are evaluated together.
        identity: What must be equal for two sets of draws to be one: seed, precision, answers and a digest of inputs.
    """

    network: Network
    inputs: Any
    answers: Answers
    seed: int
    batch: int
    identity: dict[str, Any]


def source_of(network: Network, inputs: Any, answers: str | None, seed: int) -> Source:
    """Check what is to be drawn, without compiling anything.

    Raises:
        InputError: If there is no network or no seed, the inputs cannot be used or are fewer than two, or outputs
            cannot be read as answers.
    """
    check_options("network", network, Network)
    check_count("seed", seed, 0)
    try:
        given = inputs if isinstance(inputs, jax.Array) else as_array(inputs)
    except (TypeError, ValueError) as error:
        raise InputError(f"inputs: expected an array [N, ...] of numbers ({error}).") from error
    checked = ParameterFunctionMap(network, given).inputs
    if len(checked) < 2:
        raise InputError("inputs: one input tells no more than two functions apart; expected two or more inputs.")
    if network.check is not None:
        network.check(checked)

    def outputs_of(key: Any, x: Any) -> tuple[Any, Any]:
        params = network.init(key)
        return params, network.apply(params, x)

    with traceable(network, f"inputs of shape {list(np.shape(checked))}"):
        params, outputs = jax.eval_shape(outputs_of, key_of(0), checked)
    read = answers_of(outputs, answers, len(checked))
    size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) + math.prod(outputs.shape)
    batch = BATCH
    while batch > 1 and batch * size > LARGEST:
        batch //= 2
    held = np.asarray(checked)
    digest = hashlib.sha256(repr((held.shape, held.dtype.str)).encode() + held.tobytes()).hexdigest()[:16]
    identity = {"seed": seed, "precision": str(outputs.dtype), "answers": read.kind, "outputs": read.outputs}
    return Source(network, checked, read, seed, batch, identity | {"inputs": digest})


def drawn(network: Network, seed: int, number: int) -> Params:
    """The parameters of one draw."""
    return network.init(jax.random.fold_in(_chunk_key(seed, number // CHUNK), number % CHUNK))


def _chunk_key(seed: int, chunk: int) -> Any:
    return jax.random.fold_in(key_of(seed), chunk)


def stream(
    source: Source,
    tally: Tally,
    start: int,
    samples: int,
    budget: Budget,
    move: Move | None = None,
    moves: int = 0,
    scale: Any = None,
) -> tuple[int, int]:
    """Draw networks number ``start`` to ``samples − 1`` and count their functions, until the budget ends.

    With moves, columns 1 and 2 of the tally are the sums of the share of moves that kept the function, in units of
    ``1 / moves``, and of its square.

    Args:
        source: What is drawn.
        tally: Takes the codes in.
        start: How many draws it holds already.
        samples: How many it shall hold.
        budget: Looked at after each piece. The first piece is one batch, which is always drawn; those after it are as
            long as ``PIECE`` allows.
        move: A move of the parameters of one network.
        moves: Moves per network.
        scale: Handed to every move.

    Returns:
        How many were drawn in all, and how many of the new ones had an output that is not finite.
    """
    if start >= samples:
        return start, 0
    run = _compiled(source.network, source.answers, source.batch, move, moves)
    done, spoilt, size = start, 0, source.batch
    while done < samples:
        chunk, low = divmod(done, CHUNK)
        high = min(low - low % source.batch + size, CHUNK, samples - chunk * CHUNK)
        began = budget.spent
        with budget.interruptible():
            budget.say(f"{done:,} of {samples:,} networks")
            keys = _chunk_key(source.seed, chunk), jax.random.fold_in(_chunk_key(source.seed, _MOVES), chunk)
            blocks = low // source.batch, -(-high // source.batch)
            found = run(*keys, *blocks, source.inputs, scale)
            words, finite, kept = (np.asarray(part)[low:high] for part in found)
            columns = [np.ones(len(kept), np.int64), kept, kept**2] if moves else [np.ones(len(kept), np.int64)]
            sums = np.stack(columns, axis=1).astype(np.int64)
            numbers = np.arange(low, high) + chunk * CHUNK
            codes = source.answers.codes(words[finite])
            tally.add(codes, numbers[finite], sums[finite])
            done, spoilt = chunk * CHUNK + high, spoilt + int((~finite).sum())
        if budget.ended:
            break
        size = _next_size(size, budget.spent - began, source.batch)
    return done, spoilt


def first_batch(source: Source) -> np.ndarray:
    """The codes ``[batch, W]`` of the first draws, which tell the draws of one network from those of another."""
    run = _compiled(source.network, source.answers, source.batch, None, 0)
    keys = _chunk_key(source.seed, 0), _chunk_key(source.seed, _MOVES)
    return source.answers.codes(np.asarray(run(*keys, 0, 1, source.inputs, None)[0])[: source.batch])


def _next_size(size: int, seconds: float, batch: int) -> int:
    """Draws of the next piece, whole batches, after one of ``size`` that took some seconds.

    Example:
        >>> [_next_size(2048, seconds, 128) for seconds in (0.01, 0.5, 4.0)]
        [8192, 2048, 1024]
    """
    if seconds < PIECE / 4:
        return min(4 * size, CHUNK)
    return max(size // 2, batch) if seconds > 2 * PIECE else size


@lru_cache(maxsize=16)
def _compiled(network: Network, answers: Answers, batch: int, move: Move | None, moves: int) -> Callable[..., Any]:
    """``run(key, move_key, first block, end block, inputs, scale) -> words, finite, kept`` of one chunk.

    Blocks of ``batch`` draws are the steps of a loop. Parameters are drawn in one step and used in the next: what a
    loop carries lies in memory as it is, so the compiler cannot draw them in the order in which products read them.
    """

    def read(params: Params, inputs: Any) -> tuple[Any, Any]:
        outputs = network.apply(params, inputs)
        return answers.pack(outputs), jnp.isfinite(outputs).all()

    def draw(key: Any, block: Any) -> tuple[Any, Params]:
        numbers = block * batch + jnp.arange(batch)
        return numbers, jax.vmap(network.init)(jax.vmap(jax.random.fold_in, (None, 0))(key, numbers))

    def kept_of(key: Any, numbers: Any, params: Params, words: Any, inputs: Any, scale: Any) -> Any:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)

        def one(total: Any, number: Any) -> tuple[Any, None]:
            own = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
            assert move is not None
            moved, finite = jax.vmap(read, (0, None))(jax.vmap(move, (0, 0, None))(own, params, scale), inputs)
            return total + ((moved == words).all(-1) & finite), None

        return jax.lax.scan(one, jnp.zeros(batch, jnp.int32), jnp.arange(moves))[0]

    @jax.jit
    def run(key: Any, move_key: Any, first: Any, end: Any, inputs: Any, scale: Any) -> Any:
        def step(block: Any, carry: Any) -> Any:
            (words, finite, kept), (numbers, params) = carry
            new, good = jax.vmap(read, (0, None))(params, inputs)
            at = block * batch
            words = jax.lax.dynamic_update_slice_in_dim(words, new, at, 0)
            finite = jax.lax.dynamic_update_slice_in_dim(finite, good, at, 0)
            if moves:
                now = kept_of(move_key, numbers, params, new, inputs, scale)
                kept = jax.lax.dynamic_update_slice_in_dim(kept, now, at, 0)
            return (words, finite, kept), draw(key, block + 1)

        held = jnp.zeros((CHUNK, answers.words), jnp.uint32), jnp.zeros(CHUNK, bool), jnp.zeros(CHUNK, jnp.int32)
        return jax.lax.fori_loop(first, end, step, (held, draw(key, first)))[0]

    return run
