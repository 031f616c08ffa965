"""Statuses of what lies between points."""

from __future__ import annotations

from allroads.status.status import NOT_APPLICABLE, NOT_FINITE, OK, Status


class PathStatus(Status):
    """Of what is measured along or between: directness, turning, certificate, barrier, curve."""

    OK = OK
    DIVERGED = NOT_FINITE
    DEGENERATE = (
        "degenerate",
        "The quantity is not defined for this input.",
        "A path of zero length, or two equal points.",
        "Record more steps, or measure a path that moves.",
    )
    NOT_APPLICABLE = NOT_APPLICABLE
    NOT_CONVERGED = (
        "not converged",
        "An iterative method stopped while its answer was still changing.",
        "Too few steps or iterations, a small rate, or a budget that ended first.",
        "Allow more steps or iterations, give a larger budget, or loosen the tolerance.",
    )


class RoadStatus(Status):
    """Of a path lifted through the map."""

    OK = OK
    DIVERGED = NOT_FINITE
    DEGENERATE = (
        "degenerate",
        "The start already gives the target, so the segment has no length.",
        "A start that has learned the target, or a target taken from the start itself.",
        "Choose another start or another target.",
    )
    RANK_LOSS = (
        "rank loss",
        "The network cannot follow the segment any further.",
        "The direction left the kernel's range, a fold of the map, more outputs than parameters, or a zero kernel.",
        "Read reached and outside; choose another target, start or chart, a wider network, or a larger tolerance.",
    )
    NOT_CONVERGED = (
        "not converged",
        "The steps or the budget ran out before the end of the segment.",
        "A segment that can be followed in very small steps only, a small tolerance, or a small budget.",
        "Allow more steps, give a larger budget, or loosen the tolerance.",
    )
    NOT_APPLICABLE = NOT_APPLICABLE


class ForecastStatus(Status):
    """Of a prediction of what will be learned."""

    OK = OK
    NOTHING_TO_LEARN = (
        "nothing to learn",
        "The best constant answer already has the loss that was asked for.",
        "A constant target, or a goal above the loss of the best constant.",
        "Leave the target out, or ask for a lower loss.",
    )
    DIVERGED = NOT_FINITE
    DEGENERATE = (
        "degenerate",
        "The linearised network does not move towards this target at all.",
        "A kernel that is zero on the target, dead units, or an output layer of zeros that nothing feeds.",
        "Choose another start, a wider network or another initialisation.",
    )
    NOT_APPLICABLE = (
        "not applicable",
        "The prediction has no meaning for this explorer, loss or start.",
        "A sampler, which has no goal, or a loss without a best constant answer.",
        "Ask for an explorer that follows gradients.",
    )
    NOT_COMPUTED = (
        "not computed",
        "It was left out to save time.",
        "A budget that ended, an interrupt, or the option simulated.",
        "Give a larger budget, or leave out budget and simulated.",
    )


class ConvergenceStatus(Status):
    """Of what members of a population have in common."""

    OK = OK
    DIVERGED = (
        "diverged",
        "Outputs or activations of at least one member are not finite; its pairs have no number.",
        "A member whose run diverged, or activations that overflow.",
        "Leave those members out, take earlier checkpoints, or compute inside allroads.float64().",
    )
    DEGENERATE = (
        "degenerate",
        "A representation does not vary between the inputs in a way that the measure sees; its pairs have no number.",
        "Dead units, a layer that ignores the inputs, inputs that are all alike, or rows that are all orthonormal.",
        "Choose another layer or more varied inputs, or leave those members out.",
    )
    NOT_CONVERGED = (
        "not converged",
        "A budget or an interrupt ended the comparison early. The p-values hold, but rest on fewer permutations; "
        "or some pairs were not compared.",
        "Many members, many inputs or a small budget.",
        "Give a larger budget, or fewer members, inputs or measures.",
    )
    LOWER_BOUND = (
        "lower bound",
        "No two members are alike, so that the members show only that there are many.",
        "More functions or programs within reach than members.",
        "Take more members, or fewer inputs to tell functions apart.",
        True,
    )
