"""Statuses of a volume."""

from __future__ import annotations

from enum import StrEnum

from allroads.measurement import Status


class VolumeStatus(StrEnum):
    """What can become of a volume besides the members of :class:`~allroads.Status`.

    Example:
        >>> VolumeStatus.LOWER_BOUND.meaning
        'The number is a lower bound, in high dimension one that may be exponentially far below.'
    """

    meaning: str
    causes: str
    remedy: str

    __new__ = Status._new_member_

    LOWER_BOUND = (
        "lower bound",
        "The number is a lower bound, in high dimension one that may be exponentially far below.",
        "A few of the rays carry nearly all of the weight: the basin is much longer in some directions than in others.",
        "Use method='splitting', or a preconditioner that makes the basin round, such as 'hessian'.",
    )
    NOT_EQUILIBRATED = (
        "not equilibrated",
        "The samples had not spread over the set that they should cover; the number can be off by more than its error.",
        "Too few particles or moves for a set that is very thin, curved, or in several parts.",
        "Raise particles or sweeps; compare several seeds.",
    )
    NOT_A_MINIMUM = (
        "not a minimum",
        "Parameters with less loss than the point's were found near it, so the coefficient is not that of a minimum.",
        "Training had not ended, or ended at a saddle.",
        "Train further, or start from the best parameters found.",
    )
