"""A measured number that carries its error, its status and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Status(StrEnum):
    """What became of a measurement or a run.

    Each member knows what it means, its likely causes and what to try: ``status.meaning``, ``status.causes``,
    ``status.remedy``.

    Example:
        >>> Status.DIVERGED.remedy
        'Lower the learning rate (or step size) or the initialisation scale, or clip gradients.'
    """

    meaning: str
    causes: str
    remedy: str

    def __new__(cls, value: str, meaning: str = "", causes: str = "", remedy: str = "") -> Status:
        """Attach the three sentences to the name."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning, member.causes, member.remedy = meaning, causes, remedy
        return member

    OK = ("ok", "The quantity was computed as defined.", "", "")
    DIVERGED = (
        "diverged",
        "The loss or a parameter stopped being finite; a run was frozen at its last finite step.",
        "A step size above 2 / (top Hessian eigenvalue), a very large initialisation, or labels far out of scale.",
        "Lower the learning rate (or step size) or the initialisation scale, or clip gradients.",
    )
    DEGENERATE = (
        "degenerate",
        "The quantity is not defined for this input.",
        "A path of zero length, or two points that are the same.",
        "Record more steps, or measure a path that moves.",
    )
    CONVERGED = (
        "converged",
        "The chains are in equilibrium, and neither the temperature nor the localisation changes the answer by more "
        "than the stated error.",
        "",
        "",
    )
    SCALE_DEPENDENT = (
        "scale-dependent",
        "The chains are in equilibrium, but the answer at nβ/10 is another: the number belongs to its nβ and is not "
        "yet the asymptotic coefficient.",
        "Curvatures on all scales, as in most trained networks; or multiplicity m > 1, which is felt as 1/log nβ.",
        "Compare only numbers at equal nβ; or give a larger nbeta, if the point is a minimum that precisely.",
    )
    NOT_EQUILIBRATED = (
        "not equilibrated",
        "The samples had not spread over what they should cover; the number can be off by more than its error.",
        "Flat, thin or curved directions that are still being filled, several parts, steps too small, too few draws.",
        "Allow more draws (llc: max_draws, burn_in), particles or sweeps (volumes); take sampler 'hmc'; localise more.",
    )
    NOT_AT_MINIMUM = (
        "not at a minimum",
        "Lower loss was found near the point than at it, so the loss excess is not one over a minimum.",
        "Training that stopped early, a saddle, a loss with noise that the data do not have.",
        "Train on to a small gradient, or ask at a smaller nbeta, at which the slope does not show.",
    )
    PRIOR_DOMINATED = (
        "prior-dominated",
        "The answer depends on how strongly the chains are held to the point: localisation, not the loss, decides it.",
        "A γ that is large beside nβ times the smallest curvatures; a loss that is constant or flat around the point.",
        "Lower localisation, or raise nbeta.",
    )
    NOT_CONVERGED = (
        "not converged",
        "An iterative method stopped while its answer was still changing.",
        "Too few steps or iterations, a small rate, or eigenvalues that lie close together.",
        "Allow more steps or iterations, loosen the tolerance, use double precision, or a dense method.",
    )
    INDEFINITE = (
        "indefinite",
        "The matrix plus its shift has a negative eigenvalue, so the quantity has no meaning as a volume.",
        "A point that is not a minimum: a saddle, or training that has not ended.",
        "Train on, use the Gauss–Newton matrix, raise the localisation, or read the positive part in stats.",
    )
    FLAT = (
        "flat",
        "Every curvature is zero.",
        "A loss that does not depend on the parameters: dead units, zero inputs, or a saturated output.",
        "Check that the loss changes with the parameters; a flat point has no scale of its own.",
    )
    UNRESOLVED = (
        "unresolved",
        "The shift is smaller than the rounding error of the eigenvalues, so zero and small cannot be told apart.",
        "Single precision, or a localisation near zero.",
        "Compute inside allroads.float64(), or raise the localisation.",
    )
    LOWER_BOUND = (
        "lower bound",
        "The number is a lower bound, in high dimension one that may be exponentially far below.",
        "A few of the rays carry nearly all of the weight: the basin is much longer in some directions than in others.",
        "Use method='splitting', or a preconditioner that makes the basin round, such as 'hessian'.",
    )
    RANK_LOSS = (
        "rank loss",
        "The map cannot follow the segment any further.",
        "The direction left the kernel's range, a fold of the map, more outputs than parameters, or a zero kernel.",
        "Read reached and outside; choose another target, start or chart, a wider network, or a larger tolerance.",
    )
    NOTHING_TO_LEARN = (
        "nothing to learn",
        "The target is constant: a constant output already attains the best loss.",
        "Labels that are all equal, or a split that left one class in the training set.",
        "Leave the target out, or check its labels and its training split.",
    )
    NOT_APPLICABLE = (
        "not applicable",
        "The quantity has no meaning for this kind of output.",
        "A chart of probabilities asked of outputs that are not class scores.",
        "Choose the chart 'outputs', or a loss that makes the outputs class scores.",
    )


class Measurement(float):
    """A float that carries ``error``, ``status`` and ``stats``.

    It computes and prints as a float does. ``value`` is the plain float; where ``status`` is not ``ok`` it may be
    NaN, and the status then says why.

    Args:
        value: The number.
        error: Half-width of its uncertainty in the same unit, ``None`` where it is exact up to rounding.
        status: What became of the measurement.
        stats: What the number rests on: counts, conventions, intermediate quantities.

    Example:
        >>> m = Measurement(0.5, error=0.1)
        >>> m + 1, m.error, m.status.value
        (1.5, 0.1, 'ok')
    """

    error: float | None
    status: Status
    stats: Mapping[str, Any]

    def __new__(
        cls,
        value: float,
        error: float | None = None,
        status: Status = Status.OK,
        stats: Mapping[str, Any] | None = None,
    ) -> Measurement:
        """Refuse a NaN that no status explains."""
        self = super().__new__(cls, value)
        if math.isnan(self) and status is Status.OK:
            raise AssertionError("a NaN needs a status that explains it")
        self.error, self.status, self.stats = error, status, MappingProxyType(dict(stats or {}))
        return self

    @property
    def value(self) -> float:
        """The plain float."""
        return float(self)

    def __repr__(self) -> str:
        error = "" if self.error is None else f" ± {self.error:.3g}"
        return f"{float(self):.6g}{error}" + ("" if self.status is Status.OK else f" ({self.status.value})")
