"""Training of embedding-sum networks on the table of a binary operation: full batch, AdamW, one compiled scan.

Read by `modular.py` and `groups.py`. A seed decides the starting point; the training pairs are those of the target.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax

from allroads.networks.embedding_sum import embedding_sum
from allroads.pfmap.network import Network, Params
from allroads.targets.target import Target

EVERY = 20


@dataclass(frozen=True)
class Setting:
    """How a network is trained; squared error is to one-hot answers."""

    width: int
    activation: str
    loss: str
    steps: int
    decay: float
    rate: float = 0.01
    embedding: int | None = None
    init: str = "grokking"
    tied: bool = False


@dataclass(frozen=True)
class Trained:
    """A trained network with the first steps at which it knew all training pairs, and 99 % of the others.

    ``along`` holds what was asked of it while it trained, by step.
    """

    network: Network
    params: Params
    fitted: int | None
    generalised: int | None
    train_accuracy: float
    held_out_accuracy: float
    seconds: float
    along: dict[int, dict]


def descent(
    loss: Callable[[Params], jax.Array], rule: optax.GradientTransformation, steps: int
) -> Callable[..., tuple]:
    """``(params, state) -> (params, state)`` after some steps of a rule down a loss."""

    @jax.jit
    def run(params: Params, state: optax.OptState) -> tuple[Params, optax.OptState]:
        def step(carry: tuple, _: None) -> tuple:
            params, state = carry
            change, state = rule.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, change), state), None

        return jax.lax.scan(step, (params, state), None, length=steps)[0]

    return run


def train(
    target: Target,
    setting: Setting,
    seeds: Iterator[int] | range,
    watch: Callable[[Network, Params], dict] | None = None,
    each: int = 100,
) -> Iterator[tuple[int, Trained]]:
    """Train one network a seed; what is compiled serves all. ``watch`` is asked every ``each`` steps."""
    n = target.interface.outputs
    shape = {"width": setting.width, "embedding": setting.embedding, "activation": setting.activation}
    network = embedding_sum((2,), n, vocabulary=n, init=setting.init, tied=setting.tied, **shape)
    rule = optax.adamw(setting.rate, b1=0.9, b2=0.98, weight_decay=setting.decay)
    sides = [target.train] if target.held_out is None else [target.train, target.held_out]
    x, y = np.asarray(target.train.inputs), np.asarray(target.train.labels)
    one_hot = jax.nn.one_hot(y, n)

    def loss(params: Params) -> jax.Array:
        scores = network.apply(params, x)
        if setting.loss == "mse":
            return jnp.mean((scores - one_hot) ** 2)
        return -(jax.nn.log_softmax(scores) * one_hot).sum(axis=1).mean()

    run = descent(loss, rule, EVERY)

    @jax.jit
    def right(params: Params) -> list[jax.Array]:
        return [(network.apply(params, side.inputs).argmax(axis=1) == side.labels).sum() for side in sides]

    for seed in seeds:
        began, watching, along = time.perf_counter(), 0.0, {}
        params = network.init(jax.random.key(seed))
        state = rule.init(params)
        fitted = generalised = None
        known = [0.0, 0.0]
        for step in range(EVERY, setting.steps + 1, EVERY):
            params, state = run(params, state)
            known = [int(count) / len(side.labels) for count, side in zip(right(params), sides, strict=True)]
            fitted = step if fitted is None and known[0] == 1 else fitted
            if len(known) > 1 and generalised is None and known[1] > 0.99:
                generalised = step
            if watch is not None and step % each == 0:
                paused = time.perf_counter()
                along[step] = {"held_out": known[-1], **watch(network, params)}
                watching += time.perf_counter() - paused
        held_out = known[1] if len(known) > 1 else float("nan")
        seconds = time.perf_counter() - began - watching
        yield seed, Trained(network, params, fitted, generalised, known[0], held_out, seconds, along)
