"""Two points of a user's own network, opened from files and connected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

from allroads.errors import InputError
from allroads.inspection.names import check_names, named_loss
from allroads.inspection.open import EXAMPLES, point_of, read_data
from allroads.inspection.weights import read_weights
from allroads.paths.align.align import METHODS as ALIGNMENTS
from allroads.paths.connect import Connection, connect
from allroads.paths.connect.methods import options_from_names
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.pfmap.problem import Problem
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
        factory: As :func:`~allroads.inspection.open_point` takes it.
        data: The ``.npz`` file, with held-out arrays or without.
        a: A safetensors file.
        b: Another.
        seed: Of the factory's key.

    Raises:
        InputError: As :func:`~allroads.inspection.open_point`; and where the files differ in more than parameters: the
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


@dataclass(frozen=True)
class ConnectRequest:
    """Two points by their files, and how to connect them.

    Args:
        factory: ``"module:function"`` that makes the network.
        data: The ``.npz`` file.
        loss: Name, or ``"module:function"`` of a per-example loss.
        a: Weights of one end.
        b: Weights of the other.
        seed: Decides everything random.
        options: Further options of :func:`~allroads.paths.connect.connect`.
    """

    factory: str
    data: str
    loss: str
    a: str
    b: str
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> Connection:
        """Open the points and connect them.

        Raises:
            InputError: If something of it cannot be used.
        """
        if self.options.get("method") == "star":
            raise InputError("method 'star' needs a population; call allroads.paths.connect.connect from Python.")
        loss = named_loss(self.loss)
        check_names({"align": (self.options.get("align"), ALIGNMENTS)})
        arguments = options_from_names(**self.options)
        ends = open_ends(self.factory, self.data, self.a, self.b, seed=self.seed)
        problem = Problem(ends.network, loss, ends.inputs, ends.labels)
        found = connect(problem, ends.a, ends.b, held_out=ends.held_out, seed=self.seed, **arguments)
        return cast(Connection, found)  # one pair of ends, so one curve

    @property
    def origin(self) -> list[tuple[str, str]]:
        """Where the points come from, as titles and texts."""
        return [
            ("network", self.factory),
            ("a", self.a),
            ("b", self.b),
            ("data", self.data),
            ("loss per example", self.loss),
        ]

    @property
    def snippet(self) -> str:
        """Python that finds the same curve."""
        loss = f"imported({self.loss!r})" if ":" in self.loss else repr(self.loss)
        arguments = options_from_names(**self.options)
        more = "".join(f", {name}={value!r}" for name, value in {"seed": self.seed, **arguments}.items())
        made = f"from allroads.paths.connect import CurveOptions, {type(arguments['method']).__name__}"
        path = "from allroads.imported import imported; " if ":" in self.loss else ""
        files = ", ".join(repr(name) for name in (self.factory, self.data, self.a, self.b))
        return "\n".join(
            [
                f"{path}from allroads import Problem, connect; from allroads.inspection.connect import open_ends",
                made,
                f"e = open_ends({files}, seed={self.seed})",
                f"problem = Problem(e.network, {loss}, e.inputs, e.labels)",
                f"found = connect(problem, e.a, e.b, held_out=e.held_out{more})",
            ]
        )


def save_curve(found: Connection, path: Path) -> None:
    """Write a curve's control points as safetensors: every parameter with a leading axis, and ``knots``."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(found.control)
    arrays = {jax.tree_util.keystr(where, simple=True, separator="."): np.asarray(leaf) for where, leaf in leaves}
    save_file({name or "params": leaf for name, leaf in arrays.items()} | {"knots": found.knots}, path)
