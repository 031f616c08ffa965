"""Candidates of a search for position-wise programs: lines that look at other positions, simple ones first."""

from __future__ import annotations

from collections.abc import Iterator

from allroads.programs.mealy.expression import Expression as E
from allroads.programs.sequence.lines import Count, Fetch, Formula, Line, Selector

Named = tuple[tuple[str, Line], ...]
"""Lines with names; the last is the one that is offered, those before it are read by it."""


def simple_features(letters: tuple[int, ...], length: int, causal: bool) -> Iterator[Named]:
    """One look at other positions: counts of a letter, of equal or smaller ones, and letters at other places.

    Args:
        letters: The whole numbers that stand for the letters.
        length: Length of the words.
        causal: Whether no look may go to later positions.

    Example:
        >>> [lines[-1][0] for lines in simple_features((0, 1), 2, causal=True)][:2]
        ['count_0_upto', 'count_0_before']
    """
    scopes = ("upto", "before") if causal else ("all", "upto", "before")
    for letter in letters:
        for scope in scopes:
            yield ((f"count_{letter}_{scope}".replace("-", "m"), Count(Selector("x", "==", letter, scope))),)
    for test, word in (("==", "equal"), ("<", "less"), (">", "more")):
        for scope in scopes:
            yield ((f"{word}_{scope}", Count(Selector("x", test, "x", scope))),)
    yield (("previous", Fetch(Selector("i", "<", "i", "all"), "x")),)
    for place in range(length):
        yield ((f"at_{place}", Fetch(Selector("i", "==", place, "upto" if causal else "all"), "x")),)
    for shift in range(2, length):
        yield _at("-", shift, f"back_{shift}", "i")
    if not causal:
        for shift in range(1, length):
            yield _at("+", shift, f"ahead_{shift}", "i")
        mirror = E("-", E("-", E("n"), E(1)), E("i"))
        yield (("mirror", Formula(mirror)), ("mirrored", Fetch(Selector("i", "==", "mirror"), "x")))


def _at(head: str, shift: int, name: str, start: str) -> Named:
    place = f"place_{name}"
    return (place, Formula(E(head, E(start), E(shift)))), (name, Fetch(Selector("i", "==", place), "x"))


def double_features(letters: tuple[int, ...], causal: bool) -> Iterator[Named]:
    """Two looks, the second at what the first gives: ranks, counts of counts, the letter with a count, induction.

    Args:
        letters: The whole numbers that stand for the letters.
        causal: Whether no look may go to later positions.
    """
    scope = "upto" if causal else "all"
    less, same = Count(Selector("x", "<", "x", scope)), Count(Selector("x", "==", "x", "before"))
    equal = Count(Selector("x", "==", "x", scope))
    if not causal:
        rank: Named = (("less", less), ("same", same), ("rank", Formula(E("+", E("less"), E("same")))))
        yield (*rank, ("sorted", Fetch(Selector("rank", "==", "i"), "x")))
        most = 1 + max(letters) - min(letters)
        for head, name in (("-", "first"), ("+", "last")):
            score = Formula(E(head, E("*", E(most), E("equal")), E("x")))
            above: Named = (("equal", equal), ("score", score), ("above", Count(Selector("score", ">", "score"))))
            yield (*above, (f"{name}_mode", Fetch(Selector("above", "==", 0), "x")))
    own: Named = (("equal", equal),)
    for test, name in (("==", "alike"), ("<", "rarer"), (">", "commoner")):
        yield (*own, (name, Count(Selector("equal", test, "equal", scope))))
    once = Formula(E("*", E("==", E("same"), E(0)), E("equal")))
    kinds: Named = (("same", same), ("equal", equal), ("once", once))
    yield (*kinds, ("kinds_alike", Count(Selector("once", "==", "equal", scope))))
    yield (("same", same), ("kinds", Count(Selector("same", "==", 0, scope))))
    before: Named = (("previous", Fetch(Selector("i", "<", "i"), "x", -1)),)
    yield (*before, ("induced", Fetch(Selector("previous", "==", "x", "upto"), "x")))
