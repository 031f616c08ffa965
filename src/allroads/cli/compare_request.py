"""Two points that a user asks on the command line to compare, and the Python that asks the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allroads.atlases.comparison import Comparison, compare_points
from allroads.cli.extract_request import ExtractRequest
from allroads.cli.names import check_names
from allroads.cli.two_points import TwoPoints, keywords
from allroads.errors import InputError
from allroads.paths.align.align import METHODS as ALIGNMENTS
from allroads.paths.connect.methods import METHODS
from allroads.targets.build import build_target


@dataclass(frozen=True)
class CompareRequest(TwoPoints):
    """Two points by their files, and how to compare them: ``options`` are those of :func:`~allroads.compare_points`.

    Args:
        target: A kind of target, or ``"module:function"`` that gives one; ``None`` for the data as they are.
        words: Options of the target, as ``name=value``.
    """

    target: str | None = None
    words: tuple[str, ...] = ()

    def run(self) -> Comparison:
        """Open the points and compare them.

        Raises:
            InputError: If something of it cannot be used.
        """
        check_names({"align": (self.options.get("align"), ALIGNMENTS), "method": (self.options.get("method"), METHODS)})
        if self.options.get("method") == "star":
            raise InputError("method 'star' needs a population; choose a method for two points, such as 'bezier'.")
        if self.words and self.target is None:
            raise InputError("--set: it gives options of a target; give --target too.")
        target = None if self._kind is None else build_target(self._kind, **self._target_options)
        problem, ends = self.opened()
        return compare_points(
            problem, ends.a, ends.b, target=target, held_out=ends.held_out, seed=self.seed, **self.options
        )

    @property
    def origin(self) -> list[tuple[str, str]]:
        """Where the points come from, and how programs are read, as titles and texts."""
        return [*super().origin, *([] if self.target is None else [("target", self.target)])]

    @property
    def snippet(self) -> str:
        """Python that compares the same points."""
        more = keywords({"seed": self.seed, **self.options})
        if self._kind is None:
            return self.snippet_of("compare_points", [], more)
        target = f"target = build_target({self._kind!r}{keywords(self._target_options)})"
        lines = ["from allroads.targets import build_target", target]
        return self.snippet_of("compare_points", lines, f", target=target{more}")

    @property
    def _kind(self) -> str | None:
        return "factory" if self.target is not None and ":" in self.target else self.target

    @property
    def _target_options(self) -> dict[str, Any]:
        own = {"path": self.target} if self._kind == "factory" else {}
        given = ExtractRequest.of_words(self.factory, self.target or "", None, self.words, self.seed).options
        return {**own, **given}
