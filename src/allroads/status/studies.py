"""Statuses of what is read from a study's table."""

from __future__ import annotations

from allroads.status.status import OK, Status


class AttributionStatus(Status):
    """Of a variance or a distribution shared out among factors."""

    OK = OK
    NO_EFFECT = (
        "no effect",
        "The cells differ no more than their seeds do, so there is nothing to share out.",
        "Factors that do not act on this response, or too few seeds to see that they do.",
        "Read value_high in stats, the largest effect that the table allows; run more seeds.",
        True,
    )
    CONSTANT = (
        "constant",
        "All runs have the same response, so nothing varies.",
        "A response that saturates, such as an accuracy of 1, or a label that every run reaches.",
        "Choose a response that differs between runs, such as the step at which the goal was reached.",
    )
    TOO_MANY_LABELS = (
        "too many labels",
        "Labels are mostly new, so what counting adds to the information cannot be corrected reliably.",
        "Labels that are seen once in their cell: a set of labels that is large beside the number of seeds.",
        "Run more seeds, take a coarser label such as the canonical program, or give truth tables.",
    )
