"""Whether programs along runs are a Markov chain, and how navigable those are at which runs end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from allroads.status import AtlasStatus
from allroads.studies.measures.sentences import signed

if TYPE_CHECKING:
    from allroads.atlases.atlas import Atlas

MOST = 999
"""Permutations of the null of the chain, at most."""


def chain_row(sequences: Sequence[Sequence[str]], options: dict[str, Any]) -> dict[str, Any]:
    """The test of the Markov property of changes: bits of the past, and the corrected p-value of both of its tests.

    Args:
        sequences: The programs of each run, without repeats.
        options: ``permutations`` and ``level``.
    """
    from allroads.atlases.chains.lumpability import lumpability

    level = options["level"]
    permutations = max(min(options["permutations"], MOST), math.ceil(2 / level))  # with fewer, nothing could be refuted
    found = lumpability(sequences, level=level, permutations=permutations)
    row: dict[str, Any] = {"test": "lumpability", "events": found.triples, "runs": len(sequences)}
    if found.status is AtlasStatus.TOO_FEW:
        return row | {"status": found.status.value, "reason": "no program is left in two ways after two others."}
    p = min(1.0, 2 * min(found.bits_p, found.gap_p))
    verdict = "opposed" if found.status is AtlasStatus.REFUTED else "undecided"
    numbers = {"value": found.bits, "null": 0.0, "p": p, "detectable": found.detectable}
    return row | numbers | {"verdict": verdict, "status": found.status.value}


def navigability_rows(atlas: Atlas, neighbours: pl.DataFrame | None) -> Iterator[dict[str, Any]]:
    """ψ of the programs at which runs end, in a row for each null.

    Args:
        atlas: Of the grid.
        neighbours: The table of that measure; ``None`` where it is off.
    """
    from allroads.atlases.measured.neighbours import move_counts
    from allroads.atlases.measured.places import Places
    from allroads.atlases.program_navigability import program_navigability

    tests = "navigability, rewired", "navigability, shuffled"
    if neighbours is None:
        for test in tests:
            yield {"test": test, "status": AtlasStatus.NOT_MEASURED.value, "reason": "switch neighbours on."}
        return
    found = program_navigability(move_counts(neighbours, Places.read(atlas))[1])
    for test, null in zip(tests, (found.rewired, found.shuffled), strict=True):
        row: dict[str, Any] = {"test": test, "events": found.stats["pairs"], "status": found.status.value}
        if found.error is None or null.error is None:
            pairs, programs, needed = (found.stats[name] for name in ("pairs", "programs", "needed"))
            seen = f"pairs of {programs} programs that moves join: {pairs}, below {needed}"
            room = programs * (programs - 1) // 2 >= needed
            more = "raise measures.neighbours.move or moves" if room else "add runs that end at other programs"
            yield row | {"reason": f"{seen}; {more}."}
            continue
        low, high = found.value - found.error, found.value + found.error
        above, below = low > null.value + null.error, high < null.value - null.error
        verdict = "supported" if above else "opposed" if below else "undecided"
        yield row | {"value": found.value, "low": low, "high": high, "null": null.value, "verdict": verdict}


def said_of_chain(row: dict[str, Any]) -> str:
    """What the test of the Markov property says; empty where nothing was tested.

    Example:
        >>> said_of_chain({"value": 0.25, "p": 0.5, "detectable": 0.3, "verdict": "undecided"})
        'Whether the past adds to what a program says of the next is undecided: +0.25 bits per change, p = 0.5.'
    """
    if row["value"] is None:
        return ""
    numbers = f"{signed(row['value'])} bits per change, p = {row['p']:.2g}"
    if row["verdict"] == "opposed":
        return f"The past adds to what a program says of the next, so that programs are no Markov chain: {numbers}."
    return f"Whether the past adds to what a program says of the next is undecided: {numbers}."
