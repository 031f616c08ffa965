"""What becomes of a spectrum that is not simply right."""

from __future__ import annotations

from enum import StrEnum


class SpectrumStatus(StrEnum):
    """Statuses of a spectrum beside those of :class:`~allroads.Status`.

    Example:
        >>> SpectrumStatus.INDEFINITE.value
        'indefinite'
    """

    meaning: str
    causes: str
    remedy: str

    def __new__(cls, value: str, meaning: str, causes: str, remedy: str) -> SpectrumStatus:
        """Attach the three sentences to the name."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning, member.causes, member.remedy = meaning, causes, remedy
        return member

    NOT_CONVERGED = (
        "not converged",
        "An iterative method stopped before its residual was small.",
        "Eigenvalues that lie close together, or too few iterations.",
        "Ask for fewer eigenpairs, loosen the tolerance, use double precision, or the dense method.",
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
