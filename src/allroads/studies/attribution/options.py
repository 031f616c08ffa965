"""Options of an attribution."""

from __future__ import annotations

from dataclasses import dataclass

from allroads.checks import check_count, check_number


@dataclass(frozen=True)
class AttributionOptions:
    """How an attribution is computed.

    Args:
        order: Largest number of factors in an interaction that has a row of its own. In an analysis of variance those
            above it are pooled with the residual. Default: all.
        level: Confidence of the intervals.
        resamples: Tables drawn for intervals, seed splits for the null, and permutations for each exact test.
        exponent: Of distances, above 0 up to 2: 1 is the energy distance, 2 the permutational analysis of variance.

    Raises:
        InputError: For a number outside these ranges.

    Example:
        >>> AttributionOptions(order=2).level
        0.95
    """

    order: int | None = None
    level: float = 0.95
    resamples: int = 999
    exponent: float = 1.0

    def __post_init__(self) -> None:
        check_count("order", self.order, absent=True)
        check_number("level", self.level, 0.5, 0.999)
        check_count("resamples", self.resamples, 99)
        check_number("exponent", self.exponent, 0, 2, open_low=True)
