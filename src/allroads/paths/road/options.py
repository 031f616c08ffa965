"""How a road is followed and how its kernel is solved."""

from __future__ import annotations

from dataclasses import dataclass

from allroads.checks import check_count, check_number

DENSE = 2000
"""Outputs or parameters up to which a matrix of their products is formed; its factor then takes .2 s on one core."""


@dataclass(frozen=True)
class RoadOptions:
    """Accuracy, size and memory of a road.

    Args:
        tolerance: Largest distance of the image off the segment, over the segment's length, and largest error of one
            step's motion, over the road's length so far; default 10⁻³.
        regularisation: r over the kernel's largest eigenvalue at θ₀. Default 10⁻⁶ in single, 10⁻¹² in double precision.
        dense: Outputs N·C or parameters, whichever are fewer, up to which JJᵀ or JᵀJ is formed; above, conjugate
            gradients. Default 2000.
        records: Points kept, about; default 64.
        most_steps: Steps at most, rejected ones included; default 5000. Smooth maps take tens, relu ones hundreds.
        memory: Bytes for the kernel, and for the kept points; default 2³¹.

    Raises:
        InputError: If a number is out of range.
    """

    tolerance: float = 1e-3
    regularisation: float | None = None
    dense: int = DENSE
    records: int = 64
    most_steps: int = 5000
    memory: int = 2**31

    def __post_init__(self) -> None:
        check_number("tolerance", self.tolerance, 0, 1, open_low=True)
        check_number("regularisation", self.regularisation, 0, open_low=True, absent=True)
        for name, least in (("dense", 0), ("records", 1), ("most_steps", 1), ("memory", 1)):
            check_count(name, getattr(self, name), least)
