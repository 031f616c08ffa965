"""Two points that a user names on the command line by their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from allroads.cli.names import named_loss
from allroads.files.ends import Ends, open_ends
from allroads.pfmap.problem import Problem


@dataclass(frozen=True)
class TwoPoints:
    """Two points by their files, with the network and the data to which they belong.

    Args:
        factory: ``"module:function"`` that makes the network.
        data: The ``.npz`` file.
        loss: Name, or ``"module:function"`` of a per-example loss.
        a: Weights of one point.
        b: Weights of the other.
        seed: Decides everything random.
        options: Further options of the function that is asked.
    """

    factory: str
    data: str
    loss: str
    a: str
    b: str
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def opened(self) -> tuple[Problem, Ends]:
        """The problem, and the points with what else the files hold.

        Raises:
            InputError: If a file or a name cannot be used.
        """
        loss = named_loss(self.loss)
        ends = open_ends(self.factory, self.data, self.a, self.b, seed=self.seed)
        return Problem(ends.network, loss, ends.inputs, ends.labels), ends

    @property
    def origin(self) -> list[tuple[str, str]]:
        """Where the points come from, as titles and texts."""
        ends = [("network", self.factory), ("a", self.a), ("b", self.b)]
        return [*ends, ("data", self.data), ("loss per example", self.loss)]

    def snippet_of(self, asked: str, imports: list[str], more: str) -> str:
        """Python that opens the same points as ``e`` and asks the function ``asked`` about them.

        Args:
            asked: The function of :mod:`allroads`.
            imports: Further lines before it.
            more: Further arguments, from the comma on.
        """
        loss = f"imported({self.loss!r})" if ":" in self.loss else repr(self.loss)
        path = "from allroads.imported import imported; " if ":" in self.loss else ""
        files = ", ".join(repr(name) for name in (self.factory, self.data, self.a, self.b))
        return "\n".join(
            [
                f"{path}from allroads import Problem, {asked}, open_ends",
                *imports,
                f"e = open_ends({files}, seed={self.seed})",
                f"problem = Problem(e.network, {loss}, e.inputs, e.labels)",
                f"found = {asked}(problem, e.a, e.b, held_out=e.held_out{more})",
            ]
        )


def keywords(values: Mapping[str, Any]) -> str:
    """Arguments by name, from the comma on."""
    return "".join(f", {name}={value!r}" for name, value in values.items())
