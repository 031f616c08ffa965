"""Training of many networks at once, each from a point that computes one program towards the answers of another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

MEMBERS = 512
"""Networks that are trained at once."""


class Transfer(NamedTuple):
    """What became of each network.

    Attributes:
        steps: Step after which its answers first were those of the target, ``[M]``; −1 if never.
        directness: Chord over arc of its outputs from the start to there, or to the last step.
        params: The weights there.
        records: What was recorded of the outputs after every step, ``[M, records, …]``; or None.
    """

    steps: np.ndarray
    directness: np.ndarray
    params: Any
    records: np.ndarray | None


@partial(jax.jit, static_argnums=(0, 1, 4, 5, 6, 7))
def _pack(
    apply: Callable[..., Any],
    hit: Callable[..., Any],
    starts: Any,
    data: Any,
    rate: float,
    steps: int,
    record: Callable[[Any], Any] | None,
    over: int,
) -> Any:
    inputs, labels = data
    rule = optax.adam(rate)

    def values(params: Any) -> Any:
        return apply(params, inputs)

    def loss(params: Any, own: Any) -> Any:
        return jnp.mean((values(params) - own) ** 2)

    def one(params: Any, own: Any) -> Any:
        first = values(params)

        def step(carry: Any, at: Any) -> Any:
            params, moments, before, arc, chord, done, since = carry
            change, moments = rule.update(jax.grad(loss)(params, own), moments)
            moved = optax.apply_updates(params, change)
            now = values(moved)
            live = done < 0
            arc = jnp.where(live, arc + jnp.linalg.norm(now - before), arc)
            chord = jnp.where(live, jnp.linalg.norm(now - first), chord)
            done = jnp.where(live & hit(now, own), at + 1, done)
            since = since + (done >= 0)
            params = jax.tree.map(lambda new, old: jnp.where(since <= over + 1, new, old), moved, params)
            return (params, moments, now, arc, chord, done, since), (0 if record is None else record(now))

        zero = jnp.zeros(())
        done = jnp.where(hit(first, own), 0, -1)
        carry = (params, rule.init(params), first, zero, zero, done, jnp.where(done == 0, over + 1, 0))
        (params, _, _, arc, chord, done, _), records = jax.lax.scan(step, carry, jnp.arange(steps))
        return params, done, chord / jnp.maximum(arc, 1e-12), records

    return jax.vmap(one)(starts, labels)


def transfer(
    apply: Callable[..., Any],
    hit: Callable[..., Any],
    starts: Any,
    inputs: Any,
    labels: np.ndarray,
    *,
    rate: float,
    steps: int,
    record: Callable[[Any], Any] | None = None,
    over: int = 0,
) -> Transfer:
    """Adam on the mean square, all examples at each step, in packs of 512.

    Args:
        apply: The network.
        hit: ``(outputs, labels) -> whether the answers are the target's``.
        starts: Weights with a leading member axis.
        inputs: Inputs that all share.
        labels: Outputs wanted of each, ``[M, …]``.
        rate: Learning rate.
        steps: Steps.
        record: What is kept of the outputs, such as ``signs``.
        over: Steps after the first hit after which a network stands still.
    """
    count, found = len(labels), []
    for begin in range(0, count, MEMBERS):
        rows = np.minimum(np.arange(begin, begin + min(MEMBERS, count)), count - 1)
        some = jax.tree.map(lambda leaf, rows=rows: leaf[rows], starts)
        params, done, direct, records = _pack(
            apply, hit, some, (inputs, jnp.asarray(labels[rows])), rate, steps, record, over
        )
        own = min(MEMBERS, count - begin)
        seen = np.zeros((own, 0)) if record is None else np.asarray(records)[:own]
        kept = jax.tree.map(lambda leaf, own=own: np.asarray(leaf)[:own], params)
        found.append((np.asarray(done)[:own], np.asarray(direct)[:own], kept, seen))
    done, direct, params, records = zip(*found, strict=True)
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *params)
    return Transfer(
        np.concatenate(done), np.concatenate(direct), joined, None if record is None else np.concatenate(records)
    )


def signs(outputs: Any) -> Any:
    """Whether each output is above 0, packed into bytes."""
    return jnp.packbits(outputs.ravel() > 0)


def never(outputs: Any, labels: Any) -> Any:
    """No arrival: all steps are taken."""
    return jnp.array(False)


def same_signs(outputs: Any, labels: Any) -> Any:
    """Whether every output has the sign of its label."""
    return jnp.all(outputs * labels > 0)


def log_steps(steps: np.ndarray, most: int) -> np.ndarray:
    """``log₂(1 + steps)``; a network that never arrives counts as having taken all steps."""
    return np.log2(1 + np.where(steps < 0, most, steps))


def walks_of(signs: np.ndarray) -> list[list[bytes]]:
    """The answers along each run, as bytes."""
    return [[row.tobytes() for row in run] for run in signs]
