"""Two points that a user asks on the command line to compare, and the Python that asks the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from allroads.atlases.comparison import Comparison, compare_points
from allroads.cli.extract_request import ExtractRequest
from allroads.cli.names import check_names, named_loss
from allroads.errors import InputError
from allroads.files.ends import open_ends
from allroads.paths.align.align import METHODS as ALIGNMENTS
from allroads.paths.connect.methods import METHODS
from allroads.pfmap.problem import Problem
from allroads.targets.build import build_target


@dataclass(frozen=True)
class CompareRequest:
    """Two points by their files, and how to compare them.

    Args:
        factory: ``"module:function"`` that makes the network.
        data: The ``.npz`` file.
        loss: Name, or ``"module:function"`` of a per-example loss.
        a: Weights of one point.
        b: Weights of the other.
        target: A kind of target, or ``"module:function"`` that gives one; ``None`` for the data as they are.
        words: Options of the target, as ``name=value``.
        seed: Decides everything random.
        options: Further options of :func:`~allroads.compare_points`.
    """

    factory: str
    data: str
    loss: str
    a: str
    b: str
    target: str | None = None
    words: tuple[str, ...] = ()
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> Comparison:
        """Open the points and compare them.

        Raises:
            InputError: If something of it cannot be used.
        """
        loss = named_loss(self.loss)
        check_names({"align": (self.options.get("align"), ALIGNMENTS), "method": (self.options.get("method"), METHODS)})
        if self.options.get("method") == "star":
            raise InputError("method 'star' needs a population; choose a method for two points, such as 'bezier'.")
        if self.words and self.target is None:
            raise InputError("--set: it gives options of a target; give --target too.")
        target = None if self._kind is None else build_target(self._kind, **self._target_options)
        ends = open_ends(self.factory, self.data, self.a, self.b, seed=self.seed)
        problem = Problem(ends.network, loss, ends.inputs, ends.labels)
        return compare_points(
            problem, ends.a, ends.b, target=target, held_out=ends.held_out, seed=self.seed, **self.options
        )

    @property
    def origin(self) -> list[tuple[str, str]]:
        """Where the points come from, as titles and texts."""
        return [
            ("network", self.factory),
            ("a", self.a),
            ("b", self.b),
            ("data", self.data),
            ("loss per example", self.loss),
            *([] if self.target is None else [("target", self.target)]),
        ]

    @property
    def snippet(self) -> str:
        """Python that compares the same points."""
        loss = f"imported({self.loss!r})" if ":" in self.loss else repr(self.loss)
        path = "from allroads.imported import imported; " if ":" in self.loss else ""
        files = ", ".join(repr(name) for name in (self.factory, self.data, self.a, self.b))
        more = "".join(f", {name}={value!r}" for name, value in {"seed": self.seed, **self.options}.items())
        lines = [f"{path}from allroads import Problem, compare_points, open_ends"]
        if self._kind is not None:
            options = "".join(f", {name}={value!r}" for name, value in self._target_options.items())
            lines += [
                "from allroads.targets import build_target",
                f"target = build_target({self._kind!r}{options})",
            ]
            more = f", target=target{more}"
        return "\n".join(
            [
                *lines,
                f"e = open_ends({files}, seed={self.seed})",
                f"problem = Problem(e.network, {loss}, e.inputs, e.labels)",
                f"found = compare_points(problem, e.a, e.b, held_out=e.held_out{more})",
            ]
        )

    @property
    def _kind(self) -> str | None:
        return "factory" if self.target is not None and ":" in self.target else self.target

    @property
    def _target_options(self) -> dict[str, Any]:
        own = {"path": self.target} if self._kind == "factory" else {}
        given = ExtractRequest.of_words(self.factory, self.target or "", None, self.words, self.seed).options
        return {**own, **given}
