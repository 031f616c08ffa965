"""Two points of one network from files: the ends of a curve."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.files.open import EXAMPLES, point_of, read_data
from allroads.files.weights import read_weights
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.targets.arrays import read_npz


class Ends(NamedTuple):
    """Two points of one network and the data that the loss is taken on.

    Attributes:
        network: The network.
        a: One point.
        b: The other.
        inputs: ``[N, …]``.
        labels: ``[N, …]``.
        held_out: Inputs and labels, where the data have them.
    """

    network: Network
    a: Params
    b: Params
    inputs: np.ndarray
    labels: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray] | None


def open_ends(factory: str, data: str | Path, a: str | Path, b: str | Path, *, seed: int = 0) -> Ends:
    """Two points of a user's network from two files of weights; in double precision inside ``allroads.float64()``.

    Args:
        factory: As :func:`~allroads.files.open_point` takes it.
        data: The ``.npz`` file, with held-out arrays or without.
        a: A safetensors file.
        b: Another.
        seed: Of the factory's key.

    Raises:
        InputError: As :func:`~allroads.files.open_point`; and where the files differ in more than parameters: the
            buffers of a PyTorch module are constants of its network, so two modules with other running statistics are
            not two points of one network.

    Example:
        >>> open_ends("no_such_module:make", "data.npz", "a.safetensors", "b.safetensors")
        Traceback (most recent call last):
        allroads.errors.InputError: data.npz: there is no such file; give the path of an .npz file.
    """
    inputs, labels = read_data(data)
    arrays = read_npz(data)
    weights = {str(path): read_weights(path) for path in (a, b)}
    first, second = (point_of(factory, inputs, labels, weights[str(path)], str(path), seed) for path in (a, b))
    few = inputs[:EXAMPLES]
    with float64():
        here, there = (np.asarray(point.network.apply(second.params, few)) for point in (first, second))
    if not np.allclose(here, there, rtol=1e-5, atol=1e-6, equal_nan=True):
        raise InputError(
            f"{a} and {b} differ in more than parameters: with the weights of the second, the networks made from the "
            "two files give different outputs. Buffers, such as the running statistics of a batch norm, are constants "
            "of a network: make them parameters of the module, or give both files the same."
        )
    held_out = (arrays["held_out_inputs"], arrays["held_out_labels"]) if "held_out_inputs" in arrays else None
    one, other = (jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), p.params) for p in (first, second))
    return Ends(first.network, one, other, inputs, labels, held_out)
