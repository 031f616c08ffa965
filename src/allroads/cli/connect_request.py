"""Two points that a user asks on the command line to connect, and the Python that asks the same."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import jax
import numpy as np
from safetensors.numpy import save_file

from allroads.cli.names import check_names
from allroads.cli.two_points import TwoPoints, keywords
from allroads.errors import InputError
from allroads.paths.align.align import METHODS as ALIGNMENTS
from allroads.paths.connect import Connection, connect
from allroads.paths.connect.methods import options_from_names


class ConnectRequest(TwoPoints):
    """Two points by their files, and how to connect them: ``options`` are those of :func:`allroads.connect`."""

    def run(self) -> Connection:
        """Open the points and connect them.

        Raises:
            InputError: If something of it cannot be used.
        """
        if self.options.get("method") == "star":
            raise InputError("method 'star' needs a population; call allroads.paths.connect.connect from Python.")
        check_names({"align": (self.options.get("align"), ALIGNMENTS)})
        arguments = options_from_names(**self.options)
        problem, ends = self.opened()
        found = connect(problem, ends.a, ends.b, held_out=ends.held_out, seed=self.seed, **arguments)
        return cast(Connection, found)  # one pair of ends, so one curve

    @property
    def snippet(self) -> str:
        """Python that finds the same curve."""
        arguments = options_from_names(**self.options)
        made = f"from allroads.paths.connect import CurveOptions, {type(arguments['method']).__name__}"
        return self.snippet_of("connect", [made], keywords({"seed": self.seed, **arguments}))


def save_curve(found: Connection, path: Path) -> None:
    """Write a curve's control points as safetensors: every parameter with a leading axis, and ``knots``."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(found.control)
    arrays = {jax.tree_util.keystr(where, simple=True, separator="."): np.asarray(leaf) for where, leaf in leaves}
    save_file({name or "params": leaf for name, leaf in arrays.items()} | {"knots": found.knots}, path)
