"""Recurrent layers: one matrix product for the inputs of all positions, then one ``lax.scan`` a layer and direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from allroads.errors import NotDeterministicError
from allroads.networks.torch.rules.registry import RULES, rule

State = tuple[Any, ...]
"""``(h,)``, and ``(h, c)`` for an LSTM."""
Step = Callable[[State, Any, Any], State]
"""``step(state, gates of the input, gates of the state) -> state``."""


def _elman(activation: Callable[[Any], Any]) -> Step:
    return lambda state, gx, gh: (activation(gx + gh),)


def _gru(state: State, gx: Any, gh: Any) -> State:
    reset_x, update_x, new_x = jnp.split(gx, 3, axis=-1)
    reset_h, update_h, new_h = jnp.split(gh, 3, axis=-1)
    reset, update = jax.nn.sigmoid(reset_x + reset_h), jax.nn.sigmoid(update_x + update_h)
    new = jnp.tanh(new_x + reset * new_h)
    return ((1 - update) * new + update * state[0],)


def _lstm(state: State, gx: Any, gh: Any) -> State:
    enter, forget, cell, leave = jnp.split(gx + gh, 4, axis=-1)
    memory = jax.nn.sigmoid(forget) * state[1] + jax.nn.sigmoid(enter) * jnp.tanh(cell)
    return jax.nn.sigmoid(leave) * jnp.tanh(memory), memory


def _affine(x: Any, weight: Any, bias: Any) -> Any:
    product = jnp.matmul(x, weight.T)
    return product if bias is None else product + bias


def _layer(step: Step, x: Any, state: State, weights: Sequence[Any], biased: bool, reverse: bool) -> tuple[Any, State]:
    """One layer in one direction over ``x [T, N, F]``: the outputs ``[T, N, H]`` and the last state."""
    w_x, w_h = weights[:2]
    b_x, b_h = weights[2:4] if biased else (None, None)
    project = weights[-1] if len(weights) % 2 else None  # LSTM with proj_size

    def advance(state: State, gx: Any) -> tuple[State, Any]:
        state = step(state, gx, _affine(state[0], w_h, b_h))
        if project is not None:
            state = (jnp.matmul(state[0], project.T), *state[1:])
        return state, state[0]

    last, outputs = lax.scan(advance, state, _affine(x, w_x, b_x), reverse=reverse)
    return outputs, last


def _stack(
    step: Step,
    x: Any,
    start: State,
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, ...]:
    if train and dropout > 0 and num_layers > 1:
        raise NotDeterministicError("dropout between recurrent layers is switched on: call module.eval() first")
    directions = 2 if bidirectional else 1
    size = len(params) // (num_layers * directions)
    x = jnp.swapaxes(x, 0, 1) if batch_first else x
    ends = []
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            k = layer * directions + direction
            state = tuple(s[k] for s in start)
            weights = params[k * size : (k + 1) * size]
            out, last = _layer(step, x, state, weights, has_biases, reverse=direction == 1)
            outputs.append(out)
            ends.append(last)
        x = jnp.concatenate(outputs, axis=-1)
    x = jnp.swapaxes(x, 0, 1) if batch_first else x
    return x, *(jnp.stack(parts) for parts in zip(*ends, strict=True))


def _enter(name: str, step: Step) -> None:
    RULES[f"{name}.input"] = lambda input, hx, *rest: _stack(step, input, (hx,), *rest)


_enter("rnn_tanh", _elman(jnp.tanh))
_enter("rnn_relu", _elman(jax.nn.relu))
_enter("gru", _gru)


@rule("lstm.input")
def _lstm_input(input: Any, hx: Sequence[Any], *rest: Any) -> tuple[Any, ...]:
    return _stack(_lstm, input, tuple(hx), *rest)


def _cell(step: Step) -> Callable[..., Any]:
    def run(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
        state = tuple(hx) if isinstance(hx, (list, tuple)) else (hx,)
        after = step(state, _affine(input, w_ih, b_ih), _affine(state[0], w_hh, b_hh))
        return after if len(after) > 1 else after[0]

    return run


RULES.update(
    rnn_tanh_cell=_cell(_elman(jnp.tanh)),
    rnn_relu_cell=_cell(_elman(jax.nn.relu)),
    gru_cell=_cell(_gru),
    lstm_cell=_cell(_lstm),
)
