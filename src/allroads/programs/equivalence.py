"""Equivalence of a network and a program, or of two programs: what was shown, over what, and the counterexample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from allroads.results import Result
from allroads.status import EquivalenceStatus

SCOPES = ("exhaustive", "all lengths", "to length", "sampled")
"""What an equality may be shown over: the whole finite domain, every length, every length up to one, or a sample."""


@dataclass(frozen=True, repr=False)
class Equivalence(Result):
    """Whether two functions agree, and what that rests on.

    Args:
        equal: Whether no disagreement was found.
        scope: One of :data:`SCOPES`.
        checked: Number of examples that were compared, or of transitions in an induction.
        length: Length L up to which sequences were compared; ``None`` where lengths play no part.
        margin: Smallest distance of an output from where its answer would change, in units of the outputs. For an
            induction over hidden states it is a lower bound at every length. ``None`` between two programs.
        counterexample: The shortest example that was found on which the two differ.
        answers: The two answers to it.
        stats: What else it rests on.

    Example:
        >>> Equivalence(True, "exhaustive", 16).proved, Equivalence(True, "sampled", 16).proved
        (True, False)
    """

    equal: bool
    scope: str
    checked: int
    length: int | None = None
    margin: float | None = None
    counterexample: Any = None
    answers: tuple[Any, Any] | None = None
    stats: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise AssertionError(f"scope {self.scope!r} is none of {SCOPES}")

    @property
    def value(self) -> float:
        """1 where the functions are equal as far as was looked, else 0."""
        return float(self.equal)

    @property
    def error(self) -> float | None:
        """None: an equality has no error, it has a scope."""
        return None

    @property
    def proved(self) -> bool:
        """Whether equality holds on the whole domain: every input of a finite one, or every length."""
        return self.equal and self.scope in ("exhaustive", "all lengths")

    @property
    def status(self) -> EquivalenceStatus:
        """Proved, shown in part, or different."""
        if not self.equal:
            return EquivalenceStatus.DIFFERENT
        return EquivalenceStatus.PROVED if self.proved else EquivalenceStatus.NOT_PROVED

    def __str__(self) -> str:
        if not self.equal:
            return (
                f"different: {self.counterexample!r} gives {self.answers[0]!r} and {self.answers[1]!r}"
                if (self.answers is not None)
                else "different"
            )
        return {
            "exhaustive": f"equal on all {self.checked:,} inputs",
            "all lengths": "equal at all lengths",
            "to length": f"equal on all sequences up to length {self.length}",
            "sampled": f"equal on {self.checked:,} sampled inputs",
        }[self.scope]
