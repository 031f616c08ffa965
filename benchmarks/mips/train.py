"""Training of several networks side by side, by Adam from random weights."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.targets.target import Target
from mips.networks import Plan

CHUNK = 200
"""Steps between two looks at the networks."""
ENOUGH = 0.01
"""Cross-entropy under noise at which training stops."""

BEST = 2
"""Networks that are polished."""
POLISHED, ITERATIONS = 256, 600
"""Sequences and iterations of L-BFGS, where training is in double precision."""


@dataclass(frozen=True)
class Trained:
    """Networks of one plan, the best first.

    Args:
        network: The network.
        points: Their weights, by their loss.
        accuracies: Share of the held-out answers of each that are right.
        losses: Loss of each on held-out examples, under the noise of training.
        steps: Steps that were made.
        seconds: Time that all took together.
        kept: Step, weights and held-out accuracy of the first network along training, where it was asked for.
    """

    network: Network
    points: list[Params]
    accuracies: list[float]
    losses: list[float]
    steps: int
    seconds: float
    kept: list[tuple[int, Params, float]]


class _Given(NamedTuple):
    """Examples; numbers read in units of their size, and sizes ``[T, 1]`` of the answers, never falling."""

    inputs: Any
    labels: Any
    sizes: Any


def train(target: Target, plan: Plan, seed: int, *, every: int = CHUNK, stop: bool = True) -> Trained:
    """Train networks for a target, on its training examples.

    The loss first counts the first positions only, and one more of them at a time: a curriculum of prefixes.

    Args:
        target: What is to be learned.
        plan: The network and how it is trained.
        seed: Decides the weights at the start and the batches.
        every: Steps between two looks at the networks.
        stop: Whether training ends early, when the loss is small. If not, the first network is kept at every look.
    """
    began = time.perf_counter()
    network = plan.network(target.interface)
    with float64() if plan.double else contextlib.nullcontext():
        run = _Run(target, plan, network, every)
        keys = jax.random.split(jax.random.key(seed), plan.seeds)
        params = jax.jit(jax.vmap(network.init))(keys)
        state = jax.jit(jax.vmap(run.optimiser.init))(params)
        done, kept = 0, []
        if not stop:
            kept.append(run.checkpoint(params, 0))
        while done < plan.steps:
            params, state, _ = run.chunk(params, state, jax.random.key(1000 * seed + done), done, run.train)
            done += every
            losses, accuracies = run.held_out(params, jax.random.key(done), done, run.checked)
            if not stop:
                kept.append(run.checkpoint(params, done))
            elif target.loss != "mse" and done >= plan.least * plan.steps and float(losses.min()) < ENOUGH:
                break
        if plan.double:
            params = run.polished(run.best(params, losses))
        losses, accuracies = map(np.asarray, run.held_out(params, jax.random.key(done), done, run.checked))
        order = np.lexsort((np.nan_to_num(losses, nan=np.inf), -accuracies))
        points = [run.unscaled(jax.tree.map(lambda leaf, i=i: leaf[i], params), done) for i in order[:BEST].tolist()]
    seconds = time.perf_counter() - began
    return Trained(network, points, accuracies[order].tolist(), losses[order].tolist(), done, seconds, kept)


class _Run:
    """What is compiled for one target and plan."""

    def __init__(self, target: Target, plan: Plan, network: Network, every: int):
        self.target, self.plan, self.network, self.every = target, plan, network, every
        self.numbers = target.interface.vocabulary is None
        self.length = int(target.interface.input_shape[0])
        side = target.held_out or target.train
        self.unit = float(np.std(target.train.inputs)) if self.numbers else 1.0
        self.train = self._given(target.train)
        self.checked = self._given(side)._replace(sizes=self.train.sizes)
        warm = optax.warmup_cosine_decay_schedule(0.0, plan.rate, 50, plan.steps, plan.rate * 1e-4)
        until = plan.steps // 2 if self.numbers else plan.steps
        self.optimiser = optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.scale_by_adam(eps=1e-8 if self.numbers else 1e-4),
            _fading_decay(plan.decay, until),
            optax.scale_by_learning_rate(warm),
        )
        self.chunk = jax.jit(self._chunk)
        self.held_out = jax.jit(jax.vmap(self._held_out, in_axes=(0, None, None, None)))

    def _given(self, side: Any) -> _Given:
        if not self.numbers:
            return _Given(jnp.asarray(side.inputs), jnp.asarray(side.labels), jnp.ones((1, 1)))
        labels = np.asarray(side.labels, float).reshape(len(side.labels), self.length, -1)
        sizes = np.maximum.accumulate(np.sqrt((labels**2).mean(axis=(0, 2))))
        sizes[sizes == 0] = sizes[sizes > 0].min()  # positions whose answers are all 0 count too
        return _Given(jnp.asarray(side.inputs / self.unit), jnp.asarray(labels), jnp.asarray(sizes[:, None]))

    def checkpoint(self, params: Params, done: int) -> tuple[int, Params, float]:
        """Step, weights and held-out accuracy of the first network."""
        accuracy = float(self.held_out(params, jax.random.key(done), done, self.checked)[1][0])
        return done, self.unscaled(jax.tree.map(lambda leaf: leaf[0], params), done), accuracy

    def _steeper(self, params: Params, now: Any) -> Params:
        """Weights of units that grow steeper while training goes on, so that they saturate."""
        if self.plan.gain == 1:
            return params
        gain = 1 + (self.plan.gain - 1) * jnp.clip((now / self.plan.steps - 0.3) / 0.4, 0.0, 1.0)
        return {**params, "turn": gain * params["turn"], "bias": gain * params["bias"]}

    def unscaled(self, params: Params, done: int) -> Params:
        """Weights for inputs and answers in their own units: the first layer and the readout take the scale."""
        point = jax.tree.map(np.asarray, self._steeper(params, done))
        if self.numbers:
            layer = point["layers"][0]
            layer["input"] = layer["input"] / self.unit
            size = float(self.train.sizes[0, 0])
            point["readout"] = {name: leaf * size for name, leaf in point["readout"].items()}
        return point

    def _fold(self, params: Params, inputs: Any, key: Any, noise: Any) -> Any:
        cell = self.network.cell
        assert cell is not None
        start = cell.initial_state(params, len(inputs))
        positions = jnp.swapaxes(inputs, 0, 1)
        if not self.plan.noise:
            return jnp.swapaxes(jax.lax.scan(lambda h, x: cell.step(params, h, x), start, positions)[1], 0, 1)
        added = noise * jax.random.normal(key, (len(positions), *start.shape))

        def step(state: Any, given: Any) -> tuple[Any, Any]:
            state, said = cell.step(params, state, given[0])
            return state + given[1], said

        _, said = jax.lax.scan(step, start, (positions, added))
        return jnp.swapaxes(said, 0, 1)

    def _losses(self, said: Any, labels: Any, sizes: Any) -> Any:
        """Loss of each example and position, ``[N, T]``."""
        if self.target.loss == "mse":
            off = (said * sizes[0] - labels) / sizes
            return jnp.mean(off**2, axis=-1)
        return optax.softmax_cross_entropy_with_integer_labels(said, labels)

    def _right(self, said: Any, labels: Any, sizes: Any) -> Any:
        if self.target.loss == "mse":
            return jnp.all(jnp.abs(said * sizes[0] - labels) < 0.5, axis=-1)
        return said.argmax(axis=-1) == labels

    def _held_out(self, params: Params, key: Any, done: Any, given: _Given) -> tuple[Any, Any]:
        inputs, labels, sizes = given.inputs[:512], given.labels[:512], given.sizes
        params = self._steeper(params, done)
        noisy = self._fold(params, inputs, key, self.plan.noise)
        clean = noisy if not self.plan.noise else self._fold(params, inputs, key, 0.0)
        return self._losses(noisy, labels, sizes).mean(), self._right(clean, labels, sizes).mean()

    def best(self, params: Params, losses: Any) -> Params:
        """The networks of the smallest loss."""
        places = np.argsort(np.nan_to_num(np.asarray(losses), nan=np.inf))[:BEST]
        return jax.tree.map(lambda leaf: leaf[places], params)

    def polished(self, params: Params) -> Params:
        """Weights after L-BFGS on a fixed set of training examples, each network by itself."""
        few = _Given(self.train.inputs[:POLISHED], self.train.labels[:POLISHED], self.train.sizes)
        unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], params))[1]

        @jax.jit
        @jax.value_and_grad
        def slope(flat: Any, given: _Given) -> Any:
            said = self._fold(unravel(flat), given.inputs, jax.random.key(0), 0.0)
            return self._losses(said, given.labels, given.sizes).mean()

        members = []
        for member in range(BEST):
            flat = ravel_pytree(jax.tree.map(lambda leaf, m=member: leaf[m], params))[0]
            options = {"maxiter": ITERATIONS, "maxfun": ITERATIONS, "ftol": 1e-30, "gtol": 1e-13, "maxcor": 30}
            best = minimize(lambda x: tuple(map(np.asarray, slope(x, few))), np.asarray(flat), jac=True,
                            method="L-BFGS-B", options=options)  # fmt: skip
            members.append(unravel(jnp.asarray(best.x)))
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)

    def _chunk(self, params: Params, state: Any, key: Any, done: Any, examples: _Given) -> tuple[Params, Any, Any]:
        inputs, labels, sizes = examples

        def loss(params: Params, x: Any, y: Any, key: Any, now: Any) -> Any:
            params = self._steeper(params, now)
            noise = self.plan.noise * jnp.clip((now / self.plan.steps - 0.15) / 0.35, 0.0, 1.0)
            open_to = 2 + (self.length - 2) * jnp.clip(now / self.plan.steps / 0.3, 0.0, 1.0)
            weight = (jnp.arange(self.length) < open_to) * 1.0
            each = self._losses(self._fold(params, x, key, noise), y, sizes)
            return (each * weight).sum() / (weight.sum() * len(x))

        def step(carry: Any, given: Any) -> tuple[Any, Any]:
            params, state = carry
            key, now = given
            pick, noise = jax.random.split(key)
            rows = jax.random.randint(pick, (self.plan.batch,), 0, len(inputs))
            keys = jax.random.split(noise, self.plan.seeds)
            x, y = inputs[rows], labels[rows]
            value, slope = jax.vmap(jax.value_and_grad(loss), in_axes=(0, None, None, 0, None))(params, x, y, keys, now)
            change, state = jax.vmap(self.optimiser.update)(slope, state, params)
            return (optax.apply_updates(params, change), state), value

        given = jax.random.split(key, self.every), done + jnp.arange(self.every)
        (params, state), values = jax.lax.scan(step, (params, state), given)
        return params, state, values


def _fading_decay(most: float, steps: int) -> optax.GradientTransformation:
    """Decay of matrices that fades to zero, so that the last weights answer to the examples alone."""

    def update(change: Any, count: Any, params: Any = None) -> tuple[Any, Any]:
        share = most * jnp.clip(1.0 - count / steps, 0.0, 1.0)
        moved = jax.tree.map(lambda c, p: c + share * p if p.ndim > 1 else c, change, params)
        return moved, count + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)
