"""Statuses of atlases: graphs of programs, and what is measured on them."""

from __future__ import annotations

from allroads.status.status import NOT_FINITE, OK, Status


class AtlasStatus(Status):
    """Of an atlas, of its edges, and of what is computed from them."""

    OK = OK
    EMPTY = (
        "empty",
        "There is no program, so there is no atlas.",
        "Runs without a record, or records of which none was read.",
        "Read programs at several records of each run, or give labels.",
    )
    ONE_PROGRAM = (
        "one program",
        "All records have one program, so there is nothing between programs to measure.",
        "A target that is learned before the first record, records that are few, or runs that never move.",
        "Record earlier and more often, or give runs towards several targets.",
    )
    DISCONNECTED = (
        "disconnected",
        "The atlas has several parts that no edge and no run joins. What is said of pairs holds within a part.",
        "Runs towards targets that share no program on the way, or programs that no path joins.",
        "Read stats['components']. Add runs from common starts, or measure passes between the parts.",
        True,
    )
    CLUSTERED = (
        "clustered",
        "There were more programs than an atlas holds, so nodes are clusters of them; stats['clusters'] says which.",
        "Networks that change their answers at almost every record, or large domains.",
        "Raise most, take a coarser label, or record less often.",
        True,
    )
    TOO_FEW = (
        "too few changes",
        "Too few changes were seen to estimate this.",
        "Few runs, few records, or runs that seldom change their program.",
        "Add runs, or record more often.",
    )
    NOT_REVERSIBLE = (
        "not reversible",
        "Moves lead from some programs to others more often than back, beyond chance. Shares and boundaries are sound, "
        "and a boundary has a direction.",
        "Additive moves under an initialisation that is not flat, or starts that are no sample of one.",
        "Take move='reversible' for boundaries that are symmetric.",
        True,
    )
    CUT_SHORT = (
        "cut short",
        "A budget or an interrupt ended the call early. What it says holds, from fewer paths, moves or samples than "
        "asked for: bounds and intervals are wider than they need be.",
        "Much that was asked for, or a small budget.",
        "Give a larger budget, or ask for less: fewer points, moves or samples; of passes curve=None.",
        True,
    )
    ONE_CLUSTER = (
        "one cluster",
        "One of the two partitions has a single part, or a part for each point, so the index says nothing.",
        "A level above all passes or below all of them, or points with one label.",
        "Choose a level between the lowest and the highest pass, or points of several programs.",
    )
    UNDECIDED = (
        "undecided",
        "Some arcs may lie on either side of the threshold. With them, the strong components would be others.",
        "Few trials per arc.",
        "Raise the trials per pair, or move the threshold; stats says how many components there are at least.",
        True,
    )
    REFUTED = (
        "refuted",
        "The programs are no Markov chain: the next program depends on the previous one too. What a chain would say "
        "is not given.",
        "A label that joins unlike states, runs of several kinds, or records that are too dense.",
        "Take finer labels, one kind of run at a time, or walks without repeats in place of records.",
    )
    NOT_STEERED = (
        "not steered",
        "The share of runs that end in the chosen program did not clearly rise.",
        "A program that almost all runs end in already, one that the network hardly reaches, or a short search.",
        "Steer in another way, give the search more rounds, or choose a program that some runs end in.",
        True,
    )
    TOO_FEW_PAIRS = (
        "too few pairs",
        "Too few nodes or pairs have a value for a slope and its relabellings.",
        "Fewer than five programs, edges that were hardly ever measured, or as many columns as pairs.",
        "Measure more programs or more edges, or hold fewer quantities fixed.",
    )
    COLLINEAR = (
        "collinear",
        "The other columns explain the predictor, so it has no slope of its own.",
        "Distances of programs that are those of their functions, or a predictor that never varies.",
        "Take programs that share parts without sharing outputs, or hold fewer quantities fixed.",
    )
    CONSTANT = (
        "constant",
        "The response does not vary beyond what the other columns explain.",
        "A reach that is 1 or 0 for every pair, or walks whose programs all have one length.",
        "Take the cost in place of the reach, or a narrower network.",
    )
    NO_START = (
        "no start",
        "Some function has no point to start from, so nothing is known of what is reached from it.",
        "A function that the network cannot compute, or one that training from random starts seldom finds.",
        "Read starts.found. Raise draws or start_steps, give points of that function, or leave it out.",
        True,
    )
    NOT_REACHED = (
        "not reached",
        "Half of the runs or more did not come within their budget, so the quantity is beyond it.",
        "A function that is far from the start, a small budget, or a narrow network.",
        "Raise steps, or read the share of runs that came.",
    )
    UNFINISHED = (
        "unfinished",
        "The budget or an interrupt ended the call. What is there is as it would be; the rest was not tried.",
        "A small budget for so many runs.",
        "Give a larger budget, fewer functions or fewer starts.",
    )
    DIVERGED = NOT_FINITE
    NOT_APPLICABLE = (
        "not applicable",
        "This kind of edge cannot be measured between these programs; the reason stands beside it.",
        "A domain of too many inputs, a loss whose outputs are no answers, or an explorer that mixes its members.",
        "Read the reason. Raise the limit on inputs, or switch the measure off in this grid.",
    )
    NOT_MEASURED = (
        "not measured",
        "The study did not measure what this needs; the reason names it.",
        "A measure that is off, or that had no two programs to hold against each other.",
        "Switch on the measures that the reason names.",
    )
    NOT_FOLLOWED = (
        "not followed",
        "No road stayed near its straight segment, so the length is not that of the straight road.",
        "Targets that the map can hardly reach from there, or a road that turns sharply.",
        "Raise steps, or follow single roads with allroads.road.",
    )
