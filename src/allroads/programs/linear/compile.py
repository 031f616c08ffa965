"""Compilation of a recurrence into an affine recurrent network."""

from __future__ import annotations

import jax
import numpy as np

from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.networks.recurrent import recurrent
from allroads.pfmap.network import Network, Params
from allroads.programs.linear.recurrence import Recurrence


def compile_recurrence(
    program: Recurrence,
    *,
    length: int = 10,
    width: int | None = None,
    mix: int | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> tuple[Network, Params]:
    """An Elman network without nonlinearity that computes a recurrence.

    Its hidden state holds the program's states, taken from where they start, and the answer. Weights are whole numbers,
    and all arithmetic is exact below 2⁵³, unless it is mixed or noise is added.

    Args:
        program: The recurrence.
        length: Length T of the sequences that it reads; its cell reads any.
        width: Width of the hidden state, at least states + outputs, the default; what is more holds leaking sums of
            the inputs that no answer reads.
        mix: Seed of a random change of basis of the hidden state (an orthogonal one, columns scaled by ½ to 2);
            ``None`` for none.
        noise: Standard deviation of normal noise on every weight.
        seed: Decides the noise and the leaking sums.

    Returns:
        ``(network, params)``, parameters as those of :func:`allroads.networks.recurrent.recurrent`. They are in single
        precision where that holds them exactly, else in double: apply the network inside :func:`allroads.float64`.

    Raises:
        InputError: If the width is too small or an option is out of range.

    Example:
        >>> network, params = compile_recurrence(Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[5]), length=3)
        >>> network.apply(params, [[[1.0], [2.0], [3.0]]])[0, :, 0].tolist()
        [6.0, 8.0, 11.0]
    """
    if not isinstance(program, Recurrence):
        raise InputError(f"program: expected a Recurrence; got {program!r}.")
    least = program.states + program.outputs
    check_count("length", length)
    check_count("width", width, absent=True)
    check_count("mix", mix, 0, absent=True)
    check_number("noise", noise, 0)
    check_count("seed", seed, 0)
    if width is not None and width < least:
        raise InputError(f"width: expected {least} or more (states and outputs); got {width}.")
    size, n = width or least, program.states
    rng = np.random.default_rng(seed)
    a, b = np.array(program.a, dtype=float).reshape(n, n), np.array(program.b, dtype=float).reshape(n, program.inputs)
    c, d = np.array(program.c, dtype=float).reshape(program.outputs, n), np.array(program.d, dtype=float)
    start = np.array(program.start, dtype=float)
    hidden, inputs = np.zeros((size, size)), np.zeros((program.inputs, size))
    bias, weight = np.zeros(size), np.zeros((size, program.outputs))
    hidden[:n, :n], hidden[:n, n:least] = a.T, c.T
    inputs[:, :n], inputs[:, n:least] = b.T, d.T
    bias[:n], bias[n:least] = a @ start - start, c @ start
    weight[n:least] = np.eye(program.outputs)
    hidden[least:, least:] = np.diag(rng.integers(-4, 5, size - least) / 8)
    inputs[:, least:] = rng.integers(-8, 9, size=(program.inputs, size - least)) / 8
    if mix is not None:
        change, back = _basis(size, np.random.default_rng(mix))
        hidden, inputs, bias, weight = back @ hidden @ change, inputs @ change, bias @ change, back @ weight
    layer = {"input": inputs, "hidden": hidden, "bias": bias}
    readout = {"weight": weight, "bias": np.zeros(program.outputs)}
    if noise:
        for part in (layer, readout):
            for name, value in part.items():
                part[name] = value + noise * rng.normal(size=value.shape)
    network = recurrent(
        (length, program.inputs),
        program.outputs,
        per_position=True,
        cell="elman",
        width=size,
        activation="identity",
    )
    params = {"layers": [layer], "readout": readout}
    small = jax.tree.map(lambda leaf: leaf.astype(np.float32), params)
    exact = jax.tree.all(jax.tree.map(np.array_equal, small, params))
    return network, small if exact else params


def _basis(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A matrix and its inverse."""
    orthogonal, _ = np.linalg.qr(rng.normal(size=(size, size)))
    scale = 2.0 ** rng.uniform(-1, 1, size)
    return orthogonal * scale, (orthogonal / scale).T
