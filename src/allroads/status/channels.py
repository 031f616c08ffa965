"""Statuses of channels: search costs, races, funnels and traps."""

from __future__ import annotations

from allroads.status.status import OK, Status


class ChannelStatus(Status):
    """Of what an explorer gains, how its runs race and narrow, and where they wait."""

    OK = OK
    LOWER_BOUND = (
        "lower bound",
        "The number is at least this, at 95 %; no more can be said.",
        "A search that never came to a fit: no draw of the prior, or no run.",
        "Draw more, take log P by function_log_probability, or allow the runs more steps.",
        True,
    )
    UPPER_BOUND = (
        "upper bound",
        "No run fits, so the gain is at most this, at 95 %.",
        "Too few steps, a poor learning rate, or a target that the explorer cannot reach.",
        "Allow more steps or run more members; try another learning rate or a wider network.",
        True,
    )
    UNDERSAMPLED = (
        "undersampled",
        "So few runs fit that their cost has no upper end.",
        "Runs that mostly fail.",
        "Run more members, or allow more steps.",
    )
    NEVER = (
        "never reached",
        "Neither a draw of the prior nor a run fits the data.",
        "A target that the network cannot compute, or far too few draws and steps.",
        "Check the target with a wider network; take log P by function_log_probability; allow more steps.",
    )
    CONSTANT = (
        "constant",
        "All members have the same value, so there is nothing to rank.",
        "Training data that fix the function on the probes, or a measure of complexity that does not tell them apart.",
        "Leave out training data that tell the functions apart, give other probes, or take another measure.",
    )
    NO_MATCH = (
        "no match",
        "At no loss are there enough members of both populations.",
        "Draws whose losses are all above those of the runs, bins too narrow, or few members.",
        "Give wider bins or more draws, or take a sampler at a low temperature as the neutral population.",
    )
