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

CHUNK = 100
"""Steps between two looks whether all have arrived."""


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


@partial(jax.jit, static_argnums=(0, 1))
def _begun(apply: Callable[..., Any], hit: Callable[..., Any], starts: Any, data: Any) -> Any:
    """The state of each network before its first step."""
    inputs, labels = data

    def one(params: Any, own: Any) -> Any:
        first, zero = apply(params, inputs), jnp.zeros(())
        done = jnp.where(hit(first, own), 0, -1)
        return params, optax.adam(1.0).init(params), first, first, zero, zero, done, jnp.where(done == 0, 1, 0)

    return jax.vmap(one)(starts, labels)


@partial(jax.jit, static_argnums=(0, 1, 4, 5, 6))
def _advanced(
    apply: Callable[..., Any],
    hit: Callable[..., Any],
    carry: Any,
    data: Any,
    rate: float,
    record: Callable[[Any], Any] | None,
    over: int,
    begin: Any,
) -> Any:
    """A hundred steps of each network, and what was recorded of them."""
    inputs, labels = data
    rule = optax.adam(rate)

    def one(carry: Any, own: Any) -> Any:
        def loss(params: Any) -> Any:
            return jnp.mean((apply(params, inputs) - own) ** 2)

        def step(carry: Any, at: Any) -> Any:
            params, moments, first, before, arc, chord, done, since = carry
            change, moments = rule.update(jax.grad(loss)(params), moments)
            live = since <= over
            params = jax.tree.map(
                lambda new, old: jnp.where(live, new, old), optax.apply_updates(params, change), params
            )
            now = apply(params, inputs)
            arc = jnp.where(done < 0, arc + jnp.linalg.norm(now - before), arc)
            chord = jnp.where(done < 0, jnp.linalg.norm(now - first), chord)
            done = jnp.where((done < 0) & hit(now, own), at + 1, done)
            since = since + (done >= 0)
            return (params, moments, first, now, arc, chord, done, since), (0 if record is None else record(now))

        return jax.lax.scan(step, carry, begin + jnp.arange(CHUNK))

    return jax.vmap(one)(carry, labels)


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
        steps: Steps, a multiple of 100.
        record: What is kept of the outputs, such as ``signs``.
        over: Steps after the first hit after which a network stands still.
    """
    count, found = len(labels), []
    for begin in range(0, count, MEMBERS):
        rows = np.minimum(np.arange(begin, begin + min(MEMBERS, count)), count - 1)
        some = jax.tree.map(lambda leaf, rows=rows: leaf[rows], starts)
        data = inputs, jnp.asarray(labels[rows])
        carry, parts = _begun(apply, hit, some, data), []
        for at in range(0, steps, CHUNK):
            carry, part = _advanced(apply, hit, carry, data, rate, record, over, at)
            parts.append(part)
            if record is None and bool(jnp.all(carry[-1] > over)):
                break
        params, _, _, _, arc, chord, done, _ = carry
        direct, records = chord / jnp.maximum(arc, 1e-12), np.concatenate(parts, axis=1) if record else None
        own = min(MEMBERS, count - begin)
        seen = np.zeros((own, 0)) if records is None else records[:own]
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
