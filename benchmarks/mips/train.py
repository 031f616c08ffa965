"""Training of several networks side by side, by Adam from random weights."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.targets.target import Target

from mips.networks import Plan

SEEDS = 2
"""Networks that are trained side by side."""
CHUNK = 200
"""Steps between two looks at the networks."""
ENOUGH = 0.01
"""Cross-entropy under noise at which training stops."""


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
    """

    network: Network
    points: list[Params]
    accuracies: list[float]
    losses: list[float]
    steps: int
    seconds: float


@dataclass(frozen=True)
class _Scale:
    """Numbers in units of their size: inputs by one number, answers by one per position and channel."""

    inputs: float
    labels: np.ndarray | float


def train(target: Target, plan: Plan, seed: int) -> Trained:
    """Train networks for a target, on its training examples.

    The loss first counts the first positions only, and one more of them at a time: a curriculum of prefixes.
    """
    began = time.perf_counter()
    network = plan.network(target.interface)
    with float64() if plan.double else contextlib.nullcontext():
        run = _Run(target, plan, network)
        keys = jax.random.split(jax.random.key(seed), SEEDS)
        params = jax.vmap(network.init)(keys)
        state = jax.vmap(run.optimiser.init)(params)
        done = 0
        while done < plan.steps:
            params, state, _ = run.chunk(params, state, jax.random.key(1000 * seed + done), done)
            done += CHUNK
            losses, accuracies = run.held_out(params, jax.random.key(done), done)
            if target.loss != "mse" and done >= 0.6 * plan.steps and float(losses.min()) < ENOUGH:
                break
        losses, accuracies = map(np.asarray, run.held_out(params, jax.random.key(done), done))
        order = np.lexsort((np.nan_to_num(losses, nan=np.inf), -accuracies))
        points = [run.unscaled(jax.tree.map(lambda leaf, i=i: leaf[i], params), done) for i in order.tolist()]
    return Trained(
        network, points, accuracies[order].tolist(), losses[order].tolist(), done, time.perf_counter() - began
    )


class _Run:
    """What is compiled for one target and plan."""

    def __init__(self, target: Target, plan: Plan, network: Network):
        self.target, self.plan, self.network = target, plan, network
        self.numbers = target.interface.vocabulary is None
        self.length = int(target.interface.input_shape[0])
        side = target.held_out or target.train
        self.scale = self._scale()
        self.train = self._given(target.train)
        self.checked = self._given(side)
        warm = optax.warmup_cosine_decay_schedule(0.0, plan.rate, 50, plan.steps, plan.rate * 1e-4)
        until = plan.steps // 2 if self.numbers else plan.steps
        self.optimiser = optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.scale_by_adam(eps=1e-8 if self.numbers else 1e-4),
            _fading_decay(plan.decay, until),
            optax.scale_by_learning_rate(warm),
        )
        self.chunk = jax.jit(self._chunk)
        self.held_out = jax.jit(jax.vmap(self._held_out, in_axes=(0, None, None)))

    def _scale(self) -> _Scale:
        if not self.numbers:
            return _Scale(1.0, 1.0)
        labels = np.asarray(self.target.train.labels, float)
        labels = labels.reshape(len(labels), self.length, -1)
        return _Scale(float(np.std(self.target.train.inputs)), np.sqrt((labels**2).mean(axis=0)) + 1e-9)

    def _given(self, side: Any) -> tuple[Any, Any]:
        if not self.numbers:
            return jnp.asarray(side.inputs), jnp.asarray(side.labels)
        labels = np.asarray(side.labels, float).reshape(len(side.labels), self.length, -1)
        return jnp.asarray(side.inputs / self.scale.inputs), jnp.asarray(labels)

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
            layer["input"] = layer["input"] / self.scale.inputs
            point["readout"] = {name: leaf * self._size for name, leaf in point["readout"].items()}
        return point

    @property
    def _size(self) -> float:
        """Size of the answers at the first position, the unit in which readouts are trained."""
        return float(np.max(self.scale.labels[0])) if self.numbers else 1.0  # type: ignore[index]

    def _fold(self, params: Params, inputs: Any, key: Any, noise: Any) -> Any:
        cell = self.network.cell
        assert cell is not None
        start = cell.initial_state(params, len(inputs))
        keys = jax.random.split(key, inputs.shape[1])

        def step(state: Any, given: Any) -> tuple[Any, Any]:
            x, own = given
            state, said = cell.step(params, state, x)
            if self.plan.noise:
                state = jax.tree.map(lambda h: h + noise * jax.random.normal(own, h.shape, h.dtype), state)
            return state, said

        _, said = jax.lax.scan(step, start, (jnp.swapaxes(inputs, 0, 1), keys))
        return jnp.swapaxes(said, 0, 1)

    def _losses(self, said: Any, labels: Any) -> Any:
        """Loss of each example and position, ``[N, T]``."""
        if self.target.loss == "mse":
            off = (said * self._size - labels) / self.scale.labels
            return jnp.mean(off**2, axis=-1)
        return optax.softmax_cross_entropy_with_integer_labels(said, labels)

    def _right(self, said: Any, labels: Any) -> Any:
        if self.target.loss == "mse":
            return jnp.all(jnp.abs(said * self._size - labels) < 0.5, axis=-1)
        return said.argmax(axis=-1) == labels

    def _held_out(self, params: Params, key: Any, done: Any) -> tuple[Any, Any]:
        inputs, labels = (part[:512] for part in self.checked)
        params = self._steeper(params, done)
        noisy = self._fold(params, inputs, key, self.plan.noise)
        clean = noisy if not self.plan.noise else self._fold(params, inputs, key, 0.0)
        return self._losses(noisy, labels).mean(), self._right(clean, labels).mean()

    def _chunk(self, params: Params, state: Any, key: Any, done: Any) -> tuple[Params, Any, Any]:
        inputs, labels = self.train

        def loss(params: Params, x: Any, y: Any, key: Any, now: Any) -> Any:
            params = self._steeper(params, now)
            noise = self.plan.noise * jnp.clip((now / self.plan.steps - 0.15) / 0.35, 0.0, 1.0)
            open_to = 2 + (self.length - 2) * jnp.clip(now / self.plan.steps / 0.3, 0.0, 1.0)
            weight = (jnp.arange(self.length) < open_to) * 1.0
            each = self._losses(self._fold(params, x, key, noise), y)
            return (each * weight).sum() / (weight.sum() * len(x))

        def step(carry: Any, given: Any) -> tuple[Any, Any]:
            params, state = carry
            key, now = given
            pick, noise = jax.random.split(key)
            rows = jax.random.randint(pick, (self.plan.batch,), 0, len(inputs))
            keys = jax.random.split(noise, SEEDS)
            x, y = inputs[rows], labels[rows]
            value, slope = jax.vmap(jax.value_and_grad(loss), in_axes=(0, None, None, 0, None))(params, x, y, keys, now)
            change, state = jax.vmap(self.optimiser.update)(slope, state, params)
            return (optax.apply_updates(params, change), state), value

        given = jax.random.split(key, CHUNK), done + jnp.arange(CHUNK)
        (params, state), values = jax.lax.scan(step, (params, state), given)
        return params, state, values


def _fading_decay(most: float, steps: int) -> optax.GradientTransformation:
    """Decay of matrices that fades to zero, so that the last weights answer to the examples alone."""

    def update(change: Any, count: Any, params: Any = None) -> tuple[Any, Any]:
        share = most * jnp.clip(1.0 - count / steps, 0.0, 1.0)
        moved = jax.tree.map(lambda c, p: c + share * p if p.ndim > 1 else c, change, params)
        return moved, count + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)
