"""Statuses of programs."""

from __future__ import annotations

from allroads.status.status import Status


class EquivalenceStatus(Status):
    """Of an equality between a network and a program, or two programs."""

    PROVED = ("proved", "The functions are equal on the whole finite domain, or at every length.", "", "", True)
    NOT_PROVED = (
        "not proved",
        "No disagreement was found among the inputs that were compared; the other inputs were not.",
        "A domain that is too large to enumerate, or hidden states whose classes could not be shown to be closed.",
        "Shorten the domain, train longer so that margins grow, or compare more samples.",
        True,
    )
    DIFFERENT = ("different", "A counterexample shows that the functions differ.", "", "Read the counterexample.", True)


class ExtractionStatus(Status):
    """Of a program read out of a network."""

    COMPUTES = (
        "computes",
        "Network and program are proved equal, and exchanged hidden states act as exchanged program states.",
        "",
        "",
        True,
    )
    BEHAVES_AS = (
        "behaves as",
        "Network and program are proved equal; the causal check is absent or failed.",
        "Hidden states that do not map onto the states of the program, or a language without such a check.",
        "Read interchange. Take the program as a description of the function, and not of the mechanism.",
        True,
    )
    NOT_PROVED = (
        "not proved",
        "The program agrees with the network on all inputs that were compared. These are not the whole domain.",
        "A domain that is too large, or classes of hidden states that could not be shown to be closed.",
        "Train longer so that margins grow, or compare longer sequences.",
        True,
    )
    TABLE = (
        "table",
        "Every program that was found is as long as the table of the function.",
        "A memorised table, or a rule that has no short program in these languages.",
        "Train until the network generalises, or give another language.",
    )
    PARTIAL = (
        "partial",
        "The program gives the network's answers on some inputs only.",
        "A network that is half trained, or a state that extraction missed.",
        "Read the counterexample of the equivalence; train longer.",
    )
    NO_PROGRAM = (
        "no program",
        "No program was found that the network computes.",
        "A network that is untrained or memorises, or a function that has no program in these languages.",
        "Read stats['languages']; train longer, or give another language.",
    )
    NOT_APPLICABLE = (
        "not applicable",
        "No language reads this kind of network and target.",
        "Real inputs without an alphabet, or a recurrent target for a network without a cell.",
        "Give a target with an alphabet or a finite domain, and the network's cell.",
    )
