"""A point from files: a factory by its import path, weights as safetensors, data as ``.npz``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from allroads.errors import InputError
from allroads.files.weights import fill_module, fill_params, read_weights
from allroads.networks.factory import as_network, is_torch, made
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.targets.arrays import read_npz
from allroads.targets.interface import Interface
from allroads.targets.target import Target

EXAMPLES = 2
"""Examples that a PyTorch module is shown."""


class Opened(NamedTuple):
    """A point of parameter space and the data that its loss is taken on.

    Attributes:
        network: The network.
        params: The point.
        inputs: ``[N, …]``.
        labels: ``[N, …]``.
    """

    network: Network
    params: Params
    inputs: np.ndarray
    labels: np.ndarray


def open_point(factory: str, data: str | Path, weights: str | Path | None = None, *, seed: int = 0) -> Opened:
    """A user's network with its weights and data. Nothing is unpickled.

    Args:
        factory: ``"module:function"``. The function gives a ``torch.nn.Module``, an ``equinox.Module``, a ``Network``,
            ``(network, params)`` or a pair of functions ``(init, apply)``. If it takes the keyword ``interface``, it is
            given an :class:`~allroads.targets.interface.Interface` made from the data. Labels that are whole numbers
            are classes, and there are as many outputs. If it takes ``key``, it is given a JAX key. A PyTorch module is
            put in evaluation mode.
        data: An ``.npz`` file with ``inputs`` and ``labels``, or with ``train_inputs`` and ``train_labels`` beside
            held-out ones, which are not used.
        weights: A safetensors file. Its names are those of the module's ``state_dict`` in PyTorch, buffers included,
            else the path in the parameters joined with dots. Default: the factory's own weights, or drawn by its
            ``init``.
        seed: Of the key that ``init`` is given where there are no weights.

    Raises:
        InputError: If a file cannot be read, names or shapes of the weights are not those of the network, or the
            factory cannot be imported, fails, or gives something else.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/data.npz", inputs=np.eye(3), labels=np.arange(3))
        ...     open_point("no_such_module:make", f"{folder}/data.npz")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        allroads.errors.InputError: 'no_such_module:make': the module 'no_such_module' cannot be imported ...
    """
    inputs, labels = read_data(data)
    arrays = None if weights is None else read_weights(weights)
    return point_of(factory, inputs, labels, arrays, str(weights), seed)


def open_network(
    factory: str, target: Target, weights: str | Path | None = None, *, seed: int = 0
) -> tuple[Network, Params]:
    """A user's network with its weights, for a target that it was to learn. Nothing is unpickled.

    Args:
        factory: As in :func:`open_point`; the interface that it may take is the target's.
        target: The target.
        weights: A safetensors file, as in :func:`open_point`.
        seed: Of the key that ``init`` is given where there are no weights.

    Raises:
        InputError: As :func:`open_point`.

    Example:
        >>> xor = Target("xor", inputs=[[0, 0], [0, 1], [1, 0], [1, 1]], labels=[0, 1, 1, 0], train_fraction=1)
        >>> open_network("no_such_module:make", xor)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        allroads.errors.InputError: 'no_such_module:make': the module 'no_such_module' cannot be imported ...
    """
    arrays = None if weights is None else read_weights(weights)
    train = target.train
    point = point_of(factory, train.inputs, train.labels, arrays, str(weights), seed, target.interface)
    return point.network, point.params


def point_of(
    factory: str,
    inputs: np.ndarray,
    labels: np.ndarray,
    arrays: Mapping[str, np.ndarray] | None,
    where: str,
    seed: int,
    interface: Interface | None = None,
) -> Opened:
    """A point of what was read from files.

    Args:
        factory: As in :func:`open_point`.
        inputs: ``[N, …]``.
        labels: ``[N, …]``.
        arrays: The weights by name; ``None`` for the factory's own.
        where: The file of the weights, for messages.
        seed: Of the key that ``init`` is given where there are no weights.
        interface: What a factory that takes it is given; default read off the data.

    Raises:
        InputError: As :func:`open_point`.
    """
    result, draw = made(factory, {}, interface or _interface(inputs, labels))
    with float64():  # so that weights in double precision stay so
        if is_torch(result):
            result.eval()
            if arrays is not None:
                fill_module(result, arrays, where)
        network, params = as_network(factory, result, inputs[:EXAMPLES], draw)
    if params is None:
        params = network.init(jax.random.key(seed))
    if arrays is not None and not is_torch(result):
        with float64():
            params = fill_params(params, arrays, where)
    return Opened(network, params, inputs, labels)


def read_data(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels of an ``.npz`` file, or the training ones where it holds held-out ones too.

    Raises:
        InputError: If the file cannot be read, or holds another number of labels than of inputs.
    """
    found = read_npz(path)
    side = "" if "inputs" in found else "train_"
    inputs, labels = found[f"{side}inputs"], found[f"{side}labels"]
    if not inputs.ndim or not labels.ndim or len(inputs) != len(labels) or not len(inputs):
        raise InputError(
            f"{path}: {side}inputs have shape {inputs.shape} and {side}labels {labels.shape}; expected as many labels "
            "as inputs, along the first axis, and at least one."
        )
    return inputs, labels


def _interface(inputs: np.ndarray, labels: np.ndarray) -> Interface:
    """What the data ask of a network."""
    tokens, classes = (np.issubdtype(array.dtype, np.integer) for array in (inputs, labels))
    outputs = int(labels.max()) + 1 if classes else int(np.prod(labels.shape[1:], dtype=int))
    vocabulary = int(inputs.max()) + 1 if tokens else None
    return Interface(inputs.shape[1:], outputs, vocabulary, per_position=bool(classes and labels.ndim > 1))
