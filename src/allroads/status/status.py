"""A status: a word with its meaning, and the words that several families share."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """A word that says what happened, with its meaning, likely causes and what to try.

    Each family of measures has its own enumeration, so that a remedy always speaks of that measure.

    Attributes:
        meaning: What it says of the number.
        causes: Likely causes.
        remedy: What to try.
        sound: Whether the number may be used as it is defined; ``throw=True`` raises where not.

    Example:
        >>> from allroads.status import RunStatus
        >>> RunStatus.DIVERGED.remedy
        'Lower the learning rate (or step size) or the initialisation scale, or clip gradients.'
        >>> RunStatus.DIVERGED == "diverged", RunStatus.DIVERGED.sound
        (True, False)
    """

    meaning: str
    causes: str
    remedy: str
    sound: bool

    def __new__(cls, value: str, meaning: str = "", causes: str = "", remedy: str = "", sound: bool = False) -> Status:
        """Attach the sentences to the word."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning, member.causes, member.remedy, member.sound = meaning, causes, remedy, sound
        return member


OK = ("ok", "The quantity was computed as defined.", "", "", True)
NOT_FINITE = (
    "diverged",
    "A loss or an output is not finite at a point where it was computed.",
    "A point whose run diverged, scores that overflow, or labels far out of scale.",
    "Check the loss of the point itself. Take an earlier checkpoint, or compute inside allroads.float64().",
)
NOT_APPLICABLE = (
    "not applicable",
    "The quantity has no meaning for this kind of output or network.",
    "A chart of probabilities for outputs that are not class scores, or a network without anything to repair.",
    "Choose the chart 'outputs', a loss that makes the outputs class scores, or leave the repair out.",
)
NOT_EQUILIBRATED = (
    "not equilibrated",
    "The samples have not spread over the whole region that they should cover. The number can be off by more than its "
    "error.",
)
