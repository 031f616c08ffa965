"""Recurrent networks: Elman, GRU and LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from allroads.errors import InputError, UnknownNameError
from allroads.networks.activations import resolve_activation
from allroads.networks.initialisation import Initialisation, affine, shifted
from allroads.networks.inputs import Reader, checked_inputs, checked_sizes, token_check
from allroads.pfmap.network import Cell, Network, Params


def _elman(layer: Params, state: Any, drive: Any, activation: Callable[[Any], Any]) -> Any:
    return activation(drive + state @ layer["hidden"])


def _gru(layer: Params, state: Any, drive: Any, activation: Callable[[Any], Any]) -> Any:
    reset_in, update_in, new_in = jnp.split(drive, 3, axis=-1)
    reset_own, update_own, new_own = jnp.split(state @ layer["hidden"], 3, axis=-1)
    reset, update = jax.nn.sigmoid(reset_in + reset_own), jax.nn.sigmoid(update_in + update_own)
    new = activation(new_in + reset * (new_own + layer["bias_new"] if "bias_new" in layer else new_own))
    return new + update * (state - new)


def _lstm(layer: Params, state: Any, drive: Any, activation: Callable[[Any], Any]) -> Any:
    hidden, memory = state
    keep_new, keep_old, new, show = jnp.split(drive + hidden @ layer["hidden"], 4, axis=-1)
    memory = jax.nn.sigmoid(keep_old) * memory + jax.nn.sigmoid(keep_new) * activation(new)
    return jax.nn.sigmoid(show) * activation(memory), memory


UNROLL = 16
"""Positions that are compiled as one piece; more would cost compile time."""

CELLS = {"elman": (_elman, 1), "gru": (_gru, 3), "lstm": (_lstm, 4)}
"""Each cell's update and its number of gates, in the order in which their columns stand in the weights."""


def recurrent(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    vocabulary: int | None = None,
    per_position: bool = False,
    cell: str = "gru",
    width: int = 64,
    layers: int = 1,
    activation: str = "tanh",
    init: str = "lecun",
    scale: float = 1.0,
    bias: str = "zero",
    bias_scale: float = 1.0,
) -> Network:
    """A recurrent network read position by position, with an affine readout of the last layer's state.

    With drive ``i = x W + b`` and ``h`` the state (σ the logistic function, φ the activation):

    - ``elman``: h ← φ(i + h U)
    - ``gru``: r = σ(i_r + h U_r), z = σ(i_z + h U_z), n = φ(i_n + r (h U_n + b_n)), h ← n + z (h − n)
    - ``lstm``: c ← σ(i_f + h U_f) c + σ(i_i + h U_i) φ(i_g + h U_g), h ← σ(i_o + h U_o) φ(c); columns i, f,
    g, o

    as in Equinox and PyTorch. States start at zero.

    Args:
        input_shape: ``(T,)`` or ``(T, streams)``: T positions, each one or several numbers or tokens; tokens
            are read one-hot, side by side.
        outputs: Outputs of one example, or of one position.
        vocabulary: Size of the alphabet of integer tokens; ``None`` for real inputs.
        per_position: One output a position, ``[N, T, C]``; otherwise the output at the last position, ``[N,
            C]``.
        cell: ``"elman"``, ``"gru"`` or ``"lstm"``.
        width: Width of the state.
        layers: Recurrent layers, one reading the other.
        activation: φ above; ``"tanh"`` unless given.
        init: Rule of the weights' variance, see :class:`Initialisation`; each gate counts as a matrix of its
            own.
        scale: Multiplies every weight.
        bias: Rule of the biases; the fan_in of a cell's biases is the width.
        bias_scale: Multiplies every bias.

    Returns:
        A network with ``cell`` set, and parameters ``{"layers": [{"input": [in, gates·width], "hidden":
        [width, gates·width], "bias", (GRU) "bias_new"}, …], "readout": {"weight", "bias"}}``. The cell's
        state is a tuple with one entry a layer: ``h [batch, width]``, for an LSTM ``(h, c)``.

    Raises:
        InputError: If the inputs have no positions, or a size is not a positive whole number.
        UnknownNameError: If the cell, a rule or the activation does not exist.

    References: [elman1990] [cho2014] [hochreiter1997]

    Example:
        >>> network = recurrent((5,), 2, vocabulary=3, cell="elman", width=4)
        >>> params, tokens = network.init(jax.random.key(0)), jnp.array([[0, 1, 2, 1, 0]])
        >>> state = network.cell.initial_state(params, 1)
        >>> for position in range(5):
        ...     state, output = network.cell.step(params, state, tokens[:, position])
        >>> bool(jnp.allclose(output, network.apply(params, tokens), atol=1e-6))
        True
    """
    checked_sizes(input_shape=input_shape, outputs=outputs, width=width, layers=layers)
    if not input_shape:
        raise InputError("recurrent reads positions; input_shape is (). Give it the shape (T,) or (T, streams).")
    if cell not in CELLS:
        raise UnknownNameError("cell", cell, CELLS)
    (update, gates), act = CELLS[cell], resolve_activation(activation)
    draw, reader = Initialisation(init, scale, bias, bias_scale), Reader(input_shape[1:], vocabulary)
    name = f"{cell} {'-'.join(map(str, (*[width] * layers, outputs)))}"

    def init_params(key: Any) -> Params:
        *keys, readout_key = jax.random.split(key, layers + 1)
        drawn = [init_layer(k, width if i else reader.features) for i, k in enumerate(keys)]
        return {"layers": drawn, "readout": draw.dense(readout_key, width, outputs)}

    def init_layer(key: Any, fan_in: int) -> Params:
        input_key, hidden_key, bias_key, new_key = jax.random.split(key, 4)

        def gated(key: Any, fan_in: int) -> Any:
            return jnp.concatenate([draw.weight(k, fan_in, width) for k in jax.random.split(key, gates)], axis=1)

        new = draw.biases(new_key, width, width) if cell == "gru" else {}
        return {
            "input": gated(input_key, fan_in),
            "hidden": gated(hidden_key, width),
            **draw.biases(bias_key, width, gates * width),
            **({"bias_new": new["bias"]} if new else {}),
        }

    def initial_state(params: Params, batch: int) -> Any:
        zero = jnp.zeros((batch, width), params["readout"]["weight"].dtype)
        return ((zero, zero) if cell == "lstm" else zero,) * layers

    def shown(state: Any) -> Any:
        return state[0] if cell == "lstm" else state

    def drive(params: Params, inputs: Any) -> Any:
        """What the first layer reads of the inputs; for all positions at once it is one product."""
        first = params["layers"][0]
        return shifted(first, reader.project(inputs, first["input"]))

    def advance(params: Params, state: Any, driven: Any) -> tuple[Any, Any]:
        """One position of every layer: the new states and the last layer's ``h``."""
        first, *rest = params["layers"]
        states = [update(first, state[0], driven, act)]
        for layer, own in zip(rest, state[1:], strict=True):
            driven = shifted(layer, shown(states[-1]) @ layer["input"])
            states.append(update(layer, own, driven, act))
        return tuple(states), shown(states[-1])

    def step(params: Params, state: Any, x: Any) -> tuple[Any, Any]:
        x = checked_inputs(x, input_shape[1:], vocabulary, name)
        state, hidden = advance(params, state, drive(params, x))
        return state, affine(params["readout"], hidden)

    def apply(params: Params, inputs: Any) -> Any:
        inputs = checked_inputs(inputs, input_shape, vocabulary, name)
        driven = jnp.swapaxes(drive(params, inputs), 0, 1)
        start = initial_state(params, inputs.shape[0])
        # Unrolled, a loop's body is fused across positions: four times faster forward on ten of them.
        unroll = min(UNROLL, driven.shape[0])
        _, hidden = jax.lax.scan(lambda state, x: advance(params, state, x), start, driven, unroll=unroll)
        return affine(params["readout"], jnp.swapaxes(hidden, 0, 1) if per_position else hidden[-1])

    return Network(init_params, apply, Cell(initial_state, step), name, token_check(vocabulary, name))
