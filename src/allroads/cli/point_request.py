"""What a user asks for on the command line, and the Python that asks the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from allroads.cli.names import check_names, named_loss
from allroads.explorers.samplers import SAMPLERS
from allroads.files.open import open_point
from allroads.paths.landscape import LossPlane, random_plane
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.inspection import Inspection, inspect_point


@dataclass(frozen=True)
class Request:
    """A point by its files, and how to measure it.

    Args:
        factory: ``"module:function"`` that makes the network.
        data: The ``.npz`` file.
        loss: Name, or ``"module:function"`` of a per-example loss.
        weights: The safetensors file; ``None`` for the factory's own weights.
        seed: Decides everything random.
        options: Further options of :func:`inspect_point`.
    """

    factory: str
    data: str
    loss: str
    weights: str | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> Inspection:
        """Open the point and measure it.

        Raises:
            InputError: If something of it cannot be used.
        """
        named_loss(self.loss)
        check_names({"sampler": (self.options.get("sampler"), SAMPLERS)})
        problem, params = self.opened
        return inspect_point(problem, params, seed=self.seed, **self.options)

    def around(self) -> LossPlane:
        """The loss on the plane of two random directions through the point.

        Raises:
            InputError: If no parameter moves on it.
        """
        problem, params = self.opened
        return random_plane(problem, params, seed=self.seed)

    @cached_property
    def opened(self) -> tuple[Problem, Params]:
        """The problem and the point."""
        loss = named_loss(self.loss)
        point = open_point(self.factory, self.data, self.weights, seed=self.seed)
        return Problem(point.network, loss, point.inputs, point.labels), point.params

    @property
    def origin(self) -> list[tuple[str, str]]:
        """Where the point comes from, as titles and texts."""
        return [
            ("network", self.factory),
            ("weights", self.weights or "the factory's own, as no file was given"),
            ("data", self.data),
            ("loss per example", self.loss),
        ]

    @property
    def snippet(self) -> str:
        """Three lines of Python that measure the same."""
        loss = f"imported({self.loss!r})" if ":" in self.loss else repr(self.loss)
        names = "inspect_point, open_point"
        last = "".join(f", {name}={value!r}" for name, value in {"seed": self.seed, **self.options}.items())
        path = "from allroads.imported import imported; " if ":" in self.loss else ""
        files = ", ".join(repr(name) for name in (self.factory, self.data, *([self.weights] if self.weights else [])))
        return "\n".join(
            [
                f"{path}from allroads import Problem, {names}",
                f"p = open_point({files}, seed={self.seed})",
                f"found = inspect_point(Problem(p.network, {loss}, p.inputs, p.labels), p.params{last})",
            ]
        )
