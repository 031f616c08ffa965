"""The recurrent networks that are trained, chosen by what a target reads, answers and remembers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from allroads.networks.build import build
from allroads.networks.initialisation import affine
from allroads.pfmap.network import Cell, Network, Params
from allroads.targets.interface import Interface
from allroads.targets.target import Target


def lettered(interface: Interface, width: int, shared: bool = False) -> Network:
    """A recurrent network of letters, ``h ← tanh(W_a h + b_a)``: of second order, or with one W for all letters.

    A letter is one token, or one tuple of tokens where a position has several channels. Answers are affine in h.
    """
    channels = math.prod(interface.input_shape[1:])
    vocabulary = interface.vocabulary or 0
    letters = vocabulary**channels

    def init(key: Any) -> Params:
        turn, bias, out = jax.random.split(key, 3)
        return {
            "turn": jax.random.normal(turn, (1 if shared else letters, width, width)) * 1.5 / math.sqrt(width),
            "bias": jax.random.normal(bias, (letters, width)) * (1.0 if shared else 0.1),
            "start": jnp.full(width, 0.5),
            "readout": {
                "weight": jax.random.normal(out, (width, interface.outputs)) / math.sqrt(width),
                "bias": jnp.zeros(interface.outputs),
            },
        }

    def letter(x: Any) -> Any:
        flat = x.reshape(len(x), channels)
        place = flat[:, 0]
        for channel in range(1, channels):
            place = place * vocabulary + flat[:, channel]
        return place

    def initial_state(params: Params, batch: int) -> Any:
        return jnp.tile(jnp.tanh(params["start"]), (batch, 1))

    def step(params: Params, state: Any, x: Any) -> tuple[Any, Any]:
        place = letter(x)
        turned = state @ params["turn"][0].T if shared else jnp.einsum("bij,bj->bi", params["turn"][place], state)
        moved = jnp.tanh(turned + params["bias"][place])
        return moved, affine(params["readout"], moved)

    def apply(params: Params, inputs: Any) -> Any:
        inputs = jnp.asarray(inputs)
        start = initial_state(params, len(inputs))
        _, said = jax.lax.scan(lambda h, x: step(params, h, x), start, jnp.swapaxes(inputs, 0, 1))
        return jnp.swapaxes(said, 0, 1)

    return Network(
        init, apply, Cell(initial_state, step), f"{'Elman' if shared else 'second-order'} {width}-{interface.outputs}"
    )


@dataclass(frozen=True)
class Plan:
    """One way to train a network for a target.

    Args:
        cell: ``second order``, ``elman``, ``gru``, or an Elman network of ``affine`` or ``relu`` units.
        width: Units H.
        steps: Steps of Adam.
        rate: Largest learning rate.
        noise: Standard deviation of the noise that is added to hidden states, from half of the steps on.
        gain: Factor by which the weights into hidden units have grown in the end.
        decay: Weight decay, of all weights but biases.
        double: Whether training is in double precision.
        batch: Sequences in a step.
        seeds: Networks that are trained side by side.
        examples: Sequences to train on, where they cannot all be enumerated.
        least: Share of the steps that is always made; from there on training stops when the loss is small.
    """

    cell: str
    width: int
    steps: int
    rate: float = 1e-2
    noise: float = 0.0
    gain: float = 1.0
    decay: float = 0.0
    double: bool = False
    batch: int = 128
    seeds: int = 2
    examples: int = 8192
    least: float = 0.6

    def network(self, interface: Interface) -> Network:
        """The network of the plan."""
        if self.cell in ("second order", "elman"):
            return lettered(interface, self.width, shared=self.cell == "elman")
        if self.cell == "gru":
            return build("recurrent", interface, cell="gru", width=self.width)
        activation = {"affine": "identity", "relu": "relu"}[self.cell]
        return build("recurrent", interface, cell="elman", width=self.width, activation=activation)


NARROW = (2, 3, 4, 5)
"""Widths of ReLU networks of numbers."""

MANY_LETTERS = 64
"""Letters above which all share one matrix."""


def plans(target: Target) -> tuple[Plan, ...]:
    """Ways to train a network for a target, tried in turn until one answers all held-out examples.

    Numbers are read by affine networks. Where no affine one learns the target, ReLU networks are tried, the narrowest
    first, since few units leave few ways to compute; many of them are trained, since most narrow ones get stuck. Tokens
    are read by networks of saturating units where finitely many states are enough. Where they are not, affine units
    count, then gated ones.
    """
    interface = target.interface
    if interface.vocabulary is None:
        affine_plan = Plan("affine", 10, 1600, 1e-2, decay=0.1, double=True)
        narrow = (Plan("relu", width, 8000, 1e-2, double=True, seeds=16) for width in NARROW)
        return affine_plan, *narrow
    states = target.truth["minimal_states"]
    if isinstance(states, int):
        letters = interface.vocabulary ** math.prod(interface.input_shape[1:])
        plan = Plan("second order", 16, 600 if states <= 2 else 1600, noise=0.5, gain=4.0, decay=1.0, batch=64)
        if states > 8:
            plan = replace(plan, width=32, steps=8000, rate=5e-3, noise=0.2, gain=3.0, decay=0.3, batch=128)
            plan = replace(plan, examples=4 * plan.examples, least=0.8)
        if letters > MANY_LETTERS:
            plan = replace(plan, cell="elman", width=32, steps=2000)
        elif letters > 16:
            plan = replace(plan, batch=128, steps=2400)
        return plan, replace(plan, width=2 * plan.width, noise=plan.noise / 2, batch=128)
    counting = Plan("affine", 8, 1600)
    return (
        counting,
        Plan("gru", 12, 3000, decay=1e-2),
        Plan("gru", 24, 4000, decay=1e-2),
    )
