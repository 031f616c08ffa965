"""Two points that a user asks on the command line to connect, and the Python that asks the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from safetensors.numpy import save_file

from allroads.cli.names import check_names, named_loss
from allroads.errors import InputError
from allroads.files.ends import open_ends
from allroads.paths.align.align import METHODS as ALIGNMENTS
from allroads.paths.connect import Connection, connect
from allroads.paths.connect.methods import options_from_names
from allroads.pfmap.problem import Problem


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
                f"{path}from allroads import Problem, connect, open_ends",
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
